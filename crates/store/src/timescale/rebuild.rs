//! Late data: what a rebuild reads, and the transaction that replaces.

use super::cells::{Table, all, written};
use super::newest::Newest;
use super::session::Job;
use super::tables::{self, Concerned};
use super::trouble::Outcome;
use super::violations::{self, Upserts};
use super::work::Work;
use super::{TimescaleStore, Who, Writing};
use crate::batch::{Claim, DayState, Result};
use crate::episodes::Standing;
use crate::evidence::Verdicts;
use crate::filed::{STORED, behind as behind_key, day_state, limit as rows, mark, stored};
use crate::rebuild::{Due, Mark, RebuildStore, Rebuilt, Replaced, Reversed, StoredRecord, Stretch};
use crate::rows::{Cells, Columns, PERIOD, RECORD, verdict_judged, verdicts_shown};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;
use waywarden_model::hash::partition_of;
use waywarden_model::{DriverId, LocalDay, Period, SourceId, Subject, Timestamp};

#[async_trait]
impl RebuildStore for TimescaleStore {
    async fn newest_records(
        &self,
        after: Option<&SourceId>,
        limit: usize,
    ) -> Result<Vec<(SourceId, Timestamp)>> {
        super::read::newest_records(self, after, limit).await
    }

    async fn due_marks(&self, partition: u32, due: Due, limit: usize) -> Result<Vec<Mark>> {
        let sql = "SELECT s.name, m.\"from\", m.upto, m.removed, m.created, m.updated
             FROM marks m JOIN sources s ON s.id = m.source
             WHERE m.\"partition\" = $1 AND (m.updated < $2 OR m.created < $3)
             ORDER BY m.created, s.name LIMIT $4";
        let (updated, created) = (due.updated_before.millis(), due.created_before.millis());
        let key = (i64::from(partition), rows(limit));
        let found = self
            .rows(sql, &[&key.0, &updated, &created, &key.1])
            .await?;
        all(&found, |r| mark(r))
    }

