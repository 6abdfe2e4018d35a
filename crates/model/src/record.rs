//! What a device said about one instant.

use crate::ids::{CardId, DriverId};
use crate::time::Timestamp;
use crate::units::{Course, Speed};
use serde::{Deserialize, Serialize};

/// A place on the globe, WGS 84 decimal degrees. Always finite, latitude within 90, longitude
/// within 180 degrees.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Position {
    lat: f64,
    lon: f64,
}

impl Position {
    /// None when a coordinate is not finite or outside the globe. Negative zero becomes zero, so
    /// that equal places are equal bit for bit.
    pub fn new(lat: f64, lon: f64) -> Option<Self> {
        let ok = lat.is_finite() && lon.is_finite() && lat.abs() <= 90.0 && lon.abs() <= 180.0;
        ok.then_some(Self {
            lat: lat + 0.0,
            lon: lon + 0.0,
        })
    }

    pub const fn lat(self) -> f64 {
        self.lat
    }

    pub const fn lon(self) -> f64 {
        self.lon
    }
}

/// What kind of thing a record tells. The numbers are filed and sent: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RecordKind {
    /// Has a position.
    Fix = 0,
    /// A report with a time and without a position of its own.
    Status = 1,
    /// A driver's card was put in.
    CardIn = 2,
    /// The card was taken out.
    CardOut = 3,
}

impl RecordKind {
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Fix),
            1 => Some(Self::Status),
            2 => Some(Self::CardIn),
            3 => Some(Self::CardOut),
            _ => None,
        }
    }
}

/// What a record says about the driver. The engine carries a driver forward over
/// [`DriverSaid::NotSaid`] only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverSaid {
    #[default]
    NotSaid,
    /// The device says that nobody is logged in.
    Nobody,
    /// A card or key: the register says whose.
    Card(CardId),
    /// The driving licence itself (JT/T 808 0x0702, ISO 15693 cards, providers' feeds).
    Licence(DriverId),
}

/// An alarm that a device raised. The numbers are bit positions that are filed and sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum Alarm {
    General = 0,
    Sos = 1,
    Vibration = 2,
    Movement = 3,
    LowSpeed = 4,
    Overspeed = 5,
    FallDown = 6,
    LowPower = 7,
    LowBattery = 8,
    Fault = 9,
    PowerOff = 10,
    PowerOn = 11,
    Door = 12,
    Lock = 13,
    Unlock = 14,
    Geofence = 15,
    GeofenceEnter = 16,
    GeofenceExit = 17,
    GpsAntennaCut = 18,
    Accident = 19,
    Tow = 20,
    Idle = 21,
    HighRpm = 22,
    HardAcceleration = 23,
    HardBraking = 24,
    HardCornering = 25,
    LaneChange = 26,
    FatigueDriving = 27,
    PowerCut = 28,
    PowerRestored = 29,
    Jamming = 30,
    Temperature = 31,
    Parking = 32,
    Bonnet = 33,
    FootBrake = 34,
    FuelLeak = 35,
    Tampering = 36,
    Removing = 37,
}

impl Alarm {
    pub const ALL: [Self; 38] = [
        Self::General,
        Self::Sos,
        Self::Vibration,
        Self::Movement,
        Self::LowSpeed,
        Self::Overspeed,
        Self::FallDown,
        Self::LowPower,
        Self::LowBattery,
        Self::Fault,
        Self::PowerOff,
        Self::PowerOn,
        Self::Door,
        Self::Lock,
        Self::Unlock,
        Self::Geofence,
        Self::GeofenceEnter,
        Self::GeofenceExit,
        Self::GpsAntennaCut,
        Self::Accident,
        Self::Tow,
        Self::Idle,
        Self::HighRpm,
        Self::HardAcceleration,
        Self::HardBraking,
        Self::HardCornering,
        Self::LaneChange,
        Self::FatigueDriving,
        Self::PowerCut,
        Self::PowerRestored,
        Self::Jamming,
        Self::Temperature,
        Self::Parking,
        Self::Bonnet,
        Self::FootBrake,
        Self::FuelLeak,
        Self::Tampering,
        Self::Removing,
    ];

