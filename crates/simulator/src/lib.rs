//! A fleet of devices that speak the protocols and drive the roads.
//!
//! What a vehicle does ([`Vehicle`]) is a function of the seed and its number alone; when it is
//! sent, acknowledged and sent again is the business of [`fleet`] and [`device`].

mod carried;
pub mod device;
pub mod fleet;
mod ledger;
pub mod replay;
mod road;
mod vehicle;

pub use carried::{Carried, Entry};
pub use fleet::{FleetConfig, FleetError, FleetReport, Told, device_id};
pub use ledger::{Ledger, LedgerError};
pub use road::Road;
pub use vehicle::{Habit, Span, Vehicle};

/// IMEI-like identifier of vehicle `n` for Teltonika and GT06: `86000000000NNNN`.
pub fn imei(n: u32) -> String {
    format!("86{n:013}")
}

/// Phone number of vehicle `n` for JT/T 808: `9000000NNNN`.
pub fn phone(n: u32) -> String {
    format!("9{n:010}")
}
