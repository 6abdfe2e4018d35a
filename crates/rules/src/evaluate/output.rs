//! Violations as JSON, with the field names that the API and the exports use too.

use serde::Serialize;
use waywarden_model::{
    Band, Distance, DriverId, Kind, LimitSource, Plate, Rule, Speed, Timestamp, Violation,
};

/// A violation as one line of JSON; what does not apply is null.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line<'a> {
    kind: Kind,
    rule: Option<Rule>,
    vehicle: Option<&'a Plate>,
    driver_id: Option<&'a DriverId>,
    start: Timestamp,
    end: Timestamp,
    band: Option<Band>,
    limit_kmh: Option<f64>,
    limit_source: Option<LimitSource>,
    max_excess_kmh: Option<f64>,
    distance_km: Option<f64>,
    duration_s: f64,
    limit_s: Option<f64>,
    profile: &'a str,
}

impl<'a> From<&'a Violation> for Line<'a> {
    fn from(v: &'a Violation) -> Self {
        Self {
            kind: v.kind,
            rule: v.rule,
            vehicle: v.plate.as_ref(),
            driver_id: v.driver.as_ref(),
            start: v.start,
            end: v.end,
            band: v.band,
            limit_kmh: v.limit.map(Speed::kmh),
            limit_source: v.limit_source,
            max_excess_kmh: v.max_excess.map(Speed::kmh),
            distance_km: v.distance.map(Distance::km),
            duration_s: seconds(v.duration_ms),
            limit_s: v.limit_ms.map(seconds),
            profile: &v.profile.name,
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a duration in milliseconds is far below 2^53
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
