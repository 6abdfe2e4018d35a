//! Summaries of a local day, always absolute: a writer replaces the row, it never adds to it.

use crate::ids::{DriverId, OperatorId, Plate, SourceId, VehicleId};
use crate::record::InvalidReason;
use crate::time::LocalDay;
use crate::units::{Distance, Speed};
use serde::{Deserialize, Serialize};

/// One source's local day. Neither counts of violations nor driving time are here: they are
/// summed from violations and periods when read, so that there is one truth to recalculate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DayRow {
    pub source: SourceId,
    pub day: LocalDay,
    pub vehicle: Option<VehicleId>,
    pub plate: Option<Plate>,
    pub operator: Option<OperatorId>,
    /// Judged records of the day (late ones count when their source is rebuilt).
    pub records: u32,
    pub valid: u32,
    /// Invalid records by reason, indexed by the reason's number less one.
    pub invalid: [u32; InvalidReason::ALL.len()],
    pub distance: Distance,
    /// Stops that began on this day.
    pub stops: u32,
    /// Intervals over 60 s between valid records (TT 71/2024 Annex II; reading E2: a figure).
    pub gaps_over_60_s: u32,
    pub max_speed: Speed,
}

impl DayRow {
    pub fn new(source: SourceId, day: LocalDay) -> Self {
        Self {
            source,
            day,
            vehicle: None,
            plate: None,
            operator: None,
            records: 0,
            valid: 0,
            invalid: [0; InvalidReason::ALL.len()],
            distance: Distance::ZERO,
            stops: 0,
            gaps_over_60_s: 0,
            max_speed: Speed::ZERO,
        }
    }
}

/// One driver's local day over all vehicles.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DriverDay {
    pub driver: DriverId,
    pub day: LocalDay,
    pub driving_ms: i64,
    pub distance: Distance,
    pub periods: u32,
}
