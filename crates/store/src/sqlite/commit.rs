//! One batch of a worker: guard, rows, marks, counters, in one savepoint.

use super::rows::Binder;
use super::writer::Session;
use super::{alerts, positions, rebuild, states, violations};
use crate::batch::{Batch, Claim, Committed, PoisonMessage, Position, Result, StoreError};
use crate::evidence::Verdicts;
use crate::rows::{put_day_row, put_period};
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::{DayRow, Period, Timestamp};

pub(super) fn commit(
    session: &mut Session<'_>,
    claim: &Claim,
    expected: Position,
    next: Position,
    batch: &Batch,
) -> Result<Committed> {
    if next < expected && batch.gap.is_none() {
        return Err(StoreError::Failed("a batch must not go back".into()));
    }
    states::guard(session.conn, claim, expected, next)?;
    let mut done = Committed {
        aside: batch.aside.len() as u64,
        ..Committed::default()
    };
    let late = positions::file(session, &batch.sources, &batch.aside, &mut done)?;
    states::mark(session.conn, claim.partition, &late, batch.now)?;
    let concerned = rebuild::known(session.conn, &batch.marks)?;
    states::mark(session.conn, claim.partition, &concerned, batch.now)?;
    states::wait(session, &batch.sources)?;
    rebuild::save_days(session, &batch.day_states)?;
    file_poison(session.conn, claim.partition, &batch.poison, batch.now)?;
    for period in &batch.periods {
        file_period(session, period)?;
    }
    // Behind the records and periods, since evidence is copied from them.
    for violation in &batch.violations {
        violations::upsert(session, violation, Verdicts::Shown, batch.now)?;
    }
    for row in &batch.day_rows {
        file_day(session, row)?;
    }
    alerts::file(session.conn, Some(claim.partition), &batch.alerts)?;
    states::save(session, claim.partition, &batch.states, batch.checkpoint)?;
    if let Some(listening) = &batch.listening {
        states::save_listening(session.conn, claim.partition, listening)?;
    }
    file_ticks(session.conn, &batch.ticks)?;
    states::advance(
        session.conn,
        &states::Advance {
            partition: claim.partition,
            done: &done,
            read: batch.records_read,
            refused: batch.records_refused,
            registry: batch.registry,
            log: &batch.log,
            tail: batch.tail,
            profiles: batch.profiles,
            now: batch.now,
        },
    )?;
    if let Some(gap) = &batch.gap {
        let span = (expected, next);
        let (partition, now) = (claim.partition, batch.now);
        alerts::end_all(session.conn, partition, now)?;
        states::give_up(session.conn, partition, gap, &batch.log, span, now)?;
    }
    Ok(done)
}

fn file_poison(
    conn: &Connection,
    partition: u32,
    poison: &[PoisonMessage],
    now: Timestamp,
) -> Result<()> {
    for p in poison {
        conn.prepare_cached(
            "INSERT INTO poison (\"partition\", \"offset\", at, why, payload)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
        )?
        .execute((partition, p.offset, now.millis(), &p.why, p.kept()))?;
    }
    Ok(())
}

/// Marks the subject, and the former one where it changes; a period that says the same marks none.
pub(super) fn file_period(session: &mut Session<'_>, p: &Period) -> Result<()> {
    let source = session.intern(&p.source)?;
    let conn = session.conn;
    let subject = p.subject().key();
    let former: Option<String> = conn
        .prepare_cached("SELECT subject FROM periods WHERE source = ?1 AND start = ?2")?
        .query_row((source, p.start.millis()), |r| r.get(0))
        .optional()?;
    let mut stmt = conn.prepare_cached(
        "INSERT INTO periods (source, start, \"end\", open, vehicle, plate, driver, operator,
                              break_ms, distance, registry, subject)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (source, start) DO UPDATE SET \"end\" = excluded.\"end\",
             open = excluded.open, vehicle = excluded.vehicle, plate = excluded.plate,
             driver = excluded.driver, operator = excluded.operator,
             break_ms = excluded.break_ms, distance = excluded.distance,
             registry = excluded.registry, subject = excluded.subject
         WHERE (\"end\", open, vehicle, plate, driver, operator, break_ms, distance, registry)
             IS NOT (excluded.\"end\", excluded.open, excluded.vehicle, excluded.plate,
                     excluded.driver, excluded.operator, excluded.break_ms,
                     excluded.distance, excluded.registry)",
    )?;
    let mut b = Binder::new(&mut stmt);
    b.put(source)?;
    put_period(&mut b, p)?;
    let changed = b.execute()?;
    if changed == 0 {
        return Ok(());
    }
    let mut dirty =
        conn.prepare_cached("INSERT OR IGNORE INTO dirty (subject, \"from\") VALUES (?1, ?2)")?;
    dirty.execute((&subject, p.start.millis()))?;
    if let Some(former) = former.filter(|f| *f != subject) {
        dirty.execute((&former, p.start.millis()))?;
    }
    Ok(())
}

pub(super) fn file_day(session: &mut Session<'_>, d: &DayRow) -> Result<()> {
    let source = session.intern(&d.source)?;
    let mut stmt = session.conn.prepare_cached(
        "INSERT OR REPLACE INTO day_rows (source, day, vehicle, plate, operator, records,
             valid, invalid, distance, stops, gaps, max_speed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    let mut b = Binder::new(&mut stmt);
    b.put(source)?;
    put_day_row(&mut b, d)?;
    b.execute()?;
    Ok(())
}

fn file_ticks(conn: &Connection, ticks: &[(String, Timestamp, Timestamp)]) -> Result<()> {
    for (gateway, since, now) in ticks {
        // Every partition carries the ticks; the newest of them counts.
        conn.prepare_cached(
            "INSERT INTO ticks (gateway, since, now) VALUES (?1, ?2, ?3)
             ON CONFLICT (gateway) DO UPDATE SET since = excluded.since, now = excluded.now
             WHERE excluded.now > now",
        )?
        .execute((gateway, since.millis(), now.millis()))?;
    }
    Ok(())
}
