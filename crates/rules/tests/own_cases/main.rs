//! The project's own cases: each clause at its edge, with the arithmetic beside it.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)] // a case that cannot be read has failed

mod journey;
mod law;
mod permits;
mod places;
mod tampering;
