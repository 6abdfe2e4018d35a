//! Violations: episodes with an identity that does not depend on history.

use crate::ids::{DriverId, OperatorId, Plate, SourceId, Subject, VehicleId};
use crate::time::Timestamp;
use crate::units::{Distance, Speed};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// What was violated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Overspeed,
    ContinuousDriving,
    DailyDriving,
    WeeklyDriving,
    TwoWeeklyDriving,
    DailyRest,
    WeeklyRest,
    RouteDeviation,
    TransmissionGap,
    /// Driving with nobody identified.
    DriverNotIdentified,
    /// One driver's card drives two vehicles at once.
    CardInTwoVehicles,
    /// Standing on the registered route and at none of its stops.
    UnregisteredStop,
    /// Driving in a zone against its ban.
    ForbiddenZone,
    /// Driving with a driving licence that does not entitle to it.
    DrivingLicence,
    /// In service without a valid certificate of inspection.
    Inspection,
    /// In service without a valid badge of transport business.
    Badge,
    /// In service while the operator's licence to carry is not valid.
    OperatorLicence,
    /// A sign that the device was tampered with.
    Tampering,
    /// Driving after so many hours on duty, or after the end of the duty's window.
    DailyDuty,
    /// Driving at hours at which vehicles of the kind must stand.
    ClosedHours,
}

impl Kind {
    pub const ALL: [Self; 20] = [
        Self::Overspeed,
        Self::ContinuousDriving,
        Self::DailyDriving,
        Self::WeeklyDriving,
        Self::TwoWeeklyDriving,
        Self::DailyRest,
        Self::WeeklyRest,
        Self::RouteDeviation,
        Self::TransmissionGap,
        Self::DriverNotIdentified,
        Self::CardInTwoVehicles,
        Self::UnregisteredStop,
        Self::ForbiddenZone,
        Self::DrivingLicence,
        Self::Inspection,
        Self::Badge,
        Self::OperatorLicence,
        Self::Tampering,
        Self::DailyDuty,
        Self::ClosedHours,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Overspeed => "overspeed",
            Self::ContinuousDriving => "continuous_driving",
            Self::DailyDriving => "daily_driving",
            Self::WeeklyDriving => "weekly_driving",
            Self::TwoWeeklyDriving => "two_weekly_driving",
            Self::DailyRest => "daily_rest",
            Self::WeeklyRest => "weekly_rest",
            Self::RouteDeviation => "route_deviation",
            Self::TransmissionGap => "transmission_gap",
            Self::DriverNotIdentified => "driver_not_identified",
            Self::CardInTwoVehicles => "card_in_two_vehicles",
            Self::UnregisteredStop => "unregistered_stop",
            Self::ForbiddenZone => "forbidden_zone",
            Self::DrivingLicence => "driving_licence",
            Self::Inspection => "inspection",
            Self::Badge => "badge",
            Self::OperatorLicence => "operator_licence",
            Self::Tampering => "tampering",
            Self::DailyDuty => "daily_duty",
            Self::ClosedHours => "closed_hours",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// What of the kind was violated, where a kind has several clauses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    Insufficient,
    MoreThanThreeReduced,
    Late,
    TwoWeeks,
    NotCompensated,
    WrongClass,
    Expired,
    Withdrawn,
    Jump,
    FrozenPosition,
    PowerCut,
    /// The limit of the night hours.
    Night,
}

impl Rule {
    pub const ALL: [Self; 12] = [
        Self::Insufficient,
        Self::MoreThanThreeReduced,
        Self::Late,
        Self::TwoWeeks,
        Self::NotCompensated,
        Self::WrongClass,
        Self::Expired,
        Self::Withdrawn,
        Self::Jump,
        Self::FrozenPosition,
        Self::PowerCut,
        Self::Night,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Insufficient => "insufficient",
            Self::MoreThanThreeReduced => "more_than_three_reduced",
            Self::Late => "late",
            Self::TwoWeeks => "two_weeks",
            Self::NotCompensated => "not_compensated",
            Self::WrongClass => "wrong_class",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Jump => "jump",
            Self::FrozenPosition => "frozen_position",
            Self::PowerCut => "power_cut",
            Self::Night => "night",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// Band of the excess over the limit, km/h (TT 71/2024 Annex II; edges by reading C4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Band {
    #[serde(rename = "<5")]
    Below5,
    #[serde(rename = "5-10")]
    From5To10,
    #[serde(rename = "10-20")]
    From10To20,
    #[serde(rename = "20-35")]
    From20To35,
    #[serde(rename = ">35")]
    Above35,
}

impl Band {
    pub const ALL: [Self; 5] = [
        Self::Below5,
        Self::From5To10,
        Self::From10To20,
        Self::From20To35,
        Self::Above35,
    ];