    /// The name used in JSON, `hardBraking`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Sos => "sos",
            Self::Vibration => "vibration",
            Self::Movement => "movement",
            Self::LowSpeed => "lowspeed",
            Self::Overspeed => "overspeed",
            Self::FallDown => "fallDown",
            Self::LowPower => "lowPower",
            Self::LowBattery => "lowBattery",
            Self::Fault => "fault",
            Self::PowerOff => "powerOff",
            Self::PowerOn => "powerOn",
            Self::Door => "door",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::Geofence => "geofence",
            Self::GeofenceEnter => "geofenceEnter",
            Self::GeofenceExit => "geofenceExit",
            Self::GpsAntennaCut => "gpsAntennaCut",
            Self::Accident => "accident",
            Self::Tow => "tow",
            Self::Idle => "idle",
            Self::HighRpm => "highRpm",
            Self::HardAcceleration => "hardAcceleration",
            Self::HardBraking => "hardBraking",
            Self::HardCornering => "hardCornering",
            Self::LaneChange => "laneChange",
            Self::FatigueDriving => "fatigueDriving",
            Self::PowerCut => "powerCut",
            Self::PowerRestored => "powerRestored",
            Self::Jamming => "jamming",
            Self::Temperature => "temperature",
            Self::Parking => "parking",
            Self::Bonnet => "bonnet",
            Self::FootBrake => "footBrake",
            Self::FuelLeak => "fuelLeak",
            Self::Tampering => "tampering",
            Self::Removing => "removing",
        }
    }
}

/// A set of alarms, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Alarms(u64);

impl Alarms {
    pub const NONE: Self = Self(0);

    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub const fn bits(self) -> u64 {
        self.0
    }

    pub const fn insert(&mut self, alarm: Alarm) {
        self.0 |= 1 << alarm as u8;
    }

    #[must_use]
    pub const fn with(mut self, alarm: Alarm) -> Self {
        self.insert(alarm);
        self
    }

    pub const fn contains(self, alarm: Alarm) -> bool {
        self.0 & (1 << alarm as u8) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Alarm> {
        Alarm::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

/// What no rule reads, kept because operators ask for it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Details {
    pub external_voltage_mv: Option<u32>,
    /// In 0.01 of the unit that the device uses (litres or percent).
    pub fuel_centi: Option<i32>,
    /// Hours of the engine, in milliseconds.
    pub engine_ms: Option<u64>,
    /// The protocol's own number of the event that caused the report.
    pub event: Option<u32>,
    pub vin: Option<Box<str>>,
}

/// What a device said about one instant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Event time, by the device's clock.
    pub time: Timestamp,
    pub kind: RecordKind,
    /// Present exactly in a [`RecordKind::Fix`]; a card record may have one as well.
    pub position: Option<Position>,
    /// The device calls its fix valid.
    pub valid: bool,
    /// Tenths of a metre above the reference of the device.
    pub altitude_dm: Option<i32>,
    pub speed: Option<Speed>,
    pub course: Option<Course>,
    pub satellites: Option<u8>,
    pub ignition: Option<bool>,
    pub motion: Option<bool>,
    pub door: Option<bool>,
    pub odometer_m: Option<u64>,
    pub driver: DriverSaid,
    pub alarms: Alarms,
    /// Sent late, from the device's memory. Not part of the content hash.
    pub stored: bool,
    pub details: Details,
}

impl Record {
    /// A fix of which only the place and the instant are known.
    pub fn fix(time: Timestamp, position: Position) -> Self {
        Self {
            position: Some(position),
            valid: true,
            ..Self::status(time)
        }
        .of_kind(RecordKind::Fix)
    }

    /// A report without a position.
    pub fn status(time: Timestamp) -> Self {
        Self {
            time,
            kind: RecordKind::Status,
            position: None,
            valid: false,
            altitude_dm: None,
            speed: None,
            course: None,
            satellites: None,
            ignition: None,
            motion: None,
            door: None,
            odometer_m: None,
            driver: DriverSaid::NotSaid,
            alarms: Alarms::NONE,
            stored: false,
            details: Details::default(),
        }
    }

    #[must_use]
    pub fn of_kind(mut self, kind: RecordKind) -> Self {
        self.kind = kind;
        self
    }

