//! The console's side of the store: what people and agencies read, and the decisions they make.

use crate::alerts::{AlertFilter, AlertKey};
use crate::batch::{Counters, Position, Result};
use crate::summary::{Summary, SummaryFilter};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;
use waywarden_model::registry::Registers;
use waywarden_model::{
    Alert, AlertKind, DayRow, DriverDay, DriverId, DriverSaid, Kind, LocalDay, OperatorId, Record,
    SourceId, Timestamp, VehicleId, Verdict, Violation, ViolationId,
};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.name() == name)
            }
        }
    };
}

names!(
    /// Where a violation stands with the people who decide on it.
    Status { New = "new", Confirmed = "confirmed", Dismissed = "dismissed", Withdrawn = "withdrawn" }
);
names!(
    /// What happened to a violation.
    ChangeKind {
        Created = "created",
        Amended = "amended",
        Closed = "closed",
        Withdrawn = "withdrawn",
        Decided = "decided",
    }
);
names!(
    /// What a person decides on a closed violation.
    Decision { Confirmed = "confirmed", Dismissed = "dismissed" }
);

/// A violation with its history's present state.
#[derive(Clone, PartialEq, Debug)]
pub struct FiledViolation {
    pub id: ViolationId,
    pub violation: Violation,
    pub status: Status,
    /// The facts changed after the last decision.
    pub evidence_changed: bool,
    pub revision: u32,
    pub replaced_by: Option<ViolationId>,
    pub updated: Timestamp,
}

/// One change of a violation; `seq` grows in the order of commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub seq: i64,
    pub at: Timestamp,
    pub violation: ViolationId,
    /// Revision that the change made.
    pub revision: u32,
    pub kind: ChangeKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Review {
    pub revision: u32,
    pub decision: Decision,
    pub reason: String,
    /// Name of the token or session that decided.
    pub by: String,
    pub at: Timestamp,
}

/// Evidence as it was frozen with a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrozenEvidence {
    pub revision: u32,
    pub at: Timestamp,
    pub sha256: [u8; 32],
    /// JSON, exactly the text that was hashed.
    pub body: String,
}

/// Which violations; fields left out do not narrow.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ViolationFilter {
    /// Start at or after.
    pub from: Option<Timestamp>,
    /// Start before.
    pub to: Option<Timestamp>,
    pub kind: Option<Kind>,
    /// Plate (normalised) or vehicle id.
    pub vehicle: Option<String>,
    pub operator: Option<OperatorId>,
    pub driver: Option<DriverId>,
    pub band: Option<String>,
    pub status: Option<Status>,
    pub open: Option<bool>,
}

/// Key of a violation in the order of lists: newest start first, then id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViolationKey {
    pub start: Timestamp,
    pub id: ViolationId,
}

/// What a pull of changes gives, decided before the first row is sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PullPlan {
    /// Changes to give, in order.
    pub give: Vec<i64>,
    /// Everything at or below it was looked at.
    pub seen: i64,
    /// Looked at and kept back, because a source that they rest on awaits a rebuild.
    pub held: Vec<i64>,
    /// There may be more behind `seen` right now.
    pub more: bool,
}

/// Where a pull begins and what it keeps back.
#[derive(Clone, PartialEq, Debug)]
pub struct Pull {
    pub filter: ViolationFilter,
    pub after: i64,
    pub held: Vec<i64>,
    /// None: settled or not; else only changes made before this instant, of violations that are
    /// closed and rest on no marked source.
    pub settled_before: Option<Timestamp>,
    pub limit: usize,
    pub max_held: usize,
}

/// Last fix of a source.
#[derive(Clone, PartialEq, Debug)]
pub struct Latest {
    pub source: SourceId,
    pub time: Timestamp,
    pub received: Timestamp,
    pub verdict: Verdict,
    pub lat: f64,
    pub lon: f64,
    pub speed_centi: Option<i32>,
    pub course_centi: Option<u16>,
    pub ignition: Option<bool>,
    pub said: DriverSaid,
}

/// A filed record as exports and tracks read it.
#[derive(Clone, PartialEq, Debug)]
pub struct FiledPosition {
    pub source: SourceId,
    pub record: Record,
    pub received: Timestamp,
    pub hash: u64,
    pub verdict: Verdict,
}

