//! A violation as everybody sees it: API, exports, the agencies' pull, the command line.

use super::{Seconds, csv_line, text_cell};
use serde::Serialize;
use utoipa::ToSchema;
use waywarden_model::{Figures, Speed, Subject, Timestamp};
use waywarden_store::read::{Change, FiledViolation};

/// Columns of CSV, in order.
pub const COLUMNS: [&str; 30] = [
    "id",
    "kind",
    "rule",
    "vehicle",
    "vehicle_id",
    "driver_id",
    "operator",
    "source",
    "start",
    "end",
    "band",
    "limit_kmh",
    "limit_source",
    "max_excess_kmh",
    "distance_km",
    "duration_s",
    "limit_s",
    "profile",
    "profile_version",
    "status",
    "open",
    "revision",
    "evidence_changed",
    "replaced_by",
    "figures_object",
    "figures_max_offset_m",
    "figures_max_average_speed_kmh",
    "figures_periods",
    "figures_lat",
    "figures_lon",
];

/// A violation. Fields that do not apply are null.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ViolationView {
    #[schema(example = "0f343b0931126a20f133d67c2b018a3b")]
    pub id: String,
    #[schema(example = "overspeed")]
    pub kind: &'static str,
    pub rule: Option<&'static str>,
    /// Plate at the time.
    #[schema(example = "14C12345")]
    pub vehicle: Option<String>,
    pub vehicle_id: Option<String>,
    pub driver_id: Option<String>,
    pub operator: Option<String>,
    /// Device whose records show it; null where it is a driver's or a vehicle's.
    pub source: Option<String>,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    #[schema(example = "10-20")]
    pub band: Option<&'static str>,
    pub limit_kmh: Option<f64>,
    pub limit_source: Option<&'static str>,
    pub max_excess_kmh: Option<f64>,
    pub distance_km: Option<f64>,
    #[schema(value_type = f64)]
    pub duration_s: Seconds,
    #[schema(value_type = Option<f64>)]
    pub limit_s: Option<Seconds>,
    #[schema(example = "vn-36-2024")]
    pub profile: String,
    pub profile_version: u32,
    /// `new`, `confirmed`, `dismissed` or `withdrawn`.
    pub status: &'static str,
    pub open: bool,
    pub revision: u32,
    /// The facts changed after the last decision.
    pub evidence_changed: bool,
    pub replaced_by: Option<String>,
    pub figures: FiguresView,
}

/// The rule's own figures.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct FiguresView {
    /// Sign or zone that set the limit, the route, the forbidden zone, or the other vehicle's plate.
    pub object: Option<String>,
    pub max_offset_m: Option<u32>,
    pub max_average_speed_kmh: Option<f64>,
    /// Driving periods that were counted.
    pub periods: Option<u32>,
    /// Latitude and longitude where it began or was worst.
    pub at: Option<[f64; 2]>,
    pub lower_bound: Option<bool>,
}

/// A change with the violation as it is now.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ChangeView {
    pub change: ChangeHead,
    #[serde(flatten)]
    pub violation: ViolationView,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, ToSchema)]
pub struct ChangeHead {
    pub seq: i64,
    /// `created`, `amended`, `closed`, `withdrawn` or `decided`.
    pub kind: &'static str,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Revision that the change made; the violation may have a newer one.
    pub revision: u32,
}

