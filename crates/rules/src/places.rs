//! The rules on where a vehicle is from fix to fix: its route and the stops of it, zones with a ban,
//! and a place that stays the same while the odometer runs.

use crate::forbidden_zone::{self, Moved, ZoneState};
use crate::frozen_position::{self, FrozenState};
use crate::profile::Profile;
use crate::route_deviation::{self, RouteState};
use crate::state::{Anchor, Outputs};
use crate::step::{Context, Served};
use crate::unregistered_stop::{self, Stands, StopState};
use serde::{Deserialize, Serialize};
use waywarden_model::{Distance, Record, SourceId};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Places {
    route: RouteState,
    stop: StopState,
    zones: ZoneState,
    frozen: FrozenState,
}

/// A valid fix, and what was made of it.
pub(crate) struct Seen<'a> {
    pub record: &'a Record,
    pub fix: &'a Anchor,
    /// From the valid fix before it.
    pub distance: Distance,
    /// Nothing was seen for as long as a break: nobody knows where the vehicle was (as D5).
    pub behind_silence: bool,
    /// None while it drives.
    pub stands: Option<Stands>,
}

impl Places {
    pub fn take(
        &mut self,
        source: &SourceId,
        seen: &Seen<'_>,
        ctx: &Context<'_>,
        (served, profile): (&Served<'_>, &Profile),
        out: &mut Outputs,
    ) {
        let Seen { record, fix, .. } = *seen;
        if seen.behind_silence {
            self.close(source, out);
        }
        let (route, distance) = (&mut self.route, seen.distance);
        let registered = served.vehicle.as_ref().and_then(|v| v.route.as_deref());
        let on = registered.and_then(|id| ctx.network.route(id, fix.time));
        let left = route_deviation::take(route, source, fix, distance, on, served, profile);
        out.all(left);
        let (stop, stands) = (&mut self.stop, seen.stands.as_ref());
        let over = unregistered_stop::take(stop, source, fix, stands, on, served, profile);
        out.all(over);
        let moved = Moved {
            to: fix,
            course: record.course,
            distance,
        };
        let zones = &mut self.zones;
        out.all(forbidden_zone::take(
            zones, source, &moved, ctx, served, profile,
        ));
        let (frozen, odometer) = (&mut self.frozen, record.odometer_m);
        let moves = frozen_position::take(frozen, source, fix, odometer, served, profile);
        out.all(moves);
    }

    /// Ends what goes on.
    pub fn close(&mut self, source: &SourceId, out: &mut Outputs) {
        out.all(route_deviation::close(&mut self.route, source));
        out.all(unregistered_stop::close(&mut self.stop, source));
        out.all(forbidden_zone::close(&mut self.zones, source));
        out.all(frozen_position::close(&mut self.frozen, source));
    }

    /// Gives out what goes on and has grown.
    pub fn flush(&mut self, source: &SourceId, out: &mut Outputs) {
        out.all(route_deviation::growing(&mut self.route, source));
        out.all(unregistered_stop::growing(&mut self.stop, source));
        out.all(forbidden_zone::growing(&mut self.zones, source));
        out.all(frozen_position::growing(&mut self.frozen, source));
    }

    pub fn give_out_again(&mut self) {
        self.route.give_out_again();
        self.stop.give_out_again();
        self.zones.give_out_again();
        self.frozen.give_out_again();
    }
}
