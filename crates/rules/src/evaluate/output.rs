//! Violations and days as JSON, with the field names that the API and the exports use too.

use super::Evaluation;
use serde::Serialize;
use std::collections::BTreeMap;
use waywarden_model::{
    Band, DayRow, Distance, DriverId, InvalidReason, Kind, LimitSource, LocalDay, Period, Plate,
    Rule, SourceId, Speed, TimeZone, Timestamp, VehicleId, Violation,
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

/// One source's local day as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayLine<'a> {
    day: String,
    source: &'a SourceId,
    vehicle: Option<&'a Plate>,
    vehicle_id: Option<&'a VehicleId>,
    records: u32,
    valid: u32,
    /// Invalid records by reason; reasons without any are left out.
    invalid: BTreeMap<&'static str, u32>,
    distance_km: f64,
    driving_s: f64,
    stops: u32,
    gaps_over_60_s: u32,
    max_speed_kmh: f64,
}

/// The days of an evaluation, in the order of source and day; `zone` is that of its days.
pub fn days<'a>(found: &'a Evaluation, zone: &TimeZone) -> Vec<DayLine<'a>> {
    let mut driven: BTreeMap<(&SourceId, LocalDay), i64> = BTreeMap::new();
    for period in &found.periods {
        let day = (&period.source, zone.day_of(period.start));
        *driven.entry(day).or_default() += Period::duration_ms(period);
    }
    let line = |d: &'a DayRow| DayLine {
        day: d.day.to_string(),
        source: &d.source,
        vehicle: d.plate.as_ref(),
        vehicle_id: d.vehicle.as_ref(),
        records: d.records,
        valid: d.valid,
        invalid: InvalidReason::ALL
            .iter()
            .zip(d.invalid)
            .filter(|(_, n)| *n > 0)
            .map(|(reason, n)| (reason.label(), n))
            .collect(),
        distance_km: d.distance.km(),
        driving_s: seconds(driven.get(&(&d.source, d.day)).copied().unwrap_or(0)),
        stops: d.stops,
        gaps_over_60_s: d.gaps_over_60_s,
        max_speed_kmh: d.max_speed.kmh(),
    };
    found.day_rows.iter().map(line).collect()
}

#[allow(clippy::cast_precision_loss)] // a duration in milliseconds is far below 2^53
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
