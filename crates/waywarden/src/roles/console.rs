//! `waywarden console`: the API and the page, beside gateways and workers of their own.

use super::signals::Signals;
use super::{Common, begin, directory, far_log, live};
use crate::config::Config;
use crate::telemetry::tell;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use waywarden_console::{Backlog, ConsoleHandle, ServiceStatus, StatusSource};
use waywarden_model::registry::RegistryDirectory;
use waywarden_store::{Role, Store};

/// Between two looks at the ends of the log.
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// In place of `console.listen`.
    #[arg(long)]
    http: Option<SocketAddr>,
}

/// Serves until a signal.
///
/// # Errors
/// A configuration that does not fit, an address that is taken, a store that cannot be read.
pub fn run(args: &Args) -> Result<()> {
    let mut config = args.common.config("console")?;
    if let Some(http) = args.http {
        config.console.listen = http;
        config.told_at("console.listen", "--http");
    }
    config.check()?;
    begin("console", config, serve)
}

async fn serve(config: Config, mut signals: Signals) -> Result<()> {
    let stop = CancellationToken::new();
    let store = tokio::select! {
        opened = crate::store::wait_for(&config) => opened?,
        why = signals.end() => {
            tracing::info!(why, "stopped before it began");
            return Ok(());
        }
    };
    let registry = directory::registry(store.as_ref()).await?;
    let directory = RegistryDirectory::new(registry, config.unknown, config.max_held);
    let directory = Arc::new(directory);
    let heads = Arc::new(Heads::default());
    let (positions, _) = broadcast::channel(live::CAPACITY);
    let parts = waywarden_console::Parts {
        store: Arc::clone(&store) as Arc<dyn waywarden_store::ConsoleStore>,
        status: Arc::clone(&heads) as Arc<dyn StatusSource>,
        positions: positions.clone(),
        metrics: prometheus::Registry::new(),
        clock: Arc::new(crate::clock::now),
        badge: crate::profiles::badge_thresholds(&crate::profiles::law(&config)?),
        shutdown: stop.clone(),
    };
    let console = waywarden_console::serve(config.console.clone(), parts).await?;
    tell(&format!(
        "the API is at {}/api/v1 (docs/api.md)",
        console.address()
    ));
    show_link(&console, &config);
    let following = [
        tokio::spawn(live::follow_store(
            Arc::clone(&store),
            Arc::clone(&directory),
            positions,
            stop.clone(),
        )),
        tokio::spawn(newest_registers(store, directory, stop.clone())),
        tokio::spawn(look_at_log(config.clone(), heads, stop.clone())),
    ];
    let why = loop {
        tokio::select! {
            _ = signals.interrupt.recv() => break "SIGINT",
            _ = signals.terminate.recv() => break "SIGTERM",
            _ = signals.link.recv() => show_link(&console, &config),
        }
    };
    tracing::info!(why, "stopping");
    stop.cancel();
    for task in following {
        task.await
            .context("a task of the console ended without an outcome")?;
    }
    console.join().await?;
    tracing::info!("stopped; nothing is left undone");
    Ok(())
}

fn show_link(console: &ConsoleHandle, config: &Config) {
    let within = crate::config::show_duration(config.console.link_lifetime);
    let (link, within) = (
        console.one_use_link(Role::Operator),
        within.trim_matches('"'),
    );
    tell(&format!("open once, within {within}: {link}"));
}

/// Keeps the plates of live positions up to date.
async fn newest_registers(
    store: Arc<dyn Store>,
    directory: Arc<RegistryDirectory>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let known = directory.registry().version();
        // A store that is away is told by readiness.
        if store.registry_head().await.is_ok_and(|head| head != known)
            && let Ok(newest) = directory::registry(store.as_ref()).await
        {
            directory.replace(newest);
        }
    }
}

/// How far the log reaches, as far as it was seen; the other roles tell the rest themselves.
#[derive(Debug, Default)]
struct Heads(std::sync::Mutex<Vec<Backlog>>);

impl StatusSource for Heads {
    fn status(&self) -> ServiceStatus {
        let log = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        ServiceStatus {
            log: log.clone(),
            ..ServiceStatus::default()
        }
    }
}

/// Looks at the ends of the log, for the backlog that the page shows.
async fn look_at_log(config: Config, heads: Arc<Heads>, stop: CancellationToken) {
    let log = match far_log::wait_for(&config, &stop).await {
        Ok(Some(log)) => log,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "the log may not be used; the backlog is not shown");
            return;
        }
    };
    loop {
        let mut seen = Vec::new();
        for partition in 0..log.partitions() {
            match log.range(partition).await {
                Ok((_, head)) => seen.push(Backlog { partition, head }),
                Err(error) => tracing::debug!(partition, %error, "the end is not known"),
            }
        }
        if seen.len() == log.partitions() as usize {
            *heads
                .0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = seen;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
