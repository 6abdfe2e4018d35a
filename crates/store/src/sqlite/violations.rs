//! Violations on file: inserted, grown, closed, amended, withdrawn; each step but growth is a
//! revision with a change row.

use super::evidence;
use super::rows::{Binder, all, marks};
use super::writer::Session;
use crate::batch::{OnFile, Result};
use crate::episodes::{Former, Standing, Step, step};
use crate::evidence::Verdicts;
use crate::read::{ChangeKind, Status};
use crate::rows::{Columns, VIOLATION, VIOLATION_COLUMNS, put_violation};
use rusqlite::{Connection, OptionalExtension, Params};
use waywarden_model::{Kind, Subject, Timestamp, Violation, ViolationId};

/// Appends to the feed.
pub(super) fn note_change(
    conn: &Connection,
    id: ViolationId,
    revision: u32,
    kind: ChangeKind,
    now: Timestamp,
) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO changes (at, violation, revision, kind) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((now.millis(), id.bytes(), revision, kind.name()))?;
    Ok(())
}

/// Files a violation as the rules state it now; the same content again changes nothing. Gives
/// whether anything changed. `verdicts`: those that its evidence copies.
pub(super) fn upsert(
    session: &mut Session<'_>,
    v: &Violation,
    verdicts: Verdicts,
    now: Timestamp,
) -> Result<bool> {
    let id = v.id();
    let Some(step) = step(former(session.conn, id)?.as_ref(), v)? else {
        return Ok(false);
    };
    if step.insert {
        insert(session, id, v, &step, now)?;
    } else {
        update(session.conn, id, v, &step, now)?;
    }
    if let Some(change) = step.change {
        note_change(session.conn, id, step.revision, change, now)?;
    }
    if step.freeze {
        evidence::freeze(session, v, step.revision, verdicts, now)?;
    }
    Ok(true)
}

/// Ends a violation that the rules no longer state. One that was reviewed is kept with its review,
/// marked, and linked to what took its place.
pub(super) fn withdraw(
    conn: &Connection,
    id: ViolationId,
    replaced_by: Option<ViolationId>,
    now: Timestamp,
) -> Result<()> {
    let by = replaced_by.map(ViolationId::bytes);
    let step = |sql: &str| -> Result<Option<u32>> {
        Ok(conn
            .prepare_cached(sql)?
            .query_row((id.bytes(), by, now.millis()), |r| r.get(0))
            .optional()?)
    };
    let withdrawn = step(
        "UPDATE violations SET status = 'withdrawn', open = 0, revision = revision + 1,
             replaced_by = ?2, updated = ?3
         WHERE id = ?1 AND status = 'new' RETURNING revision",
    )?;
    if let Some(revision) = withdrawn {
        return note_change(conn, id, revision, ChangeKind::Withdrawn, now);
    }
    let kept = step(
        "UPDATE violations SET evidence_changed = 1, revision = revision + 1,
             replaced_by = ?2, updated = ?3
         WHERE id = ?1 AND status <> 'withdrawn'
             AND (evidence_changed = 0 OR replaced_by IS NOT ?2) RETURNING revision",
    )?;
    match kept {
        Some(revision) => note_change(conn, id, revision, ChangeKind::Amended, now),
        None => Ok(()),
    }
}

/// Those of a subject that stand and begin at `from` or later, by start.
pub(super) fn standing(
    conn: &Connection,
    subject: &Subject,
    from: Timestamp,
) -> Result<Vec<Standing>> {
    let key = (subject.key(), from.millis());
    select_standing(conn, "start >= ?2", key)
}

/// Those of a subject that stand, are open or end behind `behind`, and with `until` are closed and
/// end there or before.
pub(super) fn standing_between(
    conn: &Connection,
    subject: &Subject,
    behind: i64,
    until: Option<i64>,
) -> Result<Vec<Standing>> {
    let key = (subject.key(), behind, until);
    let stand = "(open OR \"end\" > ?2) AND (?3 IS NULL OR (NOT open AND \"end\" <= ?3))";
    select_standing(conn, stand, key)
}

fn select_standing(conn: &Connection, which: &str, key: impl Params) -> Result<Vec<Standing>> {
    let sql = format!(
        "SELECT id, revision, kind, start, \"end\" FROM violations
         WHERE subject = ?1 AND status <> 'withdrawn' AND {which} ORDER BY start, id"
    );
    all(conn, &sql, key, |r| {
        Ok(Standing {
            file: OnFile {
                id: crate::filed::violation_id(&r.blob()?)?,
                revision: r.number()?,
            },
            kind: r.must("kind", Kind::from_name)?,
            start: r.time()?,
            end: r.time()?,
        })
    })
}

/// What is on file of it.
pub(super) fn former(conn: &Connection, id: ViolationId) -> Result<Option<Former>> {
    let sql = "SELECT content, registry, open, status, revision, evidence_changed,
                   replaced_by IS NOT NULL FROM violations WHERE id = ?1";
    let found = all(conn, sql, [id.bytes()], |r| {
        Ok(Former {
            content: r.blob()?,
            registry: r.number()?,
            open: r.yes()?,
            status: r.must("violation status", Status::from_name)?,
            revision: r.number()?,
            evidence_changed: r.yes()?,
            replaced: r.yes()?,
        })
    });
    Ok(found?.pop())
}

fn insert(
    session: &mut Session<'_>,
    id: ViolationId,
    v: &Violation,
    step: &Step,
    now: Timestamp,
) -> Result<()> {
    let source = match &v.subject {
        Subject::Source(s) => Some(session.intern(s)?),
        _ => None,
    };
    let mut stmt = session.conn.prepare_cached(&format!(
        "INSERT INTO violations ({VIOLATION}, content, status, evidence_changed, revision,
             updated, id, created, source) VALUES ({})",
        marks(VIOLATION_COLUMNS + 8)
    ))?;
    let mut b = Binder::new(&mut stmt);
    bind(&mut b, v, step, now)?;
    b.put(id.bytes())?;
    b.put(now.millis())?;
    b.put(source)?;
    b.execute()?;
    Ok(())
}

fn update(
    conn: &Connection,
    id: ViolationId,
    v: &Violation,
    step: &Step,
    now: Timestamp,
) -> Result<()> {
    let mut stmt = conn.prepare_cached(&format!(
        "UPDATE violations SET ({VIOLATION}, content, status, evidence_changed, revision,
             updated) = ({}), replaced_by = NULL WHERE id = ?",
        marks(VIOLATION_COLUMNS + 5)
    ))?;
    let mut b = Binder::new(&mut stmt);
    bind(&mut b, v, step, now)?;
    b.put(id.bytes())?;
    b.execute()?;
    Ok(())
}

fn bind(b: &mut Binder<'_, '_>, v: &Violation, step: &Step, now: Timestamp) -> Result<()> {
    put_violation(b, v)?;
    b.put(&step.content)?;
    b.put(step.status.name())?;
    b.put(step.evidence_changed)?;
    b.put(step.revision)?;
    b.put(now.millis())?;
    Ok(())
}
