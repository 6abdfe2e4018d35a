//! Sections that a regime may leave out: their rules are then no part of it.

use serde::Deserialize;

/// Who drives (TT 71/2024 Annex III counts driving from the driver's card on; reading D13).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identification {
    /// Seconds driven between two sufficient breaks with nobody identified that are allowed.
    pub unidentified_s: i64,
    /// Seconds that one driver may seem to drive two vehicles at once: the earlier one's time ends
    /// with a record, which may be late by its interval (D18).
    pub two_vehicles_s: i64,
}

impl Identification {
    /// Numbers that must be greater than 0, by name.
    pub(super) fn positive(&self) -> [(&'static str, i64); 2] {
        [
            ("identification.unidentified_s", self.unidentified_s),
            ("identification.two_vehicles_s", self.two_vehicles_s),
        ]
    }
}
