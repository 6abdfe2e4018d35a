//! Decisions on violations, their history and the frozen evidence.

use super::changes::change;
use super::violations::get;
use super::{corrupt, failed};
use crate::batch::{Result, StoreError};
use crate::read::{Change, Decision, FrozenEvidence, Review};
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::{Timestamp, ViolationId};

/// A frozen evidence never grows beyond this; a larger one is damaged.
const MAX_EVIDENCE: usize = 64 << 20;

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
        .optional()
        .map_err(failed)?;
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
    )
    .map_err(failed)?;
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
    )
    .map_err(failed)?;
    c.execute(
        "INSERT INTO changes (at, violation, revision, kind) VALUES (?, ?, ?, 'decided')",
        (at.millis(), key.as_slice(), revision),
    )
    .map_err(failed)?;
    Ok(revision)
}

pub(super) fn history(c: &Connection, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
    let key = id.bytes();
    let mut q = c
        .prepare_cached(
            "SELECT seq, at, violation, revision, kind FROM changes WHERE violation = ? \
             ORDER BY seq LIMIT 1000",
        )
        .map_err(failed)?;
    let mut found = q.query([key.as_slice()]).map_err(failed)?;
    let mut changes = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        changes.push(change(row, 0)?);
    }
    let mut q = c
        .prepare_cached(
            "SELECT revision, decision, reason, token, at FROM reviews WHERE violation = ? \
             ORDER BY id LIMIT 1000",
        )
        .map_err(failed)?;
    let mut found = q.query([key.as_slice()]).map_err(failed)?;
    let mut reviews = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let decision: String = get(row, 1)?;
        reviews.push(Review {
            revision: get(row, 0)?,
            decision: Decision::from_name(&decision).ok_or_else(|| corrupt("decision"))?,
            reason: get(row, 2)?,
            by: get(row, 3)?,
            at: Timestamp::from_millis(get(row, 4)?),
        });
    }
    Ok((changes, reviews))
}

pub(super) fn evidence(c: &Connection, id: ViolationId) -> Result<Vec<FrozenEvidence>> {
    let mut q = c
        .prepare_cached(
            "SELECT revision, at, sha256, body FROM evidence WHERE violation = ? \
             ORDER BY revision DESC LIMIT 20",
        )
        .map_err(failed)?;
    let mut found = q.query([id.bytes().as_slice()]).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let (hash, body): (Vec<u8>, Vec<u8>) = (get(row, 2)?, get(row, 3)?);
        out.push(FrozenEvidence {
            revision: get(row, 0)?,
            at: Timestamp::from_millis(get(row, 1)?),
            sha256: hash.try_into().map_err(|_| corrupt("evidence hash"))?,
            body: unpack(&body)?,
        });
    }
    Ok(out)
}

fn unpack(body: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read;
    let decoder = zstd::stream::read::Decoder::new(body).map_err(|_| corrupt("evidence"))?;
    let mut out = Vec::new();
    let read = decoder
        .take(MAX_EVIDENCE as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|_| corrupt("evidence"))?;
    if read > MAX_EVIDENCE {
        return Err(corrupt("evidence size"));
    }
    Ok(out)
}
