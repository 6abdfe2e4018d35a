//! Records that were set aside and are asked for, on the server.

use super::cells::{Reader, all, written};
use super::session::Job;
use super::tables::{self, Concerned};
use super::trouble::Outcome;
use super::work::Work;
use super::{TimescaleStore, Writing, redecode};
use crate::aside::{ASKED, AT_ONCE, AsideStore, TakenIn, WAITING, verdict};
use crate::batch::{AsideReason, Claim, Result};
use crate::rebuild::Stretch;
use crate::rows::{self, Columns, RECORD};
use async_trait::async_trait;
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Timestamp, Verdict};

#[async_trait]
impl AsideStore for TimescaleStore {
    async fn set_aside(&self, from: Timestamp, upto: Timestamp) -> Result<Vec<SourceId>> {
        let sql = "SELECT name FROM sources s WHERE EXISTS (
                       SELECT FROM records_aside a
                       WHERE a.source = s.id AND a.time BETWEEN $1 AND $2 AND a.reason = $3)
                   ORDER BY name";
        let (from, upto, future) = (from.millis(), upto.millis(), AsideReason::Future.label());
        let found = self.rows(sql, &[&from, &upto, &future]).await?;
        all(&found, |r| Ok(SourceId::new(r.string()?)))
    }

    async fn readmit(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<u64> {
        let asking = Asking {
            stretches,
            partitions,
            now,
        };
        self.write(&asking).await
    }

    async fn take_in(&self, claim: &Claim, source: &SourceId) -> Result<TakenIn> {
        let taking = Taking {
            partition: claim.partition,
            source: source.clone(),
        };
        self.run(claim, &taking).await
    }
}

struct Asking {
    stretches: Vec<Stretch>,
    partitions: u32,
    now: Timestamp,
}

#[async_trait]
impl Writing for Asking {
    type Written = u64;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<u64> {
        let mut asked = 0;
        for stretch in &self.stretches {
            let sql = "WITH asked AS (
                           UPDATE records_aside a SET reason = $5 FROM sources s
                           WHERE s.name = $1 AND a.source = s.id AND a.time BETWEEN $2 AND $3
                               AND a.reason = $4 RETURNING a.source, a.time)
                       SELECT source, min(time), max(time), count(*) FROM asked GROUP BY source";
            let (name, future) = (
                written(stretch.source.as_str()),
                AsideReason::Future.label(),
            );
            let (from, upto) = (stretch.from.millis(), stretch.upto.millis());
            let found = work
                .opt(sql, &[&name, &from, &upto, &future, &ASKED])
                .await?;
            let Some(row) = found else { continue };
            let concerned = Concerned {
                source: row.get(0),
                from: Timestamp::from_millis(row.get(1)),
                upto: Timestamp::from_millis(row.get(2)),
            };
            asked += row.get::<_, i64>(3).cast_unsigned();
            let partition = partition_of(&stretch.source, self.partitions);
            tables::mark(work, partition, &[concerned], self.now).await?;
        }
        Ok(asked)
    }
}

struct Taking {
    partition: u32,
    source: SourceId,
}

#[async_trait]
impl Job for Taking {
    type Done = TakenIn;

    async fn run(&self, work: &mut Work<'_>) -> Outcome<TakenIn> {
        let name = written(self.source.as_str());
        let sql = "SELECT id FROM sources WHERE name = $1";
        let Some(row) = work.opt(sql, &[&name]).await? else {
            return Ok(TakenIn::default());
        };
        let source: i32 = row.get(0);
        let gone = redecode::remove(work, source).await?;
        if gone.asked > 0 {
            let (filed, aside) = (gone.filed.cast_signed(), gone.aside.cast_signed());
            work.execute(
                "UPDATE partitions SET \"read\" = \"read\" - $2 - $3, filed = filed - $2,
                     aside = aside - $3 WHERE \"partition\" = $1",
                &[&i64::from(self.partition), &filed, &aside],
            )
            .await?;
            return Ok(TakenIn {
                removed: gone.asked,
                ..TakenIn::default()
            });
        }
        for (reason, verdict) in WAITING {
            let taken = self.file(work, source, reason, verdict).await?;
            if !taken.is_empty() {
                return Ok(taken);
            }
        }
        Ok(TakenIn::default())
    }
}

impl Taking {
    /// Files records that wait with this reason. Without a verdict they get that of the source's
    /// newest.
    async fn file(
        &self,
        work: &Work<'_>,
        source: i32,
        reason: &str,
        verdict: Option<Verdict>,
    ) -> Outcome<TakenIn> {
        let sql = "SELECT max(time) FROM (SELECT time FROM records_aside
                       WHERE source = $1 AND reason = $2 ORDER BY time LIMIT $3) n";
        let row = work.opt(sql, &[&source, &reason, &AT_ONCE]).await?;
        let Some(newest) = row.and_then(|row| row.get::<_, Option<i64>>(0)) else {
            return Ok(TakenIn::default());
        };
        let verdict = match verdict {
            Some(verdict) => verdict,
            None => of_newest(work, source).await?,
        };
        let verdict = i16::from(verdict.code());
        let repeated = work
            .execute(
                "UPDATE positions p SET received = least(p.received, a.received)
                 FROM records_aside a WHERE a.source = $1 AND a.reason = $2 AND a.time <= $3
                     AND p.source = a.source AND p.time = a.time AND p.hash = a.hash",
                &[&source, &reason, &newest],
            )
            .await?;
        // The partition's row is locked, so what is not found is new.
        let sql = format!(
            "INSERT INTO positions (source, time, hash, received, verdict, frame, {RECORD})
             SELECT source, time, hash, received, $4, frame, {RECORD} FROM records_aside a
             WHERE a.source = $1 AND a.reason = $2 AND a.time <= $3 AND NOT EXISTS (
                 SELECT FROM positions p
                 WHERE p.source = a.source AND p.time = a.time AND p.hash = a.hash)"
        );
        let filed = work
            .execute(&sql, &[&source, &reason, &newest, &verdict])
            .await?;
        let sql = "DELETE FROM records_aside WHERE source = $1 AND reason = $2 AND time <= $3";
        work.execute(sql, &[&source, &reason, &newest]).await?;
        let (new, again) = (filed.cast_signed(), repeated.cast_signed());
        // What was set aside was read before; what a frame says now was not.
        let (read, aside) = match reason {
            ASKED => (0, new + again),
            _ => (new + again, 0),
        };
        work.execute(
            "UPDATE partitions SET \"read\" = \"read\" + $4, filed = filed + $2,
                 repeated = repeated + $3, late = late + $2, aside = aside - $5
             WHERE \"partition\" = $1",
            &[&i64::from(self.partition), &new, &again, &read, &aside],
        )
        .await?;
        Ok(TakenIn {
            filed,
            repeated,
            removed: 0,
            newest: Some(Timestamp::from_millis(newest)),
        })
    }
}

async fn of_newest(work: &Work<'_>, source: i32) -> Outcome<Verdict> {
    let sql = "SELECT verdict FROM positions WHERE source = $1 ORDER BY time DESC LIMIT 1";
    let on_file = work.opt(sql, &[&source]).await?;
    let on_file = on_file.map(|row| rows::verdict_filed(&mut Reader::new(&row)));
    Ok(verdict(on_file.transpose()?.map(|(verdict, _)| verdict)))
}
