//! Violations on file, all of a batch at once: what each step is says [`crate::episodes`].

use super::cells::{Params, Reader, Table, all};
use super::evidence;
use super::newest::Newest;
use super::trouble::Outcome;
use super::work::Work;
use crate::batch::{OnFile, Result};
use crate::episodes::{Former, Standing, Step, step};
use crate::filed::violation_id;
use crate::read::{ChangeKind, Status};
use crate::rows::{Cells, Columns, VIOLATION, put_violation};
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;
use waywarden_model::{Kind, SourceId, Subject, Timestamp, Violation, ViolationId};

/// What a transaction has changed among violations.
#[derive(Default)]
pub(super) struct Upserts {
    /// Stated anew, or saying something else than before.
    pub stated: u64,
}

/// Files violations as the rules state them now, one after the other; the same content again
/// changes nothing. `newest`: what the transaction has filed of their records.
pub(super) async fn upsert(
    work: &mut Work<'_>,
    done: &mut Upserts,
    stated: &[&Violation],
    newest: &Newest<'_>,
    now: Timestamp,
) -> Outcome<()> {
    if stated.is_empty() {
        return Ok(());
    }
    let mut formers = formers(work, stated, "FOR UPDATE").await?;
    let mut writes: BTreeMap<ViolationId, (bool, Step, &Violation)> = BTreeMap::new();
    let mut changes = Vec::new();
    let mut complete = Vec::new();
    for v in stated {
        let id = v.id();
        let Some(step) = step(formers.get(&id), v)? else {
            continue;
        };
        done.stated += 1;
        formers.insert(id, step.former(v));
        changes.extend(step.change.map(|kind| (id, step.revision, kind)));
        if step.freeze {
            complete.push((*v, step.revision));
        }
        // Of several steps in one batch the last is written; it is new if the first one was.
        let insert = step.insert || writes.get(&id).is_some_and(|(insert, ..)| *insert);
        writes.insert(id, (insert, step, v));
    }
    write(work, &writes, now).await?;
    work.note(&changes, now).await?;
    evidence::freeze(work, &complete, newest, now).await
}

/// What is on file of them. Whoever writes holds them, against people who decide meanwhile.
pub(super) async fn formers(
    work: &Work<'_>,
    stated: &[&Violation],
    held: &str,
) -> Outcome<BTreeMap<ViolationId, Former>> {
    let mut ids: Vec<Vec<u8>> = stated.iter().map(|v| v.id().bytes().to_vec()).collect();
    ids.sort_unstable();
    let sql = format!(
        "SELECT id, content, registry, open, status, revision, evidence_changed,
             replaced_by IS NOT NULL FROM violations WHERE id = ANY($1) ORDER BY id {held}"
    );
    let found = all(&work.rows(&sql, &[&ids]).await?, |r| {
        Ok((
            violation_id(&r.blob()?)?,
            Former {
                content: r.blob()?,
                registry: r.number()?,
                open: r.yes()?,
                status: r.must("violation status", Status::from_name)?,
                revision: r.number()?,
                evidence_changed: r.yes()?,
                replaced: r.yes()?,
            },
        ))
    })?;
    Ok(found.into_iter().collect())
}

/// Columns behind those of the facts.
const STORED: &str = "content, status, evidence_changed, revision, updated, id, sources";

async fn write(
    work: &Work<'_>,
    writes: &BTreeMap<ViolationId, (bool, Step, &Violation)>,
    now: Timestamp,
) -> Outcome<()> {
    work.ensure_sources(writes.values().flat_map(|(_, _, v)| rests_on(v)))
        .await?;
    let (mut inserts, mut updates) = (Table::default(), Table::default());
    for (id, (insert, step, v)) in writes {
        let table = if *insert { &mut inserts } else { &mut updates };
        put_violation(table, v)?;
        table.bytes(Some(&step.content))?;
        table.text(Some(step.status.name()))?;
        table.flag(Some(step.evidence_changed))?;
        table.long(Some(step.revision.into()))?;
        table.long(Some(now.millis()))?;
        table.bytes(Some(&id.bytes()))?;
        table.text(Some(&numbers(work, v)?))?;
        table.end_row();
    }
    let names = format!("{VIOLATION}, {STORED}");
    let facts = columns(&VIOLATION.replace("kind, rule, subject, ", ""), "n");
    work.put(&inserts, &names, &[], |rows| {
        format!(
            "INSERT INTO violations ({names}, created)
             SELECT {VIOLATION}, content, status, evidence_changed, revision, updated, id,
                 n.sources::int4[], updated FROM {rows}"
        )
    })
    .await?;
    work.put(&updates, &names, &[], |rows| {
        format!(
            "UPDATE violations v SET ({}, content, status, evidence_changed, revision, updated,
                 sources, replaced_by)
                 = ({facts}, n.content, n.status, n.evidence_changed, n.revision, n.updated,
                    n.sources::int4[], NULL)
             FROM {rows} WHERE v.id = n.id",
            VIOLATION.replace("kind, rule, subject, ", "")
        )
    })
    .await?;
    Ok(())
}

