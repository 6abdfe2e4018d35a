//! The vocabulary of Waywarden: what a device said, who it serves, what the law found.
//!
//! Nothing in here does input or output, reads a clock or draws a random number. Constructors
//! hold the invariants, so that a value which exists is a value that is sound.

pub mod alert;
pub mod day;
pub mod directory;
pub mod frame;
pub mod hash;
pub mod ids;
pub mod period;
pub mod record;
pub mod registry;
pub mod time;
pub mod units;
pub mod violation;

pub use alert::{Ahead, Alert, AlertId, AlertKind};
pub use day::{DayRow, DriverDay};
pub use directory::{DeviceDirectory, DeviceProfile, Standing};
pub use frame::{Frame, Message, Protocol, Tick};
pub use ids::{CardId, DriverId, OperatorId, Plate, SourceId, Subject, VehicleId};
pub use period::Period;
pub use record::{
    Alarm, Alarms, Details, DriverSaid, InvalidReason, Position, Record, RecordKind, Verdict,
};
pub use time::{LocalDay, TimeZone, Timestamp};
pub use units::{Course, Distance, Speed};
pub use violation::{
    Band, Figures, Kind, LimitSource, ProfileId, Rule, Span, Violation, ViolationId,
};
