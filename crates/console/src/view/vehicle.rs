//! A vehicle with its last fix, and the points of a track.

use serde::Serialize;
use utoipa::ToSchema;
use waywarden_model::{Course, Speed, Timestamp};
use waywarden_store::read::FiledPosition;

/// Below it a vehicle stands (0.01 km/h): receivers drift by a few km/h.
const STANDING_BELOW: i32 = 500;

/// A vehicle, or a source that no vehicle is fitted with.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct VehicleView {
    /// Vehicle id, or `source:` and the device's id where no vehicle is fitted.
    pub id: String,
    /// Plate.
    #[schema(example = "14C12345")]
    pub vehicle: Option<String>,
    pub operator: Option<String>,
    /// Tax code's name in the register.
    pub operator_name: Option<String>,
    pub class: Option<&'static str>,
    pub transport: Option<&'static str>,
    /// Device that serves it now.
    pub source: Option<String>,
    pub driver_id: Option<String>,
    /// `moving`, `stopped` or `silent`.
    pub status: &'static str,
    /// The device waits for approval: filed, not judged.
    pub held: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received: Option<Timestamp>,
    pub lat: Option<f64>,
    pub lon: Option<f64>,
    pub speed_kmh: Option<f64>,
    pub course_deg: Option<f64>,
    pub ignition: Option<bool>,
}

pub(crate) fn status(
    received: Option<Timestamp>,
    speed_centi: Option<i32>,
    now: Timestamp,
    silent_ms: i64,
) -> &'static str {
    match received {
        Some(at) if now.since(at) < silent_ms => {
            if speed_centi.unwrap_or(0) >= STANDING_BELOW {
                "moving"
            } else {
                "stopped"
            }
        }
        _ => "silent",
    }
}

/// A point of a track.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct PointView {
    pub source: String,
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    pub lat: f64,
    pub lon: f64,
    pub speed_kmh: Option<f64>,
    pub course_deg: Option<f64>,
    pub valid: bool,
    /// Why it takes no part in judging; null when it does.
    pub reason: Option<&'static str>,
}

impl PointView {
    /// None for a record without a position.
    pub(crate) fn of(p: &FiledPosition) -> Option<Self> {
        let place = p.record.position?;
        Some(Self {
            source: p.source.to_string(),
            time: p.record.time,
            lat: place.lat(),
            lon: place.lon(),
            speed_kmh: p.record.speed.map(Speed::kmh),
            course_deg: p.record.course.map(Course::degrees),
            valid: p.verdict.reason().is_none(),
            reason: p.verdict.reason(),
        })
    }
}
