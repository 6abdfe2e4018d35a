//! Copies of what a violation rests on, read from the tables.

use super::rows::{Reader, all};
use super::source_id;
use super::writer::Session;
use crate::batch::Result;
use crate::episodes::counts_driving;
use crate::evidence::{Copies, EVIDENCE, FRAME, Verdicts, copied, frame, open};
use crate::read::FrozenEvidence;
use crate::rows::{self, PERIOD, RECORD};
use rusqlite::Connection;
use std::collections::BTreeMap;
use waywarden_model::{Period, Span, Timestamp, Violation, ViolationId};

pub(super) fn freeze(
    session: &mut Session<'_>,
    v: &Violation,
    revision: u32,
    verdicts: Verdicts,
    now: Timestamp,
) -> Result<()> {
    let conn = session.conn;
    let mut copies = Copies::new();
    for span in &v.spans {
        copy_span(conn, span, verdicts, &mut copies)?;
    }
    let mut frames = BTreeMap::new();
    let sql = format!("SELECT {FRAME} FROM frames WHERE id = ?1");
    for number in copies.frames() {
        frames.extend(all(conn, &sql, [number], |r| frame(r))?);
    }
    let periods = if counts_driving(v.kind) {
        periods(conn, v)?
    } else {
        Vec::new()
    };
    let sealed = copies.seal(v, &frames, &periods, |json| session.compress(json))?;
    conn.prepare_cached(
        "INSERT OR REPLACE INTO evidence (violation, revision, at, sha256, body)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        v.id().bytes(),
        revision,
        now.millis(),
        sealed.sha256,
        sealed.body,
    ))?;
    Ok(())
}

/// Evidence of the newest revision that has some.
pub(super) fn load(conn: &Connection, id: ViolationId) -> Result<Option<FrozenEvidence>> {
    let sql = format!(
        "SELECT {EVIDENCE} FROM evidence WHERE violation = ?1 ORDER BY revision DESC LIMIT 1"
    );
    Ok(all(conn, &sql, [id.bytes()], |r| open(r))?.pop())
}

fn copy_span(
    conn: &Connection,
    span: &Span,
    verdicts: Verdicts,
    copies: &mut Copies,
) -> Result<()> {
    let Some(source) = source_id(conn, span.source.as_str())? else {
        return Ok(());
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
        "SELECT {}, {RECORD} FROM positions
         WHERE source = ?1 AND time BETWEEN ?2 AND ?3 {only} ORDER BY time, hash",
        copied(verdicts, "positions")
    ))?;
    let mut found = stmt.query((source, span.from.millis(), span.to.millis()))?;
    while let Some(row) = found.next()? {
        if !copies.record(&span.source, &mut Reader::new(row, 0))? {
            break;
        }
    }
    Ok(())
}

fn periods(conn: &Connection, v: &Violation) -> Result<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = ?1 AND p.start <= ?3 AND p.\"end\" >= ?2 ORDER BY p.start, s.name"
    );
    let key = (v.subject.key(), v.start.millis(), v.end.millis());
    all(conn, &sql, key, |r| rows::period(r))
}
