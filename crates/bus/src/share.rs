//! Which partitions fall to this process, where several work one log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The partitions that this process works; other members of its group work the rest. Dropped, it
/// leaves the group.
#[derive(Debug)]
pub struct Share {
    desk: Arc<Desk>,
    assigned: watch::Receiver<BTreeSet<u32>>,
    /// Others may take over what is given up here.
    shared: bool,
    _membership: Box<dyn Membership>,
}

/// What ends a membership when it is dropped.
pub(crate) trait Membership: Send + Sync + std::fmt::Debug {}

#[derive(Debug)]
struct Alone;

impl Membership for Alone {}

/// Held while a partition is worked: whoever takes it from this process waits for it, for a while.
#[derive(Debug)]
pub struct Held {
    desk: Arc<Desk>,
    partition: u32,
}

impl Share {
    /// All partitions, for as long as it lives: nobody else works this log.
    pub fn whole(partitions: u32) -> Self {
        let desk = Arc::new(Desk::default());
        desk.assign(0..partitions);
        let mut share = Self::of(desk, Box::new(Alone));
        share.shared = false;
        share
    }

    /// What `desk` is told, until dropped: then `membership` ends.
    pub(crate) fn of(desk: Arc<Desk>, membership: Box<dyn Membership>) -> Self {
        Self {
            assigned: desk.assigned.subscribe(),
            desk,
            shared: true,
            _membership: membership,
        }
    }

    /// Whether other processes may work the same log.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// The partitions that are this process's now.
    pub fn mine(&mut self) -> BTreeSet<u32> {
        self.assigned.borrow_and_update().clone()
    }

    /// Returns when they are others than [`Self::mine`] last gave; never where they do not change.
    pub async fn changed(&mut self) {
        if self.assigned.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// To be held while the partition is worked.
    pub fn hold(&self, partition: u32) -> Held {
        *self.desk.held().entry(partition).or_default() += 1;
        Held {
            desk: Arc::clone(&self.desk),
            partition,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.desk.held();
        if let Some(n) = held.get_mut(&self.partition) {
            *n -= 1;
            if *n == 0 {
                held.remove(&self.partition);
            }
        }
        self.desk.put_down.notify_all();
    }
}

/// Where assignments are told, and what is being worked.
#[derive(Debug)]
pub(crate) struct Desk {
    assigned: watch::Sender<BTreeSet<u32>>,
    held: Mutex<BTreeMap<u32, usize>>,
    put_down: Condvar,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            assigned: watch::Sender::new(BTreeSet::new()),
            held: Mutex::default(),
            put_down: Condvar::new(),
        }
    }
}

impl Desk {
    fn held(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        // A count is right after every statement.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn assign(&self, partitions: impl IntoIterator<Item = u32>) {
        self.assigned.send_modify(|mine| mine.extend(partitions));
    }

    /// Takes partitions away.
    pub fn revoke(&self, partitions: &[u32]) {
        self.assigned
            .send_modify(|mine| mine.retain(|p| !partitions.contains(p)));
    }

    /// Waits until none of them is worked any more, at most `patience`; gives whether it is so.
    /// Blocks the thread.
    pub fn wait_put_down(&self, partitions: &[u32], patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut held = self.held();
        while partitions.iter().any(|p| held.contains_key(p)) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.put_down.wait_timeout(held, left);
            held = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_revoked_is_waited_for() {
        let desk = Arc::new(Desk::default());
        desk.assign([0, 1]);
        let mut share = Share::of(Arc::clone(&desk), Box::new(Alone));
        assert_eq!(share.mine(), BTreeSet::from([0, 1]));
        let held = share.hold(1);
        desk.revoke(&[1]);
        share.changed().await;
        assert_eq!(share.mine(), BTreeSet::from([0]));
        assert!(!desk.wait_put_down(&[1], Duration::from_millis(20)));
        let waits = std::thread::spawn(move || desk.wait_put_down(&[1], Duration::from_secs(20)));
        drop(held);
        assert!(waits.join().unwrap());
    }

    #[tokio::test]
    async fn a_whole_share_never_changes() {
        let mut share = Share::whole(3);
        assert_eq!(share.mine(), BTreeSet::from([0, 1, 2]));
        assert!(!share.is_shared());
        let changed = tokio::time::timeout(Duration::from_millis(20), share.changed());
        assert!(changed.await.is_err());
    }
}
