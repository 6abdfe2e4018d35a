//! Where messages wait, by partition, until the batch of theirs that is on its way has arrived.
//!
//! An idempotent producer of the library has one request of a partition on its way at a time, and
//! while it holds messages that are past their linger it asks for the answer without a pause, with
//! a core of its own if there is one. So it is given a partition's messages together, when they can
//! be sent, and what comes meanwhile waits here and is the next batch: the slower the brokers, the
//! larger.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A batch is not made to linger above this size.
const BATCH_BYTES: usize = 512 * 1024;

/// Bounded by whoever pushes.
#[derive(Debug)]
pub(super) struct Lanes<M> {
    lanes: Vec<Mutex<Lane<M>>>,
    linger: Duration,
    /// Something is due, or will be at another time than it was.
    changed: Notify,
}

#[derive(Debug)]
struct Lane<M> {
    waiting: Vec<M>,
    bytes: usize,
    /// When the first of those that wait came.
    since: Instant,
    /// Messages that were taken and have not arrived.
    flying: usize,
    /// Of which producer they are the messages.
    producer: u64,
}

/// What a lane has to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due<M> {
    /// To be sent in this order, by the producer of this number. Each of them is to be told of by
    /// [`Lanes::landed`].
    Now(u64, Vec<M>),
    At(Instant),
    /// Nothing before a push or an arrival.
    Nothing,
}

impl<M> Lanes<M> {
    pub fn new(partitions: u32, linger: Duration) -> Self {
        let lane = |_| {
            Mutex::new(Lane {
                waiting: Vec::new(),
                bytes: 0,
                since: Instant::now(),
                flying: 0,
                producer: 0,
            })
        };
        Self {
            lanes: (0..partitions).map(lane).collect(),
            linger,
            changed: Notify::new(),
        }
    }

    pub fn partitions(&self) -> u32 {
        u32::try_from(self.lanes.len()).unwrap_or(u32::MAX)
    }

