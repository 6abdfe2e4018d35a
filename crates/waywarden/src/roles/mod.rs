//! What the commands `run`, `gateway`, `worker` and `console` are put together from.

pub mod care;
pub mod console;
pub mod directory;
pub mod far_log;
pub mod gateway;
pub mod leap;
pub mod live;
pub mod open_files;
pub mod signals;
pub mod worker;

use crate::config::{Config, LogKind, StoreKind};
use crate::exit::Ending;
use crate::store::block_on;
use crate::telemetry::Folds;
use anyhow::Result;
use signals::Signals;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What every role that is a process of its own can be told.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// The configuration; every role of an installation may have the same one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder, in place of `data`.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Logs as JSON, in place of `telemetry.format`.
    #[arg(long)]
    pub log_json: bool,
}

impl Common {
    /// The configuration of a role that shares log and store with other processes.
    ///
    /// # Errors
    /// [`Ending::Usage`] where log or store belong to one process alone.
    pub fn config(&self, role: &'static str) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
            config.told_at("data", "--data");
        }
        config.telemetry.json |= self.log_json;
        for (key, alone, shared) in [
            ("log.kind", config.log_kind == LogKind::Embedded, "kafka"),
            (
                "store.kind",
                config.store_kind == StoreKind::Sqlite,
                "timescale",
            ),
        ] {
            if alone {
                let what = format!(
                    "`waywarden {role}` is one process of several, and `{key}` names storage of \
                     one process alone: set it to {shared}, or use `waywarden run`"
                );
                return Err(Ending::Usage(what).into());
            }
        }
        config.check()?;
        Ok(config)
    }
}

/// Starts the logs and the runtime of a role, and tells what was left untold at its end.
pub fn begin<F: Future<Output = Result<()>>>(
    role: &'static str,
    config: Config,
    work: impl FnOnce(Config, Signals) -> F,
) -> Result<()> {
    let folds: Folds = crate::telemetry::begin(&config.telemetry)?;
    open_files::raise_limit();
    block_on(async {
        let telling = tokio::spawn(folds.clone().tell_from_time_to_time());
        tracing::info!(role, version = env!("CARGO_PKG_VERSION"), "starting");
        let ended = work(config, Signals::new()?).await;
        telling.abort();
        folds.tell_the_rest();
        ended
    })
}

/// The address of a role's own figures: `telemetry.listen`, or the flag.
#[derive(Debug, clap::Args)]
pub struct Http {
    /// In place of `telemetry.listen`: where /healthz, /readyz and /metrics are.
    #[arg(long)]
    http: Option<SocketAddr>,
}

impl Http {
    pub fn over(&self, config: &mut Config) {
        if let Some(http) = self.http {
            config.telemetry.listen = http;
            config.told_at("telemetry.listen", "--http");
        }
    }
}
