//! Driving at hours of the local day at which vehicles of the kind must stand: a part of a driving
//! period, given out with it.

use crate::driving::Scene;
use crate::profile::Clock;
use waywarden_model::{Figures, Kind, Period, Span, Subject, Violation};

/// What of a period lies in closed hours, for a vehicle whose transport they bind.
pub(crate) fn of(period: &Period, scene: &Scene<'_>) -> Vec<Violation> {
    let Some(rule) = &scene.profile.hours.closed else {
        return Vec::new();
    };
    let vehicle = scene.served.vehicle.as_deref();
    let same = vehicle.filter(|v| period.vehicle.as_ref() == Some(&v.vehicle));
    let bound = same.and_then(|v| v.transport);
    if !bound.is_some_and(|t| rule.transports.contains(&t)) {
        return Vec::new();
    }
    let driven = (period.start, period.end);
    Clock::stretches((rule.from, rule.until), scene.zone, driven)
        .map(|(_, start, end)| Violation {
            kind: Kind::ClosedHours,
            rule: None,
            subject: Subject::Source(period.source.clone()),
            vehicle: period.vehicle.clone(),
            plate: period.plate.clone(),
            driver: period.driver.clone(),
            operator: period.operator.clone(),
            start,
            end,
            open: period.open && end == period.end,
            band: None,
            limit: None,
            limit_source: None,
            max_excess: None,
            distance: None,
            duration_ms: end.since(start),
            limit_ms: None,
            profile: scene.profile.id.clone(),
            registry: period.registry,
            figures: Figures::default(),
            spans: vec![Span {
                source: period.source.clone(),
                from: start,
                to: end,
                every: false,
            }],
        })
        .collect()
}
