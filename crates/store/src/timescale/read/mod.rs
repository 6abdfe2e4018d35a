//! What the console reads, and the decisions that it files.

mod changes;
mod filter;
mod fleet;
pub(super) use fleet::newest_records;
mod review;
mod status;
mod summary;

use super::cells::all;
use super::{TimescaleStore, Who};
use crate::alerts::{AlertFilter, AlertKey};
use crate::batch::Result;
use crate::evidence::{EVIDENCE, open};
use crate::filed::{CHANGE, change, limit as rows, violation, violation_columns};
use crate::read::*;
use crate::summary::{Summary, SummaryFilter};
use async_trait::async_trait;
pub(super) use filter::Filter;
use waywarden_model::registry::Registers;
use waywarden_model::{
    Alert, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, VehicleId, ViolationId,
};

#[async_trait]
impl ReadStore for TimescaleStore {
    async fn violations(
        &self,
        filter: &ViolationFilter,
        after: Option<ViolationKey>,
        limit: usize,
    ) -> Result<Vec<FiledViolation>> {
        let mut f = Filter::of(filter);
        if let Some(key) = after {
            let (start, id) = (f.put(key.start.millis()), f.put(key.id.bytes().to_vec()));
            f.and(&format!("(v.start, v.id) < ({start}, {id})"));
        }
        let limit = f.put(rows(limit));
        let sql = format!(
            "SELECT {} FROM violations v WHERE {} ORDER BY v.start DESC, v.id DESC LIMIT {limit}",
            violation_columns(),
            f.clause(),
        );
        all(&self.rows(&sql, &f.params()).await?, |r| violation(r))
    }

    async fn violation(&self, id: ViolationId) -> Result<Option<FiledViolation>> {
        let columns = violation_columns();
        let sql = format!("SELECT {columns} FROM violations v WHERE v.id = $1");
        let found = self.rows(&sql, &[&id.bytes().as_slice()]).await?;
        Ok(all(&found, |r| violation(r))?.pop())
    }

    async fn evidence(&self, id: ViolationId) -> Result<Option<FrozenEvidence>> {
        let sql = format!(
            "SELECT {EVIDENCE} FROM evidence WHERE violation = $1 ORDER BY revision DESC LIMIT 1"
        );
        let found = self.rows(&sql, &[&id.bytes().as_slice()]).await?;
        Ok(all(&found, |r| open(r))?.pop())
    }

    async fn history(&self, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
        self.snapshot(Who::Person, &review::History { id }).await
    }

    async fn review(
        &self,
        id: ViolationId,
        expected: u32,
        decision: Decision,
        reason: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<u32> {
        let (reason, by) = (reason.to_owned(), by.to_owned());
        self.write(&review::Decide {
            id,
            expected,
            decision,
            reason,
            by,
            at,
        })
        .await
    }

    async fn plan_pull(&self, pull: &Pull) -> Result<PullPlan> {
        self.snapshot(Who::Person, &changes::Plan { pull }).await
    }

    async fn changes(&self, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>> {
        let sql = format!(
            "SELECT {CHANGE}, {} FROM unnest($1::int8[]) WITH ORDINALITY AS n(seq, place)
                 JOIN changes c ON c.seq = n.seq JOIN violations v ON v.id = c.violation
             ORDER BY n.place",
            violation_columns()
        );
        let found = self.rows(&sql, &[&seqs]).await?;
        all(&found, |r| Ok((change(r)?, violation(r)?)))
    }

    async fn changes_after(&self, after: i64, limit: usize) -> Result<Vec<i64>> {
        let sql = format!(
            "SELECT seq FROM changes WHERE seq > $1 AND seq < {} ORDER BY seq LIMIT $2",
            changes::SETTLED
        );
        let found = self.rows(&sql, &[&after, &rows(limit)]).await?;
        Ok(found.iter().map(|r| r.get(0)).collect())
    }

    async fn last_change(&self) -> Result<i64> {
        let settled = changes::SETTLED;
        let sql = format!("SELECT coalesce(max(seq), 0) FROM changes WHERE seq < {settled}");
        Ok(self.row(&sql, &[]).await?.map_or(0, |r| r.get(0)))
    }

    async fn latest(&self, limit: usize) -> Result<Vec<Latest>> {
        fleet::latest(self, limit).await
    }

    async fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<SourceId>> {
        fleet::sources(self, after, limit).await
    }

    async fn positions(&self, page: &PositionPage) -> Result<Vec<FiledPosition>> {
        fleet::positions(self, page).await
    }

    async fn day_rows(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, SourceId)>,
        limit: usize,
    ) -> Result<Vec<FiledDay>> {
        fleet::day_rows(self, filter, after.as_ref(), limit).await
    }

    async fn driver_days(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, DriverId)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>> {
        fleet::driver_days(self, filter, after.as_ref(), limit).await
    }

    async fn summaries(
        &self,
        filter: &SummaryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Summary>> {
        summary::summaries(self, filter, after, limit).await
    }

    async fn vehicle_periods(
        &self,
        vehicle: &VehicleId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Period>> {
        fleet::periods(self, vehicle, (from, to), limit).await
    }

    async fn alerts(
        &self,
        filter: &AlertFilter,
        after: Option<AlertKey>,
        limit: usize,
    ) -> Result<Vec<Alert>> {
        super::alerts::list(self, filter, after, limit).await
    }

    async fn status(&self) -> Result<StoreStatus> {
        self.snapshot(Who::Person, &status::Status).await
    }

    async fn registers_of(&self, version: u32) -> Result<Registers> {
        self.snapshot(Who::Person, &super::registry::Load { version })
            .await
    }
}