    async fn state_at(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Option<DayState>> {
        let sql = "SELECT d.day, d.month, d.bytes
             FROM day_states d JOIN sources s ON s.id = d.source
             WHERE s.name = $1 AND d.day <= $2 AND d.engine = $3 ORDER BY d.day DESC LIMIT 1";
        Ok(self.day_states(sql, source, day, engine).await?.pop())
    }

    async fn states_after(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Vec<DayState>> {
        let sql = "SELECT d.day, d.month, d.bytes
             FROM day_states d JOIN sources s ON s.id = d.source
             WHERE s.name = $1 AND d.day > $2 AND d.engine = $3 ORDER BY d.day";
        self.day_states(sql, source, day, engine).await
    }

    async fn stored_records(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>> {
        let Some(id) = self.source_id(Who::Worker, source).await? else {
            return Ok(Vec::new());
        };
        let (time, hash) = behind_key(after);
        // The second comparison of the time is for the choice of chunks.
        let sql = format!(
            "SELECT {STORED}, {RECORD} FROM positions
             WHERE source = $1 AND (time, hash) > ($2, $3) AND time >= $2
             ORDER BY time, hash LIMIT $4"
        );
        let key = rows(limit);
        let found = self
            .rows_for(Who::Worker, &sql, &[&id, &time, &hash, &key])
            .await?;
        all(&found, |r| stored(r))
    }

    async fn sources_driven(
        &self,
        drivers: Vec<(DriverId, Timestamp)>,
    ) -> Result<Vec<(SourceId, Timestamp)>> {
        let sql = "SELECT s.name, min(p.start) FROM periods p JOIN sources s ON s.id = p.source
             WHERE p.subject = $1 AND (p.open OR p.\"end\" >= $2)
             GROUP BY s.name ORDER BY s.name";
        let mut found = Vec::new();
        for (driver, from) in drivers {
            let key = (Subject::Driver(driver).key(), from.millis());
            let rows = self.rows(sql, &[&key.0, &key.1]).await?;
            found.extend(all(&rows, |r| {
                Ok((SourceId::new(r.string()?), r.time()?.max(from)))
            })?);
        }
        Ok(found)
    }

    async fn replace(&self, claim: &Claim, rebuilt: Rebuilt) -> Result<Replaced> {
        let partition = claim.partition;
        self.run(claim, &Replacing { partition, rebuilt }).await
    }

    async fn mark_sources(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<usize> {
        let marking = Marking {
            stretches,
            partitions,
            now,
        };
        // Marking twice is marking once, so this may be tried again.
        let mut patience = self.patience(Who::Worker);
        loop {
            match self.try_write(&marking).await {
                Ok(marked) => return Ok(marked),
                Err(trouble) => patience.bear(trouble).await?,
            }
        }
    }
}

impl TimescaleStore {
    async fn day_states(
        &self,
        sql: &str,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Vec<DayState>> {
        let name = written(source.as_str());
        let found = self
            .rows_for(Who::Worker, sql, &[&name, &day.0, &i64::from(engine)])
            .await?;
        all(&found, |r| day_state(r, source, engine))
    }
}

/// All behind an instant, of the sources that have a record there.
pub(super) async fn known(
    work: &Work<'_>,
    sources: &[(SourceId, Timestamp)],
) -> Outcome<Vec<Concerned>> {
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let (names, from) = columns(sources);
    let sql = "SELECT s.id, n.\"from\" FROM unnest($1::text[], $2::int8[]) AS n(name, \"from\")
               JOIN sources s ON s.name = n.name COLLATE \"C\"
               WHERE EXISTS (SELECT FROM positions p
                             WHERE p.source = s.id AND p.time >= n.\"from\")";
    let found = work.rows(sql, &[&names, &from]).await?;
    let concerned = found.iter().map(|r| Concerned {
        source: r.get(0),
        from: Timestamp::from_millis(r.get(1)),
        upto: Timestamp::MAX,
    });
    Ok(concerned.collect())
}

fn columns(sources: &[(SourceId, Timestamp)]) -> (Vec<String>, Vec<i64>) {
    sources
        .iter()
        .map(|(s, from)| (written(s.as_str()).into_owned(), from.millis()))
        .unzip()
}

struct Marking {
    stretches: Vec<Stretch>,
    partitions: u32,
    now: Timestamp,
}

#[async_trait]
impl Writing for Marking {
    type Written = usize;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<usize> {
        let mut table = Table::default();
        for Stretch { source, from, upto } in &self.stretches {
            table.text(Some(source.as_str()))?;
            table.long(Some(from.millis()))?;
            table.long(Some(upto.millis()))?;
            // A source without a saved state has been heard of all the same.
            table.long(Some(partition_of(source, self.partitions).into()))?;
            table.end_row();
        }
        let names = "name, \"from\", upto, \"partition\"";
        let found = work
            .put(&table, names, &[], |rows| {
                format!(
                    "SELECT n.\"partition\", s.id, n.\"from\", n.upto FROM {rows}
                     JOIN sources s ON s.name = n.name COLLATE \"C\""
                )
            })
            .await?;
        work.put(&table, names, &[], |rows| {
            format!(
                "INSERT INTO dirty (subject, \"from\")
                 SELECT p.subject, min(p.start) FROM {rows}
                 JOIN sources s ON s.name = n.name COLLATE \"C\"
                 JOIN periods p ON p.source = s.id AND p.\"end\" >= n.\"from\"
                     AND p.start <= n.upto
                 GROUP BY p.subject"
            )
        })
        .await?;
        let mut partitions: BTreeMap<i64, Vec<Concerned>> = BTreeMap::new();
        for row in &found {
            partitions.entry(row.get(0)).or_default().push(Concerned {
                source: row.get(1),
                from: Timestamp::from_millis(row.get(2)),
                upto: Timestamp::from_millis(row.get(3)),
            });
        }
        for (partition, concerned) in partitions {
            let partition = u32::try_from(partition).unwrap_or(u32::MAX);
            tables::mark(work, partition, &concerned, self.now).await?;
        }
        Ok(found.len())
    }
}

struct Replacing {
    partition: u32,
    rebuilt: Rebuilt,
}

#[async_trait]
impl Job for Replacing {
    type Done = Replaced;

    async fn run(&self, work: &mut Work<'_>) -> Outcome<Replaced> {
        let r = &self.rebuilt;
        let others = r.periods.iter().map(|p| &p.source);
        let others = others.chain(r.day_rows.iter().map(|d| &d.source));
        work.ensure_sources(others.chain([&r.mark.source])).await?;
        let source = work.source(&r.mark.source)?;
        let mut done = Replaced {
            verdicts: r.reversed(),
            ..Replaced::default()
        };
        set_verdicts(work, source, r).await?;
        if r.behind.is_some() {
            done.periods = replace_periods(work, source, r).await?;
            replace_violations(work, r, &mut done).await?;
            replace_days(work, source, r).await?;
        }
        if let Some(state) = &r.state {
            let state = std::slice::from_ref(state);
            tables::save_states(work, self.partition, state, None).await?;
        }
        let sql = "DELETE FROM marks WHERE source = $1 AND \"from\" = $2 AND updated = $3";
        let (from, updated) = (r.mark.from.millis(), r.mark.updated.millis());
        work.execute(sql, &[&source, &from, &updated]).await?;
        Ok(done)
    }
}

/// Records of a run that is worth a statement of its own.
const LONG: usize = 64;

/// One statement for each chunk, which goes through its records in their order.
async fn set_run(work: &Work<'_>, source: i32, run: &Reversed) -> Outcome<()> {
    let sql = "UPDATE positions SET verdict = $5
               WHERE source = $1 AND time BETWEEN $2 AND $3 AND verdict = $4";
    let (was, is) = (i16::from(run.was_code()), i16::from(run.is.code()));
    let times = run.keys.iter().map(|(time, _)| (time.millis(), ()));
    for chunk in work.by_chunk(times) {
        let bounds = (&chunk.first, &chunk.last);
        work.execute(sql, &[&source, bounds.0, bounds.1, &was, &is])
            .await?;
    }
    Ok(())
}

/// Verdicts, and the last place shown, which follows them.
async fn set_verdicts(work: &Work<'_>, source: i32, r: &Rebuilt) -> Outcome<()> {
    if r.verdicts.is_empty() {
        return Ok(());
    }
    let long = |run: &&Reversed| run.keys.len() >= LONG;
    for run in r.verdicts.iter().filter(long) {
        set_run(work, source, run).await?;
    }
    let short = r.verdicts.iter().filter(|run| !long(run));
    let each = short.flat_map(|run| run.keys.iter().map(|(time, hash)| (time, hash, run.is)));
    for chunk in work.by_chunk(each.map(|v| (v.0.millis(), v))) {
        let mut table = Table::default();
        for (time, hash, verdict) in chunk.items {
            table.long(Some(time.millis()))?;
            table.long(Some(hash.cast_signed()))?;
            table.short(Some(verdict.code().into()))?;
            table.end_row();
        }
        let key: [&(dyn ToSql + Sync); 3] = [&source, &chunk.first, &chunk.last];
        work.put(&table, "time, hash, verdict", &key, |rows| {
            format!(
                "UPDATE positions p SET verdict = n.verdict FROM {rows}
                 WHERE p.source = $4 AND p.time BETWEEN $5 AND $6
                     AND p.time = n.time AND p.hash = n.hash"
            )
        })
        .await?;
    }
    note_latest(work, source).await
}

/// The last place shown, of what is on file.
pub(super) async fn note_latest(work: &Work<'_>, source: i32) -> Outcome<()> {
    work.execute("DELETE FROM latest WHERE source = $1", &[&source])
        .await?;
    let columns = "source, time, hash, received, lat, lon, speed, course, ignition, said, driver";
    let sql = format!(
        "INSERT INTO latest ({columns}, verdict) SELECT {columns}, {} FROM positions
         WHERE source = $1 AND lat IS NOT NULL AND verdict IN ({})
         ORDER BY time DESC, hash LIMIT 1",
        verdict_judged(),
        verdicts_shown()
    );
    work.execute(&sql, &[&source]).await?;
    Ok(())
}

fn behind(r: &Rebuilt) -> i64 {
    r.behind.map_or(i64::MIN, Timestamp::millis)
}

fn until(r: &Rebuilt) -> Option<i64> {
    r.until.map(|(_, last)| last.millis())
}

/// Periods that are no more, and those that are. Both mark their subjects.
async fn replace_periods(work: &Work<'_>, source: i32, r: &Rebuilt) -> Outcome<u64> {
    let stated: Vec<i64> = r
        .period_starts()
        .into_iter()
        .map(Timestamp::millis)
        .collect();
    let gone = work
        .execute(
            "WITH gone AS (DELETE FROM periods WHERE source = $1
                 AND (open OR \"end\" > $2)
                 AND ($3::int8 IS NULL OR (NOT open AND \"end\" <= $3::int8))
                 AND start <> ALL($4) RETURNING subject, start)
             INSERT INTO dirty (subject, \"from\") SELECT subject, start FROM gone",
            &[&source, &behind(r), &until(r), &stated],
        )
        .await?;
    tables::file_periods(work, &r.periods).await?;
    Ok(gone + r.periods.len() as u64)
}

async fn replace_violations(work: &mut Work<'_>, r: &Rebuilt, done: &mut Replaced) -> Outcome<()> {
    let stated: Vec<_> = r.violations.iter().collect();
    let mut upserts = Upserts::default();
    let nothing_filed = Newest {
        verdicts: Verdicts::Judged,
        ..Newest::default()
    };
    violations::upsert(work, &mut upserts, &stated, &nothing_filed, r.now).await?;
    done.stated = upserts.stated;
    let gone = r.fallen(&standing(work, r).await?);
    violations::withdraw(work, &gone, r.now).await?;
    done.withdrawn = gone.len() as u64;
    Ok(())
}

/// The source's violations on file in what was judged again.
pub(super) async fn standing(work: &Work<'_>, r: &Rebuilt) -> Outcome<Vec<Standing>> {
    let subject = Subject::Source(r.mark.source.clone());
    violations::standing_between(work, &subject, behind(r), until(r)).await
}

/// Its periods there.
pub(super) async fn periods(work: &Work<'_>, r: &Rebuilt) -> Outcome<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE s.name = $1 AND (p.open OR p.\"end\" > $2)
             AND ($3::int8 IS NULL OR (NOT p.open AND p.\"end\" <= $3::int8)) ORDER BY p.start"
    );
    let name = written(r.mark.source.as_str());
    let found = work.rows(&sql, &[&name, &behind(r), &until(r)]).await?;
    Ok(all(&found, |row| crate::rows::period(row))?)
}

/// Day rows and day states of the days judged again.
async fn replace_days(work: &Work<'_>, source: i32, r: &Rebuilt) -> Outcome<()> {
    let first = r.first_day.map_or(i32::MIN, |d| d.0);
    let end = r.until.map_or(i32::MAX, |(day, _)| day.0);
    let sql = "DELETE FROM day_rows WHERE source = $1 AND day >= $2 AND day < $3";
    work.execute(sql, &[&source, &first, &end]).await?;
    tables::file_days(work, &r.day_rows).await?;
    // The state that the judging began from stands.
    let sql = "DELETE FROM day_states WHERE source = $1 AND day > $2 AND day < $3";
    work.execute(sql, &[&source, &first, &end]).await?;
    tables::save_days(work, &r.day_states).await
}
