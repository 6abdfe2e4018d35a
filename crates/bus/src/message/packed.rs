//! Differences one behind the other, without their keys: two thirds of their bytes, and what a device
//! says again at the same intervals costs nothing.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
