//! What the console reads of the SQLite file, and the decisions that it files.

mod changes;
mod filter;
mod fleet;
pub(super) use fleet::newest_records;
mod review;
mod status;
mod summary;
pub(super) mod violations;

pub(super) use filter::Filter;

use super::SqliteStore;
use crate::alerts::{AlertFilter, AlertKey};
use crate::batch::Result;
use crate::read::*;
use crate::summary::{Summary, SummaryFilter};
use async_trait::async_trait;
use waywarden_model::registry::Registers;
use waywarden_model::{
    Alert, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, VehicleId, ViolationId,
};

#[async_trait]
impl ReadStore for SqliteStore {
    async fn violations(
        &self,
        filter: &ViolationFilter,
        after: Option<ViolationKey>,
        limit: usize,
    ) -> Result<Vec<FiledViolation>> {
        let filter = filter.clone();
        self.read(move |c| violations::list(c, &filter, after, limit))
            .await
    }

    async fn violation(&self, id: ViolationId) -> Result<Option<FiledViolation>> {
        self.read(move |c| violations::one(c, id)).await
    }

    async fn evidence(&self, id: ViolationId) -> Result<Option<FrozenEvidence>> {
        self.read(move |c| super::evidence::load(c, id)).await
    }

    async fn history(&self, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
        self.read(move |c| review::history(c, id)).await
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
        self.write(move |s| review::decide(s.conn, id, expected, decision, &reason, &by, at))
            .await
    }

    async fn plan_pull(&self, pull: &Pull) -> Result<PullPlan> {
        let pull = pull.clone();
        self.read(move |c| changes::plan(c, &pull)).await
    }

    async fn changes(&self, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>> {
        let seqs = seqs.to_vec();
        self.read(move |c| changes::by_seq(c, &seqs)).await
    }

    async fn changes_after(&self, after: i64, limit: usize) -> Result<Vec<i64>> {
        self.read(move |c| changes::after(c, after, limit)).await
    }

    async fn last_change(&self) -> Result<i64> {
        self.read(changes::last).await
    }

    async fn latest(&self, limit: usize) -> Result<Vec<Latest>> {
        self.read(move |c| fleet::latest(c, limit)).await
    }

    async fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<SourceId>> {
        let after = after.map(str::to_owned);
        self.read(move |c| fleet::sources(c, after.as_deref(), limit))
            .await
    }

    async fn positions(&self, page: &PositionPage) -> Result<Vec<FiledPosition>> {
        let page = page.clone();
        self.read(move |c| fleet::positions(c, &page)).await
    }

    async fn day_rows(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, SourceId)>,
        limit: usize,
    ) -> Result<Vec<FiledDay>> {
        let filter = filter.clone();
        let zone = self.zone().clone();
        self.read(move |c| fleet::day_rows(c, &zone, &filter, after.as_ref(), limit))
            .await
    }

    async fn driver_days(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, DriverId)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>> {
        let filter = filter.clone();
        self.read(move |c| fleet::driver_days(c, &filter, after.as_ref(), limit))
            .await
    }

    async fn summaries(
        &self,
        filter: &SummaryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Summary>> {
        let (filter, after) = (filter.clone(), after.map(str::to_owned));
        let zone = self.zone().clone();
        self.read(move |c| summary::summaries(c, &zone, &filter, after.as_deref(), limit))
            .await
    }

    async fn vehicle_periods(
        &self,
        vehicle: &VehicleId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Period>> {
        let vehicle = vehicle.clone();
        self.read(move |c| fleet::periods(c, &vehicle, from, to, limit))
            .await
    }

    async fn alerts(
        &self,
        filter: &AlertFilter,
        after: Option<AlertKey>,
        limit: usize,
    ) -> Result<Vec<Alert>> {
        let filter = filter.clone();
        self.read(move |c| super::alerts::list(c, &filter, after, limit))
            .await
    }

    async fn status(&self) -> Result<StoreStatus> {
        self.read(status::status).await
    }

    async fn registers_of(&self, version: u32) -> Result<Registers> {
        self.read(move |c| super::registry::load(c, version)).await
    }
}
