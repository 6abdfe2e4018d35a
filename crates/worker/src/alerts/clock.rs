//! A device's clock that was set back. What comes from a device's memory is old too, but a memory is
//! emptied at another pace than it was filled; a clock that was set back runs on at its own.

use super::Whose;
use serde::{Deserialize, Serialize};
use waywarden_model::{Alert, AlertKind, Timestamp};

/// A record that arrives within this long was sent at once, by a clock that is right. It is the
/// time that TT 71/2024 gives from the device to the authority, and what is not noticed of a clock.
const AT_ONCE_MS: i64 = 120_000;
/// By how much the delay of what is sent at once varies.
const PACE_MS: i64 = 30_000;
/// How long, and in how many frames, the pace must be kept: more than [`PACE_MS`], so that one
/// record sent again and again does not seem to keep it.
const KEPT_MS: i64 = 60_000;
const KEPT_FRAMES: u32 = 3;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeviceClock {
    /// What it said last while it was right.
    right: Option<Timestamp>,
    run: Option<Run>,
    open: Option<Box<Alert>>,
}

/// Frames whose delay stays the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Run {
    since: Timestamp,
    delay_ms: i64,
    frames: u32,
}

impl DeviceClock {
    /// Takes the latest time in a frame; gives an alert that begins or is over.
    pub fn take(
        &mut self,
        time: Timestamp,
        received: Timestamp,
        whose: &Whose<'_>,
    ) -> Option<Alert> {
        let delay_ms = received.since(time);
        if delay_ms <= AT_ONCE_MS {
            self.right = Some(time);
            self.run = None;
            let mut alert = self.open.take()?;
            alert.ended = Some(received.max(alert.raised));
            return Some(*alert);
        }
        let right = self.right?;
        let goes_on = |run: &&mut Run| (delay_ms - run.delay_ms).abs() <= PACE_MS;
        let Some(run) = self.run.as_mut().filter(goes_on) else {
            // Only what the clock had passed already shows that it went back.
            self.run = (time < right).then_some(Run {
                since: received,
                delay_ms,
                frames: 1,
            });
            return None;
        };
        run.frames = run.frames.saturating_add(1);
        let kept = received.since(run.since) >= KEPT_MS && run.frames >= KEPT_FRAMES;
        if !kept || self.open.is_some() {
            return None;
        }
        let mut alert = whose.alert(AlertKind::ClockSetBack, run.since, received)?;
        alert.amount_ms = Some(run.delay_ms);
        self.open = Some(Box::new(alert.clone()));
        Some(alert)
    }
}
