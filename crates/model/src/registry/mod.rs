//! Registers: who drives what, with which device, under which limits, and since when.
//!
//! [`Registers`] is the plain content; [`Registry`] is one immutable, numbered version of it with
//! its indexes. Every row is dated: it holds from `from` (inclusive) until `until` (exclusive).

mod ban;
mod directory;
mod export;
pub mod import;
mod lookup;
mod permit;

pub use ban::{Ban, Hours};
pub use directory::{RegistryDirectory, UnknownPolicy, device_profile};
pub use import::{ImportFile, ImportSet, RegisterError, RegisterKind};
pub use lookup::{Assignment, Dated, Registry};
pub use permit::{Lapse, Permit};

use crate::ids::{CardId, DriverId, OperatorId, Plate, SourceId, VehicleId};
use crate::record::Position;
use crate::time::Timestamp;
use crate::units::{Course, Speed};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The instants at which a row holds: `from` <= t < `until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Validity {
    pub const ALWAYS: Self = Self {
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    };

    pub fn holds_at(&self, t: Timestamp) -> bool {
        self.from <= t && t < self.until
    }

    pub fn overlaps(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Class of a vehicle, which decides the limit where no sign is known (TT 38/2024).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Class {
    #[serde(rename = "car_up_to_28_seats")]
    CarUpTo28Seats,
    #[serde(rename = "car_over_28_seats")]
    CarOver28Seats,
    #[serde(rename = "truck_up_to_3_5t")]
    TruckUpTo3_5t,
    #[serde(rename = "truck_over_3_5t")]
    TruckOver3_5t,
    #[serde(rename = "bus")]
    Bus,
    #[serde(rename = "tractor_with_semi_trailer")]
    TractorWithSemiTrailer,
    #[serde(rename = "special_purpose")]
    SpecialPurpose,
    #[serde(rename = "mixer")]
    Mixer,
    #[serde(rename = "towing")]
    Towing,
    #[serde(rename = "tanker")]
    Tanker,
    #[serde(rename = "special_machine")]
    SpecialMachine,
    #[serde(rename = "four_wheel_passenger")]
    FourWheelPassenger,
    #[serde(rename = "four_wheel_goods")]
    FourWheelGoods,
    #[serde(rename = "motorcycle")]
    Motorcycle,
}

impl Class {
    pub const ALL: [Self; 14] = [
        Self::CarUpTo28Seats,
        Self::CarOver28Seats,
        Self::TruckUpTo3_5t,
        Self::TruckOver3_5t,
        Self::Bus,
        Self::TractorWithSemiTrailer,
        Self::SpecialPurpose,
        Self::Mixer,
        Self::Towing,
        Self::Tanker,
        Self::SpecialMachine,
        Self::FourWheelPassenger,
        Self::FourWheelGoods,
        Self::Motorcycle,
    ];

    /// Code in the register.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CarUpTo28Seats => "car_up_to_28_seats",
            Self::CarOver28Seats => "car_over_28_seats",
            Self::TruckUpTo3_5t => "truck_up_to_3_5t",
            Self::TruckOver3_5t => "truck_over_3_5t",
            Self::Bus => "bus",
            Self::TractorWithSemiTrailer => "tractor_with_semi_trailer",
            Self::SpecialPurpose => "special_purpose",
            Self::Mixer => "mixer",
            Self::Towing => "towing",
            Self::Tanker => "tanker",
            Self::SpecialMachine => "special_machine",
            Self::FourWheelPassenger => "four_wheel_passenger",
            Self::FourWheelGoods => "four_wheel_goods",
            Self::Motorcycle => "motorcycle",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// Type of transport business, which decides the break (NĐ 158/2024 art. 11.13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    FixedRoute,
    BusWithinProvince,
    BusInterProvince,
    Taxi,
    Contract,
    Tourist,
    Goods,
    Container,
    Internal,
}

impl Transport {
    pub const ALL: [Self; 9] = [
        Self::FixedRoute,
        Self::BusWithinProvince,
        Self::BusInterProvince,
        Self::Taxi,
        Self::Contract,
        Self::Tourist,
        Self::Goods,
        Self::Container,
        Self::Internal,
    ];

    /// Code in the register.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixedRoute => "fixed_route",
            Self::BusWithinProvince => "bus_within_province",
            Self::BusInterProvince => "bus_inter_province",
            Self::Taxi => "taxi",
            Self::Contract => "contract",
            Self::Tourist => "tourist",
            Self::Goods => "goods",
            Self::Container => "container",
            Self::Internal => "internal",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// Setting of a road, which picks the column of the class limits (TT 38/2024).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoadSetting {
    BuiltUpDual,
    BuiltUpOther,
    OutsideDual,
    OutsideOther,
}

impl RoadSetting {
    pub const ALL: [Self; 4] = [
        Self::BuiltUpDual,
        Self::BuiltUpOther,
        Self::OutsideDual,
        Self::OutsideOther,
    ];

    /// Code in the register.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BuiltUpDual => "built_up_dual",
            Self::BuiltUpOther => "built_up_other",
            Self::OutsideDual => "outside_dual",
            Self::OutsideOther => "outside_other",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// A vehicle during a span of time; a new plate, class or operator is a new row of the same id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Vehicle {
    pub id: VehicleId,
    pub plate: Plate,
    pub class: Option<Class>,
    pub transport: Option<Transport>,
    pub operator: Option<OperatorId>,
    /// Registered route of a fixed-route vehicle: id of a [`Route`].
    pub route: Option<Arc<str>>,
    /// Limit everywhere, above the class.
    pub speed_limit: Option<Speed>,
    /// Break that ends continuous driving, above the type of transport; milliseconds.
    pub break_ms: Option<i64>,
    /// Certificate of inspection (technical safety and environment).
    pub inspection: Permit,
    /// Badge of a vehicle in transport business (NĐ 158/2024).
    pub badge: Permit,
    pub validity: Validity,
}

/// A driver; the key is the number of the driving licence.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Driver {
    pub id: DriverId,
    pub name: String,
    pub licence_class: Option<String>,
    pub licence: Permit,
    pub operator: Option<OperatorId>,
    pub validity: Validity,
}

/// A card or key and whose it is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Card {
    pub id: CardId,
    pub driver: DriverId,
    pub validity: Validity,
}

/// A transport operator; the key is the tax code.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Operator {
    pub id: OperatorId,
    pub name: String,
    pub address: Option<String>,
    pub phone: Option<String>,
    /// Licence to carry (giấy phép kinh doanh vận tải).
    pub licence: Permit,
    pub validity: Validity,
}

/// A device as the gateway knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Identifier as the device sends it: IMEI, or phone number without leading zeros.
    pub id: SourceId,
    pub protocol: Option<crate::frame::Protocol>,
    /// Seconds east of UTC of the device's clock, where the protocol leaves it open.
    pub utc_offset_s: Option<i32>,
    pub dialect: Option<String>,
    pub standing: crate::directory::Standing,
    pub validity: Validity,
}

/// Source S serves vehicle V.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fitting {
    pub source: SourceId,
    pub vehicle: VehicleId,
    /// Judged; a second source's records are filed and count only for the rules on sources.
    pub primary: bool,
    pub validity: Validity,
}

/// A stop of a route.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stop {
    pub name: String,
    pub position: Position,
    pub radius_m: f64,
    /// Terminal at either end: leaving the corridor towards it is allowed within its radius.
    pub terminal: bool,
}

/// A registered route: a line, the half-width of its corridor, its stops.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Route {
    pub id: Arc<str>,
    pub name: String,
    pub line: Vec<Position>,
    pub half_width_m: f64,
    pub stops: Vec<Stop>,
    pub validity: Validity,
}

/// An area with a limit, a road setting or a ban of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Zone {
    pub id: Arc<str>,
    pub name: String,
    /// Polygons, each an outer ring and its holes; rings are closed.
    pub polygons: Vec<Vec<Vec<Position>>>,
    pub limit: Option<Speed>,
    pub setting: Option<RoadSetting>,
    pub ban: Option<Ban>,
    pub validity: Validity,
}

/// A published speed-limit sign: the stretch of road along which it holds, in one direction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sign {
    pub id: Arc<str>,
    /// From the sign to where it ends. A sign published as a point becomes a straight stretch of
    /// its `length_m` in its direction at import.
    pub line: Vec<Position>,
    pub half_width_m: f64,
    /// Direction of travel to which it applies; None: along the line as drawn.
    pub direction: Option<Course>,
    /// Holds for both directions of travel.
    pub both_ways: bool,
    pub limit: Speed,
    pub validity: Validity,
}

/// All registers, as plain content.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Registers {
    pub vehicles: Vec<Vehicle>,
    pub drivers: Vec<Driver>,
    pub cards: Vec<Card>,
    pub operators: Vec<Operator>,
    pub devices: Vec<Device>,
    pub fittings: Vec<Fitting>,
    pub routes: Vec<Route>,
    pub zones: Vec<Zone>,
    pub signs: Vec<Sign>,
}
