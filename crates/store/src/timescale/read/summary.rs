//! Sums over days, from the server.

use crate::batch::Result;
use crate::rows::Columns;
use crate::summary::{Query, Summary, SummaryFilter, Sums, Value};
use crate::timescale::cells::{Params, Reader, all, written};
use crate::timescale::trouble::Outcome;
use crate::timescale::work::Work;
use crate::timescale::{Reading, TimescaleStore, Who};
use async_trait::async_trait;
use tokio_postgres::types::ToSql;
use waywarden_model::TimeZone;

pub(super) async fn summaries(
    store: &TimescaleStore,
    filter: &SummaryFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Summary>> {
    let job = Summing {
        zone: store.zone().clone(),
        filter: filter.clone(),
        after: after.map(str::to_owned),
        limit,
    };
    store.snapshot(Who::Person, &job).await
}

struct Summing {
    zone: TimeZone,
    filter: SummaryFilter,
    after: Option<String>,
    limit: usize,
}

#[async_trait]
impl Reading for Summing {
    type Read = Vec<Summary>;

    async fn read(&self, work: &Work<'_>) -> Outcome<Vec<Summary>> {
        let (f, zone) = (&self.filter, &self.zone);
        let keys = f.keys(zone, self.after.as_deref(), self.limit);
        let mut sums = Sums::new(f.of, run(work, &keys, |r| r.string()).await?);
        let Some(span) = sums.span() else {
            return Ok(Vec::new());
        };
        run(work, &f.days(zone, &span), |r| sums.days(r)).await?;
        if let Some(newest) = f.newest(zone, &span) {
            run(work, &newest, |r| sums.newest(r)).await?;
        }
        if let Some(driving) = f.driving(zone, &span) {
            run(work, &driving, |r| sums.driving(r)).await?;
        }
        run(work, &f.violations(zone, &span), |r| sums.violations(r)).await?;
        Ok(sums.finish())
    }
}

async fn run<T>(
    work: &Work<'_>,
    q: &Query,
    row: impl FnMut(&mut Reader<'_>) -> Result<T>,
) -> Outcome<Vec<T>> {
    let values: Vec<Box<dyn ToSql + Sync + Send>> = q
        .values
        .iter()
        .map(|value| -> Box<dyn ToSql + Sync + Send> {
            match value {
                Value::Int(n) => Box::new(*n),
                Value::Long(n) => Box::new(*n),
                Value::Text(text) => Box::new(written(text).into_owned()),
            }
        })
        .collect();
    let plain = |v| -> &(dyn ToSql + Sync) { v };
    let params: Params<'_> = values.iter().map(|v| plain(v.as_ref())).collect();
    let rows = work.rows(&q.sql.replace('?', "$"), &params).await?;
    Ok(all(&rows, row)?)
}