fn columns(names: &str, of: &str) -> String {
    let named: Vec<String> = names
        .split(',')
        .map(|c| format!("{of}.{}", c.trim()))
        .collect();
    named.join(", ")
}

/// Sources whose records it rests on.
fn rests_on(v: &Violation) -> impl Iterator<Item = &SourceId> {
    let own = match &v.subject {
        Subject::Source(s) => Some(s),
        _ => None,
    };
    own.into_iter().chain(v.spans.iter().map(|s| &s.source))
}

/// Their numbers as the text of an array.
fn numbers(work: &Work<'_>, v: &Violation) -> Outcome<String> {
    let mut numbers = rests_on(v)
        .map(|s| work.source(s))
        .collect::<Outcome<Vec<i32>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
    Ok(format!("{{{}}}", texts.join(",")))
}

/// Ends violations that the rules no longer state. Those that were reviewed are kept with their
/// review, marked, and linked to what took their place.
pub(super) async fn withdraw(
    work: &mut Work<'_>,
    gone: &[(ViolationId, Option<ViolationId>)],
    now: Timestamp,
) -> Outcome<()> {
    let mut table = Table::default();
    for (id, replaced_by) in gone {
        table.bytes(Some(&id.bytes()))?;
        table.bytes(
            replaced_by
                .map(ViolationId::bytes)
                .as_ref()
                .map(<[u8; 16]>::as_slice),
        )?;
        table.end_row();
    }
    let rows = work
        .put(&table, "id, replaced_by", &[&now.millis()], |rows| {
            format!(
                "WITH n AS MATERIALIZED (SELECT id, replaced_by FROM {rows})
                 UPDATE violations v SET
                     status = CASE v.status WHEN 'new' THEN 'withdrawn' ELSE v.status END,
                     open = v.open AND v.status <> 'new',
                     evidence_changed = v.evidence_changed OR v.status <> 'new',
                     revision = v.revision + 1, replaced_by = n.replaced_by, updated = $3
                 FROM n WHERE v.id = n.id AND (v.status = 'new' OR (v.status <> 'withdrawn'
                     AND (NOT v.evidence_changed OR v.replaced_by IS DISTINCT FROM n.replaced_by)))
                 RETURNING v.id, v.revision, v.status = 'withdrawn'"
            )
        })
        .await?;
    let mut changed = BTreeMap::new();
    for row in &rows {
        let mut r = Reader::new(row);
        let (id, revision) = (violation_id(&r.blob()?)?, r.number()?);
        let kind = match r.yes()? {
            true => ChangeKind::Withdrawn,
            false => ChangeKind::Amended,
        };
        changed.insert(id, (id, revision, kind));
    }
    // In the order in which they were given.
    let changes: Vec<_> = gone
        .iter()
        .filter_map(|(id, _)| changed.remove(id))
        .collect();
    work.note(&changes, now).await
}

/// Those of a subject that stand and begin at `from` or later, by start.
pub(super) async fn standing(
    work: &Work<'_>,
    subject: &Subject,
    from: Timestamp,
) -> Outcome<Vec<Standing>> {
    select_standing(work, subject, "start >= $2", &[&from.millis()]).await
}

/// Those of a subject that stand, are open or end behind `behind`, and with `until` are closed and
/// end there or before.
pub(super) async fn standing_between(
    work: &Work<'_>,
    subject: &Subject,
    behind: i64,
    until: Option<i64>,
) -> Outcome<Vec<Standing>> {
    let stand =
        "(open OR \"end\" > $2) AND ($3::int8 IS NULL OR (NOT open AND \"end\" <= $3::int8))";
    select_standing(work, subject, stand, &[&behind, &until]).await
}

async fn select_standing(
    work: &Work<'_>,
    subject: &Subject,
    which: &str,
    key: &[&(dyn ToSql + Sync)],
) -> Outcome<Vec<Standing>> {
    let subject = super::cells::written(&subject.key()).into_owned();
    let mut params: Params<'_> = vec![&subject];
    params.extend_from_slice(key);
    let sql = format!(
        "SELECT id, revision, kind, start, \"end\" FROM violations
         WHERE subject = $1 AND status <> 'withdrawn' AND {which} ORDER BY start, id"
    );
    let found: Result<_> = all(&work.rows(&sql, &params).await?, |r| {
        Ok(Standing {
            file: OnFile {
                id: violation_id(&r.blob()?)?,
                revision: r.number()?,
            },
            kind: r.must("kind", Kind::from_name)?,
            start: r.time()?,
            end: r.time()?,
        })
    });
    Ok(found?)
}
