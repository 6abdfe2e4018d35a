//! Driving periods: what the subject stage counts.

use crate::ids::{DriverId, OperatorId, Plate, SourceId, VehicleId};
use crate::time::Timestamp;
use crate::units::Distance;
use serde::{Deserialize, Serialize};

/// An uninterrupted piece of driving shown by one source's records (readings D1 to D5).
///
/// Key: (source, start). A period is split at local midnight, so that a day's figures are sums
/// of whole periods; two periods that touch are one to the rules on continuous driving.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Period {
    pub source: SourceId,
    pub start: Timestamp,
    /// Last instant driven; later than or equal to `start`.
    pub end: Timestamp,
    /// Still driving: `end` will grow.
    pub open: bool,
    pub vehicle: Option<VehicleId>,
    pub plate: Option<Plate>,
    pub driver: Option<DriverId>,
    pub operator: Option<OperatorId>,
    /// Break that ends continuous driving after this period (reading D8: of the vehicle driven
    /// before the break), milliseconds.
    pub break_ms: i64,
    pub distance: Distance,
    /// Registry version that named vehicle and driver.
    pub registry: u32,
}

impl Period {
    /// Milliseconds driven.
    pub fn duration_ms(&self) -> i64 {
        self.end.since(self.start)
    }

    /// Whom the driving hours are counted for: the driver, else the vehicle (D13), else the source.
    pub fn subject(&self) -> crate::ids::Subject {
        use crate::ids::Subject;
        match (&self.driver, &self.vehicle) {
            (Some(d), _) => Subject::Driver(d.clone()),
            (None, Some(v)) => Subject::Vehicle(v.clone()),
            (None, None) => Subject::Source(self.source.clone()),
        }
    }
}
