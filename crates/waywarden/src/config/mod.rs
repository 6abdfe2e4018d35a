//! What the program is told: one TOML file, the environment over it, flags over both; read once
//! into the types that the roles take.

mod check;
mod keys;
mod parse;
mod value;

pub use check::problems_of;
pub use keys::KEYS;
pub use parse::{document, example, load};
pub use value::show_duration;

use crate::exit::Ending;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use waywarden_console::ConsoleConfig;
use waywarden_gateway::GatewayConfig;
use waywarden_model::registry::UnknownPolicy;

/// Everything, with the defaults of one small machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Folder of the log, the store and the gateway's own files.
    pub data: PathBuf,
    pub gateway: GatewayConfig,
    /// Key of JT/T 808 authentication codes; None: a file of the data folder, made when missing.
    pub auth_key_file: Option<PathBuf>,
    pub unknown: UnknownPolicy,
    /// Held devices that may be known at once.
    pub max_held: usize,
    pub log: waywarden_bus::Options,
    /// Where the log is: in the data folder, or on Kafka.
    pub log_kind: LogKind,
    pub kafka: waywarden_bus::KafkaOptions,
    /// Settings with which the brokers let this program in; some are secret.
    pub kafka_client_file: Option<PathBuf>,
    /// Whether a gateway keeps on its disk what Kafka does not take.
    pub use_spool: bool,
    pub spool: waywarden_gateway::SpoolOptions,
    /// What the worker has taken stays in the log for this long: two intervals between backups.
    pub log_kept: Duration,
    pub store: waywarden_store::Options,
    /// Where the store is: in the data folder, or on a server.
    pub store_kind: StoreKind,
    /// How the server is reached, as libpq has it, without the password.
    pub store_server: String,
    pub store_password_file: Option<PathBuf>,
    pub timescale: waywarden_store::TimescaleOptions,
    pub worker: waywarden_worker::Options,
    /// What is judged by: a regime, or one profile for all times.
    pub regime: String,
    /// Folder of an operator's own profiles.
    pub profiles: Option<PathBuf>,
    pub retention: Retention,
    pub console: ConsoleConfig,
    pub telemetry: Telemetry,
    /// Where each key that is not left to its default was told: a line, a variable, a flag.
    told: BTreeMap<&'static str, String>,
}

/// Which log there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    Embedded,
    Kafka,
}

/// Which store there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    Sqlite,
    Timescale,
}

/// How long rows are kept. Violations, their evidence, reviews and changes are never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Positions with their frames, periods, and what was set aside (TT 71/2024: a year online).
    pub positions: Duration,
    /// Who read what.
    pub reads: Duration,
}

/// How the program speaks of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    pub json: bool,
    /// As for `tracing`: a level, or levels by module.
    pub level: String,
    /// Where a gateway or a worker that is a process of its own tells its health and figures.
    pub listen: SocketAddr,
}

/// Partitions of a log, unless told otherwise: one machine's cores, twice.
const PARTITIONS: u32 = 4;
const DAY: Duration = Duration::from_secs(86_400);

impl Default for Config {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            gateway: GatewayConfig::default(),
            auth_key_file: None,
            unknown: UnknownPolicy::Hold,
            max_held: 1000,
            log: waywarden_bus::Options {
                partitions: PARTITIONS,
                ..waywarden_bus::Options::default()
            },
            log_kind: LogKind::Embedded,
            kafka: waywarden_bus::KafkaOptions {
                partitions: PARTITIONS,
                ..waywarden_bus::KafkaOptions::default()
            },
            kafka_client_file: None,
            use_spool: true,
            spool: waywarden_gateway::SpoolOptions {
                folder: PathBuf::from("data/spool"),
                patience: Duration::from_secs(5),
                retry: Duration::from_secs(1),
                max_bytes: 16 << 30,
            },
            log_kept: 2 * DAY,
            store: waywarden_store::Options::default(),
            store_kind: StoreKind::Sqlite,
            store_server: "host=127.0.0.1 user=waywarden dbname=waywarden".to_owned(),
            store_password_file: None,
            timescale: waywarden_store::TimescaleOptions::default(),
            worker: waywarden_worker::Options::default(),
            regime: "vn".to_owned(),
            profiles: None,
            retention: Retention {
                // Older data than anybody has is filed too: a device's memory, recorded frames.
                positions: 36_500 * DAY,
                reads: 1_095 * DAY,
            },
            console: ConsoleConfig::default(),
            telemetry: Telemetry {
                json: false,
                level: "info".to_owned(),
                listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            },
            told: BTreeMap::new(),
        }
    }
}

impl Config {
    /// Remembers where a key was told, for what is said about it later.
    pub fn told_at(&mut self, key: &'static str, place: &str) {
        self.told.insert(key, place.to_owned());
    }

    /// The line, variable or flag that told a key; None where it has its default.
    pub fn place_of(&self, key: &str) -> Option<&str> {
        self.told.get(key).map(String::as_str)
    }

    /// Refuses what the roles could not work with, all of it at once.
    ///
    /// # Errors
    /// [`Ending::Usage`] with a line for every problem that is no mere doubt.
    pub fn check(&self) -> Result<()> {
        let refused: Vec<String> = problems_of(self)
            .iter()
            .filter(|p| p.refused)
            .map(|p| p.said(self))
            .collect();
        if refused.is_empty() {
            Ok(())
        } else {
            Err(Ending::Usage(refused.join("\n")).into())
        }
    }

    /// The file, where one is given, with the environment over it.
    ///
    /// # Errors
    /// [`Ending::Usage`] with a line for everything that is wrong.
    pub fn read(file: Option<&Path>) -> Result<Self> {
        let text = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|e| Ending::Usage(format!("{}: {e}", path.display())));
                Some(text.context("the configuration cannot be read")?)
            }
            None => None,
        };
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            // What is not text is no variable of ours.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let config = load(file.zip(text.as_deref()), variables);
        config.map_err(|wrong| Ending::Usage(wrong.join("\n")).into())
    }
}
