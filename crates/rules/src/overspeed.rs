//! Overspeed (TT 71/2024 Annex II; readings C1 to C12).

use crate::distance::{average_speed, counted, mean_speed, travelled};
use crate::limit::Limit;
use crate::profile::{Overspeed, Profile};
use crate::state::Anchor;
use crate::step::Served;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use waywarden_model::{
    Band, Distance, DriverId, Figures, Kind, LimitSource, OperatorId, Plate, ProfileId, SourceId,
    Span, Speed, Subject, Timestamp, VehicleId, Violation,
};

/// The interval between two valid records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub ms: i64,
    pub distance: Distance,
    /// Vtb; None where T is above the gap and no speed is computed.
    pub average: Option<Speed>,
}

/// Distance and average speed between two valid records, by the class of T (reading C7).
pub(crate) fn interval(from: &Anchor, to: &Anchor, rule: &Overspeed) -> Interval {
    let ms = to.time.since(from.time);
    if ms <= rule.mean_up_to_s * 1000 {
        let mean = mean_speed(to.speed, from.speed);
        return Interval {
            ms,
            distance: travelled(mean, ms),
            average: Some(mean),
        };
    }
    let distance = counted(from.position, to.position, to.speed);
    let average = (ms <= rule.gap_s * 1000).then(|| average_speed(distance, ms));
    Interval {
        ms,
        distance,
        average,
    }
}

/// A run of intervals over the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    start: Timestamp,
    end: Timestamp,
    distance: Distance,
    max_excess: Speed,
    max_average: Speed,
    /// The limit at the highest excess (C5).
    limit: Speed,
    limit_source: LimitSource,
    object: Option<Arc<str>>,
    at: (f64, f64),
    // Of its start (C9).
    vehicle: Option<VehicleId>,
    plate: Option<Plate>,
    operator: Option<OperatorId>,
    driver: Option<DriverId>,
    profile: ProfileId,
    hold: (i64, bool),
    registry: u32,
    /// Grown since it was last given out.
    #[serde(default)]
    fresh: bool,
}

/// Takes one interval into the run; gives the run that it ends.
pub(crate) fn take(
    run: &mut Option<Box<Episode>>,
    (from, to): (&Anchor, &Anchor),
    interval: Interval,
    limit: &Limit,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Box<Episode>> {
    let rule = &profile.overspeed;
    let Some(average) = interval.average else {
        return run.take();
    };
    let excess = average - Speed::from_kmh(rule.tolerance_kmh) - limit.speed;
    let entry = Speed::from_kmh(rule.entry_excess_kmh);
    let fast_itself = rule.entry_excess_kmh == 0 || to.speed > limit.speed + entry;
    if excess <= Speed::ZERO || !fast_itself {
        return run.take();
    }
    let episode = run.get_or_insert_with(|| Box::new(Episode::begin(from, limit, served, profile)));
    episode.grow(to, interval.distance, average, excess, limit);
    None
}

impl Episode {
    fn begin(from: &Anchor, limit: &Limit, served: &Served<'_>, profile: &Profile) -> Self {
        let vehicle = served.vehicle.as_deref();
        Self {
            start: from.time,
            end: from.time,
            distance: Distance::ZERO,
            max_excess: Speed::ZERO,
            max_average: Speed::ZERO,
            limit: limit.speed,
            limit_source: limit.source,
            object: limit.object.clone(),
            at: (from.position.lat(), from.position.lon()),
            vehicle: vehicle.map(|v| v.vehicle.clone()),
            plate: vehicle.map(|v| v.plate.clone()),
            operator: vehicle.and_then(|v| v.operator.clone()),
            driver: from.driver.clone(),
            profile: profile.id.clone(),
            hold: (
                profile.overspeed.hold_s * 1000,
                profile.overspeed.hold_strictly,
            ),
            registry: served.registry,
            fresh: true,
        }
    }

    fn grow(&mut self, to: &Anchor, d: Distance, average: Speed, excess: Speed, limit: &Limit) {
        self.end = to.time;
        self.distance += d;
        self.fresh = true;
        if excess > self.max_excess {
            self.max_excess = excess;
            self.max_average = average;
            self.limit = limit.speed;
            self.limit_source = limit.source;
            self.object.clone_from(&limit.object);
            self.at = (to.position.lat(), to.position.lon());
        }
    }

    /// Held long enough to be a violation.
    fn qualifies(&self) -> bool {
        let held = self.end.since(self.start);
        let (hold, strictly) = self.hold;
        if strictly { held > hold } else { held >= hold }
    }

    /// The violation of a run that is over, where it was held long enough.
    pub(crate) fn closed(&self, source: &SourceId) -> Option<Violation> {
        self.qualifies().then(|| self.violation(source, false))
    }

    /// The violation of a run that goes on, where it has grown since it was last asked for.
    pub(crate) fn growing(&mut self, source: &SourceId) -> Option<Violation> {
        let due = self.fresh && self.qualifies();
        due.then(|| {
            self.fresh = false;
            self.violation(source, true)
        })
    }

    pub(crate) fn give_out_again(&mut self) {
        self.fresh = true;
    }

    fn violation(&self, source: &SourceId, open: bool) -> Violation {
        Violation {
            kind: Kind::Overspeed,
            rule: None,
            subject: Subject::Source(source.clone()),
            vehicle: self.vehicle.clone(),
            plate: self.plate.clone(),
            driver: self.driver.clone(),
            operator: self.operator.clone(),
            start: self.start,
            end: self.end,
            open,
            band: Some(Band::of(self.max_excess)),
            limit: Some(self.limit),
            limit_source: Some(self.limit_source),
            max_excess: Some(self.max_excess),
            distance: Some(self.distance),
            duration_ms: self.end.since(self.start),
            limit_ms: None,
            profile: self.profile.clone(),
            registry: self.registry,
            figures: Figures {
                object: self.object.clone(),
                max_average_speed: Some(self.max_average),
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
