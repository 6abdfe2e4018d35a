//! Partitions, their claims and guard, and the saved states of sources.

use super::rows::all;
use super::writer::Session;
use crate::batch::{
    Claim, Committed, Counters, Gap, Position, Result, SavedState, SourceRecords, StoreError,
};
use crate::filed::{COUNTERS, counters as read_counters};
use crate::rows::Columns;
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::{SourceId, Timestamp};

/// Raises the epoch: whatever the former owner still sends is refused by [`guard`].
pub(super) fn claim(conn: &Connection, partition: u32, worker: &str) -> Result<Claim> {
    let claim = conn
        .prepare_cached(
            "INSERT INTO partitions (\"partition\", epoch, position, worker, registry, checkpoint)
             VALUES (?1, 1, 0, ?2, 0, 0)
             ON CONFLICT (\"partition\") DO UPDATE SET epoch = epoch + 1, worker = excluded.worker
             RETURNING epoch, position, log, registry, tail, listening, profiles,
                 (SELECT coalesce(max(version), 0) FROM registry_versions)",
        )?
        .query_row((partition, worker), |r| {
            Ok(Claim {
                partition,
                epoch: r.get(0)?,
                position: r.get(1)?,
                log: r.get(2)?,
                registry: r.get(3)?,
                tail: r.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                listening: r.get(5)?,
                profiles: r.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
                newest_registry: r.get(7)?,
            })
        })?;
    Ok(claim)
}

/// The first statement of every transaction of a worker: one row must match.
pub(super) fn guard(
    conn: &Connection,
    claim: &Claim,
    expected: Position,
    next: Position,
) -> Result<()> {
    let matched = conn
        .prepare_cached(
            "UPDATE partitions SET position = ?4
             WHERE \"partition\" = ?1 AND epoch = ?2 AND position = ?3",
        )?
        .execute((claim.partition, claim.epoch, expected, next))?;
    if matched == 1 {
        return Ok(());
    }
    let (epoch, position) = stand(conn, claim.partition)?;
    if epoch == claim.epoch {
        return Err(StoreError::PositionMoved {
            partition: claim.partition,
            expected,
            on_file: position,
        });
    }
    Err(StoreError::superseded(claim))
}

/// The guard of work that leaves the position where it is.
pub(super) fn guard_epoch(conn: &Connection, claim: &Claim) -> Result<()> {
    let (epoch, _) = stand(conn, claim.partition)?;
    if epoch == claim.epoch {
        Ok(())
    } else {
        Err(StoreError::superseded(claim))
    }
}

fn stand(conn: &Connection, partition: u32) -> Result<(u64, Position)> {
    conn.prepare_cached("SELECT epoch, position FROM partitions WHERE \"partition\" = ?1")?
        .query_row([partition], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()?
        .ok_or_else(|| StoreError::no_partition(partition))
}

pub(super) fn load(conn: &Connection, partition: u32) -> Result<(Position, Vec<SavedState>)> {
    let checkpoint = conn
        .prepare_cached("SELECT checkpoint FROM partitions WHERE \"partition\" = ?1")?
        .query_row([partition], |r| r.get(0))
        .optional()?
        .ok_or_else(|| StoreError::no_partition(partition))?;
    let sql = "SELECT s.name, t.position, t.engine, t.bytes
         FROM states t JOIN sources s ON s.id = t.source
         WHERE t.\"partition\" = ?1 ORDER BY s.name";
    let states = all(conn, sql, [partition], |r| {
        Ok(SavedState {
            source: SourceId::new(r.string()?),
            position: r.number()?,
            engine: r.number()?,
            bytes: r.blob()?,
        })
    })?;
    Ok((checkpoint, states))
}

pub(super) fn save(
    session: &mut Session<'_>,
    partition: u32,
    states: &[SavedState],
    checkpoint: Option<Position>,
) -> Result<()> {
    for state in states {
        let source = session.intern(&state.source)?;
        session
            .conn
            .prepare_cached(
                "INSERT INTO states (source, \"partition\", position, engine, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (source) DO UPDATE SET \"partition\" = excluded.\"partition\",
                     position = excluded.position, engine = excluded.engine,
                     bytes = excluded.bytes",
            )?
            .execute((
                source,
                partition,
                state.position,
                state.engine,
                &state.bytes,
            ))?;
    }
    if let Some(checkpoint) = checkpoint {
        session
            .conn
            .prepare_cached("UPDATE partitions SET checkpoint = ?2 WHERE \"partition\" = ?1")?
            .execute((partition, checkpoint))?;
    }
    Ok(())
}

pub(super) fn save_listening(conn: &Connection, partition: u32, bytes: &[u8]) -> Result<()> {
    conn.prepare_cached("UPDATE partitions SET listening = ?2 WHERE \"partition\" = ?1")?
        .execute((partition, bytes))?;
    Ok(())
}

/// Instants of a source that are to be judged again.
pub(super) struct Concerned {
    pub source: i64,
    pub from: Timestamp,
    pub upto: Timestamp,
}

/// Marks sources for rebuilding; a mark grows to hold what is added to it.
pub(super) fn mark(
    conn: &Connection,
    partition: u32,
    concerned: &[Concerned],
    now: Timestamp,
) -> Result<()> {
    let mut stmt = conn.prepare_cached(
        "INSERT INTO marks (source, \"partition\", \"from\", upto, created, updated)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT (source) DO UPDATE SET \"partition\" = excluded.\"partition\",
             \"from\" = min(\"from\", excluded.\"from\"), upto = max(upto, excluded.upto),
             updated = excluded.updated",
    )?;
    for c in concerned {
        let (from, upto) = (c.from.millis(), c.upto.millis());
        stmt.execute((c.source, partition, from, upto, now.millis()))?;
    }
    Ok(())
}

/// Notes with the marks what of it has not been judged at all.
pub(super) fn wait(session: &mut Session<'_>, sources: &[SourceRecords]) -> Result<()> {
    for records in sources {
        let Some((from, upto)) = records.waiting() else {
            continue;
        };
        let source = session.intern(&records.source)?;
        session
            .conn
            .prepare_cached(
                "UPDATE marks SET waits_from = min(coalesce(waits_from, ?2), ?2),
                     waits_upto = max(coalesce(waits_upto, ?3), ?3) WHERE source = ?1",
            )?
            .execute((source, from.millis(), upto.millis()))?;
    }
    Ok(())
}

pub(super) struct Advance<'a> {
    pub partition: u32,
    pub done: &'a Committed,
    pub read: u64,
    pub refused: u64,
    pub registry: u32,
    pub log: &'a str,
    pub tail: Option<u64>,
    pub profiles: Option<u64>,
    pub now: Timestamp,
}

/// Counters move with the position, in its transaction.
pub(super) fn advance(conn: &Connection, a: &Advance<'_>) -> Result<()> {
    conn.prepare_cached(
        "UPDATE partitions SET \"read\" = \"read\" + ?2, filed = filed + ?3,
             repeated = repeated + ?4, aside = aside + ?5, refused = refused + ?6,
             late = late + ?7, registry = ?8, log = ?9, updated = ?10,
             tail = coalesce(?11, tail), profiles = coalesce(?12, profiles)
         WHERE \"partition\" = ?1",
    )?
    .execute((
        a.partition,
        a.read,
        a.done.filed,
        a.done.repeated,
        a.done.aside,
        a.refused,
        a.done.late,
        a.registry,
        a.log,
        a.now.millis(),
        a.tail.map(u64::cast_signed),
        a.profiles.map(u64::cast_signed),
    ))?;
    Ok(())
}

/// Notes what of the log was given up; nothing is known of the message below the new position.
pub(super) fn give_up(
    conn: &Connection,
    partition: u32,
    gap: &Gap,
    log: &str,
    span: (Position, Position),
    now: Timestamp,
) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO gaps (at, \"partition\", log_before, log_after, \"from\", \"to\")
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        now.millis(),
        partition,
        &gap.log_before,
        log,
        span.0,
        span.1,
    ))?;
    conn.prepare_cached("UPDATE partitions SET tail = NULL WHERE \"partition\" = ?1")?
        .execute([partition])?;
    Ok(())
}

pub(super) fn counters(conn: &Connection, partition: u32) -> Result<Counters> {
    let sql = format!("SELECT {COUNTERS} FROM partitions WHERE \"partition\" = ?1");
    all(conn, &sql, [partition], |r| read_counters(r))?
        .pop()
        .ok_or_else(|| StoreError::no_partition(partition))
}
