//! Improper transmission as everybody sees it.

use super::{csv_line, text_cell};
use crate::transmission::Improper;
use serde::Serialize;
use utoipa::ToSchema;

/// Columns of CSV, in order.
pub const COLUMNS: [&str; 7] = [
    "day",
    "vehicle",
    "vehicle_id",
    "operator",
    "finding",
    "sources",
    "settled",
];

/// A vehicle's day on which its transmission was improper.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct TransmissionView {
    #[schema(example = "2026-03-10")]
    pub day: String,
    /// Plate.
    #[schema(example = "14C12345")]
    pub vehicle: String,
    pub vehicle_id: String,
    pub operator: Option<String>,
    /// `no_records`, `only_invalid` or `two_sources`.
    #[schema(example = "no_records")]
    pub finding: &'static str,
    pub sources: Vec<SourceOfDay>,
    /// Late data of the day is not expected any more.
    pub settled: bool,
}

/// A source that was fitted on the day.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct SourceOfDay {
    pub source: String,
    pub records: u32,
    pub valid: u32,
}

impl From<&Improper> for TransmissionView {
    fn from(i: &Improper) -> Self {
        let sources = i.sources.iter().map(|(source, counts)| SourceOfDay {
            source: source.to_string(),
            records: counts.records,
            valid: counts.valid,
        });
        Self {
            day: i.day.to_string(),
            vehicle: i.plate.to_string(),
            vehicle_id: i.vehicle.to_string(),
            operator: i.operator.as_ref().map(ToString::to_string),
            finding: i.finding.name(),
            sources: sources.collect(),
            settled: i.settled,
        }
    }
}

impl TransmissionView {
    /// A line of CSV; the sources stand in one cell, with spaces between them.
    pub fn csv(&self) -> Vec<u8> {
        let sources: Vec<&str> = self.sources.iter().map(|s| s.source.as_str()).collect();
        csv_line([
            self.day.clone(),
            text_cell(&self.vehicle),
            text_cell(&self.vehicle_id),
            self.operator.as_deref().map(text_cell).unwrap_or_default(),
            self.finding.to_owned(),
            text_cell(&sources.join(" ")),
            self.settled.to_string(),
        ])
    }
}
