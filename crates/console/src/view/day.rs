//! Rows of local days.

use super::Seconds;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use waywarden_model::{DriverDay, InvalidReason};
use waywarden_store::read::FiledDay;

/// One source's local day.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct DayRowView {
    #[schema(example = "2026-03-10")]
    pub day: String,
    pub source: String,
    /// Plate.
    pub vehicle: Option<String>,
    pub vehicle_id: Option<String>,
    pub operator: Option<String>,
    pub records: u32,
    pub valid: u32,
    /// Invalid records by reason; reasons without any are left out.
    pub invalid: BTreeMap<&'static str, u32>,
    pub distance_km: f64,
    #[schema(value_type = f64)]
    pub driving_s: Seconds,
    pub stops: u32,
    pub gaps_over_60_s: u32,
    pub max_speed_kmh: f64,
}

impl From<&FiledDay> for DayRowView {
    fn from(filed: &FiledDay) -> Self {
        let d = &filed.row;
        Self {
            day: d.day.to_string(),
            source: d.source.to_string(),
            vehicle: d.plate.as_ref().map(ToString::to_string),
            vehicle_id: d.vehicle.as_ref().map(ToString::to_string),
            operator: d.operator.as_ref().map(ToString::to_string),
            records: d.records,
            valid: d.valid,
            invalid: InvalidReason::ALL
                .iter()
                .zip(d.invalid)
                .filter(|(_, n)| *n > 0)
                .map(|(reason, n)| (reason.label(), n))
                .collect(),
            distance_km: d.distance.km(),
            driving_s: Seconds::from_millis(filed.driving_ms),
            stops: d.stops,
            gaps_over_60_s: d.gaps_over_60_s,
            max_speed_kmh: d.max_speed.kmh(),
        }
    }
}

/// One driver's local day over all vehicles.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct DriverDayView {
    pub day: String,
    pub driver_id: String,
    #[schema(value_type = f64)]
    pub driving_s: Seconds,
    pub distance_km: f64,
    pub periods: u32,
}

impl From<&DriverDay> for DriverDayView {
    fn from(d: &DriverDay) -> Self {
        Self {
            day: d.day.to_string(),
            driver_id: d.driver.to_string(),
            driving_s: Seconds::from_millis(d.driving_ms),
            distance_km: d.distance.km(),
            periods: d.periods,
        }
    }
}
