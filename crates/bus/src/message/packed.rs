//! Differences one behind the other, without their keys and lengths: fewer bytes to write, compress,
//! keep and read, and the time of a device that speaks at the same intervals takes none.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;
