//! An alert as everybody sees it.

use super::Seconds;
use serde::Serialize;
use utoipa::ToSchema;
use waywarden_model::{Alert, Rule, Subject, Timestamp};

/// An alert. Fields that do not apply are null.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct AlertView {
    #[schema(example = "0f343b0931126a20f133d67c2b018a3b")]
    pub id: String,
    /// `silence`, `clock_set_back` or `limit_ahead`.
    #[schema(example = "silence")]
    pub kind: &'static str,
    /// Kind of the violation that comes near, and its rule.
    #[schema(example = "continuous_driving")]
    pub ahead: Option<&'static str>,
    pub rule: Option<&'static str>,
    /// Plate at the time.
    #[schema(example = "14C12345")]
    pub vehicle: Option<String>,
    pub vehicle_id: Option<String>,
    pub driver_id: Option<String>,
    pub operator: Option<String>,
    /// Device that it is about; null where it is about driving hours.
    pub source: Option<String>,
    /// The last receipt before a silence, the first receipt by a clock that was set back, the
    /// beginning of what is counted towards a limit.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// From when on there was reason for it.
    #[schema(value_type = String, format = DateTime)]
    pub raised: Timestamp,
    /// Null while it goes on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
    /// By how much the clock was set back, or what was driven of the limit.
    #[schema(value_type = Option<f64>)]
    pub amount_s: Option<Seconds>,
    #[schema(value_type = Option<f64>)]
    pub limit_s: Option<Seconds>,
}

impl From<&Alert> for AlertView {
    fn from(a: &Alert) -> Self {
        let source = match &a.subject {
            Subject::Source(s) => Some(s.to_string()),
            Subject::Driver(_) | Subject::Vehicle(_) => None,
        };
        Self {
            id: a.id().to_string(),
            kind: a.kind.name(),
            ahead: a.ahead.map(|of| of.kind.name()),
            rule: a.ahead.and_then(|of| of.rule).map(Rule::name),
            vehicle: a.plate.as_ref().map(ToString::to_string),
            vehicle_id: a.vehicle.as_ref().map(ToString::to_string),
            driver_id: a.driver.as_ref().map(ToString::to_string),
            operator: a.operator.as_ref().map(ToString::to_string),
            source,
            start: a.start,
            raised: a.raised,
            ended: a.ended,
            amount_s: a.amount_ms.map(Seconds::from_millis),
            limit_s: a.limit_ms.map(Seconds::from_millis),
        }
    }
}
