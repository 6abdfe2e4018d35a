//! Violations on file: inserted, grown, closed, amended, withdrawn; each step but growth is a
//! revision with a change row.

use super::evidence;
use super::rows::to_json;
use super::writer::Session;
use crate::batch::{OnFile, Result};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params};
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
    registry: u32,
    open: bool,
    status: String,
    revision: u32,
    evidence_changed: bool,
    /// Another one took its place.
    replaced: bool,
}

impl Former {
    /// Whether the violation is on file as it is stated now. One that differs in the number of the
    /// registry version alone rests on the same facts: it keeps the version it was judged with.
    fn says(&self, v: &Violation, content_now: &[u8]) -> Result<bool> {
        if self.replaced {
            return Ok(false);
        }
        if self.content == content_now {
            return Ok(true);
        }
        if self.registry == v.registry || self.open != v.open {
            return Ok(false);
        }
        let mut as_then = v.clone();
        as_then.registry = self.registry;
        Ok(self.content == content(&as_then)?)
    }
}

/// Files a violation as the rules state it now; the same content again changes nothing. Gives
/// whether anything changed.
pub(super) fn upsert(session: &mut Session<'_>, v: &Violation, now: Timestamp) -> Result<bool> {
    let id = v.id();
    let content = content(v)?;
    let Some(former) = former(session.conn, id)? else {
        let state = State {
            status: "new",
            evidence_changed: false,
            revision: 1,
        };
        insert(session, id, v, &content, &state, now)?;
        settle(session, id, v, 1, Change::Created, now)?;
        return Ok(true);
    };
    let withdrawn = former.status == "withdrawn";
    if !withdrawn && former.says(v, &content)? {
        return Ok(false);
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
        return Ok(true);
    }
    let change = match (withdrawn, former.open, v.open) {
        (true, ..) => Change::Created,
        (false, true, false) => Change::Closed,
        _ => Change::Amended,
    };
    settle(session, id, v, state.revision, change, now)?;
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
        return note_change(conn, id, revision, Change::Withdrawn, now);
    }
    let kept = step(
        "UPDATE violations SET evidence_changed = 1, revision = revision + 1,
             replaced_by = ?2, updated = ?3
         WHERE id = ?1 AND status <> 'withdrawn'
             AND (evidence_changed = 0 OR replaced_by IS NOT ?2) RETURNING revision",
    )?;
    match kept {
        Some(revision) => note_change(conn, id, revision, Change::Amended, now),
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
    let mut stmt = conn.prepare_cached(&format!(
        "SELECT id, revision, kind, start, \"end\" FROM violations
         WHERE subject = ?1 AND status <> 'withdrawn' AND {which} ORDER BY start, id"
    ))?;
    let mut rows = stmt.query(key)?;
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

/// Of the same kind, the one with the greatest overlap in time; of equals the earliest.
pub(super) fn successor(old: &Standing, stated: &[&Violation]) -> Option<ViolationId> {
    let overlap = |v: &Violation| v.end.min(old.end).since(v.start.max(old.start));
    stated
        .iter()
        .filter(|v| v.kind == old.kind && overlap(v) > 0)
        .max_by_key(|v| (overlap(v), std::cmp::Reverse(v.start)))
        .map(|v| v.id())
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
            "SELECT content, open, status, revision, evidence_changed, registry,
                 replaced_by IS NOT NULL FROM violations
             WHERE id = ?1",
        )?
        .query_row([id.bytes()], |r| {
            Ok(Former {
                content: r.get(0)?,
                registry: r.get(5)?,
                replaced: r.get(6)?,
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
