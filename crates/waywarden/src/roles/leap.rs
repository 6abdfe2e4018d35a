//! Whether the clock may be trusted to remove by: one that leapt ahead would remove a year at once.

use std::time::{Duration, Instant};
use waywarden_model::Timestamp;

/// Nothing received for longer before the start, and the clock may have leapt while it was off.
const SILENT_MS: i64 = 30 * 86_400_000;
/// The clock may be set right by this much while the program runs.
const SET_MS: i64 = 3_600_000;

/// The clock as the program found it.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    at: Timestamp,
    by: Instant,
    /// Of the newest record on file at the start.
    last_received: Option<Timestamp>,
}

impl Found {
    pub fn new(now: Timestamp, last_received: Option<Timestamp>) -> Self {
        Self {
            at: now,
            by: Instant::now(),
            last_received,
        }
    }

    /// Whether `now` follows from what was found. A leap over the start is known by a silence of
    /// weeks; one while the program runs by a clock that nobody sets.
    pub fn agrees_with(&self, now: Timestamp) -> bool {
        self.agrees_after(self.by.elapsed(), now)
    }

    fn agrees_after(&self, elapsed: Duration, now: Timestamp) -> bool {
        let silent = self.last_received.map_or(0, |last| self.at.since(last));
        let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        let ahead = now.since(self.at).saturating_sub(elapsed);
        silent <= SILENT_MS && ahead <= SET_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leapt_is_not_trusted() {
        let now = Timestamp::parse_rfc3339("2026-03-10T00:00:00Z").unwrap();
        let hour = Duration::from_secs(3600);
        let (day_ms, hour_ms) = (86_400_000, 3_600_000);
        for (off_for, later_by, trusted) in [
            (None, hour_ms, true),
            (Some(0), hour_ms, true),
            (Some(30 * day_ms), hour_ms, true),
            // Off for years by its own account.
            (Some(400 * day_ms), hour_ms, false),
            // Set right by half an hour, either way; set back; leapt by a day in an hour.
            (Some(0), hour_ms + hour_ms / 2, true),
            (Some(0), hour_ms / 2, true),
            (Some(0), -400 * day_ms, true),
            (Some(0), day_ms, false),
        ] {
            let last = off_for.map(|ms: i64| now.plus_millis(-ms));
            let found = Found::new(now, last);
            let then = now.plus_millis(later_by);
            assert_eq!(
                found.agrees_after(hour, then),
                trusted,
                "{off_for:?} {later_by}"
            );
        }
    }
}
