//! Sections that a regime may leave out: their rules are then no part of it.

use serde::Deserialize;
use std::collections::BTreeMap;
use waywarden_model::registry::{Class, Transport};

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

/// Standing on the registered route and at none of its stops: our own rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stops {
    /// Seconds of a stop from which it counts.
    pub min_s: i64,
    /// Whose stops are registered.
    pub transport: Vec<Transport>,
}

impl Stops {
    pub(super) fn positive(&self) -> [(&'static str, i64); 1] {
        [("stops.min_s", self.min_s)]
    }
}

/// Driving in a zone against its ban: what of it counts is our own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zones {
    /// Fixes that move in it.
    pub min_fixes: u32,
    pub min_m: i64,
}

impl Zones {
    pub(super) fn positive(&self) -> [(&'static str, i64); 2] {
        let fixes = i64::from(self.min_fixes);
        [("zones.min_fixes", fixes), ("zones.min_m", self.min_m)]
    }
}

/// Which classes of driving licence entitle to drive which class of vehicle (36/2024 art. 57).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Licences(BTreeMap<Class, Vec<String>>);

impl Licences {
    /// Whether a licence of these classes, written as `D` or `B2, FC`, is good for a vehicle. None
    /// where the class of the vehicle or one of the licence's is not known: a guess must not accuse.
    pub fn entitles(&self, class: Class, licence: &str) -> Option<bool> {
        let good = self.0.get(&class)?;
        let known = |c: &str| self.0.values().flatten().any(|k| k.eq_ignore_ascii_case(c));
        let mut held = licence
            .split(|c: char| !c.is_alphanumeric())
            .filter(|c| !c.is_empty())
            .peekable();
        held.peek()?;
        let mut entitled = false;
        for c in held {
            if !known(c) {
                return None;
            }
            entitled |= good.iter().any(|g| g.eq_ignore_ascii_case(c));
        }
        Some(entitled)
    }

    /// A class of vehicles that no licence at all is good for.
    pub(super) fn empty(&self) -> Option<Class> {
        let empty = self.0.iter().find(|(_, good)| good.is_empty());
        empty.map(|(class, _)| *class)
    }
}

/// Signs of tampering: no text counts them, all numbers are our own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tampering {
    /// Metres of a jump that counts.
    pub jump_m: i64,
    /// Valid records that must have shown the place from which it jumps.
    pub jump_fixes: u32,
    /// Metres that the odometer runs while the position stands still.
    pub frozen_m: i64,
    /// Seconds without the alarm that end a cut of the power.
    pub power_quiet_s: i64,
}

impl Tampering {
    pub(super) fn positive(&self) -> [(&'static str, i64); 4] {
        [
            ("tampering.jump_m", self.jump_m),
            ("tampering.jump_fixes", self.jump_fixes.into()),
            ("tampering.frozen_m", self.frozen_m),
            ("tampering.power_quiet_s", self.power_quiet_s),
        ]
    }
}
