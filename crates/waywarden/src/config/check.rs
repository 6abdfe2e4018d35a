//! What no single key shows: keys that do not fit together, files that are not there, doubts.

use super::{Config, LogKind, StoreKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use waywarden_bus::ClientSettings;
use waywarden_console::ConfigError;
use waywarden_gateway::Listener;
use waywarden_model::registry::UnknownPolicy;
use waywarden_store::timescale::{Reach, ServerError, timescale_password, timescale_reach};
use waywarden_wire::Transport;

/// Something wrong or doubtful with a key whose value can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The program does not start with it; else it is a warning.
    pub refused: bool,
    pub key: &'static str,
    /// The end of a sentence that begins with the key: what is wrong, and what would be right.
    what: String,
}

impl Problem {
    fn refuse(key: &'static str, what: impl Into<String>) -> Self {
        Self {
            refused: true,
            key,
            what: what.into(),
        }
    }

    fn doubt(key: &'static str, what: impl Into<String>) -> Self {
        Self {
            refused: false,
            ..Self::refuse(key, what)
        }
    }

    /// A line with the place where the key was told.
    pub fn said(&self, config: &Config) -> String {
        let place = config
            .place_of(self.key)
            .map_or(String::new(), |place| format!("{place}: "));
        format!("{place}`{}` {}", self.key, self.what)
    }
}

/// Everything that can be known without opening a port or the data folder.
pub fn problems_of(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    listeners(config, &mut found);
    gateway(config, &mut found);
    storage(config, &mut found);
    server(config, &mut found);
    console(config, &mut found);
    rules(config, &mut found);
    found
}

fn rules(config: &Config, found: &mut Vec<Problem>) {
    let library = match crate::profiles::library(config.profiles.as_deref()) {
        Ok(library) => library,
        Err(e) => {
            return found.push(Problem::refuse(
                "rules.profiles",
                format!("cannot be used: {e:#}"),
            ));
        }
    };
    if !library.names().contains(&config.regime.as_str()) {
        let what = format!(
            "is {}, it must be one of {}",
            config.regime,
            library.names().join(", ")
        );
        found.push(Problem::refuse("rules.regime", what));
    }
}

fn listeners(config: &Config, found: &mut Vec<Problem>) {
    let key = "gateway.listeners";
    let all = &config.gateway.listeners;
    if all.is_empty() {
        found.push(Problem::doubt(key, "is empty: no device can connect"));
    }
    for (n, a) in all.iter().enumerate() {
        let same = |b: &&Listener| a.transport == b.transport && meet(a.address, b.address);
        if let Some(b) = all[..n].iter().find(same) {
            let (a, b) = (a.address, b.address);
            let what =
                format!("names {a} twice (with {b}): two listeners cannot have the same port");
            found.push(Problem::refuse(key, what));
        }
        if a.transport == Transport::Tcp && meet(a.address, config.console.listen) {
            let what = format!(
                "has {}, which `console.listen` has too: give one of them another port",
                a.address
            );
            found.push(Problem::refuse(key, what));
        }
    }
    let open = all.iter().any(|l| !l.address.ip().is_loopback());
    if open && config.unknown == UnknownPolicy::Accept {
        let what = "is accept: whoever reaches a listener is judged like a registered device; \
                    hold asks somebody first";
        found.push(Problem::doubt("gateway.unknown_devices", what));
    }
}

/// Whether binding both would fail. Port 0 is any free one.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    let anywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || anywhere)
}

/// A message holds the frame and its records, which take at most some five times its size.
const MAX_FRAME: usize = waywarden_bus::MESSAGE_BYTES as usize / 8;
/// Between ticks that show an unbroken time of listening.
const LONGEST_TICK: Duration = Duration::from_secs(30);

fn gateway(config: &Config, found: &mut Vec<Problem>) {
    let limits = &config.gateway.limits;
    for (key, bytes) in [
        ("gateway.max_frame", config.gateway.wire.max_frame),
        ("gateway.max_connection_bytes", limits.connection_bytes),
        ("gateway.max_reply_bytes", limits.reply_bytes),
    ] {
        above_nothing(key, bytes as u64, found);
    }
    if config.gateway.wire.max_frame > MAX_FRAME {
        let what = format!("is above {MAX_FRAME} bytes: the log could not take what is in one");
        found.push(Problem::refuse("gateway.max_frame", what));
    }
    if limits.total_bytes < 128 << 10 {
        let what = "is below 128KiB, which one read may need; the default is 64MiB";
        found.push(Problem::refuse("gateway.max_total_bytes", what));
    }
    if config.gateway.times.tick > LONGEST_TICK {
        let what = "is more than 30s: a worker takes a minute without ticks for an outage, and \
                    calls nobody silent";
        found.push(Problem::doubt("gateway.tick_every", what));
    }
    if config.gateway.wire.lenient_checksums {
        let what = "takes damaged frames as good ones; false is right for real devices";
        found.push(Problem::doubt("gateway.lenient_checksums", what));
    }
    if let Some(path) = &config.auth_key_file {
        let key = "gateway.auth_key_file";
        match std::fs::metadata(path) {
            Ok(file) if file.is_file() && file.len() == 32 => {}
            Ok(file) if file.is_file() => {
                let what = format!("has {} bytes, it must have 32", file.len());
                found.push(Problem::refuse(key, what));
            }
            Ok(_) => found.push(not_readable(key, path, &"it is no file")),
            Err(e) => found.push(not_readable(key, path, &e)),
        }
    }
}

