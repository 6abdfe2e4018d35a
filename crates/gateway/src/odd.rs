//! Frames that could not be read: counted, the newest kept raw for a look, told once in a while.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use waywarden_model::{Protocol, Timestamp};

/// Bytes kept of one frame.
const KEEP: usize = 1024;
/// One line in the log for one reason in this time.
const FOLD: Duration = Duration::from_secs(10);
/// Reasons are labels of the code; were they ever more, the rest is not folded but left out.
const REASONS: usize = 256;

/// A frame that was not understood. Its bytes may hold an identifier: not for logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OddFrame {
    pub received: Timestamp,
    pub protocol: Protocol,
    pub reason: &'static str,
    /// Cut at 1,024 bytes.
    pub raw: Vec<u8>,
}

/// The newest odd frames.
#[derive(Debug)]
pub(crate) struct OddFrames {
    bound: usize,
    kept: Mutex<VecDeque<OddFrame>>,
}

impl OddFrames {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            kept: Mutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn keep(&self, mut frame: OddFrame) {
        frame.raw.truncate(KEEP);
        frame.raw.shrink_to_fit();
        let mut kept = lock(&self.kept);
        kept.push_back(frame);
        while kept.len() > self.bound {
            kept.pop_front();
        }
    }

    /// Oldest first.
    pub(crate) fn list(&self) -> Vec<OddFrame> {
        lock(&self.kept).iter().cloned().collect()
    }
}

/// Folds repeated lines of the log: one for a reason in ten seconds, with the number left out.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    seen: Mutex<HashMap<&'static str, (Instant, u64)>>,
}

impl Folded {
    /// How many times `reason` came since it was last told, this one included; none when it is
    /// not to be told now.
    pub(crate) fn tell(&self, reason: &'static str) -> Option<u64> {
        self.tell_at(reason, Instant::now())
    }

    fn tell_at(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut seen = lock(&self.seen);
        let room = seen.len() < REASONS;
        match seen.get_mut(reason) {
            Some((last, count)) if now.duration_since(*last) < FOLD => {
                *count += 1;
                None
            }
            Some((last, count)) => {
                *last = now;
                Some(std::mem::take(count) + 1)
            }
            None if room => {
                seen.insert(reason, (now, 0));
                Some(1)
            }
            None => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_cut() {
        let odd = OddFrames::new(2);
        for n in 0..3 {
            odd.keep(OddFrame {
                received: Timestamp::from_millis(n),
                protocol: Protocol::Gt06,
                reason: "garbage",
                raw: vec![7; 5000],
            });
        }
        let list = odd.list();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].received.millis(), 1);
        assert!(list.iter().all(|f| f.raw.len() == 1024));
    }

    #[test]
    fn repeats_are_folded() {
        let folded = Folded::default();
        let start = Instant::now();
        assert_eq!(folded.tell_at("garbage", start), Some(1));
        assert_eq!(folded.tell_at("refused", start), Some(1));
        for s in 1..10 {
            let at = start + Duration::from_secs(s);
            assert_eq!(folded.tell_at("garbage", at), None);
        }
        let later = start + Duration::from_secs(10);
        assert_eq!(folded.tell_at("garbage", later), Some(10));
    }
}
