//! The agencies' pull: which changes to give, decided in one snapshot.
//!
//! A change's number begins with that of its transaction, so everything below the oldest
//! transaction that is still running has been committed or never will be: a cursor that stays
//! below it passes nothing that may still come.

use super::filter::Filter;
use crate::filed::limit;
use crate::pull::{self, looked};
use crate::read::{Pull, PullPlan};
use crate::timescale::Reading;
use crate::timescale::cells::all;
use crate::timescale::trouble::Outcome;
use crate::timescale::work::Work;
use async_trait::async_trait;

/// Numbers below it are settled, for a snapshot.
pub(super) const SETTLED: &str = "(SELECT (base + \
     pg_snapshot_xmin(pg_current_snapshot())::text::int8) << 16 FROM change_base)";

/// A source that a violation rests on awaits a rebuild that may reach it.
const MARKED: &str = "EXISTS (SELECT FROM marks m WHERE m.\"from\" <= v.\"end\" \
     AND m.source = ANY(v.sources))";

pub(super) struct Plan<'a> {
    pub pull: &'a Pull,
}

#[async_trait]
impl Reading for Plan<'_> {
    type Read = PullPlan;

    async fn read(&self, work: &Work<'_>) -> Outcome<PullPlan> {
        let pull = self.pull;
        let held = look(work, pull, |f| {
            let held = f.put(pull.held.clone());
            format!(
                "c.seq = ANY({held}) ORDER BY array_position({held}, c.seq) LIMIT {}",
                f.put(limit(pull.held.len()))
            )
        })
        .await?;
        let found = look(work, pull, |f| {
            let (after, limit) = (f.put(pull.after), f.put(limit(pull.limit)));
            format!("c.seq > {after} AND c.seq < {SETTLED} ORDER BY c.seq LIMIT {limit}")
        })
        .await?;
        Ok(pull::plan(pull, &held, &found))
    }
}

async fn look(
    work: &Work<'_>,
    pull: &Pull,
    which: impl FnOnce(&mut Filter) -> String,
) -> Outcome<Vec<pull::Looked>> {
    let mut filter = Filter::of(&pull.filter);
    let clause = filter.clause();
    let which = which(&mut filter);
    let sql = format!(
        "SELECT c.seq, c.at, v.open AND v.status <> 'withdrawn', {MARKED}, {clause}
         FROM changes c JOIN violations v ON v.id = c.violation WHERE {which}"
    );
    Ok(all(&work.rows(&sql, &filter.params()).await?, |r| {
        looked(r)
    })?)
}
