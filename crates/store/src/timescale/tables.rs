//! The smaller tables of a batch: marks, states, days, periods, ticks, and what is set aside. Each
//! is written by one statement over arrays; of rows with one key the last counts.

use super::Reading;
use super::cells::{Reader, Table, all};
use super::trouble::Outcome;
use super::work::Work;
use crate::batch::{
    DayState, PoisonMessage, Position, Result, SavedState, SourceRecords, StoreError,
};
use crate::rebuild::DAYS_KEPT;
use crate::rows::{Cells, Columns, put_day_row, put_period};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;
use waywarden_model::{DayRow, Period, SourceId, Timestamp};

/// Instants of a source that are to be judged again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Concerned {
    pub source: i32,
    pub from: Timestamp,
    pub upto: Timestamp,
}

/// One row a source: its number, the first instant and the last.
fn spans(concerned: &[Concerned]) -> Outcome<Table> {
    let mut spans: BTreeMap<i32, (Timestamp, Timestamp)> = BTreeMap::new();
    for c in concerned {
        let span = spans.entry(c.source).or_insert((c.from, c.upto));
        *span = (span.0.min(c.from), span.1.max(c.upto));
    }
    let mut table = Table::default();
    for (source, (from, upto)) in spans {
        table.int(Some(source))?;
        table.long(Some(from.millis()))?;
        table.long(Some(upto.millis()))?;
        table.end_row();
    }
    Ok(table)
}

/// Marks sources for rebuilding; a mark grows to hold what is added to it.
pub(super) async fn mark(
    work: &Work<'_>,
    partition: u32,
    concerned: &[Concerned],
    now: Timestamp,
) -> Outcome<()> {
    let table = spans(concerned)?;
    let more: [&(dyn ToSql + Sync); 2] = [&i64::from(partition), &now.millis()];
    work.put(&table, "source, \"from\", upto", &more, |rows| {
        format!(
            "INSERT INTO marks AS m (source, \"partition\", \"from\", upto, created, updated)
             SELECT source, $4, \"from\", upto, $5, $5 FROM {rows}
             ON CONFLICT (source) DO UPDATE SET \"partition\" = excluded.\"partition\",
                 \"from\" = least(m.\"from\", excluded.\"from\"),
                 upto = greatest(m.upto, excluded.upto), updated = excluded.updated"
        )
    })
    .await?;
    Ok(())
}

/// Notes with the marks what of it has not been judged at all.
pub(super) async fn wait(work: &Work<'_>, sources: &[SourceRecords]) -> Outcome<()> {
    let mut waiting = Vec::new();
    for records in sources {
        if let Some((from, upto)) = records.waiting() {
            let source = work.source(&records.source)?;
            waiting.push(Concerned { source, from, upto });
        }
    }
    let table = spans(&waiting)?;
    work.put(&table, "source, \"from\", upto", &[], |rows| {
        format!(
            "UPDATE marks m SET waits_from = least(m.waits_from, n.\"from\"),
                 waits_upto = greatest(m.waits_upto, n.upto)
             FROM {rows} WHERE m.source = n.source"
        )
    })
    .await?;
    Ok(())
}

/// Saves states at the beginnings of days; those that are neither new nor begin a month go.
pub(super) async fn save_days(work: &Work<'_>, states: &[DayState]) -> Outcome<()> {
    let mut last: BTreeMap<(i32, i32), &DayState> = BTreeMap::new();
    for s in states {
        last.insert((work.source(&s.source)?, s.day.0), s);
    }
    let mut table = Table::default();
    for ((source, day), s) in last {
        table.int(Some(source))?;
        table.int(Some(day))?;
        table.flag(Some(s.month))?;
        table.long(Some(s.engine.into()))?;
        table.bytes(Some(&s.bytes))?;
        table.end_row();
    }
    let names = "source, day, month, engine, bytes";
    let saved = work
        .put(&table, names, &[], |rows| {
            format!(
                "INSERT INTO day_states ({names}) SELECT {names} FROM {rows}
                 ON CONFLICT (source, day) DO UPDATE SET month = excluded.month,
                     engine = excluded.engine, bytes = excluded.bytes
                 RETURNING source"
            )
        })
        .await?;
    if saved.is_empty() {
        return Ok(());
    }
    let sources: Vec<i32> = saved.iter().map(|r| r.get(0)).collect();
    work.execute(
        "DELETE FROM day_states d USING
             (SELECT source, max(day) AS day FROM day_states WHERE source = ANY($1)
              GROUP BY source) newest
         WHERE d.source = newest.source AND NOT d.month AND d.day < newest.day - $2",
        &[&sources, &DAYS_KEPT],
    )
    .await?;
    Ok(())
}

