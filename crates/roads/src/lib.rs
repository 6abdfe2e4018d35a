//! Where a vehicle is on the ground: corridors of registered routes, zones, published signs.
//!
//! Pure geometry over one registry version: no input or output, no clock, and trigonometry only
//! through `libm`, so that every machine gives the same answer.

mod corridor;
mod geometry;
mod network;
mod sign;
mod zone;

pub use corridor::Corridor;
pub use network::{Network, PublishedLimit};
