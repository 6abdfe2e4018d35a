//! How fast what is late is taken, so that what is live does not stand behind it in the log.
//!
//! A fleet that comes back after days without coverage sends faster than anybody judges. All of
//! its frames and those of the others go into the same partitions: what the gateway takes faster
//! than the workers file, everything that comes live then waits behind. Devices keep what is not
//! acknowledged, so the place to wait is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use waywarden_model::{Record, Timestamp};

/// Late records that may come at once after a pause, as the time that they take at the set rate.
const BURST: Duration = Duration::from_millis(500);
/// Longest that a connection is not read for this. Devices that wait much longer for an answer
/// take the connection for lost and send all of it again; a fleet so large goes faster instead.
const LONGEST: Duration = Duration::from_secs(4);

/// The common measure of late records of all connections: a leaky bucket that is kept as the one
/// time at which it will be empty (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Pace {
    begun: Instant,
    /// Records are late from this age on.
    after_ms: i64,
    /// Nanoseconds a record; zero: no bound.
    each: u64,
    /// When the bucket will be empty, in nanoseconds since `begun`.
    empty_at: AtomicU64,
}

impl Pace {
    /// At most so many late records a second; zero for no bound.
    pub(crate) fn new(per_second: u32, after: Duration) -> Self {
        Self {
            begun: Instant::now(),
            after_ms: i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            each: 1_000_000_000_u64
                .checked_div(u64::from(per_second))
                .unwrap_or(0),
            empty_at: AtomicU64::new(0),
        }
    }

    /// How many of the records are late.
    pub(crate) fn late(&self, records: &[Record], received: Timestamp) -> u32 {
        let before = received.plus_millis(self.after_ms.saturating_neg());
        let late = records.iter().filter(|r| r.time < before).count();
        u32::try_from(late).unwrap_or(u32::MAX)
    }

    /// So many late records were taken from a connection; gives when it may be read again, none
    /// if at once.
    pub(crate) fn took(&self, late: u32, now: Instant) -> Option<Instant> {
        if late == 0 || self.each == 0 {
            return None;
        }
        let now = nanos(now.saturating_duration_since(self.begun));
        let most = now + nanos(LONGEST + BURST);
        let mut empty_at = 0;
        let add = |before: u64| {
            let takes = self.each.saturating_mul(u64::from(late));
            empty_at = before.max(now).saturating_add(takes).min(most);
            Some(empty_at)
        };
        // Always succeeds: the closure never declines.
        let _ = self
            .empty_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        let at = empty_at.saturating_sub(nanos(BURST));
        (at > now).then(|| self.begun + Duration::from_nanos(at))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_mins(10);

    fn wait_ms(pace: &Pace, late: u32, at_ms: u64) -> u64 {
        let now = pace.begun + Duration::from_millis(at_ms);
        let at = pace.took(late, now);
        let wait = at.map_or(Duration::ZERO, |at| at.duration_since(now));
        u64::try_from(wait.as_millis()).unwrap()
    }

    #[test]
    fn a_burst_goes_at_once_and_what_follows_waits_its_turn() {
        let pace = Pace::new(1_000, MINUTES);
        assert_eq!(wait_ms(&pace, 500, 0), 0, "half a second of records");
        assert_eq!(wait_ms(&pace, 20, 0), 20);
        assert_eq!(
            wait_ms(&pace, 20, 0),
            40,
            "another connection stands behind it"
        );
        assert_eq!(wait_ms(&pace, 20, 50), 10, "50 ms later");
        assert_eq!(
            wait_ms(&pace, 500, 10_000),
            0,
            "a pause gives the burst back, no more"
        );
        assert_eq!(wait_ms(&pace, 1, 10_000), 1);
    }

    #[test]
    fn over_a_time_no_more_than_the_rate_is_taken() {
        let pace = Pace::new(20_000, MINUTES);
        // As many connections as one waits its time for, each again as soon as it may.
        let mut next: Vec<u64> = vec![0; 1_000];
        let (mut taken, seconds) = (0_u64, 60);
        for ms in 0..seconds * 1_000 {
            for at in &mut next {
                if *at <= ms {
                    taken += 20;
                    *at = ms + wait_ms(&pace, 20, ms).max(1);
                }
            }
        }
        let most = 20_000 * seconds + 10_000 + 20_000;
        assert!(taken <= most, "{taken} of {most}");
        assert!(
            taken >= 20_000 * seconds,
            "{taken}: no slower than the rate either"
        );
    }

    #[test]
    fn nobody_waits_longer_than_a_device_would_and_the_wait_is_not_handed_on() {
        let pace = Pace::new(10, MINUTES);
        assert_eq!(wait_ms(&pace, u32::MAX, 0), 4_000);
        assert_eq!(wait_ms(&pace, 1, 0), 4_000);
        assert_eq!(wait_ms(&pace, 1, 4_500), 0);
    }

    #[test]
    fn what_is_live_never_waits() {
        let pace = Pace::new(1, MINUTES);
        let received = Timestamp::from_secs(1_773_100_800);
        let old = |ms: i64| Record::status(received.plus_millis(-ms));
        let records = [old(600_001), old(600_000), old(0), old(-60_000)];
        assert_eq!(pace.late(&records, received), 1);
        assert_eq!(pace.took(0, pace.begun), None);
    }

    #[test]
    fn zero_is_no_bound() {
        let pace = Pace::new(0, MINUTES);
        assert_eq!(wait_ms(&pace, u32::MAX, 0), 0);
        assert_eq!(wait_ms(&pace, u32::MAX, 0), 0);
    }
}
