//! How the program speaks of itself: one line an event on standard error, UTC, as text or JSON.

mod fold;

use crate::config::Telemetry;
use anyhow::Result;
pub use fold::Folds;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Standard error is read by a program: a line that is no JSON would break it.
static JSON: AtomicBool = AtomicBool::new(false);

/// Begins to log. Call it once.
///
/// # Errors
/// A level that cannot be read.
pub fn begin(telemetry: &Telemetry) -> Result<Folds> {
    // A successor ends the sessions that a worker has left, and the pool would warn of each.
    let levels =
        EnvFilter::try_new(&telemetry.level)?.add_directive("deadpool.postgres=error".parse()?);
    let folds = Folds::default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let all = tracing_subscriber::registry().with(levels);
    if telemetry.json {
        JSON.store(true, Ordering::Relaxed);
        all.with(lines.json().with_filter(folds.filter())).init();
    } else {
        let text = lines.with_ansi(false);
        all.with(text.with_filter(folds.filter())).init();
    }
    Ok(folds)
}

/// Says something to whoever started the program: plain, or as an event where all lines are JSON.
pub fn tell(text: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::info!("{text}");
    } else {
        eprintln!("waywarden: {text}");
    }
}

/// Says why the program ends.
pub fn failed(error: &anyhow::Error) {
    if JSON.load(Ordering::Relaxed) {
        tracing::error!("{error:#}");
    } else {
        eprintln!("waywarden: {error:#}");
    }
}
