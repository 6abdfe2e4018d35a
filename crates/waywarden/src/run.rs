//! `waywarden run`: all roles in one process, on embedded storage.

mod demo;
mod roles;

use crate::config::Config;
use crate::roles::open_files;
use crate::roles::signals::Signals;
use crate::store::block_on;
use crate::telemetry::tell;
use anyhow::Result;
use roles::Roles;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use waywarden_model::registry::UnknownPolicy;
use waywarden_store::Role;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; without it every key has its default (docs/configuration.md).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder, in place of `data`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of all listeners for devices, with the ports that they have.
    #[arg(long)]
    listen: Option<IpAddr>,
    /// Take any free port instead of the listeners' own.
    #[arg(long)]
    any_port: bool,
    /// In place of `console.listen`.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// In place of `gateway.unknown_devices`.
    #[arg(long, value_enum)]
    unknown: Option<Unknown>,
    /// Registers to begin with, where the data folder has none yet.
    #[arg(long, value_name = "DIR")]
    example: Option<PathBuf>,
    /// Drive so many simulated vehicles: their past day first, then on with the clock.
    #[arg(long, value_name = "VEHICLES", default_value_t = 0)]
    simulate: u32,
    /// Free bytes, in place of `gateway.disk_reserve`.
    #[arg(long)]
    disk_reserve: Option<u64>,
    /// Go on where the log is another one, or does not hold any more what was to be judged next.
    /// What is missing in it is given up, and that is written down.
    #[arg(long)]
    accept_gap: bool,
    /// Go on with other profiles than those that the partitions were judged by. What is on file
    /// stays as it was judged until `waywarden recalculate`.
    #[arg(long)]
    accept_profiles: bool,
    /// Logs as JSON, in place of `telemetry.format`.
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Unknown {
    /// Answered and filed, not judged until somebody approves the device.
    Hold,
    /// Judged like registered ones.
    Accept,
    Refuse,
}

impl From<Unknown> for UnknownPolicy {
    fn from(policy: Unknown) -> Self {
        match policy {
            Unknown::Hold => Self::Hold,
            Unknown::Accept => Self::Accept,
            Unknown::Refuse => Self::Refuse,
        }
    }
}

impl Args {
    /// The configuration with the flags over it.
    fn config(&self) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
            config.told_at("data", "--data");
        }
        for listener in &mut config.gateway.listeners {
            let port = if self.any_port {
                0
            } else {
                listener.address.port()
            };
            let ip = self.listen.unwrap_or(listener.address.ip());
            listener.address = SocketAddr::new(ip, port);
        }
        if let Some(http) = self.http {
            config.console.listen = http;
            config.told_at("console.listen", "--http");
        }
        config.unknown = self.unknown.map_or(config.unknown, Into::into);
        config.gateway.disk_reserve = self.disk_reserve.unwrap_or(config.gateway.disk_reserve);
        if self.accept_gap {
            config.worker.accept_gap = waywarden_worker::AcceptGap::once();
        }
        config.worker.accept_profiles = self.accept_profiles;
        config.telemetry.json |= self.log_json;
        config.check()?;
        Ok(config)
    }
}

pub fn run(args: &Args) -> Result<()> {
    let config = args.config()?;
    let folds = crate::telemetry::begin(&config.telemetry)?;
    open_files::raise_limit();
    let demo = Demo {
        example: args.example.as_deref(),
        vehicles: args.simulate,
    };
    block_on(async {
        let telling = tokio::spawn(folds.clone().tell_from_time_to_time());
        let (version, data) = (env!("CARGO_PKG_VERSION"), config.data.display().to_string());
        tracing::info!(version, data, "starting");
        let signals = Signals::new()?;
        let scheme = config.console.tls.as_ref().map_or("http", |_| "https");
        let roles = Roles::start(config, &demo).await?;
        show(&roles, scheme);
        let ended = roles.until_told(signals).await;
        telling.abort();
        folds.tell_the_rest();
        ended
    })
}

/// What is shown to somebody who has no fleet yet.
struct Demo<'a> {
    example: Option<&'a std::path::Path>,
    vehicles: u32,
}

/// What a person needs who has just started it.
fn show(roles: &Roles, scheme: &str) {
    for listener in roles.listeners() {
        let (speaks, transport) = (listener.speaks.label(), listener.transport);
        let address = listener.address;
        tell(&format!(
            "devices speak {speaks} to {address} ({transport:?})"
        ));
    }
    let http = roles.http();
    tell(&format!(
        "the API is at {scheme}://{http}/api/v1 (docs/api.md)"
    ));
    show_link(roles);
    if !waywarden_console::page_is_built() {
        tell("the page is not built into this program; the API is whole");
    }
}

/// Signs a page in, once.
fn show_link(roles: &Roles) {
    let (link, within) = (roles.link(Role::Operator), roles.link_lifetime());
    tell(&format!("open once, within {within}: {link}"));
}
