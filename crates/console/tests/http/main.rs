//! The console over real HTTP on loopback, with the real embedded store behind it.
#![allow(clippy::unwrap_used)]

mod access;
mod alerts;
mod fixture;
mod lists;
mod live;
mod openapi;
mod pull;
mod review;
mod summaries;
mod transmission;
