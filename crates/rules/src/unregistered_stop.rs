//! Standing on the registered route and at none of its registered stops: our own rule, since no
//! text fixes how to count it.
//!
//! A stop is that of driving (D2, D3). It counts once it has lasted long enough, all of it in one
//! place on the route and away from every stop; where the device tells of its door, the door must
//! have been open. So neither a queue that creeps on nor a red light is one. What has counted is
//! never taken back, whatever comes behind it: it may be on file already. It ends with the last fix
//! in its place, and the rest of that stop is no case.

use crate::distance::great_circle_km;
use crate::profile::Profile;
use crate::state::Anchor;
use crate::step::Served;
use crate::whom::Whom;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use waywarden_model::{Figures, Kind, Position, SourceId, Speed, Timestamp, Violation};
use waywarden_roads::Corridor;

/// The stop at which the vehicle stands, where its transport has registered ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StopState(Option<Box<Standing>>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Standing {
    start: Timestamp,
    end: Timestamp,
    at: Position,
    route: Arc<str>,
    /// Whether it was open, where the device tells.
    door: Option<bool>,
    needs_ms: i64,
    /// While all of it is on the route, away from its stops and in one place; else it is no case.
    whom: Option<Whom>,
    /// It has lasted long enough, with an open door where one was told of.
    counts: bool,
    fresh: bool,
}

/// How the vehicle stands at a fix.
pub(crate) struct Stands {
    /// First instant known to belong to the stop.
    pub since: Timestamp,
    pub door: Option<bool>,
}

/// Takes one valid fix; `stands` is None while it drives, `on` is the vehicle's registered route.
/// Gives the violation it closes.
pub(crate) fn take(
    state: &mut StopState,
    source: &SourceId,
    fix: &Anchor,
    stands: Option<&Stands>,
    on: Option<&Corridor>,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let rule = profile.stops.as_ref();
    let transport = served.vehicle.as_deref().and_then(|v| v.transport);
    let rule = rule.filter(|r| transport.is_some_and(|t| r.transport.contains(&t)));
    let (Some(stands), Some(rule), Some(corridor)) = (stands, rule, on) else {
        return close(state, source);
    };
    let changed = state.0.as_ref().is_some_and(|s| s.route != *corridor.id());
    let ended = if changed { close(state, source) } else { None };
    // What moves a little within a stop changes nothing of it (D4).
    if fix.speed > Speed::from_kmh(profile.driving.moving_above_kmh) {
        return ended;
    }
    let standing = state.0.get_or_insert_with(|| {
        Box::new(Standing {
            start: stands.since,
            end: stands.since,
            at: fix.position,
            route: corridor.id().clone(),
            door: None,
            needs_ms: rule.min_s * 1000,
            whom: Some(Whom::of(served, fix.driver.as_ref(), profile)),
            counts: false,
            fresh: true,
        })
    });
    let within_m = profile.driving.displacement_m;
    if !standing.holds(fix, corridor, within_m) {
        return ended.or(standing.is_left(source));
    }
    standing.goes_on(fix, stands.door);
    ended
}

/// Ends the stop, where one is going on.
pub(crate) fn close(state: &mut StopState, source: &SourceId) -> Option<Violation> {
    let standing = state.0.take()?;
    standing.violation(source, false)
}

/// The violation of a stop that goes on, where it has grown since it was last asked for.
pub(crate) fn growing(state: &mut StopState, source: &SourceId) -> Option<Violation> {
    let standing = state.0.as_mut().filter(|standing| standing.fresh)?;
    let violation = standing.violation(source, true)?;
    standing.fresh = false;
    Some(violation)
}

impl StopState {
    pub(crate) fn give_out_again(&mut self) {
        self.0.iter_mut().for_each(|s| s.fresh = true);
    }
}

impl Standing {
    /// Whether the fix is in its place, on the route and at none of its stops.
    fn holds(&self, fix: &Anchor, on: &Corridor, within_m: i64) -> bool {
        #[allow(clippy::cast_precision_loss)] // a hundred metres
        let within_km = within_m as f64 / 1000.0;
        on.has_stops()
            && on.offset_m(fix.position) <= on.half_width_m()
            && !on.near_stop(fix.position)
            && great_circle_km(self.at, fix.position) <= within_km
    }

    fn goes_on(&mut self, fix: &Anchor, door: Option<bool>) {
        self.end = fix.time;
        self.fresh = true;
        if let Some(open) = door {
            self.door = Some(open || self.door == Some(true));
        }
        let shut = self.door == Some(false);
        self.counts |= !shut && self.end.since(self.start) >= self.needs_ms;
    }

    /// The rest of the stop is no case. Gives the violation that it was, where it counts.
    fn is_left(&mut self, source: &SourceId) -> Option<Violation> {
        let ended = self.violation(source, false);
        self.whom = None;
        ended
    }

    fn violation(&self, source: &SourceId, open: bool) -> Option<Violation> {
        let whom = self.whom.as_ref().filter(|_| self.counts)?;
        let times = (self.start, self.end);
        Some(Violation {
            limit_ms: Some(self.needs_ms),
            figures: Figures {
                object: Some(self.route.clone()),
                at: Some((self.at.lat(), self.at.lon())),
                ..Figures::default()
            },
            ..whom.violation(Kind::UnregisteredStop, source, times, open)
        })
    }
}
