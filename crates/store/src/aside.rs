//! What was set aside as dated in the future, and is taken in on purpose when its time has come.
//!
//! A command only asks for it and marks the sources: whoever owns a source's partition takes its
//! records in before it judges the mark, so that filing has one owner here too.

use crate::batch::{Claim, Result};
use crate::rebuild::Stretch;
use crate::redecode::{SAID_NOW, SAID_NOW_HELD};
use async_trait::async_trait;
use waywarden_model::{SourceId, Timestamp, Verdict};

/// Reason of a record in the future that somebody asked for.
pub(crate) const ASKED: &str = "asked";

/// What waits to be filed, in this order: its reason, and its verdict until it is judged; without
/// one it gets that of the source's newest.
pub(crate) const WAITING: [(&str, Option<Verdict>); 3] = [
    (SAID_NOW, Some(Verdict::Late)),
    (SAID_NOW_HELD, Some(Verdict::Held)),
    (ASKED, None),
];

/// Number of the frame of a record whose frame was not kept; the first frame is 1 or higher.
pub(crate) const NO_FRAME: i64 = 0;

/// Records taken in by one transaction, about: those of one instant stay together.
pub(crate) const AT_ONCE: i64 = 4000;

/// What became of records that had been set aside, or that frames decoded again say now or do not
/// say any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TakenIn {
    pub filed: u64,
    /// On file already: the earlier time of receipt stays.
    pub repeated: u64,
    /// What was asked to be removed and is on file no more, nor set aside.
    pub removed: u64,
    /// The latest event time of those filed or repeated.
    pub newest: Option<Timestamp>,
}

impl TakenIn {
    /// Whether nothing was left to take in or to remove.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[async_trait]
pub trait AsideStore: Send + Sync {
    /// Sources with records in these instants that were set aside as future.
    async fn set_aside(&self, from: Timestamp, upto: Timestamp) -> Result<Vec<SourceId>>;

    /// Asks for the records in these stretches that were set aside as future, and marks their
    /// sources; gives how many records there are. `partitions` is the number among which sources
    /// are spread: a source of which nothing else is on file has no other partition.
    async fn readmit(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<u64>;

    /// Does some thousand of what was asked for of a source, under the partition's epoch: first
    /// removes what its frames do not say, then files what they say now, then what was set aside.
    /// That is late, or held where the source's newest record is, or where there is none.
    async fn take_in(&self, claim: &Claim, source: &SourceId) -> Result<TakenIn>;
}

/// The verdict until they are judged, by that of the source's newest record.
pub(crate) fn verdict(newest: Option<Verdict>) -> Verdict {
    match newest {
        Some(Verdict::Held) | None => Verdict::Held,
        Some(_) => Verdict::Late,
    }
}
