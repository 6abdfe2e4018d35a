//! What the engine remembers of a source between records, and what it gives out.

use crate::driving::DrivingState;
use crate::filter::FilterState;
use crate::named::Named;
use crate::overspeed::Episode;
use crate::permits::PermitState;
use crate::places::Places;
use crate::power_cut::PowerState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use waywarden_model::registry::{Assignment, Dated};
use waywarden_model::{
    DayRow, DriverId, LocalDay, Period, Position, SourceId, Speed, Timestamp, Violation,
    ViolationId,
};

/// Bytes that are not a state of this engine's version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a saved state cannot be read: {0}")]
pub struct StateError(String);

impl StateError {
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// The last record that counted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Anchor {
    pub time: Timestamp,
    pub position: Position,
    pub speed: Speed,
    pub driver: Option<DriverId>,
}

/// One source's state: a function of its records so far, the registers and the profiles. What goes on
/// at times only is boxed: of most sources at most instants there is none of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SourceState {
    pub(crate) source: SourceId,
    /// Highest event time folded in.
    pub(crate) last_time: Option<Timestamp>,
    pub(crate) driver: Option<DriverId>,
    /// The last valid record.
    pub(crate) last: Option<Anchor>,
    /// The last record whose time and position are valid (reading E1).
    pub(crate) placed: Option<Anchor>,
    pub(crate) filter: FilterState,
    pub(crate) overspeed: Option<Box<Episode>>,
    pub(crate) driving: DrivingState,
    pub(crate) places: Places,
    pub(crate) permits: PermitState,
    /// Valid records that showed where it is since its place last jumped, as many as matter.
    pub(crate) shown: u32,
    pub(crate) power: PowerState,
    pub(crate) day: Option<DayRow>,
    /// What the source serves, kept from the registers until it ends; never saved.
    #[serde(skip)]
    pub(crate) assignment: Option<(u32, Dated<Option<Arc<Assignment>>>)>,
    #[serde(skip)]
    pub(crate) named: Named,
}

impl SourceState {
    pub fn new(source: SourceId) -> Self {
        Self {
            source,
            last_time: None,
            driver: None,
            last: None,
            placed: None,
            filter: FilterState::default(),
            overspeed: None,
            driving: DrivingState::default(),
            places: Places::default(),
            permits: PermitState::default(),
            shown: 0,
            power: PowerState::default(),
            day: None,
            assignment: None,
            named: Named::default(),
        }
    }

    pub fn source(&self) -> &SourceId {
        &self.source
    }

    /// Event time of the latest record folded in.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.last_time
    }

    /// Start of the driving period that goes on.
    pub fn open_period(&self) -> Option<Timestamp> {
        self.driving.open_since()
    }

    /// The saved form of a state between two days: what was given out to whom is left out of it,
    /// so that it is a function of the records alone.
    pub fn between_days(&self) -> Vec<u8> {
        let mut state = self.clone();
        state.day = None;
        if let Some(run) = &mut state.overspeed {
            run.give_out_again();
        }
        state.places.give_out_again();
        state.power.give_out_again();
        state.to_bytes()
    }

    /// The saved form.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a growing vector takes every state")
    }

    /// Reads the saved form of this engine's version.
    ///
    /// # Errors
    /// [`StateError`] when the bytes are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        postcard::from_bytes(bytes).map_err(|e| StateError(e.to_string()))
    }
}

/// What steps give out: absolute values by key, so that the last one counts.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    pub periods: BTreeMap<(SourceId, Timestamp), Period>,
    pub violations: BTreeMap<ViolationId, Violation>,
    pub day_rows: BTreeMap<(SourceId, LocalDay), DayRow>,
}

impl Outputs {
    pub fn clear(&mut self) {
        self.periods.clear();
        self.violations.clear();
        self.day_rows.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.periods.is_empty() && self.violations.is_empty() && self.day_rows.is_empty()
    }

    /// Of a key that both have the other's value counts.
    pub(crate) fn take_in(&mut self, mut other: Self) {
        self.periods.append(&mut other.periods);
        self.violations.append(&mut other.violations);
        self.day_rows.append(&mut other.day_rows);
    }

    pub(crate) fn period(&mut self, period: Period) {
        self.periods
            .insert((period.source.clone(), period.start), period);
    }

    pub(crate) fn violation(&mut self, violation: Violation) {
        self.violations.insert(violation.id(), violation);
    }

    /// Violations that a rule gave: none, one or several.
    pub(crate) fn all(&mut self, found: impl IntoIterator<Item = Violation>) {
        found.into_iter().for_each(|v| self.violation(v));
    }

    pub(crate) fn day(&mut self, row: DayRow) {
        self.day_rows.insert((row.source.clone(), row.day), row);
    }
}
