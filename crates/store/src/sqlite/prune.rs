//! What is no longer kept, removed in short transactions.

use crate::admin::Older;
use crate::batch::Result;
use rusqlite::{Connection, Params};

/// Rows of one statement, so that the writer is never held for long.
const ROWS: i64 = 2000;
/// A frame may carry records a little later than its receipt; it goes this much later.
const FRAMES_LATER_MS: i64 = 3_600_000;
/// Driving is judged by weeks and by chains over midnight: periods go this much later.
const PERIODS_LATER_MS: i64 = 35 * 86_400_000;

pub(super) fn prune(conn: &Connection, older: &Older) -> Result<u64> {
    let before = older.positions.millis();
    let mut gone = 0;
    for source in with_old_rows(conn, before)? {
        gone += delete(
            conn,
            "DELETE FROM positions WHERE source = ?1 AND (time, hash) IN (
                 SELECT time, hash FROM positions WHERE source = ?1 AND time < ?2
                 ORDER BY time, hash LIMIT ?3)",
            (source, before, ROWS),
        )?;
        if gone >= ROWS.cast_unsigned() {
            return Ok(gone);
        }
        // The newest state before the day stays: judging may have to begin there.
        gone += delete(
            conn,
            "DELETE FROM day_states WHERE source = ?1
                 AND day < (SELECT max(day) FROM day_states WHERE source = ?1 AND day <= ?2)",
            (source, older.day.0),
        )?;
        gone += delete(
            conn,
            "DELETE FROM periods WHERE source = ?1 AND start IN (
                 SELECT start FROM periods WHERE source = ?1 AND \"end\" < ?2 AND NOT open LIMIT ?3)",
            (source, before - PERIODS_LATER_MS, ROWS),
        )?;
    }
    // Frames are numbered about in the order of their receipt.
    gone += delete(
        conn,
        "DELETE FROM frames WHERE id IN (SELECT id FROM frames ORDER BY id LIMIT ?2)
             AND received < ?1",
        (before - FRAMES_LATER_MS, ROWS),
    )?;
    gone += delete(
        conn,
        "DELETE FROM records_aside WHERE (source, time, hash) IN (
             SELECT source, time, hash FROM records_aside WHERE received < ?1 LIMIT ?2)",
        (before, ROWS),
    )?;
    gone += delete(
        conn,
        "DELETE FROM alerts WHERE id IN (
             SELECT id FROM alerts WHERE start < ?1 AND coalesce(ended, raised) < ?1
             ORDER BY start LIMIT ?2)",
        (before, ROWS),
    )?;
    gone += delete(
        conn,
        "DELETE FROM reads WHERE seq IN (SELECT seq FROM reads WHERE at < ?1 ORDER BY seq LIMIT ?2)",
        (older.reads.millis(), ROWS),
    )?;
    Ok(gone)
}

fn delete(conn: &Connection, sql: &str, key: impl Params) -> Result<u64> {
    Ok(conn.prepare_cached(sql)?.execute(key)? as u64)
}

/// Sources whose first position is older; each is found by one step into the key.
fn with_old_rows(conn: &Connection, before: i64) -> Result<Vec<i64>> {
    let mut stmt = conn.prepare_cached(
        "SELECT id FROM sources s WHERE
             (SELECT time FROM positions WHERE source = s.id ORDER BY time LIMIT 1) < ?1
             OR (SELECT start FROM periods WHERE source = s.id ORDER BY start LIMIT 1) < ?2
         ORDER BY id",
    )?;
    let found = stmt.query_map((before, before - PERIODS_LATER_MS), |r| r.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