    /// `[5,10) [10,20) [20,35] (35,` and below 5, on the excess rounded to 0.01 km/h.
    pub const fn of(excess: Speed) -> Self {
        match excess.centi() {
            ..500 => Self::Below5,
            500..1000 => Self::From5To10,
            1000..2000 => Self::From10To20,
            2000..=3500 => Self::From20To35,
            3501.. => Self::Above35,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Below5 => "<5",
            Self::From5To10 => "5-10",
            Self::From10To20 => "10-20",
            Self::From20To35 => "20-35",
            Self::Above35 => ">35",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// Where the limit came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitSource {
    Sign,
    Zone,
    Road,
    Class,
    /// The class is not known: the highest class limit, since a guess must not accuse.
    ClassUnknown,
    /// The vehicle's own limit in the register.
    Vehicle,
}

impl LimitSource {
    pub const ALL: [Self; 6] = [
        Self::Sign,
        Self::Zone,
        Self::Road,
        Self::Class,
        Self::ClassUnknown,
        Self::Vehicle,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Zone => "zone",
            Self::Road => "road",
            Self::Class => "class",
            Self::ClassUnknown => "class_unknown",
            Self::Vehicle => "vehicle",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// Profile that judged: its name and its version.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ProfileId {
    pub name: Arc<str>,
    pub version: u32,
}

/// Records on which a violation rests: a source and the closed interval of their event times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Span {
    pub source: SourceId,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Every record in the interval; else only the first and the last (driving hours rest on
    /// periods, and a period on the records at its ends).
    pub every: bool,
}

/// The rule's own figures, shown and exported beside the common fields.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Sign or zone that set the limit, the route, the forbidden zone, or the other vehicle's plate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Arc<str>>,
    /// Greatest distance from the corridor, metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_offset_m: Option<u32>,
    /// Highest average speed Vtb in the episode, 0.01 km/h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_average_speed: Option<Speed>,
    /// Driving periods that were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periods: Option<u32>,
    /// Where the episode began and where it was worst, (latitude, longitude) in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<(f64, f64)>,
    /// Rest is only what was not seen as driving (F1), or another limit of what records prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_bound: Option<bool>,
}

/// A violation as the rules state it: a function of records, registers and profiles alone.
/// Status, revision and review are history and belong to the store.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Violation {
    pub kind: Kind,
    pub rule: Option<Rule>,
    pub subject: Subject,
    pub vehicle: Option<VehicleId>,
    /// Plate at the time; where no vehicle is fitted, None.
    pub plate: Option<Plate>,
    pub driver: Option<DriverId>,
    pub operator: Option<OperatorId>,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Still going on: `end` and the figures will grow.
    pub open: bool,
    pub band: Option<Band>,
    pub limit: Option<Speed>,
    pub limit_source: Option<LimitSource>,
    pub max_excess: Option<Speed>,
    pub distance: Option<Distance>,
    pub duration_ms: i64,
    pub limit_ms: Option<i64>,
    pub profile: ProfileId,
    pub registry: u32,
    pub figures: Figures,
    /// Records to freeze as evidence when it closes.
    pub spans: Vec<Span>,
}

impl Violation {
    /// Identity: kind, rule, subject and start, nothing of what may be learnt later.
    pub fn id(&self) -> ViolationId {
        ViolationId::of(self.kind, self.rule, &self.subject, self.start)
    }
}

/// Hash of a violation's natural key: the first 128 bits of SHA-256, in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViolationId([u8; 16]);

impl ViolationId {
    pub fn of(kind: Kind, rule: Option<Rule>, subject: &Subject, start: Timestamp) -> Self {
        let text = format!(
            "{}\n{}\n{}\n{}",
            kind.name(),
            rule.map_or("", Rule::name),
            subject.key(),
            start.millis()
        );
        Self::of_text(&text)
    }

    /// The hash of a natural key in its text form.
    pub(crate) fn of_text(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Self(id)
    }

    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut id = [0; 16];
        for (i, b) in id.iter_mut().enumerate() {
            *b = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for ViolationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ViolationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ViolationId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_at_their_edges() {
        for (centi, band) in [
            (499, "<5"),
            (500, "5-10"),
            (999, "5-10"),
            (1000, "10-20"),
            (1999, "10-20"),
            (2000, "20-35"),
            (3500, "20-35"),
            (3501, ">35"),
        ] {
            assert_eq!(Band::of(Speed::from_centi(centi)).name(), band);
        }
    }

    #[test]
    fn identity_is_of_the_natural_key() {
        let id = ViolationId::of(
            Kind::Overspeed,
            None,
            &Subject::Source("356307042441013".into()),
            Timestamp::from_millis(1_773_104_405_000),
        );
        assert_eq!(ViolationId::parse(&id.to_string()), Some(id));
        let later = ViolationId::of(
            Kind::Overspeed,
            None,
            &Subject::Source("356307042441013".into()),
            Timestamp::from_millis(1_773_104_405_001),
        );
        assert_ne!(id, later);
    }
}
