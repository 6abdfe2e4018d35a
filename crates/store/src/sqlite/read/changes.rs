//! The agencies' pull: which changes to give, decided in one snapshot.
//!
//! SQLite commits one writer at a time and numbers changes inside its transaction, so a number
//! below one that is visible can never appear later: the numbers alone are a safe cursor.

use super::rows;
use super::violations::{WIDTH, columns, read_row, violation_id, where_clause};
use crate::batch::Result;
use crate::read::{Change, ChangeKind, FiledViolation, Pull, PullPlan};
use crate::sqlite::rows::{Reader, corrupt};
use rusqlite::{Connection, Row, params_from_iter};
use waywarden_model::Timestamp;

/// A source that a violation rests on awaits a rebuild that may reach it.
const MARKED: &str = "EXISTS (SELECT 1 FROM marks m WHERE m.\"from\" <= v.\"end\" AND \
    (m.source = v.source OR EXISTS (SELECT 1 FROM json_each(v.spans) s, sources n \
     WHERE n.name = json_extract(s.value, '$.source') AND n.id = m.source)))";

pub(super) fn plan(c: &Connection, pull: &Pull) -> Result<PullPlan> {
    let mut out = PullPlan {
        seen: pull.after,
        ..PullPlan::default()
    };
    for seq in &pull.held {
        let found = look(c, pull, *seq - 1, 1)?;
        match found.first() {
            Some(l) if l.seq == *seq => judge(l, pull, &mut out),
            _ => {}
        }
    }
    let found = look(c, pull, pull.after, pull.limit)?;
    out.more = found.len() == pull.limit;
    for l in &found {
        let young = pull.settled_before.is_some_and(|t| l.at > t);
        let full = l.marked && out.held.len() >= pull.max_held;
        if young || (full && pull.settled_before.is_some()) {
            // Nothing behind it may be passed: it is given as soon as it has settled.
            out.more = false;
            break;
        }
        judge(l, pull, &mut out);
        out.seen = l.seq;
    }
    Ok(out)
}

struct Looked {
    seq: i64,
    at: Timestamp,
    open: bool,
    marked: bool,
    matches: bool,
}

fn judge(l: &Looked, pull: &Pull, out: &mut PullPlan) {
    if !l.matches {
        return;
    }
    if pull.settled_before.is_none() {
        out.give.push(l.seq);
    } else if l.open {
        // Closing it writes a change of its own, which is given then.
    } else if l.marked {
        out.held.push(l.seq);
    } else {
        out.give.push(l.seq);
    }
}

fn look(c: &Connection, pull: &Pull, after: i64, limit: usize) -> Result<Vec<Looked>> {
    let (clause, mut values) = where_clause(&pull.filter);
    let sql = format!(
        "SELECT c.seq, c.at, v.open AND v.status <> 'withdrawn', {MARKED}, {clause} \
         FROM changes c JOIN violations v ON v.id = c.violation \
         WHERE c.seq > ? ORDER BY c.seq LIMIT ?"
    );
    values.push(after.into());
    values.push(rows(limit).into());
    let mut q = c.prepare_cached(&sql)?;
    let found = q.query_map(params_from_iter(values), |r| {
        Ok(Looked {
            seq: r.get(0)?,
            at: Timestamp::from_millis(r.get(1)?),
            open: r.get(2)?,
            marked: r.get(3)?,
            // A column that is null makes the expression null, which does not match.
            matches: r.get::<_, Option<bool>>(4)?.unwrap_or(false),
        })
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn by_seq(c: &Connection, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>> {
    let sql = format!(
        "SELECT {}, c.seq, c.at, c.violation, c.revision, c.kind \
         FROM changes c JOIN violations v ON v.id = c.violation WHERE c.seq = ?",
        columns()
    );
    let mut q = c.prepare_cached(&sql)?;
    let mut out = Vec::with_capacity(seqs.len());
    for seq in seqs {
        let mut found = q.query([seq])?;
        if let Some(row) = found.next()? {
            out.push((change(row, WIDTH)?, read_row(row)?));
        }
    }
    Ok(out)
}

/// Reads seq, at, violation, revision, kind from column `i` on.
pub(super) fn change(row: &Row<'_>, i: usize) -> Result<Change> {
    let mut r = Reader::new(row, i);
    Ok(Change {
        seq: r.take()?,
        at: Timestamp::from_millis(r.take()?),
        violation: violation_id(&r.take::<Vec<u8>>()?)?,
        revision: r.take()?,
        kind: ChangeKind::from_name(&r.take::<String>()?).ok_or_else(|| corrupt("change kind"))?,
    })
}

pub(super) fn after(c: &Connection, after: i64, limit: usize) -> Result<Vec<i64>> {
    let mut q = c.prepare_cached("SELECT seq FROM changes WHERE seq > ? ORDER BY seq LIMIT ?")?;
    let found = q.query_map((after, rows(limit)), |r| r.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn last(c: &Connection) -> Result<i64> {
    Ok(
        c.query_row("SELECT COALESCE(MAX(seq), 0) FROM changes", [], |r| {
            r.get(0)
        })?,
    )
}
