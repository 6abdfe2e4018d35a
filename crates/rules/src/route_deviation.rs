//! Leaving the registered route: our own rule, since no text fixes how to count it.
//!
//! A fix is outside beyond half-width + margin and inside again at half-width; between the two
//! nothing changes. An episode counts when it had enough fixes outside, lasted long enough and
//! went far enough. Within the radius of a terminal nothing is outside.

use crate::profile::Profile;
use crate::state::Anchor;
use crate::step::Served;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use waywarden_model::registry::Transport;
use waywarden_model::{
    Distance, DriverId, Figures, Kind, OperatorId, Plate, ProfileId, SourceId, Span, Subject,
    Timestamp, VehicleId, Violation,
};
use waywarden_roads::Corridor;

/// The episode outside, if one is going on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RouteState(Option<Box<Away>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Away {
    route: Arc<str>,
    start: Timestamp,
    end: Timestamp,
    fixes: u32,
    distance: Distance,
    max_offset_m: u32,
    at: (f64, f64),
    vehicle: VehicleId,
    plate: Plate,
    operator: Option<OperatorId>,
    driver: Option<DriverId>,
    profile: ProfileId,
    registry: u32,
    needs: (u32, i64, Distance),
    fresh: bool,
}

/// Takes one valid fix and the distance since the one before it; `on` is the vehicle's registered
/// route. Gives the violation it closes.
pub(crate) fn take(
    state: &mut RouteState,
    source: &SourceId,
    fix: &Anchor,
    distance: Distance,
    on: Option<&Corridor>,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let vehicle = served
        .vehicle
        .as_ref()
        .filter(|v| v.transport == Some(Transport::FixedRoute));
    let (Some(vehicle), Some(corridor)) = (vehicle, on) else {
        return close(state, source);
    };
    let left_another = state.0.as_ref().is_some_and(|a| a.route != *corridor.id());
    let ended = if left_another {
        close(state, source)
    } else {
        None
    };
    let offset = corridor.offset_m(fix.position);
    if offset <= corridor.half_width_m() || corridor.near_terminal(fix.position) {
        return close(state, source).or(ended);
    }
    let beyond = offset > corridor.half_width_m() + f64::from(profile.route.margin_m);
    if state.0.is_none() && !beyond {
        return ended;
    }
    let away = match &mut state.0 {
        Some(away) => {
            away.distance += distance;
            away
        }
        none => none.insert(Box::new(Away {
            route: corridor.id().clone(),
            start: fix.time,
            end: fix.time,
            fixes: 0,
            distance: Distance::ZERO,
            max_offset_m: 0,
            at: (fix.position.lat(), fix.position.lon()),
            vehicle: vehicle.vehicle.clone(),
            plate: vehicle.plate.clone(),
            operator: vehicle.operator.clone(),
            driver: fix.driver.clone(),
            profile: profile.id.clone(),
            registry: served.registry,
            needs: (
                profile.route.min_fixes,
                profile.route.min_s * 1000,
                Distance::from_metres(profile.route.min_m),
            ),
            fresh: true,
        })),
    };
    away.end = fix.time;
    away.fixes = away.fixes.saturating_add(u32::from(beyond));
    away.fresh = true;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // casts saturate
    let metres = offset.round() as u32;
    if metres > away.max_offset_m {
        away.max_offset_m = metres;
        away.at = (fix.position.lat(), fix.position.lon());
    }
    ended
}

/// Ends the episode, where one is going on.
pub(crate) fn close(state: &mut RouteState, source: &SourceId) -> Option<Violation> {
    let away = state.0.take()?;
    away.qualifies().then(|| away.violation(source, false))
}

/// The violation of an episode that goes on, where it has grown since it was last asked for.
pub(crate) fn growing(state: &mut RouteState, source: &SourceId) -> Option<Violation> {
    let away = state.0.as_mut()?;
    let due = away.fresh && away.qualifies();
    due.then(|| {
        away.fresh = false;
        away.violation(source, true)
    })
}

impl RouteState {
    pub(crate) fn give_out_again(&mut self) {
        self.0.iter_mut().for_each(|away| away.fresh = true);
    }
}

impl Away {
    fn qualifies(&self) -> bool {
        let (fixes, ms, distance) = self.needs;
        self.fixes >= fixes && self.end.since(self.start) >= ms && self.distance >= distance
    }

    fn violation(&self, source: &SourceId, open: bool) -> Violation {
        Violation {
            kind: Kind::RouteDeviation,
            rule: None,
            subject: Subject::Source(source.clone()),
            vehicle: Some(self.vehicle.clone()),
            plate: Some(self.plate.clone()),
            driver: self.driver.clone(),
            operator: self.operator.clone(),
            start: self.start,
            end: self.end,
            open,
            band: None,
            limit: None,
            limit_source: None,
            max_excess: None,
            distance: Some(self.distance),
            duration_ms: self.end.since(self.start),
            limit_ms: None,
            profile: self.profile.clone(),
            registry: self.registry,
            figures: Figures {
                object: Some(self.route.clone()),
                max_offset_m: Some(self.max_offset_m),
                at: Some(self.at),
                ..Figures::default()
            },
            spans: vec![Span {
                source: source.clone(),
                from: self.start,
                to: self.end,
                every: true,
            }],
        }
    }
}
