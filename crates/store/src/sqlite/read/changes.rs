//! The agencies' pull: which changes to give, decided in one snapshot.
//!
//! SQLite commits one writer at a time and numbers changes inside its transaction, so a number
//! below one that is visible can never appear later: the numbers alone are a safe cursor.

use super::violations::where_clause;
use crate::batch::Result;
use crate::filed::{CHANGE, change, limit as rows, violation, violation_columns};
use crate::pull::{self, Looked, looked};
use crate::read::{Change, FiledViolation, Pull, PullPlan};
use crate::sqlite::rows::all;
use rusqlite::{Connection, params_from_iter};

/// A source that a violation rests on awaits a rebuild that may reach it.
const MARKED: &str = "EXISTS (SELECT 1 FROM marks m WHERE m.\"from\" <= v.\"end\" AND \
    (m.source = v.source OR EXISTS (SELECT 1 FROM json_each(v.spans) s, sources n \
     WHERE n.name = json_extract(s.value, '$.source') AND n.id = m.source)))";

pub(super) fn plan(c: &Connection, pull: &Pull) -> Result<PullPlan> {
    let mut held = Vec::new();
    for seq in &pull.held {
        held.extend(
            look(c, pull, *seq - 1, 1)?
                .into_iter()
                .filter(|l| l.seq == *seq),
        );
    }
    let found = look(c, pull, pull.after, pull.limit)?;
    Ok(pull::plan(pull, &held, &found))
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
    all(c, &sql, params_from_iter(values), |r| looked(r))
}

pub(super) fn by_seq(c: &Connection, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>> {
    let sql = format!(
        "SELECT {CHANGE}, {} FROM changes c JOIN violations v ON v.id = c.violation
         WHERE c.seq = ?",
        violation_columns()
    );
    let mut out = Vec::with_capacity(seqs.len());
    for seq in seqs {
        out.extend(all(c, &sql, [seq], |r| Ok((change(r)?, violation(r)?)))?);
    }
    Ok(out)
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
