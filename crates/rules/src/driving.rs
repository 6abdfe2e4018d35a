//! Driving and stops (TT 71/2024 Annex III; readings D1 to D5, D18): what a period is.

use crate::closed_hours;
use crate::distance::great_circle_km;
use crate::profile::{Driving, Profile};
use crate::state::{Anchor, Outputs};
use crate::step::Served;
use serde::{Deserialize, Serialize};
use waywarden_model::{
    Distance, DriverId, OperatorId, Period, Plate, Position, SourceId, Speed, TimeZone, Timestamp,
    VehicleId,
};

/// Event time after which a period that goes on is given out again, milliseconds. A decision of
/// event time alone: it comes out the same however the records are batched.
const GIVE_OUT_EVERY_MS: i64 = 60_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum DrivingState {
    /// No valid record yet.
    #[default]
    Unknown,
    Stopped {
        /// First record of the stop (D2, D3).
        since: Timestamp,
        at: Position,
        run: Option<Run>,
    },
    Driving {
        open: Open,
        /// First of two records that make a stop (D2).
        slow: Option<(Timestamp, Position)>,
    },
}

/// An unbroken run of records that move, not yet far enough to end the stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    start: Timestamp,
    records: u32,
    distance: Distance,
    driver: Option<DriverId>,
}

/// The period that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    start: Timestamp,
    end: Timestamp,
    given_out: Option<Timestamp>,
    distance: Distance,
    driver: Option<DriverId>,
    /// Who drives since when, not yet confirmed by a valid fix.
    change: Option<(Timestamp, Option<DriverId>)>,
    vehicle: Option<VehicleId>,
    plate: Option<Plate>,
    operator: Option<OperatorId>,
    break_ms: i64,
    registry: u32,
}

/// What a step on driving needs to know beside its state.
pub(crate) struct Scene<'a> {
    pub source: &'a SourceId,
    pub served: &'a Served<'a>,
    pub profile: &'a Profile,
    pub zone: &'a TimeZone,
}

/// Takes one valid record; `ms` and `distance` since the valid record before it (None: there is
/// none that it can be compared with). Gives whether a stop began.
pub(crate) fn take(
    state: &mut DrivingState,
    to: &Anchor,
    since: Option<(i64, Distance)>,
    scene: &Scene<'_>,
    out: &mut Outputs,
) -> bool {
    let rule = &scene.profile.driving;
    // A gap as long as the break proves neither driving nor violation: it is a break (D5).
    let broken = since.is_none_or(|(ms, _)| ms >= scene.break_ms());
    let was_driving = matches!(state, DrivingState::Driving { .. });
    if broken {
        end(state, to, scene, out);
    }
    let distance = since.map_or(Distance::ZERO, |(_, d)| d);
    let moves = to.speed > Speed::from_kmh(rule.moving_above_kmh);
    match state {
        DrivingState::Unknown => {
            let run = moves.then(|| Run::from(to));
            *state = DrivingState::Stopped {
                since: to.time,
                at: to.position,
                run,
            };
        }
        DrivingState::Stopped { at, run, .. } => {
            let run_on = run.take().filter(|_| moves);
            *run = moves.then(|| run_on.map_or_else(|| Run::from(to), |r| r.longer(distance)));
            let starts = run.take_if(|r| r.ends_stop(*at, to.position, rule));
            if let Some(run) = starts {
                let mut open = Open::new(run.start, run.driver, scene);
                open.extend(to.time, run.distance, scene, out);
                *state = DrivingState::Driving { open, slow: None };
            }
        }
        DrivingState::Driving { open, slow } => {
            if let (false, Some((since, at))) = (moves, *slow) {
                open.close(scene, out);
                *state = DrivingState::Stopped {
                    since,
                    at,
                    run: None,
                };
                return true;
            }
            open.hand_over(to.time, scene, out);
            open.extend(to.time, distance, scene, out);
            *slow = (!moves).then_some((to.time, to.position));
        }
    }
    was_driving && broken
}

/// A change of driver ends the earlier one's time at the first record with the other driver (D18).
/// Where that record has no valid fix, the next one that has decides whether the vehicle drove on
/// until then (D5): a card that is taken out long after the last fix proves no driving.
pub(crate) fn change_driver(state: &mut DrivingState, t: Timestamp, driver: Option<&DriverId>) {
    match state {
        DrivingState::Driving { open, .. } => open.change = Some((t, driver.cloned())),
        DrivingState::Stopped { run: Some(run), .. } => {
            run.start = t;
            run.driver = driver.cloned();
        }
        DrivingState::Unknown | DrivingState::Stopped { .. } => {}
    }
}

