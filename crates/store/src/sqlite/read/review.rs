//! Decisions on violations, their history and the frozen evidence.

use super::changes::change;
use crate::batch::{Result, StoreError};
use crate::read::{Change, Decision, FrozenEvidence, Review};
use crate::sqlite::evidence;
use crate::sqlite::rows::{Reader, corrupt};
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
    c.execute(
        "INSERT INTO changes (at, violation, revision, kind) VALUES (?, ?, ?, 'decided')",
        (at.millis(), key.as_slice(), revision),
    )?;
    Ok(revision)
}

pub(super) fn history(c: &Connection, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
    let key = id.bytes();
    let mut q = c.prepare_cached(
        "SELECT seq, at, violation, revision, kind FROM changes WHERE violation = ? \
             ORDER BY seq LIMIT 1000",
    )?;
    let mut found = q.query([key.as_slice()])?;
    let mut changes = Vec::new();
    while let Some(row) = found.next()? {
        changes.push(change(row, 0)?);
    }
    let mut q = c.prepare_cached(
        "SELECT revision, decision, reason, token, at FROM reviews WHERE violation = ? \
             ORDER BY id LIMIT 1000",
    )?;
    let mut found = q.query([key.as_slice()])?;
    let mut reviews = Vec::new();
    while let Some(row) = found.next()? {
        let mut r = Reader::new(row, 0);
        reviews.push(Review {
            revision: r.take()?,
            decision: Decision::from_name(&r.take::<String>()?)
                .ok_or_else(|| corrupt("decision"))?,
            reason: r.take()?,
            by: r.take()?,
            at: Timestamp::from_millis(r.take()?),
        });
    }
    Ok((changes, reviews))
}

pub(super) fn evidence(c: &Connection, id: ViolationId) -> Result<Option<FrozenEvidence>> {
    let Some((revision, body)) = evidence::load(c, id)? else {
        return Ok(None);
    };
    let (at, sha256): (i64, Vec<u8>) = c
        .prepare_cached("SELECT at, sha256 FROM evidence WHERE violation = ? AND revision = ?")?
        .query_row((id.bytes(), revision), |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(Some(FrozenEvidence {
        revision,
        at: Timestamp::from_millis(at),
        sha256: sha256.try_into().map_err(|_| corrupt("evidence hash"))?,
        body,
    }))
}
