//! The subject stage: dirty subjects are judged again from their periods, and the difference filed.

use super::alerts;
use super::cells::{Table, all, written};
use super::newest::Newest;
use super::session::Job;
use super::trouble::Outcome;
use super::violations::{self, Upserts};
use super::work::Work;
use crate::batch::{Judged, SubjectJudge};
use crate::preview::Overlay;
use crate::rows::{self, Cells, Columns, PERIOD, corrupt};
use crate::stage::{Seen, Stage, Window, days, fallen, over, settled};
use async_trait::async_trait;
use std::sync::Arc;
use waywarden_model::hash::partition_of_subject;
use waywarden_model::{DriverId, Period, Subject, Timestamp};

/// Dirty subjects looked at in one step, those of other partitions too.
const PAGE: i64 = 1000;

pub(super) struct Judging {
    pub stage: Stage,
    pub judge: Arc<dyn SubjectJudge>,
}

#[async_trait]
impl Job for Judging {
    type Done = usize;

    async fn run(&self, work: &mut Work<'_>) -> Outcome<usize> {
        let subjects = self.find(work).await?;
        let mut judged = 0;
        for subject in subjects {
            if let Some(from) = clear(work, &subject).await? {
                let judge = self.judge.as_ref();
                let seen = judge_one(work, &subject, from, judge, &Overlay::default()).await?;
                self.file(work, &subject, &seen.judged).await?;
                let now = self.stage.now;
                let ahead = seen.ahead(&subject, judge, now);
                let over = over(alerts::open_ahead(work, &subject).await?, &ahead);
                alerts::end(work, &over, now).await?;
                alerts::file(work, None, &ahead).await?;
            }
            judged += 1;
            if work.has_many_changes() {
                break;
            }
        }
        Ok(judged)
    }
}

/// Deletes the marks that are seen now, and gives the earliest of their instants. Periods are read
/// behind this, so those of every mark that is gone are among them.
async fn clear(work: &Work<'_>, subject: &Subject) -> Outcome<Option<Timestamp>> {
    let sql = "WITH gone AS (DELETE FROM dirty WHERE subject = $1 RETURNING \"from\")
               SELECT min(\"from\") FROM gone";
    let row = work.opt(sql, &[&written(&subject.key())]).await?;
    let from: Option<i64> = row.and_then(|r| r.get(0));
    Ok(from.map(Timestamp::from_millis))
}

impl Judging {
    /// The subjects that have waited longest.
    async fn find(&self, work: &Work<'_>) -> Outcome<Vec<Subject>> {
        let stage = &self.stage;
        let mut taken = Vec::new();
        let mut behind = i64::MIN;
        loop {
            let sql = "SELECT min(seq), subject FROM dirty GROUP BY subject
                       HAVING min(seq) > $1 ORDER BY min(seq) LIMIT $2";
            let page = all(&work.rows(sql, &[&behind, &PAGE]).await?, |r| {
                Ok((r.number::<i64>()?, r.string()?))
            })?;
            let Some((last, _)) = page.last() else {
                return Ok(taken);
            };
            behind = *last;
            for (_, key) in &page {
                let subject = Subject::from_key(key).ok_or_else(|| corrupt("subject"))?;
                if taken.len() == stage.limit {
                    return Ok(taken);
                }
                if partition_of_subject(&subject, stage.partitions) == stage.claim.partition {
                    taken.push(subject);
                }
            }
        }
    }

    /// The difference between what is judged and what is on file from `settled_from` on.
    async fn file(&self, work: &mut Work<'_>, subject: &Subject, judged: &Judged) -> Outcome<()> {
        let now = self.stage.now;
        let stated = settled(subject, judged)?;
        violations::upsert(
            work,
            &mut Upserts::default(),
            &stated,
            &Newest::default(),
            now,
        )
        .await?;
        let standing = violations::standing(work, subject, judged.settled_from).await?;
        violations::withdraw(work, &fallen(&stated, &standing), now).await?;
        match subject {
            Subject::Driver(driver) => self.file_days(work, driver, judged).await,
            _ => Ok(()),
        }
    }

    async fn file_days(&self, work: &Work<'_>, driver: &DriverId, judged: &Judged) -> Outcome<()> {
        let (first, days) = days(driver, judged, &self.stage.zone);
        let sql = "DELETE FROM driver_days WHERE driver = $1 AND day >= $2";
        work.execute(sql, &[&written(driver.as_str()), &first.0])
            .await?;
        let mut table = Table::default();
        for d in days {
            table.text(Some(d.driver.as_str()))?;
            table.int(Some(d.day.0))?;
            table.long(Some(d.driving_ms))?;
            table.long(Some(d.distance.decimetres()))?;
            table.long(Some(d.periods.into()))?;
            table.end_row();
        }
        let names = "driver, day, driving_ms, distance, periods";
        work.put(&table, names, &[], |rows| {
            format!("INSERT INTO driver_days ({names}) SELECT {names} FROM {rows}")
        })
        .await?;
        Ok(())
    }
}

/// Judges a subject by its periods on file, and those that lie over them.
pub(super) async fn judge_one(
    work: &Work<'_>,
    subject: &Subject,
    from: Timestamp,
    judge: &dyn SubjectJudge,
    over: &Overlay,
) -> Outcome<Seen> {
    let mut window = Window::new(judge.window_start(from).min(from));
    loop {
        let on_file = periods(work, subject, window.start).await?;
        let periods = over.laid(subject, window.start, on_file);
        let judged = judge.judge(subject, window.start, &periods);
        if !window.widens(&judged) {
            return Ok(Seen {
                window: window.start,
                periods,
                judged,
            });
        }
    }
}

async fn periods(work: &Work<'_>, subject: &Subject, window: Timestamp) -> Outcome<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = $1 AND p.start >= $2 ORDER BY p.start, s.name"
    );
    let rows = work
        .rows(&sql, &[&written(&subject.key()), &window.millis()])
        .await?;
    Ok(all(&rows, |r| rows::period(r))?)
}
