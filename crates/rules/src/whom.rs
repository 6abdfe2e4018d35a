//! Whom an episode is about, as it was at its start (reading C9), and the violation made of it.

use crate::profile::Profile;
use crate::step::Served;
use serde::{Deserialize, Serialize};
use waywarden_model::{
    DriverId, Figures, Kind, OperatorId, Plate, ProfileId, SourceId, Span, Subject, Timestamp,
    VehicleId, Violation,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Whom {
    vehicle: Option<VehicleId>,
    plate: Option<Plate>,
    operator: Option<OperatorId>,
    pub driver: Option<DriverId>,
    profile: ProfileId,
    registry: u32,
}

impl Whom {
    pub fn of(served: &Served<'_>, driver: Option<&DriverId>, profile: &Profile) -> Self {
        let vehicle = served.vehicle.as_deref();
        Self {
            vehicle: vehicle.map(|v| v.vehicle.clone()),
            plate: vehicle.map(|v| v.plate.clone()),
            operator: vehicle.and_then(|v| v.operator.clone()),
            driver: driver.cloned(),
            profile: profile.id.clone(),
            registry: served.registry,
        }
    }

    pub fn serves(&self, served: &Served<'_>) -> bool {
        self.vehicle.as_ref() == served.vehicle.as_deref().map(|v| &v.vehicle)
    }

    /// A violation of `source` from the first to the last instant shown, which rests on all records
    /// between; the rule adds its own figures.
    pub fn violation(
        &self,
        kind: Kind,
        source: &SourceId,
        (start, end): (Timestamp, Timestamp),
        open: bool,
    ) -> Violation {
        Violation {
            kind,
            rule: None,
            subject: Subject::Source(source.clone()),
            vehicle: self.vehicle.clone(),
            plate: self.plate.clone(),
            driver: self.driver.clone(),
            operator: self.operator.clone(),
            start,
            end,
            open,
            band: None,
            limit: None,
            limit_source: None,
            max_excess: None,
            distance: None,
            duration_ms: end.since(start),
            limit_ms: None,
            profile: self.profile.clone(),
            registry: self.registry,
            figures: Figures::default(),
            spans: vec![Span {
                source: source.clone(),
                from: start,
                to: end,
                every: true,
            }],
        }
    }
}
