//! How a partition is worked.

use crate::alerts::Telling;
use crate::stage::Bounds;
use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waywarden_model::{Record, SourceId, Timestamp};

/// Time is an argument here too: the program gives the clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Told of each source's newest record once it is filed.
pub type Filed = Arc<dyn Fn(&SourceId, &Record) + Send + Sync>;

/// When sources with late data are judged again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late {
    /// Without further late data for this long, milliseconds.
    pub quiet_ms: i64,
    /// And at the latest after this long, milliseconds.
    pub longest_ms: i64,
    /// Share of the time that it may take while live data waits, percent, 1 to 100.
    pub share_percent: u32,
}

impl Default for Late {
    fn default() -> Self {
        Self {
            quiet_ms: 15_000,
            longest_ms: 600_000,
            share_percent: 25,
        }
    }
}

/// How many partitions of a process judge again at the same time. A partition that does takes no
/// live data meanwhile, and the more of them do, the longer each takes.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// A turn, given back when dropped; none while others have all of them.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Until there is one.
    pub(crate) async fn free(&self) {
        drop(self.0.acquire().await);
    }
}

impl Default for Turns {
    /// Half of the processors.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get) / 2)
    }
}

/// Somebody's word that what is missing in the log is given up. It is said of what is missing at
/// the start: it covers the first claim of each partition, not what goes missing later.
#[derive(Clone, Debug, Default)]
pub struct AcceptGap(Option<Arc<Mutex<BTreeSet<u32>>>>);

impl AcceptGap {
    pub fn once() -> Self {
        Self(Some(Arc::default()))
    }

    pub(crate) fn covers(&self, partition: u32) -> bool {
        self.with(|claimed| !claimed.contains(&partition))
    }

    pub(crate) fn claimed(&self, partition: u32) {
        self.with(|claimed| claimed.insert(partition));
    }

    fn with(&self, of: impl FnOnce(&mut BTreeSet<u32>) -> bool) -> bool {
        let claimed = self.0.as_ref();
        claimed.is_some_and(|c| of(&mut c.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How a partition is worked. The defaults are those of one small machine.
#[derive(Clone)]
pub struct Options {
    /// Name of this worker in the store.
    pub worker: String,
    /// Messages in one batch at most.
    pub batch_messages: usize,
    /// Bytes of messages in one batch, about.
    pub batch_bytes: usize,
    /// Saved states are at most this old, milliseconds.
    pub checkpoint_every_ms: i64,
    /// And at most this many records behind.
    pub checkpoint_records: u64,
    /// Dirty subjects judged between two batches.
    pub subjects_at_once: usize,
    /// Records older than this at their receipt are set aside, milliseconds.
    pub retention_ms: Option<i64>,
    /// Records received later than this behind their own time are filed and not judged,
    /// milliseconds; None: all are judged, however late.
    pub judged_within_ms: Option<i64>,
    pub late: Late,
    /// Common to all partitions of the process.
    pub turns: Turns,
    pub telling: Telling,
    /// Whether to go on where the log does not hold what comes next.
    pub accept_gap: AcceptGap,
    /// Goes on with other profiles than those that the partition was judged by. What is on file
    /// stays as it was judged until it is judged again.
    pub accept_profiles: bool,
    /// Who is told what was filed: the live view.
    pub filed: Option<Filed>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            worker: "worker".to_owned(),
            batch_messages: 20_000,
            batch_bytes: 4 << 20,
            checkpoint_every_ms: 30_000,
            checkpoint_records: 500_000,
            subjects_at_once: 256,
            retention_ms: None,
            judged_within_ms: None,
            late: Late::default(),
            turns: Turns::default(),
            telling: Telling::default(),
            accept_gap: AcceptGap::default(),
            accept_profiles: false,
            filed: None,
        }
    }
}

impl Options {
    /// Which records are judged at all.
    pub const fn bounds(&self) -> Bounds {
        Bounds {
            retention_ms: self.retention_ms,
            judged_within_ms: self.judged_within_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn turns_are_bounded_and_given_back() {
        let turns = Turns::new(0);
        let mine = turns.take();
        assert!(mine.is_some(), "there is always one");
        assert!(turns.clone().take().is_none(), "all have them together");
        let free = tokio::spawn({
            let turns = turns.clone();
            async move { turns.free().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!free.is_finished());
        drop(mine);
        free.await.unwrap();
        assert!(turns.take().is_some(), "who waited has not taken it");
    }
}