impl From<&FiledViolation> for ViolationView {
    fn from(f: &FiledViolation) -> Self {
        let v = &f.violation;
        Self {
            id: f.id.to_string(),
            kind: v.kind.name(),
            rule: v.rule.map(waywarden_model::Rule::name),
            vehicle: v.plate.as_ref().map(ToString::to_string),
            vehicle_id: v.vehicle.as_ref().map(ToString::to_string),
            driver_id: v.driver.as_ref().map(ToString::to_string),
            operator: v.operator.as_ref().map(ToString::to_string),
            source: match &v.subject {
                Subject::Source(s) => Some(s.to_string()),
                Subject::Driver(_) | Subject::Vehicle(_) => None,
            },
            start: v.start,
            end: v.end,
            band: v.band.map(waywarden_model::Band::name),
            limit_kmh: v.limit.map(Speed::kmh),
            limit_source: v.limit_source.map(waywarden_model::LimitSource::name),
            max_excess_kmh: v.max_excess.map(Speed::kmh),
            distance_km: v.distance.map(waywarden_model::Distance::km),
            duration_s: Seconds::from_millis(v.duration_ms),
            limit_s: v.limit_ms.map(Seconds::from_millis),
            profile: v.profile.name.to_string(),
            profile_version: v.profile.version,
            status: f.status.name(),
            open: v.open,
            revision: f.revision,
            evidence_changed: f.evidence_changed,
            replaced_by: f.replaced_by.map(|id| id.to_string()),
            figures: (&v.figures).into(),
        }
    }
}

impl From<&Figures> for FiguresView {
    fn from(f: &Figures) -> Self {
        Self {
            object: f.object.as_ref().map(ToString::to_string),
            max_offset_m: f.max_offset_m,
            max_average_speed_kmh: f.max_average_speed.map(Speed::kmh),
            periods: f.periods,
            at: f.at.map(|(lat, lon)| [lat, lon]),
            lower_bound: f.lower_bound,
        }
    }
}

impl From<&(Change, FiledViolation)> for ChangeView {
    fn from((c, v): &(Change, FiledViolation)) -> Self {
        Self {
            change: c.into(),
            violation: v.into(),
        }
    }
}

impl From<&Change> for ChangeHead {
    fn from(c: &Change) -> Self {
        Self {
            seq: c.seq,
            kind: c.kind.name(),
            at: c.at,
            revision: c.revision,
        }
    }
}

impl ViolationView {
    /// Cells in the order of [`COLUMNS`]; what does not apply is empty.
    pub fn cells(&self) -> Vec<String> {
        let f = &self.figures;
        vec![
            self.id.clone(),
            self.kind.into(),
            some(self.rule),
            own(self.vehicle.as_deref()),
            own(self.vehicle_id.as_deref()),
            own(self.driver_id.as_deref()),
            own(self.operator.as_deref()),
            own(self.source.as_deref()),
            self.start.to_string(),
            self.end.to_string(),
            some(self.band),
            some(self.limit_kmh),
            some(self.limit_source),
            some(self.max_excess_kmh),
            some(self.distance_km),
            self.duration_s.to_string(),
            some(self.limit_s),
            text_cell(&self.profile),
            self.profile_version.to_string(),
            self.status.into(),
            self.open.to_string(),
            self.revision.to_string(),
            self.evidence_changed.to_string(),
            own(self.replaced_by.as_deref()),
            own(f.object.as_deref()),
            some(f.max_offset_m),
            some(f.max_average_speed_kmh),
            some(f.periods),
            some(f.at.map(|p| p[0])),
            some(f.at.map(|p| p[1])),
        ]
    }

    pub(crate) fn csv(&self) -> Vec<u8> {
        csv_line(self.cells())
    }
}

impl ChangeView {
    /// Header of CSV.
    pub(crate) fn header() -> Vec<u8> {
        let own = ["change_seq", "change_kind", "change_at", "change_revision"];
        csv_line(own.into_iter().chain(COLUMNS))
    }

    pub(crate) fn csv(&self) -> Vec<u8> {
        let c = &self.change;
        let own = [
            c.seq.to_string(),
            c.kind.to_owned(),
            c.at.to_string(),
            c.revision.to_string(),
        ];
        csv_line(own.into_iter().chain(self.violation.cells()))
    }
}

fn some<T: ToString>(v: Option<T>) -> String {
    v.map(|v| v.to_string()).unwrap_or_default()
}

fn own(v: Option<&str>) -> String {
    v.map(text_cell).unwrap_or_default()
}