pub(super) async fn file_poison(
    work: &Work<'_>,
    partition: u32,
    poison: &[PoisonMessage],
    now: Timestamp,
) -> Outcome<()> {
    let mut table = Table::default();
    for p in poison {
        table.long(Some(p.offset.cast_signed()))?;
        table.text(Some(&p.why))?;
        table.bytes(Some(p.kept()))?;
        table.end_row();
    }
    let more: [&(dyn ToSql + Sync); 2] = [&i64::from(partition), &now.millis()];
    let names = "\"offset\", why, payload";
    work.put(&table, names, &more, |rows| {
        format!(
            "INSERT INTO poison (\"partition\", at, {names}) SELECT $4, $5, {names} FROM {rows}
             ON CONFLICT DO NOTHING"
        )
    })
    .await?;
    Ok(())
}

const PERIODS: &str = "source, start, \"end\", open, vehicle, plate, driver, operator, break_ms, \
                       distance, registry, subject";

/// Marks the subject, and the former one where it changes; a period that says the same marks none.
pub(super) async fn file_periods(work: &Work<'_>, periods: &[Period]) -> Outcome<()> {
    let mut last: BTreeMap<(i32, i64), &Period> = BTreeMap::new();
    for p in periods {
        last.insert((work.source(&p.source)?, p.start.millis()), p);
    }
    let mut table = Table::default();
    for ((source, _), p) in last {
        table.int(Some(source))?;
        put_period(&mut table, p)?;
        table.end_row();
    }
    work.put(&table, PERIODS, &[], |rows| {
        format!(
            "WITH n AS MATERIALIZED (SELECT {PERIODS} FROM {rows}),
             former AS MATERIALIZED (SELECT p.source, p.start, p.subject FROM periods p
                 JOIN n ON n.source = p.source AND n.start = p.start),
             changed AS (INSERT INTO periods AS p ({PERIODS}) SELECT {PERIODS} FROM n
                 ON CONFLICT (source, start) DO UPDATE SET \"end\" = excluded.\"end\",
                     open = excluded.open, vehicle = excluded.vehicle, plate = excluded.plate,
                     driver = excluded.driver, operator = excluded.operator,
                     break_ms = excluded.break_ms, distance = excluded.distance,
                     registry = excluded.registry, subject = excluded.subject
                 WHERE (p.\"end\", p.open, p.vehicle, p.plate, p.driver, p.operator, p.break_ms,
                        p.distance, p.registry)
                     IS DISTINCT FROM (excluded.\"end\", excluded.open, excluded.vehicle,
                        excluded.plate, excluded.driver, excluded.operator, excluded.break_ms,
                        excluded.distance, excluded.registry)
                 RETURNING source, start, subject)
             INSERT INTO dirty (subject, \"from\")
             SELECT subject, start FROM changed
             UNION SELECT f.subject, f.start FROM former f
                 JOIN changed c ON c.source = f.source AND c.start = f.start
                 WHERE f.subject <> c.subject"
        )
    })
    .await?;
    Ok(())
}

pub(super) async fn file_days(work: &Work<'_>, days: &[DayRow]) -> Outcome<()> {
    let mut last: BTreeMap<(i32, i32), &DayRow> = BTreeMap::new();
    for d in days {
        last.insert((work.source(&d.source)?, d.day.0), d);
    }
    let mut table = Table::default();
    for ((source, _), d) in last {
        table.int(Some(source))?;
        put_day_row(&mut table, d)?;
        table.end_row();
    }
    let names = "source, day, vehicle, plate, operator, records, valid, invalid, distance, stops, \
                 gaps, max_speed";
    work.put(&table, names, &[], |rows| {
        format!(
            "INSERT INTO day_rows ({names}) SELECT {names} FROM {rows}
             ON CONFLICT (source, day) DO UPDATE SET vehicle = excluded.vehicle,
                 plate = excluded.plate, operator = excluded.operator,
                 records = excluded.records, valid = excluded.valid,
                 invalid = excluded.invalid, distance = excluded.distance,
                 stops = excluded.stops, gaps = excluded.gaps,
                 max_speed = excluded.max_speed"
        )
    })
    .await?;
    Ok(())
}

pub(super) async fn save_states(
    work: &Work<'_>,
    partition: u32,
    states: &[SavedState],
    checkpoint: Option<Position>,
) -> Outcome<()> {
    let mut last: BTreeMap<i32, &SavedState> = BTreeMap::new();
    for s in states {
        last.insert(work.source(&s.source)?, s);
    }
    let mut table = Table::default();
    for (source, s) in last {
        table.int(Some(source))?;
        table.long(Some(s.position.cast_signed()))?;
        table.long(Some(s.engine.into()))?;
        table.bytes(Some(&s.bytes))?;
        table.end_row();
    }
    let key = i64::from(partition);
    let names = "source, position, engine, bytes";
    work.put(&table, names, &[&key], |rows| {
        format!(
            "INSERT INTO states (\"partition\", {names}) SELECT $5, {names} FROM {rows}
             ON CONFLICT (source) DO UPDATE SET \"partition\" = excluded.\"partition\",
                 position = excluded.position, engine = excluded.engine, bytes = excluded.bytes"
        )
    })
    .await?;
    if let Some(checkpoint) = checkpoint {
        let sql = "UPDATE partitions SET checkpoint = $2 WHERE \"partition\" = $1";
        work.execute(sql, &[&key, &checkpoint.cast_signed()])
            .await?;
    }
    Ok(())
}

/// Every partition carries the ticks; the newest of them counts.
pub(super) async fn file_ticks(
    work: &Work<'_>,
    ticks: &[(String, Timestamp, Timestamp)],
) -> Outcome<()> {
    let mut newest: BTreeMap<&str, (Timestamp, Timestamp)> = BTreeMap::new();
    for (gateway, since, now) in ticks {
        let tick = newest.entry(gateway).or_insert((*since, *now));
        if *now > tick.1 {
            *tick = (*since, *now);
        }
    }
    let mut table = Table::default();
    // In the order of their names, so that two partitions never wait for each other's rows.
    for (gateway, (since, now)) in newest {
        table.text(Some(gateway))?;
        table.long(Some(since.millis()))?;
        table.long(Some(now.millis()))?;
        table.end_row();
    }
    work.put(&table, "gateway, since, now", &[], |rows| {
        format!(
            "INSERT INTO ticks AS t (gateway, since, now) SELECT gateway, since, now FROM {rows}
             ON CONFLICT (gateway) DO UPDATE SET since = excluded.since, now = excluded.now
             WHERE excluded.now > t.now"
        )
    })
    .await?;
    Ok(())
}

/// States and checkpoint of one instant.
pub(super) struct LoadStates {
    pub partition: u32,
}

#[async_trait]
impl Reading for LoadStates {
    type Read = (Position, Vec<SavedState>);

    async fn read(&self, work: &Work<'_>) -> Outcome<Self::Read> {
        let key = i64::from(self.partition);
        let sql = "SELECT checkpoint FROM partitions WHERE \"partition\" = $1";
        let row = work.opt(sql, &[&key]).await?;
        let row = row.ok_or_else(|| StoreError::no_partition(self.partition))?;
        let sql = "SELECT s.name, t.position, t.engine, t.bytes
             FROM states t JOIN sources s ON s.id = t.source
             WHERE t.\"partition\" = $1 ORDER BY s.name";
        let states: Result<_> = all(&work.rows(sql, &[&key]).await?, |r| {
            Ok(SavedState {
                source: SourceId::new(r.string()?),
                position: r.number()?,
                engine: r.number()?,
                bytes: r.blob()?,
            })
        });
        Ok((Reader::new(&row).number()?, states?))
    }
}
