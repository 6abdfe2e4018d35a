//! Decisions on violations, their history and the frozen evidence.

use crate::batch::{Result, StoreError};
use crate::filed::{CHANGE, REVIEW, change, review};
use crate::read::{Change, ChangeKind, Decision, Review};
use crate::sqlite::rows::all;
use crate::sqlite::violations::note_change;
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::{Timestamp, ViolationId};

/// Files a decision in the transaction of `c`; the guard is the revision.
pub(super) fn decide(
    c: &Connection,
    id: ViolationId,
    expected: u32,
    decision: Decision,
    reason: &str,
    by: &str,
    at: Timestamp,
) -> Result<u32> {
    let key = id.bytes();
    let found: Option<(bool, u32, String)> = c
        .query_row(
            "SELECT open, revision, status FROM violations WHERE id = ?",
            [key.as_slice()],
            |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
        )
        .optional()?;
    let Some((open, on_file, status)) = found else {
        return Err(StoreError::NotFound {
            what: "violation",
            id: id.to_string(),
        });
    };
    if on_file != expected || status == "withdrawn" {
        return Err(StoreError::Conflict { expected, on_file });
    }
    if open {
        return Err(StoreError::StillOpen);
    }
    let revision = on_file + 1;
    c.execute(
        "UPDATE violations SET status = ?, revision = ?, evidence_changed = 0, updated = ? \
         WHERE id = ?",
        (decision.name(), revision, at.millis(), key.as_slice()),
    )?;
    c.execute(
        "INSERT INTO reviews (violation, revision, decision, reason, token, at) \
         VALUES (?, ?, ?, ?, ?, ?)",
        (
            key.as_slice(),
            expected,
            decision.name(),
            reason,
            by,
            at.millis(),
        ),
    )?;
    note_change(c, id, revision, ChangeKind::Decided, at)?;
    Ok(revision)
}

pub(super) fn history(c: &Connection, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
    let key = id.bytes();
    let sql = format!("SELECT {CHANGE} FROM changes c WHERE violation = ? ORDER BY seq LIMIT 1000");
    let changes = all(c, &sql, [key.as_slice()], |r| change(r))?;
    let sql = format!("SELECT {REVIEW} FROM reviews WHERE violation = ? ORDER BY id LIMIT 1000");
    let reviews = all(c, &sql, [key.as_slice()], |r| review(r))?;
    Ok((changes, reviews))
}
