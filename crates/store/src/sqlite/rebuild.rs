//! Late data in the file: what a rebuild reads, and the transaction that replaces.

use super::rows::all;
use super::states::Concerned;
use super::writer::Session;
use super::{SqliteStore, commit, source_id, states, violations};
use crate::batch::{Claim, DayState, Result, StoreError};
use crate::episodes::Standing;
use crate::evidence::Verdicts;
use crate::filed::{STORED, behind as behind_key, limit as rows, stored};
use crate::rebuild::{
    DAYS_KEPT, Due, Mark, RebuildStore, Rebuilt, Replaced, StoredRecord, Stretch,
};
use crate::rows::{Columns, PERIOD, RECORD, verdict_judged, verdicts_shown};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::hash::partition_of;
use waywarden_model::{DriverId, LocalDay, Period, SourceId, Subject, Timestamp};

#[async_trait]
impl RebuildStore for SqliteStore {
    async fn newest_records(
        &self,
        after: Option<&SourceId>,
        limit: usize,
    ) -> Result<Vec<(SourceId, Timestamp)>> {
        let after = after.cloned();
        self.read(move |c| super::read::newest_records(c, after.as_ref(), limit))
            .await
    }

    async fn due_marks(&self, partition: u32, due: Due, limit: usize) -> Result<Vec<Mark>> {
        self.read(move |c| due_marks(c, partition, due, limit))
            .await
    }

