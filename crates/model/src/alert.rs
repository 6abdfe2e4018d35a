//! Alerts: what somebody on duty should look at now. They rest on what arrived when, so they are no
//! facts: they are never withdrawn, only ended.

use crate::ids::{DriverId, OperatorId, Plate, Subject, VehicleId};
use crate::time::Timestamp;
use crate::violation::{Kind, Rule, ViolationId};
use serde::{Deserialize, Serialize};

/// What an alert is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Nothing comes from a vehicle in operation, and it is not we who do not listen.
    Silence,
    /// The device's clock went back and runs on from there.
    ClockSetBack,
    /// A limit of hours is passed in a few minutes if driving goes on.
    LimitAhead,
}

impl AlertKind {
    pub const ALL: [Self; 3] = [Self::Silence, Self::ClockSetBack, Self::LimitAhead];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::ClockSetBack => "clock_set_back",
            Self::LimitAhead => "limit_ahead",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// The limit that comes near, as the violation that passing it would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ahead {
    pub kind: Kind,
    pub rule: Option<Rule>,
}

/// An alert with the present state of what it is about.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alert {
    pub kind: AlertKind,
    /// Of [`AlertKind::LimitAhead`] alone.
    pub ahead: Option<Ahead>,
    pub subject: Subject,
    pub vehicle: Option<VehicleId>,
    /// Plate at the time; where no vehicle is fitted, None.
    pub plate: Option<Plate>,
    pub driver: Option<DriverId>,
    pub operator: Option<OperatorId>,
    /// The last receipt before a silence, the first receipt by a clock that was set back, the
    /// beginning of what is counted towards a limit.
    pub start: Timestamp,
    /// From when on there was reason for it.
    pub raised: Timestamp,
    /// None: it goes on.
    pub ended: Option<Timestamp>,
    /// By how much a clock was set back, or what was driven of a limit, milliseconds.
    pub amount_ms: Option<i64>,
    pub limit_ms: Option<i64>,
}

impl Alert {
    /// Identity: kind, limit, subject and start.
    pub fn id(&self) -> AlertId {
        let (of, rule) = match self.ahead {
            Some(a) => (a.kind.name(), a.rule.map_or("", Rule::name)),
            None => ("", ""),
        };
        AlertId(ViolationId::of_text(&format!(
            "alert\n{}\n{of}\n{rule}\n{}\n{}",
            self.kind.name(),
            self.subject.key(),
            self.start.millis()
        )))
    }
}

/// Hash of an alert's natural key, in the form of a [`ViolationId`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct AlertId(ViolationId);

impl AlertId {
    pub const fn bytes(self) -> [u8; 16] {
        self.0.bytes()
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(ViolationId::from_bytes(bytes))
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        ViolationId::parse(text).map(Self)
    }
}

impl std::fmt::Display for AlertId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_limits_of_one_stretch_are_two_alerts() {
        let alert = |rule| Alert {
            kind: AlertKind::LimitAhead,
            ahead: Some(Ahead {
                kind: Kind::ContinuousDriving,
                rule,
            }),
            subject: Subject::Driver("D1".into()),
            vehicle: None,
            plate: None,
            driver: None,
            operator: None,
            start: Timestamp::from_secs(1_773_104_400),
            raised: Timestamp::MIN,
            ended: None,
            amount_ms: None,
            limit_ms: None,
        };
        let (day, night) = (alert(None), alert(Some(Rule::Night)));
        assert_ne!(day.id(), night.id());
        let grown = Alert {
            ended: Some(Timestamp::MAX),
            amount_ms: Some(7),
            ..day.clone()
        };
        assert_eq!(grown.id(), day.id());
        assert_eq!(AlertId::parse(&day.id().to_string()), Some(day.id()));
    }
}
