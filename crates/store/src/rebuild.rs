//! Late data: sources that are marked, what a rebuild reads, and the one transaction that replaces
//! what it judged again.

use crate::batch::{Claim, DayState, Result, SavedState};
use crate::episodes::{Standing, counts_driving, successor};
use crate::rows::verdict_code;
use async_trait::async_trait;
use std::collections::BTreeSet;
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
    /// Event time of the first record that was removed, since its frame does not say it: what was
    /// judged of it falls, though there may be no record left to begin from.
    pub removed: Option<Timestamp>,
    /// When the oldest of the reasons for it was filed.
    pub created: Timestamp,
    /// When the newest was.
    pub updated: Timestamp,
}

/// A source's records between two instants, both included, that are to be judged again on purpose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub source: SourceId,
    pub from: Timestamp,
    pub upto: Timestamp,
}

impl Stretch {
    /// Everything from an instant on.
    pub const fn behind(source: SourceId, from: Timestamp) -> Self {
        Self {
            source,
            from,
            upto: Timestamp::MAX,
        }
    }
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
    /// The verdict was given ahead of its judging.
    pub ahead: bool,
}

/// Records of a source whose verdict changes in the same way: of what lies between the first of them
/// and the last, these and no others had this verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reversed {
    pub was: Verdict,
    /// What it was had been given ahead.
    pub ahead: bool,
    pub is: Verdict,
    /// Event time and hash of each, in order of time; where there are several, each is the only
    /// record of its instant. Never empty.
    pub keys: Vec<(Timestamp, u64)>,
}

impl Reversed {
    /// A record alone, to which others may be added.
    pub fn one(stored: &StoredRecord, is: Verdict) -> Self {
        Self {
            was: stored.verdict,
            ahead: stored.ahead,
            is,
            keys: vec![(stored.record.time, stored.hash)],
        }
    }

    /// Whether this was the record's verdict on file.
    pub fn was_of(&self, stored: &StoredRecord) -> bool {
        (self.was, self.ahead) == (stored.verdict, stored.ahead)
    }

    /// The number in `positions` of what it was.
    pub(crate) fn was_code(&self) -> u8 {
        verdict_code(self.was, self.ahead)
    }

    /// First and last key, as databases order them: hashes as signed numbers.
    pub(crate) fn bounds(&self) -> Option<[(i64, i64); 2]> {
        let of = |(time, hash): &(Timestamp, u64)| (time.millis(), hash.cast_signed());
        Some([of(self.keys.first()?), of(self.keys.last()?)])
    }
}

/// What judging a source again gives.
#[derive(Clone, PartialEq, Debug)]
pub struct Rebuilt {
    /// As it was read; it is cleared where it still stands like that.
    pub mark: Mark,
    /// The instant behind which everything was judged again; what ends later is replaced. None:
    /// it has no record on file, and what is filed of it stands.
    pub behind: Option<Timestamp>,
    /// Where the rebuilt state came to equal the one saved before it: day, and the last record
    /// before it. What ends later, is open or goes on there stands. None: judged to the last record on file.
    pub until: Option<(LocalDay, Timestamp)>,
    /// What goes on where the judging stopped, by start and by id: it stands as it is on file.
    pub going_on: (Option<Timestamp>, Vec<ViolationId>),
    /// First local day judged again; None: it has no record on file.
    pub first_day: Option<LocalDay>,
    /// Verdicts that differ from those on file.
    pub verdicts: Vec<Reversed>,
    pub periods: Vec<Period>,
    pub violations: Vec<Violation>,
    pub day_rows: Vec<DayRow>,
    pub day_states: Vec<DayState>,
    /// The source's state at the worker's position; None where the judging stopped early, so that
    /// the state it has stands.
    pub state: Option<SavedState>,
    pub now: Timestamp,
}

impl Rebuilt {
    /// How many verdicts differ.
    pub(crate) fn reversed(&self) -> u64 {
        self.verdicts.iter().map(|r| r.keys.len() as u64).sum()
    }

    /// Of the source's violations on file in what was judged again, those that are stated no
    /// longer, each with what takes its place. Driving hours of a source without a driver have the
    /// same subject; their stage withdraws them.
    pub(crate) fn fallen(&self, on_file: &[Standing]) -> Vec<(ViolationId, Option<ViolationId>)> {
        let stated: Vec<&Violation> = self.violations.iter().collect();
        let ids = stated.iter().map(|v| v.id());
        let ids: BTreeSet<ViolationId> = ids.chain(self.going_on.1.iter().copied()).collect();
        on_file
            .iter()
            .filter(|old| !counts_driving(old.kind) && !ids.contains(&old.file.id))
            .map(|old| (old.file.id, successor(old, &stated)))
            .collect()
    }

    /// Starts of the periods that stand behind it.
    pub(crate) fn period_starts(&self) -> BTreeSet<Timestamp> {
        let stated = self.periods.iter().map(|p| p.start);
        stated.chain(self.going_on.0).collect()
    }
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

    /// Sources behind `after` that have records on file, with the event time of the newest.
    async fn newest_records(
        &self,
        after: Option<&SourceId>,
        limit: usize,
    ) -> Result<Vec<(SourceId, Timestamp)>>;

    /// The sources that show driving of one of these drivers at or behind an instant, each with the
    /// instant from which it does; a source may come more than once.
    async fn sources_driven(
        &self,
        drivers: Vec<(DriverId, Timestamp)>,
    ) -> Result<Vec<(SourceId, Timestamp)>>;

    /// One transaction under the partition's epoch: the difference to what is on file, the states,
    /// the mark cleared.
    async fn replace(&self, claim: &Claim, rebuilt: Rebuilt) -> Result<Replaced>;

    /// Marks sources on purpose, and the subjects of their driving, whose hours may be judged by
    /// another law though the driving is the same; gives how many sources there are. A source that
    /// nobody has heard of is left out. `partitions`: of the log, whose owners judge.
    async fn mark_sources(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<usize>;
}
