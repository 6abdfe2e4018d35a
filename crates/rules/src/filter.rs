//! The validity filter (TT 71/2024 Annex II.I.1, readings A1 to A9).

use crate::distance::takes_at_least;
use crate::profile::{Filter, Profiles};
use serde::{Deserialize, Serialize};
use waywarden_model::{InvalidReason, Position, Record, Speed, Timestamp, Verdict};

/// A valid fix: its place and its speed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fix {
    pub position: Position,
    pub speed: Speed,
}

/// What the filter made of a fix.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filtered {
    Valid(Fix),
    /// Time and position are good, the speed is not: still fills a transmission gap (E1).
    Placed(InvalidReason),
    Invalid(InvalidReason),
    /// Valid, and the records before it lie elsewhere: nothing is computed between them (A3b).
    Anchored(Fix),
}

/// What the filter remembers beside the last valid record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FilterState {
    /// Rejected for the implied speed in a row: how many, and the last of them.
    rejected: u32,
    rejected_last: Option<(Timestamp, Position)>,
    /// Equal speeds in a row while the position changes (A6).
    equal: u32,
    equal_last: Option<(Speed, Position)>,
}

/// Judges one fix behind the last valid one; `None` for a record that has no position.
pub(crate) fn check(
    state: &mut FilterState,
    last: Option<(Timestamp, Position)>,
    record: &Record,
    limits: &Filter,
) -> Option<Filtered> {
    let position = record.position?;
    if let Some(reason) = bad_position(record, position, limits) {
        return Some(Filtered::Invalid(reason));
    }
    let Some(anchored) = follow(state, last, record.time, position, limits) else {
        return Some(Filtered::Invalid(InvalidReason::ImpliedSpeed));
    };
    Some(match good_speed(state, record, position, limits) {
        Err(reason) => Filtered::Placed(reason),
        Ok(speed) if anchored => Filtered::Anchored(Fix { position, speed }),
        Ok(speed) => Filtered::Valid(Fix { position, speed }),
    })
}

/// Verdicts of records that wait for being judged, from those of the source that came before them
/// alone: a device that sends what it kept sends it in its order, so most of them turn out right.
#[derive(Debug, Default)]
pub struct Ahead {
    filter: FilterState,
    valid: Option<(Timestamp, Position)>,
    last: Option<Timestamp>,
}

impl Ahead {
    /// The verdict that the record will most likely have once it is judged.
    pub fn verdict(&mut self, record: &Record, profiles: &Profiles) -> Verdict {
        if self.last.is_some_and(|last| record.time < last) {
            *self = Self::default();
        }
        self.last = Some(record.time);
        let limits = &profiles.at(record.time).filter;
        match check(&mut self.filter, self.valid, record, limits) {
            None => Verdict::NotAFix,
            Some(Filtered::Valid(fix) | Filtered::Anchored(fix)) => {
                self.valid = Some((record.time, fix.position));
                Verdict::Valid
            }
            Some(Filtered::Invalid(reason) | Filtered::Placed(reason)) => Verdict::Invalid(reason),
        }
    }
}

fn bad_position(record: &Record, p: Position, limits: &Filter) -> Option<InvalidReason> {
    let within = |v: f64, [low, high]: [f64; 2]| (low..=high).contains(&v);
    #[allow(clippy::float_cmp)] // exactly 0 (reading A8)
    if p.lat() == 0.0 || p.lon() == 0.0 {
        Some(InvalidReason::ZeroCoordinate)
    } else if !record.valid {
        Some(InvalidReason::NoFix)
    } else if !within(p.lat(), limits.lat) || !within(p.lon(), limits.lon) {
        Some(InvalidReason::OutsideCountry)
    } else {
        None
    }
}

/// None: too far from the last valid record (A3, A4). Some(true): too far, but the third in a row
/// that agrees with the ones before it (A3b).
fn follow(
    state: &mut FilterState,
    last: Option<(Timestamp, Position)>,
    time: Timestamp,
    position: Position,
    limits: &Filter,
) -> Option<bool> {
    let jumps = |from: Timestamp, place: Position| {
        takes_at_least(
            place,
            position,
            time.since(from).max(1),
            limits.implied_speed_kmh,
        )
    };
    if !last.is_some_and(|(from, place)| jumps(from, place)) {
        state.rejected = 0;
        state.rejected_last = None;
        return Some(false);
    }
    let agrees = state.rejected_last.is_some_and(|(t, p)| !jumps(t, p));
    state.rejected = if agrees { state.rejected + 1 } else { 1 };
    state.rejected_last = Some((time, position));
    if limits.reanchor_after > 0 && state.rejected >= limits.reanchor_after {
        *state = FilterState::default();
        return Some(true);
    }
    None
}

fn good_speed(
    state: &mut FilterState,
    record: &Record,
    position: Position,
    limits: &Filter,
) -> Result<Speed, InvalidReason> {
    let speed = record.speed.ok_or(InvalidReason::NoSpeed)?;
    if speed < Speed::ZERO {
        return Err(InvalidReason::NegativeSpeed);
    }
    if speed >= Speed::from_kmh(limits.max_speed_kmh) {
        return Err(InvalidReason::TooFast);
    }
    let goes_on = state
        .equal_last
        .is_some_and(|(v, p)| v == speed && p != position);
    state.equal = if speed > Speed::ZERO && goes_on {
        state.equal.saturating_add(1)
    } else {
        1
    };
    state.equal_last = Some((speed, position));
    if limits.frozen_speed_from > 0 && state.equal >= limits.frozen_speed_from {
        return Err(InvalidReason::FrozenSpeed);
    }
    Ok(speed)
}
