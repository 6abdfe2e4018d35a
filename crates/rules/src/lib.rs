//! The event-time engine: one file per rule, parameters from dated profiles.
//!
//! [`step`] folds one source's records in order of event time; [`subject::judge`] counts the
//! driving periods of a driver. Both are pure functions: time, registers and profiles are
//! arguments, and a second run gives the same figures bit for bit.

mod closed_hours;
pub mod distance;
mod driving;
pub mod evaluate;
mod filter;
mod forbidden_zone;
mod frozen_position;
mod jump;
mod limit;
mod named;
mod overspeed;
mod permits;
mod places;
mod power_cut;
pub mod profile;
mod route_deviation;
mod state;
mod step;
pub mod subject;
mod transmission_gap;
mod unregistered_stop;
mod whom;

pub use filter::Ahead;
pub use profile::{Badge, Library, Profile, ProfileError, Profiles};
pub use state::{Outputs, SourceState, StateError};
pub use step::{Admit, Context, admit, end_day, finish, flush, step};

/// Version of the engine, kept with every saved state: where it differs, a source is rebuilt.
pub const ENGINE_VERSION: u32 = 4;
