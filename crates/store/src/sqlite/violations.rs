//! Violations on file: inserted, grown, closed, amended, withdrawn; each step but growth is a
//! revision with a change row.

use super::evidence;
use super::rows::to_json;
use super::writer::Session;
use crate::batch::{OnFile, Result};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use sha2::{Digest, Sha256};
use waywarden_model::{Kind, Subject, Timestamp, Violation, ViolationId};

/// What the changes feed calls a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Created,
    Amended,
    Closed,
    Withdrawn,
    #[allow(dead_code)] // written by the review of the console
    Decided,
}

impl Change {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Amended => "amended",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
            Self::Decided => "decided",
        }
    }
}

/// Appends to the feed.
pub(crate) fn note_change(
    conn: &Connection,
    id: ViolationId,
    revision: u32,
    kind: Change,
    now: Timestamp,
) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO changes (at, violation, revision, kind) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((now.millis(), id.bytes(), revision, kind.name()))?;
    Ok(())
}

/// What decides about the next step of a violation that is on file.
struct Former {
    content: Vec<u8>,
    open: bool,
    status: String,
    revision: u32,
    evidence_changed: bool,
}

/// Files a violation as the rules state it now; the same content again changes nothing.
pub(super) fn upsert(session: &mut Session<'_>, v: &Violation, now: Timestamp) -> Result<()> {
    let id = v.id();
    let content = content(v)?;
    let Some(former) = former(session.conn, id)? else {
        let state = State {
            status: "new",
            evidence_changed: false,
            revision: 1,
        };
        insert(session, id, v, &content, &state, now)?;
        return settle(session, id, v, 1, Change::Created, now);
    };
    let withdrawn = former.status == "withdrawn";
    if former.content == content && !withdrawn {
        return Ok(());
    }
    let reviewed = matches!(former.status.as_str(), "confirmed" | "dismissed");
    let grows = former.open && v.open && !withdrawn;
    let state = State {
        status: if withdrawn { "new" } else { &former.status },
        evidence_changed: former.evidence_changed || (reviewed && !grows),
        revision: former.revision + u32::from(!grows),
    };
    update(session, id, v, &content, &state, now)?;
    if grows {
        return Ok(());
    }
    let change = match (withdrawn, former.open, v.open) {
        (true, ..) => Change::Created,
        (false, true, false) => Change::Closed,
        _ => Change::Amended,
    };
    settle(session, id, v, state.revision, change, now)
}

/// Ends a violation that the rules no longer state. Its review and evidence stay.
pub(super) fn withdraw(
    conn: &Connection,
    id: ViolationId,
    replaced_by: Option<ViolationId>,
    now: Timestamp,
) -> Result<()> {
    let revision: Option<u32> = conn
        .prepare_cached(
            "UPDATE violations SET status = 'withdrawn', open = 0, revision = revision + 1,
                 replaced_by = ?2, updated = ?3
             WHERE id = ?1 AND status <> 'withdrawn' RETURNING revision",
        )?
        .query_row(
            (
                id.bytes(),
                replaced_by.map(ViolationId::bytes),
                now.millis(),
            ),
            |r| r.get(0),
        )
        .optional()?;
    match revision {
        Some(revision) => note_change(conn, id, revision, Change::Withdrawn, now),
        None => Ok(()),
    }
}

/// A violation that stands, with what finds its successor when it falls.
pub(super) struct Standing {
    pub file: OnFile,
    pub kind: Kind,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Those of a subject that stand and begin at `from` or later, by start.
pub(super) fn standing(
    conn: &Connection,
    subject: &Subject,
    from: Timestamp,
) -> Result<Vec<Standing>> {
    let mut stmt = conn.prepare_cached(
        "SELECT id, revision, kind, start, \"end\" FROM violations
         WHERE subject = ?1 AND start >= ?2 AND status <> 'withdrawn' ORDER BY start, id",
    )?;
    let mut rows = stmt.query((subject.key(), from.millis()))?;
    let mut found = Vec::new();
    while let Some(r) = rows.next()? {
        let kind = Kind::from_name(r.get_ref(2)?.as_str().unwrap_or_default())
            .ok_or_else(|| super::rows::corrupt("kind"))?;
        found.push(Standing {
            file: OnFile {
                id: ViolationId::from_bytes(r.get(0)?),
                revision: r.get(1)?,
            },
            kind,
            start: Timestamp::from_millis(r.get(3)?),
            end: Timestamp::from_millis(r.get(4)?),
        });
    }
    Ok(found)
}

/// The change row, and evidence where the episode is complete.
fn settle(
    session: &mut Session<'_>,
    id: ViolationId,
    v: &Violation,
    revision: u32,
    change: Change,
    now: Timestamp,
) -> Result<()> {
    note_change(session.conn, id, revision, change, now)?;
    if v.open {
        return Ok(());
    }
    evidence::freeze(session, id, v, revision, now)
}

fn content(v: &Violation) -> Result<Vec<u8>> {
    Ok(Sha256::digest(to_json(v)?.as_bytes()).to_vec())
}

fn former(conn: &Connection, id: ViolationId) -> Result<Option<Former>> {
    Ok(conn
        .prepare_cached(
            "SELECT content, open, status, revision, evidence_changed FROM violations
             WHERE id = ?1",
        )?
        .query_row([id.bytes()], |r| {
            Ok(Former {
                content: r.get(0)?,
                open: r.get(1)?,
                status: r.get(2)?,
                revision: r.get(3)?,
                evidence_changed: r.get(4)?,
            })
        })
        .optional()?)
}

/// What the store adds to what the rules state.
struct State<'a> {
    status: &'a str,
    evidence_changed: bool,
    revision: u32,
}

