//! Rows of what the console and a rebuild read, for every database.

use crate::admin::{Role, Token};
use crate::batch::{Counters, DayState, Result};
use crate::read::{
    Change, ChangeKind, Decision, FiledPosition, FiledViolation, Latest, PartitionStatus, Review,
    Status,
};
use crate::rebuild::{Mark, StoredRecord};
use crate::rows::{self, Columns, VIOLATION, corrupt};
use waywarden_model::{LocalDay, SourceId, Timestamp, ViolationId};

/// Columns of [`violation`], of a table that is called `v`.
pub(crate) fn violation_columns() -> String {
    let facts: Vec<String> = VIOLATION
        .split(',')
        .map(|c| format!("v.{}", c.trim()))
        .collect();
    format!(
        "{}, v.id, v.status, v.evidence_changed, v.revision, v.replaced_by, v.updated",
        facts.join(", ")
    )
}

pub(crate) fn violation(c: &mut impl Columns) -> Result<FiledViolation> {
    Ok(FiledViolation {
        violation: rows::violation(c)?,
        id: violation_id(&c.blob()?)?,
        status: c.must("violation status", Status::from_name)?,
        evidence_changed: c.yes()?,
        revision: c.number()?,
        replaced_by: c.bytes()?.as_deref().map(violation_id).transpose()?,
        updated: c.time()?,
    })
}

pub(crate) fn violation_id(bytes: &[u8]) -> Result<ViolationId> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| corrupt("violation id"))?;
    Ok(ViolationId::from_bytes(bytes))
}

pub(crate) const CHANGE: &str = "c.seq, c.at, c.violation, c.revision, c.kind";

pub(crate) fn change(c: &mut impl Columns) -> Result<Change> {
    Ok(Change {
        seq: c.number()?,
        at: c.time()?,
        violation: violation_id(&c.blob()?)?,
        revision: c.number()?,
        kind: c.must("change kind", ChangeKind::from_name)?,
    })
}

pub(crate) const REVIEW: &str = "revision, decision, reason, token, at";

pub(crate) fn review(c: &mut impl Columns) -> Result<Review> {
    Ok(Review {
        revision: c.number()?,
        decision: c.must("decision", Decision::from_name)?,
        reason: c.string()?,
        by: c.string()?,
        at: c.time()?,
    })
}

/// Of `latest l JOIN sources s ON s.id = l.source`.
pub(crate) const LATEST: &str = "s.name, l.time, l.received, l.verdict, l.lat, l.lon, l.speed, \
     l.course, l.ignition, l.said, l.driver";

pub(crate) fn latest(c: &mut impl Columns) -> Result<Latest> {
    Ok(Latest {
        source: SourceId::new(c.string()?),
        time: c.time()?,
        received: c.time()?,
        verdict: rows::verdict(c)?,
        lat: c.real()?.ok_or_else(|| corrupt("coordinates"))?,
        lon: c.real()?.ok_or_else(|| corrupt("coordinates"))?,
        speed_centi: c.opt()?,
        course_centi: c.opt()?,
        ignition: c.flag()?,
        said: rows::said(c)?,
    })
}

/// Columns of [`stored`]: these, and behind them those of a record.
pub(crate) const STORED: &str = "time, hash, received, verdict";

pub(crate) fn stored(c: &mut impl Columns) -> Result<StoredRecord> {
    let (time, hash, received) = key_and_receipt(c)?;
    let (verdict, ahead) = rows::verdict_filed(c)?;
    Ok(StoredRecord {
        record: rows::record(c, time)?,
        received,
        hash,
        verdict,
        ahead,
    })
}

/// Columns of [`position`], of a query of `positions`: these, and behind them those of a record.
pub(crate) fn position_columns() -> String {
    format!("time, hash, received, {}", rows::verdict_shown("positions"))
}

pub(crate) fn position(c: &mut impl Columns, source: &SourceId) -> Result<FiledPosition> {
    let (time, hash, received) = key_and_receipt(c)?;
    Ok(FiledPosition {
        source: source.clone(),
        received,
        hash,
        verdict: rows::verdict(c)?,
        record: rows::record(c, time)?,
    })
}

fn key_and_receipt(c: &mut impl Columns) -> Result<(Timestamp, u64, Timestamp)> {
    let (time, hash) = (c.time()?, c.number::<i64>()?.cast_unsigned());
    Ok((time, hash, c.time()?))
}

pub(crate) const COUNTERS: &str = "\"read\", filed, repeated, aside, refused, late";

pub(crate) fn counters(c: &mut impl Columns) -> Result<Counters> {
    Ok(Counters {
        read: c.number()?,
        filed: c.number()?,
        repeated: c.number()?,
        aside: c.number()?,
        refused: c.number()?,
        late: c.number()?,
    })
}

/// Of `partitions`: these, [`COUNTERS`] and `updated`.
pub(crate) fn partition(c: &mut impl Columns) -> Result<PartitionStatus> {
    Ok(PartitionStatus {
        partition: c.number()?,
        position: c.number()?,
        registry: c.number()?,
        counters: counters(c)?,
        updated: c.time_opt()?,
    })
}

pub(crate) const TOKEN: &str = "name, role, created, expires, withdrawn";

pub(crate) fn token(c: &mut impl Columns) -> Result<Token> {
    Ok(Token {
        name: c.string()?,
        role: c.must("role", Role::from_name)?,
        created: c.time()?,
        expires: c.time()?,
        withdrawn: c.time_opt()?,
    })
}

/// Of `marks m JOIN sources s`: name, from, upto, removed, created, updated.
pub(crate) fn mark(c: &mut impl Columns) -> Result<Mark> {
    Ok(Mark {
        source: SourceId::new(c.string()?),
        from: c.time()?,
        upto: c.time()?,
        removed: c.time_opt()?,
        created: c.time()?,
        updated: c.time()?,
    })
}

/// Columns day, month, bytes.
pub(crate) fn day_state(c: &mut impl Columns, source: &SourceId, engine: u32) -> Result<DayState> {
    Ok(DayState {
        source: source.clone(),
        day: LocalDay(c.number()?),
        month: c.yes()?,
        engine,
        bytes: c.blob()?,
    })
}

/// A time as a range of keys begins: everything of the source where there is none.
pub(crate) fn behind(after: Option<(Timestamp, u64)>) -> (i64, i64) {
    after.map_or((i64::MIN, i64::MIN), |(t, h)| (t.millis(), h.cast_signed()))
}

/// A limit as databases take it.
pub(crate) fn limit(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
