//! Late data: sources that are marked, what a rebuild reads, and the one transaction that replaces
//! what it judged again.

use crate::batch::{Claim, DayState, Result, SavedState};
use async_trait::async_trait;
use waywarden_model::{
    DayRow, DriverId, LocalDay, Period, Record, SourceId, Timestamp, Verdict, Violation,
    ViolationId,
};

/// Newest days whose states are kept beside those that begin a month: data that comes later than
/// this is judged from the beginning of its month.
pub(crate) const DAYS_KEPT: i32 = 40;

/// A source that is to be judged again, since there is something new between two instants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    pub source: SourceId,
    pub from: Timestamp,
    /// Behind it nothing is new, so that judging may stop where it comes to what it was.
    pub upto: Timestamp,
    /// When the oldest of the reasons for it was filed.
    pub created: Timestamp,
    /// When the newest was.
    pub updated: Timestamp,
}

/// Which marks are due: those that have been quiet for a while, and those that have waited long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    pub updated_before: Timestamp,
    pub created_before: Timestamp,
}

/// A record as it is on file.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredRecord {
    pub record: Record,
    /// The smallest time of receipt among its copies.
    pub received: Timestamp,
    pub hash: u64,
    pub verdict: Verdict,
}

/// What judging a source again gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Rebuilt {
    /// As it was read; it is cleared where it still stands like that.
    pub mark: Mark,
    /// The instant behind which everything was judged again; what ends later is replaced. None:
    /// it has no record on file.
    pub behind: Option<Timestamp>,
    /// Where the rebuilt state came to equal the one saved before it: day, and the last record
    /// before it. What ends later, is open or goes on there stands. None: judged to the last record on file.
    pub until: Option<(LocalDay, Timestamp)>,
    /// What goes on where the judging stopped, by start and by id: it stands as it is on file.
    pub going_on: (Option<Timestamp>, Vec<ViolationId>),
    /// First local day judged again; None: it has no record on file.
    pub first_day: Option<LocalDay>,
    /// Verdicts that differ from those on file, by time and hash.
    pub verdicts: Vec<(Timestamp, u64, Verdict)>,
    pub periods: Vec<Period>,
    pub violations: Vec<Violation>,
    pub day_rows: Vec<DayRow>,
    pub day_states: Vec<DayState>,
    /// The source's state at the worker's position; None where the judging stopped early, so that
    /// the state it has stands.
    pub state: Option<SavedState>,
    pub now: Timestamp,
}

/// What a rebuild changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Replaced {
    /// Violations that are on file now and were not, or say something else.
    pub stated: u64,
    pub withdrawn: u64,
    pub periods: u64,
    pub verdicts: u64,
}

/// What the worker asks of the store to judge late data.
#[async_trait]
pub trait RebuildStore: Send + Sync {
    /// Marks of a partition that are due, those that waited longest first.
    async fn due_marks(&self, partition: u32, due: Due, limit: usize) -> Result<Vec<Mark>>;

    /// The newest state of the source at the beginning of `day` or of a day before it, saved by
    /// this engine.
    async fn state_at(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Option<DayState>>;

    /// States at the beginnings of later days, in their order.
    async fn states_after(
        &self,
        source: &SourceId,
        day: LocalDay,
        engine: u32,
    ) -> Result<Vec<DayState>>;

    /// Records of a source in the order of event time and hash, from behind `after` on.
    async fn stored_records(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<StoredRecord>>;

    /// The sources that show driving of one of these drivers at or behind an instant, each with the
    /// instant from which it does; a source may come more than once.
    async fn sources_driven(
        &self,
        drivers: Vec<(DriverId, Timestamp)>,
    ) -> Result<Vec<(SourceId, Timestamp)>>;

    /// One transaction under the partition's epoch: the difference to what is on file, the states,
    /// the mark cleared.
    async fn replace(&self, claim: &Claim, rebuilt: Rebuilt) -> Result<Replaced>;

    /// Marks sources from an instant on, on purpose; gives how many there are. A source that
    /// nobody has heard of is left out.
    async fn mark_sources(
        &self,
        sources: Vec<(SourceId, Timestamp)>,
        now: Timestamp,
    ) -> Result<usize>;
}