fn storage(config: &Config, found: &mut Vec<Problem>) {
    let (kafka, on_kafka) = (&config.kafka, config.log_kind == LogKind::Kafka);
    if on_kafka && kafka.min_in_sync > kafka.replication {
        let what = format!("is above `log.replication` ({})", kafka.replication);
        found.push(Problem::refuse("log.min_in_sync", what));
    }
    if on_kafka && kafka.min_in_sync < 2 {
        let what = "is below 2: a device is told 'received' when one broker alone has its data";
        found.push(Problem::doubt("log.min_in_sync", what));
    }
    if let (true, Some(path)) = (on_kafka, &config.kafka_client_file) {
        let key = "log.client_file";
        match std::fs::read_to_string(path) {
            Ok(text) => {
                if let Err(error) = ClientSettings::read(&text) {
                    let what = format!("is `{}`: {error}", path.display());
                    found.push(Problem::refuse(key, what));
                }
            }
            Err(e) => found.push(not_readable(key, path, &e)),
        }
    }
    for (key, bytes) in [
        ("log.segment_size", config.log.segment_bytes),
        ("log.max_size", config.log.max_bytes),
        ("log.queue_size", config.log.queue_bytes as u64),
        ("worker.batch_size", config.worker.batch_bytes as u64),
    ] {
        above_nothing(key, bytes, found);
    }
    if config.worker.late.share_percent > 100 {
        let what = format!(
            "is {}, it must be from 1 to 100",
            config.worker.late.share_percent
        );
        found.push(Problem::refuse("worker.late_share_percent", what));
    }
    if config.retention.positions < Duration::from_secs(366 * 86_400) {
        let what = "is below a year (366d), which TT 71/2024 asks for";
        found.push(Problem::doubt("store.positions_kept", what));
    }
}

/// The way to the server of the store.
fn server(config: &Config, found: &mut Vec<Problem>) {
    if config.store_kind != StoreKind::Timescale {
        return;
    }
    let key = "store.server";
    if timescale_password(&config.store_server) == Some(true) {
        let what = "has a password, which is seen wherever the configuration is: write it to a \
                    file of its own and name that in `store.password_file`";
        found.push(Problem::doubt(key, what));
    }
    match timescale_reach(&config.store_server, config.timescale.ca_file.as_deref()) {
        Ok(Reach {
            verified: false,
            leaves: true,
        }) => {
            let what = "leaves this machine, and whoever answers is taken for the server: name the \
                        authority of its certificate in `store.ca_file`, or say sslmode=require \
                        where the system trusts that authority";
            found.push(Problem::doubt(key, what));
        }
        Ok(_) => {}
        Err(ServerError::Authority { path, why }) => {
            found.push(not_readable("store.ca_file", &path, &why));
        }
        Err(error) => found.push(Problem::refuse(key, error.to_string())),
    }
}

fn console(config: &Config, found: &mut Vec<Problem>) {
    above_nothing("console.max_body", config.console.max_body as u64, found);
    if let Err(error) = config.console.check() {
        let key = match error {
            ConfigError::Unprotected(_) => "console.listen",
            ConfigError::Zero("max_requests") => "console.max_requests",
            ConfigError::Zero("max_streams") => "console.max_streams",
            ConfigError::Zero("max_sessions") => "console.max_sessions",
            ConfigError::Zero(_) => "console.max_live",
        };
        let what = match error {
            ConfigError::Unprotected(address) => format!(
                "is {address}, which is not a loopback address: set `console.tls_certificate` and \
                 `console.tls_key`, or name the proxy that ends TLS in `console.trusted_proxies`"
            ),
            ConfigError::Zero(_) => "must be at least 1".to_owned(),
        };
        found.push(Problem::refuse(key, what));
    }
    let Some(tls) = &config.console.tls else {
        return;
    };
    for (key, path) in [
        ("console.tls_certificate", &tls.certificate),
        ("console.tls_key", &tls.key),
    ] {
        if path.as_os_str().is_empty() {
            let what = "is empty: certificate and key are set both or neither";
            found.push(Problem::refuse(key, what));
        } else if let Err(e) = std::fs::File::open(path) {
            found.push(not_readable(key, path, &e));
        }
    }
}

fn above_nothing(key: &'static str, bytes: u64, found: &mut Vec<Problem>) {
    if bytes == 0 {
        found.push(Problem::refuse(key, "must be above 0B"));
    }
}

fn not_readable(key: &'static str, path: &Path, why: &dyn std::fmt::Display) -> Problem {
    let what = format!("is `{}`, which cannot be read: {why}", path.display());
    Problem::refuse(key, what)
}