/// Records of one source in [`from`, `to`), read on behind (time, hash).
#[derive(Clone, PartialEq, Debug)]
pub struct PositionPage {
    pub source: SourceId,
    pub from: Timestamp,
    pub to: Timestamp,
    pub after: Option<(Timestamp, u64)>,
    pub limit: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionStatus {
    pub partition: u32,
    pub position: Position,
    pub registry: u32,
    pub counters: Counters,
    pub updated: Option<Timestamp>,
}

/// What the store says about itself, read in one short transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreStatus {
    pub partitions: Vec<PartitionStatus>,
    pub last_received: Option<Timestamp>,
    pub sources: u64,
    /// Sources whose last record is filed and not judged, because nobody approved the device.
    pub held: u64,
    pub marks: u64,
    pub oldest_mark: Option<Timestamp>,
    pub dirty_subjects: u64,
    pub poison: u64,
    pub violations_open: u64,
    /// Alerts that go on, by kind.
    pub alerts_open: Vec<(AlertKind, u64)>,
}

/// A source's local day with the driving that its periods show: the row itself does not repeat it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FiledDay {
    pub row: DayRow,
    /// Sum of the source's driving periods that begin on the day (periods end at midnight).
    pub driving_ms: i64,
}

/// Days, both ends included.
#[derive(Clone, PartialEq, Debug)]
pub struct DayFilter {
    pub from: LocalDay,
    pub to: LocalDay,
    pub vehicle: Option<String>,
    pub operator: Option<OperatorId>,
    pub driver: Option<DriverId>,
}

/// What the console asks of the store. Every call is one short transaction.
#[async_trait]
pub trait ReadStore: Send + Sync + fmt::Debug + 'static {
    /// Newest start first, behind `after`.
    async fn violations(
        &self,
        filter: &ViolationFilter,
        after: Option<ViolationKey>,
        limit: usize,
    ) -> Result<Vec<FiledViolation>>;
    async fn violation(&self, id: ViolationId) -> Result<Option<FiledViolation>>;
    /// Of the newest revision that has one, checked against its hash.
    async fn evidence(&self, id: ViolationId) -> Result<Option<FrozenEvidence>>;
    /// Oldest first, at most 1,000 each.
    async fn history(&self, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)>;
    /// Files a decision on the revision `expected` of a closed violation and gives the new one.
    ///
    /// # Errors
    /// `NotFound`, `StillOpen` (a withdrawn one too is not decided: `Conflict`), and `Conflict`
    /// where another revision is on file.
    async fn review(
        &self,
        id: ViolationId,
        expected: u32,
        decision: Decision,
        reason: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<u32>;

    async fn plan_pull(&self, pull: &Pull) -> Result<PullPlan>;
    /// Changes by number, with their violations as they are now; in the order asked.
    async fn changes(&self, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>>;
    /// Numbers of changes behind `after`, for the live stream.
    async fn changes_after(&self, after: i64, limit: usize) -> Result<Vec<i64>>;
    async fn last_change(&self) -> Result<i64>;

    /// Last fixes of all sources, at most `limit`.
    async fn latest(&self, limit: usize) -> Result<Vec<Latest>>;
    /// Names of sources behind `after`, in their order.
    async fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<SourceId>>;
    async fn positions(&self, page: &PositionPage) -> Result<Vec<FiledPosition>>;
    /// In the order of (day, source); behind `after`.
    async fn day_rows(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, SourceId)>,
        limit: usize,
    ) -> Result<Vec<FiledDay>>;
    /// In the order of (day, driver); behind `after`.
    async fn driver_days(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, DriverId)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>>;
    /// Sums over days, in the order of keys; behind `after`.
    async fn summaries(
        &self,
        filter: &SummaryFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Summary>>;
    /// Driving periods of the given vehicle that touch [`from`, `to`], at most `limit`.
    async fn vehicle_periods(
        &self,
        vehicle: &VehicleId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<waywarden_model::Period>>;

    /// Newest start first, behind `after`.
    async fn alerts(
        &self,
        filter: &AlertFilter,
        after: Option<AlertKey>,
        limit: usize,
    ) -> Result<Vec<Alert>>;

    async fn status(&self) -> Result<StoreStatus>;
    /// Content of a registry version.
    async fn registers_of(&self, version: u32) -> Result<Registers>;
}

/// All that the console needs of one store.
pub trait ConsoleStore: ReadStore + crate::admin::AdminStore {}

impl<T: ReadStore + crate::admin::AdminStore> ConsoleStore for T {}
