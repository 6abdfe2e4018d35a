//! What the store says about itself.

use crate::batch::Result;
use crate::filed::{COUNTERS, partition};
use crate::read::StoreStatus;
use crate::rows::Columns;
use crate::timescale::Reading;
use crate::timescale::cells::all;
use crate::timescale::trouble::Outcome;
use crate::timescale::work::Work;
use async_trait::async_trait;
use waywarden_model::Verdict;

pub(super) struct Status;

const COUNTS: &str = "SELECT
    (SELECT max(received) FROM latest),
    (SELECT count(*) FROM sources),
    (SELECT count(*) FROM latest WHERE verdict = $1),
    (SELECT count(*) FROM marks),
    (SELECT min(created) FROM marks),
    (SELECT count(DISTINCT subject) FROM dirty),
    (SELECT count(*) FROM poison),
    (SELECT count(*) FROM violations WHERE status = 'new' AND open)";

#[async_trait]
impl Reading for Status {
    type Read = StoreStatus;

    async fn read(&self, work: &Work<'_>) -> Outcome<StoreStatus> {
        let held = i16::from(Verdict::Held.code());
        let counts = all(&work.rows(COUNTS, &[&held]).await?, |r| counts(r))?;
        let sql = format!(
            "SELECT \"partition\", position, registry, {COUNTERS}, updated FROM partitions
             ORDER BY 1 LIMIT 4096"
        );
        Ok(StoreStatus {
            partitions: all(&work.rows(&sql, &[]).await?, |r| partition(r))?,
            alerts_open: crate::timescale::alerts::open_by_kind(work).await?,
            ..counts.into_iter().next().unwrap_or_default()
        })
    }
}

fn counts(r: &mut impl Columns) -> Result<StoreStatus> {
    Ok(StoreStatus {
        partitions: Vec::new(),
        last_received: r.time_opt()?,
        sources: r.number()?,
        held: r.number()?,
        marks: r.number()?,
        oldest_mark: r.time_opt()?,
        dirty_subjects: r.number()?,
        poison: r.number()?,
        violations_open: r.number()?,
        alerts_open: Vec::new(),
    })
}
