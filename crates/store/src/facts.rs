//! Reading the facts back, by key in bounded pages: what exports, comparisons and tests stand on.

use crate::batch::Result;
use async_trait::async_trait;
use waywarden_model::{
    DayRow, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, Verdict, Violation,
    ViolationId,
};

/// A filed record without its content: event time, content hash, and what judging made of it.
pub type Filed = (Timestamp, u64, Verdict);

/// Facts in the order of their keys. `after` is the key of the last row of the page before; at
/// most `limit` rows come.
#[async_trait]
pub trait FactStore: Send + Sync {
    /// Violations that were not withdrawn, by start and identity.
    async fn violations_after(
        &self,
        after: Option<(Timestamp, ViolationId)>,
        limit: usize,
    ) -> Result<Vec<Violation>>;

    /// Driving periods by source and start.
    async fn periods_after(
        &self,
        after: Option<(SourceId, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<Period>>;

    /// Day rows by source and day.
    async fn day_rows_after(
        &self,
        after: Option<(SourceId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DayRow>>;

    /// Driver days by driver and day.
    async fn driver_days_after(
        &self,
        after: Option<(DriverId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>>;

    /// Records of a source by event time and content hash.
    async fn filed_after(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<Filed>>;
}