/// Ends driving at the last record; the vehicle counts as stopped at `here`.
pub(crate) fn end(state: &mut DrivingState, here: &Anchor, scene: &Scene<'_>, out: &mut Outputs) {
    match state {
        DrivingState::Driving { open, .. } => {
            open.close(scene, out);
            *state = DrivingState::Stopped {
                since: here.time,
                at: here.position,
                run: None,
            };
        }
        DrivingState::Stopped { run, .. } => *run = None,
        DrivingState::Unknown => {}
    }
}

impl DrivingState {
    /// First record of the stop at which it stands.
    pub(crate) fn stands_since(&self) -> Option<Timestamp> {
        match self {
            Self::Stopped { since, .. } => Some(*since),
            Self::Unknown | Self::Driving { .. } => None,
        }
    }

    pub(crate) fn open_since(&self) -> Option<Timestamp> {
        match self {
            Self::Driving { open, .. } => Some(open.start),
            Self::Unknown | Self::Stopped { .. } => None,
        }
    }
}

impl Scene<'_> {
    pub fn break_ms(&self) -> i64 {
        self.served.break_ms(self.profile)
    }
}

impl Run {
    fn from(first: &Anchor) -> Self {
        Self {
            start: first.time,
            records: 1,
            distance: Distance::ZERO,
            driver: first.driver.clone(),
        }
    }

    fn longer(mut self, distance: Distance) -> Self {
        self.records = self.records.saturating_add(1);
        self.distance += distance;
        self
    }

    /// Two records that move, and the last of them far enough from the stop's first (D3).
    fn ends_stop(&self, stop: Position, here: Position, rule: &Driving) -> bool {
        #[allow(clippy::cast_precision_loss)] // a hundred metres
        let far = rule.displacement_m as f64 / 1000.0;
        self.records >= 2 && great_circle_km(stop, here) > far
    }
}

impl Open {
    fn new(start: Timestamp, driver: Option<DriverId>, scene: &Scene<'_>) -> Self {
        let vehicle = scene.served.vehicle.as_deref();
        Self {
            start,
            end: start,
            given_out: None,
            distance: Distance::ZERO,
            driver,
            change: None,
            vehicle: vehicle.map(|v| v.vehicle.clone()),
            plate: vehicle.map(|v| v.plate.clone()),
            operator: vehicle.and_then(|v| v.operator.clone()),
            break_ms: scene.break_ms(),
            registry: scene.served.registry,
        }
    }

    /// Ends the earlier driver's time where another one was named (D18).
    fn hand_over(&mut self, upto: Timestamp, scene: &Scene<'_>, out: &mut Outputs) {
        let Some((t, driver)) = self.change.take() else {
            return;
        };
        let cut = t.max(self.end).min(upto);
        self.extend(cut, Distance::ZERO, scene, out);
        self.close(scene, out);
        *self = Self::new(cut, driver, scene);
    }

    /// Drives on until `t`, over local midnight with a new period (D11); the distance of the
    /// interval belongs to the day of its later record.
    fn extend(&mut self, t: Timestamp, distance: Distance, scene: &Scene<'_>, out: &mut Outputs) {
        let day = scene.zone.day_of(t);
        if scene.zone.day_of(self.start) != day {
            let midnight = scene.zone.start_of(day);
            self.end = midnight;
            self.close(scene, out);
            *self = Self::new(midnight, self.driver.take(), scene);
        }
        self.end = t;
        self.distance += distance;
        let due = self
            .given_out
            .is_none_or(|g| t.since(g) >= GIVE_OUT_EVERY_MS);
        if due && self.end > self.start {
            self.given_out = Some(t);
            self.give(true, scene, out);
        }
    }

    fn close(&self, scene: &Scene<'_>, out: &mut Outputs) {
        if self.end > self.start {
            self.give(false, scene, out);
        }
    }

    fn give(&self, open: bool, scene: &Scene<'_>, out: &mut Outputs) {
        let period = self.period(scene.source, open);
        let closed = closed_hours::of(&period, scene);
        closed.into_iter().for_each(|v| out.violation(v));
        out.period(period);
    }

    fn period(&self, source: &SourceId, open: bool) -> Period {
        Period {
            source: source.clone(),
            start: self.start,
            end: self.end,
            open,
            vehicle: self.vehicle.clone(),
            plate: self.plate.clone(),
            driver: self.driver.clone(),
            operator: self.operator.clone(),
            break_ms: self.break_ms,
            distance: self.distance,
            registry: self.registry,
        }
    }
}