fn insert(
    session: &mut Session<'_>,
    id: ViolationId,
    v: &Violation,
    content: &[u8],
    state: &State<'_>,
    now: Timestamp,
) -> Result<()> {
    let source = match &v.subject {
        Subject::Source(s) => Some(session.intern(s)?),
        _ => None,
    };
    let stmt = session.conn.prepare_cached(
        "INSERT INTO violations (id, kind, rule, subject, source, start, created, replaced_by,
             vehicle, plate, driver, operator, \"end\", open, band, \"limit\", limit_source,
             max_excess, distance, duration_ms, limit_ms, profile, profile_version, registry,
             figures, spans, content, status, evidence_changed, revision, updated)
         VALUES (?1, ?25, ?26, ?27, ?28, ?29, ?24, NULL,
             ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
             ?20, ?21, ?22, ?23, ?24)",
    )?;
    let key = Key {
        kind: v.kind.name(),
        rule: v.rule.map(|r| r.name()),
        subject: v.subject.key(),
        source,
        start: v.start.millis(),
    };
    write(stmt, id, v, content, state, now, Some(&key))
}

fn update(
    session: &Session<'_>,
    id: ViolationId,
    v: &Violation,
    content: &[u8],
    state: &State<'_>,
    now: Timestamp,
) -> Result<()> {
    let stmt = session.conn.prepare_cached(
        "UPDATE violations SET vehicle = ?2, plate = ?3, driver = ?4, operator = ?5, \"end\" = ?6,
             open = ?7, band = ?8, \"limit\" = ?9, limit_source = ?10, max_excess = ?11,
             distance = ?12, duration_ms = ?13, limit_ms = ?14, profile = ?15,
             profile_version = ?16, registry = ?17, figures = ?18, spans = ?19, content = ?20,
             status = ?21, evidence_changed = ?22, revision = ?23, updated = ?24,
             replaced_by = NULL
         WHERE id = ?1",
    )?;
    write(stmt, id, v, content, state, now, None)
}

/// The natural key's columns, which no update touches.
struct Key {
    kind: &'static str,
    rule: Option<&'static str>,
    subject: String,
    source: Option<i64>,
    start: i64,
}

fn write(
    mut stmt: CachedStatement<'_>,
    id: ViolationId,
    v: &Violation,
    content: &[u8],
    state: &State<'_>,
    now: Timestamp,
    key: Option<&Key>,
) -> Result<()> {
    let mut b = super::rows::Binder::new(&mut stmt);
    b.put(id.bytes())?;
    b.put(v.vehicle.as_ref().map(|x| x.as_str()))?;
    b.put(v.plate.as_ref().map(|x| x.as_str()))?;
    b.put(v.driver.as_ref().map(|x| x.as_str()))?;
    b.put(v.operator.as_ref().map(|x| x.as_str()))?;
    b.put(v.end.millis())?;
    b.put(v.open)?;
    b.put(v.band.map(|x| x.name()))?;
    b.put(v.limit.map(|x| x.centi()))?;
    b.put(v.limit_source.map(|x| x.name()))?;
    b.put(v.max_excess.map(|x| x.centi()))?;
    b.put(v.distance.map(|x| x.decimetres()))?;
    b.put(v.duration_ms)?;
    b.put(v.limit_ms)?;
    b.put(&*v.profile.name)?;
    b.put(v.profile.version)?;
    b.put(v.registry)?;
    b.put(to_json(&v.figures)?)?;
    b.put(to_json(&v.spans)?)?;
    b.put(content)?;
    b.put(state.status)?;
    b.put(state.evidence_changed)?;
    b.put(state.revision)?;
    b.put(now.millis())?;
    if let Some(key) = key {
        b.put(key.kind)?;
        b.put(key.rule)?;
        b.put(&key.subject)?;
        b.put(key.source)?;
        b.put(key.start)?;
    }
    b.execute()?;
    Ok(())
}
