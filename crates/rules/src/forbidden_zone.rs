//! Driving in a zone that its class must not drive in, at those hours, in that direction. What is
//! forbidden stands in the register of zones; how much of it counts is our own.
//!
//! Only fixes that move count: a lorry that was parked before the hours began does not drive.

use crate::profile::{Profile, Zones};
use crate::state::Anchor;
use crate::step::{Context, Served};
use crate::whom::Whom;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use waywarden_model::registry::Ban;
use waywarden_model::{Course, Distance, Figures, Kind, SourceId, Speed, Timestamp, Violation};

/// The zones it drives in against their rule, by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ZoneState(Vec<Inside>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inside {
    zone: Arc<str>,
    start: Timestamp,
    end: Timestamp,
    fixes: u32,
    distance: Distance,
    at: (f64, f64),
    needs: (u32, Distance),
    whom: Whom,
    fresh: bool,
}

/// One valid fix, and the distance since the one before it.
pub(crate) struct Moved<'a> {
    pub to: &'a Anchor,
    pub course: Option<Course>,
    pub distance: Distance,
}

/// Takes one valid fix; gives the violations it closes.
pub(crate) fn take(
    state: &mut ZoneState,
    source: &SourceId,
    fix: &Moved<'_>,
    ctx: &Context<'_>,
    served: &Served<'_>,
    profile: &Profile,
) -> Vec<Violation> {
    let Some(rule) = &profile.zones else {
        return close(state, source);
    };
    let to = fix.to;
    let moves = to.speed > Speed::from_kmh(profile.driving.moving_above_kmh);
    let class = served.vehicle.as_deref().and_then(|v| v.class);
    let second = ctx.profiles.zone().second_of_day(to.time);
    let forbids =
        |ban: &Ban| ban.concerns(class) && ban.at(second) && (!moves || ban.heading(fix.course));
    let zones = ctx.network.bans_at(to.position, to.time, forbids);
    let (inside, left) = std::mem::take(&mut state.0)
        .into_iter()
        .partition(|i| zones.contains(&&i.zone));
    state.0 = inside;
    if moves {
        for zone in zones {
            let known = state.0.iter().position(|i| i.zone == *zone);
            match known {
                Some(n) => state.0[n].goes_on(to, fix.distance),
                None => state.0.push(Inside::begin(zone, to, rule, served, profile)),
            }
        }
    }
    closed(left, source)
}

/// Ends every episode.
pub(crate) fn close(state: &mut ZoneState, source: &SourceId) -> Vec<Violation> {
    closed(std::mem::take(&mut state.0), source)
}

fn closed(left: Vec<Inside>, source: &SourceId) -> Vec<Violation> {
    let counts = left.into_iter().filter(Inside::qualifies);
    counts.map(|i| i.violation(source, false)).collect()
}

/// The violations that go on, where they have grown since they were last asked for.
pub(crate) fn growing(state: &mut ZoneState, source: &SourceId) -> Vec<Violation> {
    let due = state.0.iter_mut().filter(|i| i.fresh && i.qualifies());
    due.map(|i| {
        i.fresh = false;
        i.violation(source, true)
    })
    .collect()
}

impl ZoneState {
    pub(crate) fn give_out_again(&mut self) {
        self.0.iter_mut().for_each(|i| i.fresh = true);
    }
}

impl Inside {
    fn begin(
        zone: &Arc<str>,
        to: &Anchor,
        rule: &Zones,
        served: &Served<'_>,
        profile: &Profile,
    ) -> Self {
        Self {
            zone: zone.clone(),
            start: to.time,
            end: to.time,
            fixes: 1,
            distance: Distance::ZERO,
            at: (to.position.lat(), to.position.lon()),
            needs: (rule.min_fixes, Distance::from_metres(rule.min_m)),
            whom: Whom::of(served, to.driver.as_ref(), profile),
            fresh: true,
        }
    }

    fn goes_on(&mut self, to: &Anchor, distance: Distance) {
        self.end = to.time;
        self.fixes = self.fixes.saturating_add(1);
        self.distance += distance;
        self.fresh = true;
    }

    fn qualifies(&self) -> bool {
        let (fixes, distance) = self.needs;
        self.fixes >= fixes && self.distance >= distance
    }

    fn violation(&self, source: &SourceId, open: bool) -> Violation {
        let times = (self.start, self.end);
        Violation {
            distance: Some(self.distance),
            figures: Figures {
                object: Some(self.zone.clone()),
                at: Some(self.at),
                ..Figures::default()
            },
            ..self
                .whom
                .violation(Kind::ForbiddenZone, source, times, open)
        }
    }
}