    async fn state_at(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Option<DayState>> {
        let source = source.clone();
        let sql = "SELECT day, month, bytes FROM day_states
             WHERE source = ?1 AND day <= ?2 AND engine = ?3 ORDER BY day DESC LIMIT 1";
        self.read(move |c| Ok(day_states(c, sql, &source, day, engine)?.pop()))
            .await
    }

    async fn states_after(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Vec<DayState>> {
        let source = source.clone();
        let sql = "SELECT day, month, bytes FROM day_states
             WHERE source = ?1 AND day > ?2 AND engine = ?3 ORDER BY day";
        self.read(move |c| day_states(c, sql, &source, day, engine))
            .await
    }

    async fn stored_records(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>> {
        let source = source.clone();
        if limit < WORTH_TWO {
            return self
                .read(move |c| stored_records(c, &source, after, limit))
                .await;
        }
        // A task of its own, so that it goes on while nobody waits for it.
        let read = tokio::spawn(read_by_two(self.clone(), source, after, limit));
        read.await
            .map_err(|e| StoreError::Failed(format!("reader: {e}")))?
    }

    async fn sources_driven(
        &self,
        drivers: Vec<(DriverId, Timestamp)>,
    ) -> Result<Vec<(SourceId, Timestamp)>> {
        self.read(move |c| {
            let each = drivers
                .iter()
                .map(|(driver, from)| driven(c, driver, *from));
            Ok(each.collect::<Result<Vec<_>>>()?.concat())
        })
        .await
    }

    async fn replace(&self, claim: &Claim, rebuilt: Rebuilt) -> Result<Replaced> {
        let claim = claim.clone();
        self.write(move |s| replace(s, &claim, &rebuilt)).await
    }

    async fn mark_sources(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<usize> {
        self.write(move |s| mark_sources(s.conn, &stretches, partitions, now))
            .await
    }
}

fn due_marks(conn: &Connection, partition: u32, due: Due, limit: usize) -> Result<Vec<Mark>> {
    let sql = "SELECT s.name, m.\"from\", m.upto, m.removed, m.created, m.updated
         FROM marks m JOIN sources s ON s.id = m.source
         WHERE m.\"partition\" = ?1 AND (m.updated < ?2 OR m.created < ?3)
         ORDER BY m.created, s.name LIMIT ?4";
    let key = (
        partition,
        due.updated_before.millis(),
        due.created_before.millis(),
        rows(limit),
    );
    all(conn, sql, key, |r| crate::filed::mark(r))
}

fn day_states(
    conn: &Connection,
    sql: &str,
    source: &SourceId,
    day: LocalDay,
    engine: u32,
) -> Result<Vec<DayState>> {
    let Some(id) = source_id(conn, source.as_str())? else {
        return Ok(Vec::new());
    };
    all(conn, sql, (id, day.0, engine), |r| {
        crate::filed::day_state(r, source, engine)
    })
}

fn driven(
    conn: &Connection,
    driver: &DriverId,
    from: Timestamp,
) -> Result<Vec<(SourceId, Timestamp)>> {
    let sql = "SELECT s.name, min(p.start) FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = ?1 AND (p.open OR p.\"end\" >= ?2) GROUP BY s.name ORDER BY s.name";
    let key = (Subject::Driver(driver.clone()).key(), from.millis());
    all(conn, sql, key, |r| {
        Ok((SourceId::new(r.string()?), r.time()?.max(from)))
    })
}

/// Records whose rows are worth a second reader: most of the time goes into taking their columns.
const WORTH_TWO: usize = 2048;

/// The two halves of a page, read at once: with one reader, judging waits for it.
async fn read_by_two(
    store: SqliteStore,
    source: SourceId,
    after: Option<(Timestamp, u64)>,
    limit: usize,
) -> Result<Vec<StoredRecord>> {
    let half = limit / 2;
    let of = source.clone();
    let middle = store.read(move |c| last_key(c, &of, after, half)).await?;
    let of = source.clone();
    let Some(middle) = middle else {
        // There are no more than that.
        return store
            .read(move |c| stored_records(c, &of, after, half))
            .await;
    };
    let first = store.read(move |c| stored_records(c, &of, after, half));
    let second = store.read(move |c| stored_records(c, &source, Some(middle), limit - half));
    let (first, second) = tokio::join!(first, second);
    let (mut records, second) = (first?, second?);
    records.extend(second);
    Ok(records)
}

/// Key of the last of so many records; None where there are fewer.
fn last_key(
    conn: &Connection,
    source: &SourceId,
    after: Option<(Timestamp, u64)>,
    count: usize,
) -> Result<Option<(Timestamp, u64)>> {
    let Some(id) = source_id(conn, source.as_str())? else {
        return Ok(None);
    };
    let (time, hash) = behind_key(after);
    let sql = "SELECT time, hash FROM positions WHERE source = ?1 AND (time, hash) > (?2, ?3)
               ORDER BY time, hash LIMIT 1 OFFSET ?4";
    let key = (id, time, hash, rows(count.saturating_sub(1)));
    let mut found = all(conn, sql, key, |r| {
        Ok((r.time()?, r.number::<i64>()?.cast_unsigned()))
    })?;
    Ok(found.pop())
}

fn stored_records(
    conn: &Connection,
    source: &SourceId,
    after: Option<(Timestamp, u64)>,
    limit: usize,
) -> Result<Vec<StoredRecord>> {
    let Some(id) = source_id(conn, source.as_str())? else {
        return Ok(Vec::new());
    };
    let (time, hash) = behind_key(after);
    let sql = format!(
        "SELECT {STORED}, {RECORD} FROM positions
         WHERE source = ?1 AND (time, hash) > (?2, ?3) ORDER BY time, hash LIMIT ?4"
    );
    all(conn, &sql, (id, time, hash, rows(limit)), |r| stored(r))
}

/// All behind an instant, of the sources that have a record there.
pub(super) fn known(
    conn: &Connection,
    sources: &[(SourceId, Timestamp)],
) -> Result<Vec<Concerned>> {
    let mut reaches = conn.prepare_cached(
        "SELECT s.id FROM sources s WHERE s.name = ?1
             AND EXISTS (SELECT 1 FROM positions WHERE source = s.id AND time >= ?2)",
    )?;
    let mut found = Vec::new();
    for (source, from) in sources {
        let key = (source.as_str(), from.millis());
        let id = reaches.query_row(key, |r| r.get(0)).optional()?;
        found.extend(id.map(|source| Concerned {
            source,
            from: *from,
            upto: Timestamp::MAX,
        }));
    }
    Ok(found)
}

fn mark_sources(
    conn: &Connection,
    stretches: &[Stretch],
    partitions: u32,
    now: Timestamp,
) -> Result<usize> {
    let mut marked = 0;
    for Stretch { source, from, upto } in stretches {
        // A source without a saved state has been heard of all the same.
        let partition = partition_of(source, partitions);
        if let Some(source) = source_id(conn, source.as_str())? {
            let (from, upto) = (*from, *upto);
            states::mark(conn, partition, &[Concerned { source, from, upto }], now)?;
            conn.prepare_cached(
                "INSERT OR IGNORE INTO dirty (subject, \"from\")
                 SELECT subject, min(start) FROM periods
                 WHERE source = ?1 AND \"end\" >= ?2 AND start <= ?3 GROUP BY subject",
            )?
            .execute((source, from.millis(), upto.millis()))?;
            marked += 1;
        }
    }
    Ok(marked)
}

/// Saves states at the beginnings of days; those that are neither new nor begin a month go.
pub(super) fn save_days(session: &mut Session<'_>, states: &[DayState]) -> Result<()> {
    for state in states {
        let source = session.intern(&state.source)?;
        session
            .conn
            .prepare_cached(
                "INSERT OR REPLACE INTO day_states (source, day, month, engine, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((source, state.day.0, state.month, state.engine, &state.bytes))?;
        session
            .conn
            .prepare_cached(
                "DELETE FROM day_states WHERE source = ?1 AND NOT month
                     AND day < (SELECT max(day) FROM day_states WHERE source = ?1) - ?2",
            )?
            .execute((source, DAYS_KEPT))?;
    }
    Ok(())
}

fn replace(session: &mut Session<'_>, claim: &Claim, r: &Rebuilt) -> Result<Replaced> {
    states::guard_epoch(session.conn, claim)?;
    let source = session.intern(&r.mark.source)?;
    let mut done = Replaced {
        verdicts: r.reversed(),
        ..Replaced::default()
    };
    set_verdicts(session.conn, source, r)?;
    if r.behind.is_some() {
        done.periods = replace_periods(session, source, r)?;
        replace_violations(session, r, &mut done)?;
        replace_days(session, source, r)?;
    }
    if let Some(state) = &r.state {
        states::save(session, claim.partition, std::slice::from_ref(state), None)?;
    }
    session
        .conn
        .prepare_cached("DELETE FROM marks WHERE source = ?1 AND \"from\" = ?2 AND updated = ?3")?
        .execute((source, r.mark.from.millis(), r.mark.updated.millis()))?;
    Ok(done)
}

/// Verdicts, and the last place shown, which follows them.
fn set_verdicts(conn: &Connection, source: i64, r: &Rebuilt) -> Result<()> {
    let mut set = conn.prepare_cached(
        "UPDATE positions SET verdict = ?7
         WHERE source = ?1 AND (time, hash) >= (?2, ?3) AND (time, hash) <= (?4, ?5)
             AND verdict = ?6",
    )?;
    for run in &r.verdicts {
        if let Some([(from, first), (upto, last)]) = run.bounds() {
            let (was, is) = (run.was_code(), run.is.code());
            set.execute((source, from, first, upto, last, was, is))?;
        }
    }
    if r.verdicts.is_empty() {
        return Ok(());
    }
    note_latest(conn, source)
}

/// The last place shown, of what is on file.
pub(super) fn note_latest(conn: &Connection, source: i64) -> Result<()> {
    conn.prepare_cached("DELETE FROM latest WHERE source = ?1")?
        .execute([source])?;
    conn.prepare_cached(&format!(
        "INSERT INTO latest (source, time, hash, received, verdict, lat, lon, speed, course,
                             ignition, said, driver)
         SELECT source, time, hash, received, {}, lat, lon, speed, course, ignition, said, driver
         FROM positions
         WHERE source = ?1 AND lat IS NOT NULL AND verdict IN ({})
         ORDER BY time DESC, hash LIMIT 1",
        verdict_judged(),
        verdicts_shown()
    ))?
    .execute([source])?;
    Ok(())
}

fn behind(r: &Rebuilt) -> i64 {
    r.behind.map_or(i64::MIN, Timestamp::millis)
}

fn until(r: &Rebuilt) -> Option<i64> {
    r.until.map(|(_, last)| last.millis())
}

/// Periods that are no more, and those that are. Both mark their subjects.
fn replace_periods(session: &mut Session<'_>, source: i64, r: &Rebuilt) -> Result<u64> {
    let stated = r.period_starts();
    let mut gone = Vec::new();
    {
        let mut stmt = session.conn.prepare_cached(
            "SELECT start, subject FROM periods WHERE source = ?1
                 AND (open OR \"end\" > ?2) AND (?3 IS NULL OR (NOT open AND \"end\" <= ?3))",
        )?;
        let mut found = stmt.query((source, behind(r), until(r)))?;
        while let Some(row) = found.next()? {
            let start: i64 = row.get(0)?;
            if !stated.contains(&Timestamp::from_millis(start)) {
                gone.push((start, row.get::<_, String>(1)?));
            }
        }
    }
    for (start, subject) in &gone {
        let conn = session.conn;
        conn.prepare_cached("DELETE FROM periods WHERE source = ?1 AND start = ?2")?
            .execute((source, start))?;
        conn.prepare_cached("INSERT OR IGNORE INTO dirty (subject, \"from\") VALUES (?1, ?2)")?
            .execute((subject, start))?;
    }
    for period in &r.periods {
        commit::file_period(session, period)?;
    }
    Ok((gone.len() + r.periods.len()) as u64)
}

fn replace_violations(session: &mut Session<'_>, r: &Rebuilt, done: &mut Replaced) -> Result<()> {
    for v in &r.violations {
        done.stated += u64::from(violations::upsert(session, v, Verdicts::Judged, r.now)?);
    }
    for (id, successor) in r.fallen(&standing(session.conn, r)?) {
        violations::withdraw(session.conn, id, successor, r.now)?;
        done.withdrawn += 1;
    }
    Ok(())
}

/// The source's violations on file in what was judged again.
pub(super) fn standing(conn: &Connection, r: &Rebuilt) -> Result<Vec<Standing>> {
    let subject = Subject::Source(r.mark.source.clone());
    violations::standing_between(conn, &subject, behind(r), until(r))
}

/// Its periods there.
pub(super) fn periods(conn: &Connection, r: &Rebuilt) -> Result<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE s.name = ?1 AND (p.open OR p.\"end\" > ?2)
             AND (?3 IS NULL OR (NOT p.open AND p.\"end\" <= ?3)) ORDER BY p.start"
    );
    let key = (r.mark.source.as_str(), behind(r), until(r));
    all(conn, &sql, key, |row| crate::rows::period(row))
}

/// Day rows and day states of the days judged again.
fn replace_days(session: &mut Session<'_>, source: i64, r: &Rebuilt) -> Result<()> {
    let first = r.first_day.map_or(i32::MIN, |d| d.0);
    let end = r.until.map_or(i32::MAX, |(day, _)| day.0);
    let conn = session.conn;
    conn.prepare_cached("DELETE FROM day_rows WHERE source = ?1 AND day >= ?2 AND day < ?3")?
        .execute((source, first, end))?;
    for row in &r.day_rows {
        commit::file_day(session, row)?;
    }
    // The state that the judging began from stands.
    let mut gone = session
        .conn
        .prepare_cached("DELETE FROM day_states WHERE source = ?1 AND day > ?2 AND day < ?3")?;
    gone.execute((source, first, end))?;
    save_days(session, &r.day_states)
}
