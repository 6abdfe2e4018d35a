//! The HTTP side: API, sign-in and roles, review, the agencies' pull, live stream, and the page.
//!
//! [`serve`] starts it; [`export`] writes the same rows for the command line. The store is asked
//! in short transactions; nothing here knows SQL.

pub mod auth;
mod config;
mod cursor;
mod error;
pub mod export;
mod fleet;
mod live;
mod metrics;
mod page;
mod probe;
mod routes;
mod server;
mod sessions;
mod state;
pub mod transmission;
pub mod view;

pub use config::{ConfigError, ConsoleConfig, Tls};
pub use live::LivePosition;
pub use page::page_is_built;
pub use probe::{Probe, serve as serve_probe};
pub use routes::openapi;
pub use server::{ConsoleError, ConsoleHandle, Parts, serve};
pub use state::{Backlog, Clock, ServiceStatus, StatusSource};
