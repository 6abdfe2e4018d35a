//! Evidence, frozen when a violation closes: what it states and copies of what it rests on.

use super::rows::{self, PERIOD, RECORD};
use super::source_id;
use super::writer::Session;
use crate::batch::{Result, StoreError};
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use waywarden_model::{
    Kind, Period, Protocol, Record, SourceId, Span, Timestamp, Violation, ViolationId,
};

/// Records copied for one violation, at most; `complete` says when there were more.
const RECORDS: usize = 20_000;
pub(super) const ZSTD_LEVEL: i32 = 3;

/// The body: the same facts give the same bytes, so nothing of it depends on when or how it was
/// filed.
#[derive(Serialize)]
struct Body<'a> {
    id: ViolationId,
    violation: &'a Violation,
    records: Vec<Copied>,
    frames: Vec<CopiedFrame>,
    /// Of the subject, for rules that count driving.
    periods: Vec<Period>,
    /// False when there were more records than are kept.
    complete: bool,
}

#[derive(Serialize)]
struct Copied {
    source: SourceId,
    received: Timestamp,
    verdict: Option<&'static str>,
    /// Index into `frames`.
    frame: Option<usize>,
    record: Record,
}

#[derive(Serialize)]
struct CopiedFrame {
    protocol: Protocol,
    received: Timestamp,
    raw_hex: String,
}

pub(super) fn freeze(
    session: &mut Session<'_>,
    id: ViolationId,
    v: &Violation,
    revision: u32,
    now: Timestamp,
) -> Result<()> {
    let conn = session.conn;
    let mut frames = Frames::default();
    let mut records = Vec::new();
    let mut complete = true;
    for span in &v.spans {
        complete &= copy_span(conn, span, &mut records, &mut frames)?;
    }
    let body = Body {
        id,
        violation: v,
        records,
        frames: frames.copied,
        periods: if counts_driving(v.kind) {
            periods(conn, v)?
        } else {
            Vec::new()
        },
        complete,
    };
    let json = rows::to_json(&body)?;
    let packed = session
        .compress(json.as_bytes())
        .map_err(|e| StoreError::Failed(format!("zstd: {e}")))?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO evidence (violation, revision, at, sha256, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        id.bytes(),
        revision,
        now.millis(),
        Sha256::digest(json.as_bytes()).as_slice(),
        packed,
    ))?;
    Ok(())
}

/// The frozen JSON of the newest revision that has one, checked against its hash.
pub(crate) fn load(conn: &Connection, id: ViolationId) -> Result<Option<(u32, String)>> {
    let found = conn
        .prepare_cached(
            "SELECT revision, sha256, body FROM evidence WHERE violation = ?1
             ORDER BY revision DESC LIMIT 1",
        )?
        .query_row([id.bytes()], |r| {
            Ok((
                r.get::<_, u32>(0)?,
                r.get::<_, Vec<u8>>(1)?,
                r.get::<_, Vec<u8>>(2)?,
            ))
        })
        .optional()?;
    let Some((revision, sha256, packed)) = found else {
        return Ok(None);
    };
    let json = zstd::stream::decode_all(packed.as_slice())
        .map_err(|e| StoreError::Corrupt(format!("evidence: {e}")))?;
    if Sha256::digest(&json).as_slice() != sha256 {
        return Err(rows::corrupt("evidence does not have its hash"));
    }
    let text = String::from_utf8(json).map_err(|_| rows::corrupt("evidence is no text"))?;
    Ok(Some((revision, text)))
}

/// Kinds that the subject stage states: they rest on periods.
pub(super) const fn counts_driving(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ContinuousDriving
            | Kind::DailyDriving
            | Kind::WeeklyDriving
            | Kind::TwoWeeklyDriving
            | Kind::DailyRest
            | Kind::WeeklyRest
    )
}

/// Frames by their number on file; the copy's numbers count from 0.
#[derive(Default)]
struct Frames {
    copied: Vec<CopiedFrame>,
    index: BTreeMap<i64, usize>,
}

impl Frames {
    fn copy(&mut self, conn: &Connection, id: i64) -> Result<Option<usize>> {
        if let Some(at) = self.index.get(&id) {
            return Ok(Some(*at));
        }
        let found = conn
            .prepare_cached("SELECT protocol, received, raw FROM frames WHERE id = ?1")?
            .query_row([id], |r| {
                Ok((r.get::<_, u8>(0)?, r.get(1)?, r.get::<_, Vec<u8>>(2)?))
            })
            .optional()?;
        let Some((protocol, received, raw)) = found else {
            return Ok(None);
        };
        let at = self.copied.len();
        self.copied.push(CopiedFrame {
            protocol: Protocol::from_u8(protocol).ok_or_else(|| rows::corrupt("protocol"))?,
            received: Timestamp::from_millis(received),
            raw_hex: hex::encode(raw),
        });
        self.index.insert(id, at);
        Ok(Some(at))
    }
}

/// False when not all records of the span were copied.
fn copy_span(
    conn: &Connection,
    span: &Span,
    records: &mut Vec<Copied>,
    frames: &mut Frames,
) -> Result<bool> {
    let Some(source) = source_id(conn, span.source.as_str())? else {
        return Ok(true);
    };
    // Without `every`, the records of the first and of the last instant that has some.
    let only = if span.every {
        ""
    } else {
        "AND time IN ((SELECT min(time) FROM positions
                       WHERE source = ?1 AND time BETWEEN ?2 AND ?3),
                      (SELECT max(time) FROM positions
                       WHERE source = ?1 AND time BETWEEN ?2 AND ?3))"
    };
    let mut stmt = conn.prepare_cached(&format!(
        "SELECT time, received, verdict, frame, {RECORD} FROM positions
         WHERE source = ?1 AND time BETWEEN ?2 AND ?3 {only} ORDER BY time, hash"
    ))?;
    let mut found = stmt.query((source, span.from.millis(), span.to.millis()))?;
    while let Some(row) = found.next()? {
        if records.len() == RECORDS {
            return Ok(false);
        }
        let time = Timestamp::from_millis(row.get(0)?);
        records.push(Copied {
            source: span.source.clone(),
            received: Timestamp::from_millis(row.get(1)?),
            verdict: rows::verdict(row.get(2)?)?.reason(),
            frame: frames.copy(conn, row.get(3)?)?,
            record: rows::record(row, time, 4)?,
        });
    }
    Ok(true)
}

fn periods(conn: &Connection, v: &Violation) -> Result<Vec<Period>> {
    let mut stmt = conn.prepare_cached(&format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = ?1 AND p.start <= ?3 AND p.\"end\" >= ?2 ORDER BY p.start, s.name"
    ))?;
    let mut found = stmt.query((v.subject.key(), v.start.millis(), v.end.millis()))?;
    let mut periods = Vec::new();
    while let Some(row) = found.next()? {
        periods.push(rows::period(row)?);
    }
    Ok(periods)
}