    /// Which of two records of one instant is judged: the smallest by latitude, longitude, speed,
    /// driver (reading A2), then by content, so that the choice never depends on arrival.
    pub fn precedes_at_same_instant(&self, other: &Self) -> bool {
        let place = |r: &Self| r.position.map_or((f64::MAX, f64::MAX), |p| (p.lat, p.lon));
        let ((a, b), (c, d)) = (place(self), place(other));
        a.total_cmp(&c)
            .then(b.total_cmp(&d))
            .then(self.speed.cmp(&other.speed))
            .then_with(|| self.driver.cmp(&other.driver))
            .then_with(|| crate::hash::content_hash(self).cmp(&crate::hash::content_hash(other)))
            .is_lt()
    }
}

/// Why a record takes no part in the counting of speed and driving (TT 71/2024 Annex II.I.1).
/// The numbers are filed: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum InvalidReason {
    /// Dated after its receipt, by more than the profile's tolerance (A5).
    Future = 1,
    /// Latitude or longitude exactly 0 (A8).
    ZeroCoordinate = 2,
    /// 200 km/h or more from the last valid record (A3, A4).
    ImpliedSpeed = 3,
    /// Outside the country's box (A7).
    OutsideCountry = 4,
    /// 200 km/h or more by the device itself.
    TooFast = 5,
    /// Below 0 km/h.
    NegativeSpeed = 6,
    /// The same speed since many records while the position changes (A6).
    FrozenSpeed = 7,
    /// The device itself says that it has no fix.
    NoFix = 8,
    /// A fix without a speed.
    NoSpeed = 9,
    /// Another record of the same instant was judged (A2).
    SameInstant = 10,
}

impl InvalidReason {
    pub const ALL: [Self; 10] = [
        Self::Future,
        Self::ZeroCoordinate,
        Self::ImpliedSpeed,
        Self::OutsideCountry,
        Self::TooFast,
        Self::NegativeSpeed,
        Self::FrozenSpeed,
        Self::NoFix,
        Self::NoSpeed,
        Self::SameInstant,
    ];

    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|r| *r as u8 == n)
    }

    /// Fixed label for columns, JSON and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::ZeroCoordinate => "zero_coordinate",
            Self::ImpliedSpeed => "implied_speed",
            Self::OutsideCountry => "outside_country",
            Self::TooFast => "too_fast",
            Self::NegativeSpeed => "negative_speed",
            Self::FrozenSpeed => "frozen_speed",
            Self::NoFix => "no_fix",
            Self::NoSpeed => "no_speed",
            Self::SameInstant => "same_instant",
        }
    }
}

/// What judging made of a filed record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Valid,
    Invalid(InvalidReason),
    /// Not a fix, so the filter does not apply to it.
    NotAFix,
    /// Arrived behind a later record, and its source has not been rebuilt yet.
    Late,
    /// From a device that nobody approved.
    Held,
    /// Received later than the window within which late records are judged.
    Unjudged,
}

impl Verdict {
    /// Whether the record tells where its vehicle is. Much that takes no part in counting does: a
    /// vehicle abroad is still somewhere. A jump, a zero or no fix at all tells nothing.
    pub const fn shows_place(self) -> bool {
        use InvalidReason::{FrozenSpeed, NegativeSpeed, NoSpeed, OutsideCountry, TooFast};
        match self {
            Self::Valid | Self::NotAFix | Self::Late | Self::Held | Self::Unjudged => true,
            Self::Invalid(reason) => matches!(
                reason,
                OutsideCountry | TooFast | NegativeSpeed | FrozenSpeed | NoSpeed
            ),
        }
    }

    /// Number under which it is filed: 0 valid, 1 to 99 the reason, above it the rest.
    pub const fn code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid(r) => r as u8,
            Self::NotAFix => 100,
            Self::Late => 101,
            Self::Held => 102,
            Self::Unjudged => 103,
        }
    }

    pub fn from_code(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Valid),
            100 => Some(Self::NotAFix),
            101 => Some(Self::Late),
            102 => Some(Self::Held),
            103 => Some(Self::Unjudged),
            n => InvalidReason::from_u8(n).map(Self::Invalid),
        }
    }

    /// Label for the column `reason` of exports; none for a valid record.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Valid => None,
            Self::Invalid(r) => Some(r.label()),
            Self::NotAFix => Some("not_a_fix"),
            Self::Late => Some("late"),
            Self::Held => Some("held"),
            Self::Unjudged => Some("unjudged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_outside_the_globe_are_refused() {
        assert!(Position::new(90.0, 180.0).is_some());
        for (lat, lon) in [
            (90.1, 0.0),
            (0.0, -180.1),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert!(Position::new(lat, lon).is_none());
        }
        assert_eq!(Position::new(-0.0, 0.0).unwrap().lat().to_bits(), 0);
    }

    #[test]
    fn verdict_codes_round_trip() {
        for n in 0..=255 {
            if let Some(v) = Verdict::from_code(n) {
                assert_eq!(v.code(), n);
            }
        }
        assert_eq!(
            InvalidReason::ALL.len(),
            (0..=99)
                .filter(|n| InvalidReason::from_u8(*n).is_some())
                .count()
        );
    }
}
