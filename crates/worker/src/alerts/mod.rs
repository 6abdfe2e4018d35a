//! Alerts of sources, from stamps and ticks alone: a function of the log, which a replay gives
//! again. No fact depends on them.

mod clock;
mod listening;
mod silence;

pub(crate) use listening::Listening;

use crate::law::Law;
use clock::DeviceClock;
use serde::{Deserialize, Serialize};
use silence::Silence;
use waywarden_model::{Alert, AlertKind, Record, SourceId, Speed, Subject, Timestamp};

/// When somebody on duty is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling {
    /// Silence of a vehicle in operation from which on it is told, milliseconds (30 minutes by
    /// TT 71/2024); None: never.
    pub silent_ms: Option<i64>,
    /// How long before a limit of hours it is told, milliseconds. A quarter of an hour is what a
    /// driver needs to come to a place where he may stand. None: never.
    pub ahead_ms: Option<i64>,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            silent_ms: Some(1_800_000),
            ahead_ms: Some(900_000),
        }
    }
}

/// What is remembered of a source for its alerts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    silence: Silence,
    clock: DeviceClock,
}

impl Watch {
    /// The newest record of the source, and whether it is driving behind it.
    pub fn newest(&mut self, record: &Record, driving: bool, law: &Law) {
        let slow = law.profiles().at(record.time).driving.moving_above_kmh;
        let moves = record.speed.is_some_and(|s| s > Speed::from_kmh(slow));
        self.silence.newest(record, driving, moves);
    }

    /// A frame came. `shown` is the latest time in it by the device's clock, among records that
    /// did not wait in its memory.
    pub fn heard(
        &mut self,
        received: Timestamp,
        shown: Option<Timestamp>,
        whose: &Whose<'_>,
    ) -> impl Iterator<Item = Alert> + use<> {
        let spoke = self.silence.heard(received);
        let clock = shown.and_then(|time| self.clock.take(time, received, whose));
        spoke.into_iter().chain(clock)
    }

    /// Everybody has listened from `listening` until `now`.
    pub fn look(
        &mut self,
        (listening, now): (Timestamp, Timestamp),
        silent_ms: i64,
        whose: &Whose<'_>,
    ) -> Option<Alert> {
        self.silence.look((listening, now), silent_ms, whose)
    }
}

/// Whose alert it is.
pub(crate) struct Whose<'a> {
    pub source: &'a SourceId,
    pub law: &'a Law,
}

impl Whose<'_> {
    /// A new alert; None for a second source of a vehicle, which may be off while the first is
    /// heard.
    fn alert(&self, kind: AlertKind, start: Timestamp, raised: Timestamp) -> Option<Alert> {
        let registry = self.law.context().registry;
        let served = registry.assignment(self.source, start).value;
        if served.as_ref().is_some_and(|v| !v.primary) {
            return None;
        }
        Some(Alert {
            kind,
            ahead: None,
            subject: Subject::Source(self.source.clone()),
            vehicle: served.as_ref().map(|v| v.vehicle.clone()),
            plate: served.as_ref().map(|v| v.plate.clone()),
            driver: None,
            operator: served.as_ref().and_then(|v| v.operator.clone()),
            start,
            raised,
            ended: None,
            amount_ms: None,
            limit_ms: None,
        })
    }
}
