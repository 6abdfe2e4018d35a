//! `waywarden run`: all roles in one process, on embedded storage.

mod open_files;
mod roles;

use crate::store::{PARTITIONS, block_on};
use anyhow::{Context, Result};
use roles::Roles;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use waywarden_model::registry::UnknownPolicy;
use waywarden_store::Role;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: crate::store::Data,
    /// Address on which devices are listened to.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Take any free port instead of the customary ones.
    #[arg(long)]
    any_port: bool,
    /// Address of the HTTP API; beyond loopback it needs TLS or a trusted proxy.
    #[arg(long, default_value_t = SocketAddr::from(([127, 0, 0, 1], 8080)))]
    http: SocketAddr,
    /// What happens to devices that nobody registered.
    #[arg(long, value_enum, default_value_t = Unknown::Hold)]
    unknown: Unknown,
    /// Registers to begin with, where the data folder has none yet.
    #[arg(long, value_name = "DIR")]
    example: Option<PathBuf>,
    /// Drive so many simulated vehicles: their past day first, then on with the clock.
    #[arg(long, value_name = "VEHICLES", default_value_t = 0)]
    simulate: u32,
    /// Free bytes of the disk below which devices are not read.
    #[arg(long, default_value_t = 1 << 30)]
    disk_reserve: u64,
    /// Logs as JSON.
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

pub fn run(args: &Args) -> Result<()> {
    log_to_stderr(args.log_json);
    open_files::raise_limit();
    block_on(async {
        let roles = Roles::start(args).await?;
        show(&roles);
        roles.until_told().await
    })
}

/// One line an event, in UTC.
fn log_to_stderr(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WAYWARDEN_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if json {
        lines.json().init();
    } else {
        lines.with_ansi(false).init();
    }
}

fn show(roles: &Roles) {
    for listener in roles.listeners() {
        let (speaks, transport) = (listener.speaks.label(), listener.transport);
        eprintln!(
            "waywarden: devices speak {speaks} to {} ({transport:?})",
            listener.address
        );
    }
    eprintln!(
        "waywarden: the API is at http://{}/api/v1 (docs/api.md)",
        roles.http()
    );
    eprintln!(
        "waywarden: open once, within ten minutes: {}",
        roles.link(Role::Operator)
    );
    if !waywarden_console::page_is_built() {
        eprintln!("waywarden: the page is not built into this program; the API is whole");
    }
}

/// Reads the key of authentication codes, or makes it: every gateway must have the same.
fn auth_key(folder: &std::path::Path) -> Result<Vec<u8>> {
    use rand::RngCore;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join("auth.key");
    let said = || path.display().to_string();
    match std::fs::read(&path) {
        Ok(key) if key.len() == 32 => return Ok(key),
        Ok(key) => anyhow::bail!("{} has {} bytes, not 32", said(), key.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(said),
    }
    let mut key = vec![0; 32];
    rand::rng().fill_bytes(&mut key);
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .with_context(said)?;
    file.write_all(&key)
        .and_then(|()| file.sync_all())
        .with_context(said)?;
    Ok(key)
}