    fn lane(&self, partition: u32) -> Option<MutexGuard<'_, Lane<M>>> {
        let lane = self.lanes.get(partition as usize)?;
        Some(lane.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The message comes behind all others of its partition. It is given back where there is none.
    pub fn push(&self, partition: u32, message: M, bytes: usize) -> Result<(), M> {
        let Some(mut lane) = self.lane(partition) else {
            return Err(message);
        };
        if lane.waiting.is_empty() {
            lane.since = Instant::now();
        }
        let before = lane.bytes;
        lane.waiting.push(message);
        lane.bytes += bytes;
        let full = before < BATCH_BYTES && lane.bytes >= BATCH_BYTES;
        if lane.flying == 0 && (full || lane.waiting.len() == 1) {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// What is to be sent at `now`; `hurry`: without lingering.
    pub fn due(&self, partition: u32, now: Instant, hurry: bool) -> Due<M> {
        let Some(mut lane) = self.lane(partition) else {
            return Due::Nothing;
        };
        if lane.flying > 0 || lane.waiting.is_empty() {
            return Due::Nothing;
        }
        let at = lane.since + self.linger;
        if !hurry && at > now && lane.bytes < BATCH_BYTES {
            return Due::At(at);
        }
        lane.flying = lane.waiting.len();
        lane.bytes = 0;
        Due::Now(lane.producer, std::mem::take(&mut lane.waiting))
    }

    /// One of those that this producer was to send arrived, or never will.
    pub fn landed(&self, partition: u32, producer: u64) {
        let Some(mut lane) = self.lane(partition).filter(|l| l.producer == producer) else {
            return;
        };
        lane.flying = lane.flying.saturating_sub(1);
        if lane.flying == 0 && !lane.waiting.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Another producer takes over. What the former one still tells of its messages, or never will,
    /// holds nobody up.
    pub fn begin_anew(&self) {
        for partition in 0..self.partitions() {
            if let Some(mut lane) = self.lane(partition) {
                lane.producer += 1;
                lane.flying = 0;
            }
        }
        self.changed.notify_one();
    }

    /// Takes everything that waits, in no lane's order; it is not sent.
    pub fn give_up(&self) -> Vec<M> {
        let mut all = Vec::new();
        for partition in 0..self.partitions() {
            if let Some(mut lane) = self.lane(partition) {
                lane.bytes = 0;
                all.append(&mut lane.waiting);
            }
        }
        all
    }

    /// Nothing waits and nothing is on its way.
    pub fn is_idle(&self) -> bool {
        (0..self.partitions()).all(|partition| {
            let lane = self.lane(partition);
            lane.is_none_or(|lane| lane.flying == 0 && lane.waiting.is_empty())
        })
    }

    /// Returns when something may be due that was not.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends a wait for [`Lanes::changed`].
    pub fn wake(&self) {
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(5);

    fn lanes() -> Lanes<u32> {
        Lanes::new(2, LINGER)
    }

    #[test]
    fn a_first_message_lingers_for_others() {
        let lanes = lanes();
        let now = Instant::now();
        lanes.push(0, 1, 10).unwrap();
        assert!(matches!(lanes.due(0, now, false), Due::At(at) if at >= now + LINGER));
        assert_eq!(lanes.due(1, now, true), Due::Nothing);
        lanes.push(0, 2, 10).unwrap();
        let later = Instant::now() + LINGER;
        assert_eq!(lanes.due(0, later, false), Due::Now(0, vec![1, 2]));
        assert_eq!(lanes.due(0, later, true), Due::Nothing);
    }

    #[test]
    fn one_batch_of_a_partition_is_on_its_way_and_the_rest_is_the_next() {
        let lanes = lanes();
        for n in 1..4 {
            lanes.push(0, n, 10).unwrap();
        }
        let later = Instant::now() + LINGER;
        assert_eq!(lanes.due(0, later, false), Due::Now(0, vec![1, 2, 3]));
        lanes.push(0, 4, 10).unwrap();
        lanes.landed(0, 0);
        lanes.landed(0, 0);
        let later = later + LINGER;
        assert_eq!(lanes.due(0, later, true), Due::Nothing);
        lanes.push(0, 5, 10).unwrap();
        lanes.landed(0, 0);
        assert_eq!(lanes.due(0, later, false), Due::Now(0, vec![4, 5]));
        assert!(!lanes.is_idle());
        lanes.landed(0, 0);
        lanes.landed(0, 0);
        assert!(lanes.is_idle());
    }

    #[test]
    fn what_a_former_producer_never_tells_holds_nobody_up() {
        let lanes = lanes();
        let now = Instant::now();
        lanes.push(0, 1, 10).unwrap();
        assert_eq!(lanes.due(0, now, true), Due::Now(0, vec![1]));
        lanes.push(0, 2, 10).unwrap();
        assert_eq!(lanes.due(0, now, true), Due::Nothing);
        lanes.begin_anew();
        assert_eq!(lanes.due(0, now, true), Due::Now(1, vec![2]));
        // The former one tells after all: it is not about this batch.
        lanes.landed(0, 0);
        lanes.push(0, 3, 10).unwrap();
        assert_eq!(lanes.due(0, now, true), Due::Nothing);
        lanes.landed(0, 1);
        assert_eq!(lanes.due(0, now, true), Due::Now(1, vec![3]));
    }

    #[test]
    fn a_large_batch_and_a_hurry_do_not_linger() {
        let lanes = lanes();
        let now = Instant::now();
        lanes.push(0, 1, BATCH_BYTES).unwrap();
        assert_eq!(lanes.due(0, now, false), Due::Now(0, vec![1]));
        lanes.push(1, 2, 10).unwrap();
        assert_eq!(lanes.due(1, now, true), Due::Now(0, vec![2]));
    }

    #[test]
    fn what_is_given_up_is_not_sent_and_nothing_is_pushed_beside_the_partitions() {
        let lanes = lanes();
        lanes.push(0, 1, 10).unwrap();
        lanes.push(1, 2, 10).unwrap();
        assert_eq!(lanes.push(2, 3, 10), Err(3));
        assert_eq!(lanes.give_up(), vec![1, 2]);
        assert!(lanes.is_idle());
        assert_eq!(lanes.due(0, Instant::now() + LINGER, true), Due::Nothing);
    }

    /// Whoever waits hears of the first message of an idle lane, and of the arrival of a batch
    /// behind which others wait; of nothing between.
    #[tokio::test]
    async fn who_waits_is_woken_when_there_is_something_to_send() {
        let lanes = lanes();
        let woken = async || {
            let waited = tokio::time::timeout(Duration::from_millis(20), lanes.changed());
            waited.await.is_ok()
        };
        assert!(!woken().await);
        lanes.push(0, 1, 10).unwrap();
        assert!(woken().await);
        lanes.push(0, 2, 10).unwrap();
        assert!(!woken().await);
        assert!(matches!(lanes.due(0, Instant::now(), true), Due::Now(0, _)));
        lanes.push(0, 3, 10).unwrap();
        lanes.landed(0, 0);
        assert!(!woken().await);
        lanes.landed(0, 0);
        assert!(woken().await);
    }
}
