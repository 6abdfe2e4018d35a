//! `waywarden gateway`: listens to devices and makes what they send durable.

use super::directory::{self, Copy};
use super::signals::Signals;
use super::{Common, Http, begin, far_log};
use crate::config::Config;
use anyhow::{Context, Result};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Append;
use waywarden_gateway::{
    GatewayConfig, GatewayHandle, Spool, Surroundings, free_space_of, wire_sessions,
};
use waywarden_model::registry::RegistryDirectory;
use waywarden_store::DataFolder;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    http: Http,
    /// Take any free port instead of the listeners' own.
    #[arg(long)]
    any_port: bool,
}

/// Listens until a signal; what is in flight becomes durable then.
///
/// # Errors
/// A configuration that does not fit, an address that is taken, a topic that may not be used.
pub fn run(args: &Args) -> Result<()> {
    let mut config = args.common.config("gateway")?;
    args.http.over(&mut config);
    if args.any_port {
        for listener in &mut config.gateway.listeners {
            listener.address.set_port(0);
        }
    }
    begin("gateway", config, serve)
}

async fn serve(config: Config, mut signals: Signals) -> Result<()> {
    let folder = DataFolder::open(&config.data)?;
    let (intake, rest) = (CancellationToken::new(), CancellationToken::new());
    let copy = Copy::in_folder(folder.path());
    let (store, registry) = directory::at_start(crate::store::open(&config), &copy).await?;
    let directory = RegistryDirectory::new(registry, config.unknown, config.max_held);
    let directory = Arc::new(directory);
    directory.set_now(crate::clock::now());
    let (log, spool) = tokio::select! {
        opened = way_to_log(&config, &folder, &intake) => opened?,
        why = signals.end() => {
            tracing::info!(why, "stopped before it began");
            return Ok(());
        }
    };
    let metrics = prometheus::Registry::new();
    let with = Surroundings {
        log: Arc::clone(&log),
        spool,
        directory: Arc::clone(&directory) as Arc<dyn waywarden_model::DeviceDirectory>,
        sessions: wire_sessions(),
        clock: Arc::new(crate::clock::now),
        free_space: free_space_of(folder.path()),
        metrics: &metrics,
        shutdown: intake.clone(),
    };
    let gateway = waywarden_gateway::serve(settings(&config, &folder)?, with).await?;
    let ready = gateway.clone();
    let probe = waywarden_console::Probe {
        listen: config.telemetry.listen,
        metrics,
        not_ready: Arc::new(move || not_ready(&ready)),
        shutdown: rest.clone(),
    };
    let (probe, http) = waywarden_console::serve_probe(probe).await?;
    for l in gateway.listeners() {
        let (speaks, transport, address) = (l.speaks.label(), l.transport, l.address);
        tracing::info!(speaks, ?transport, %address, "devices are listened to");
    }
    tracing::info!(%http, "health and figures");
    let following = directory::follow(config, store, directory, copy, rest.clone());
    let following = tokio::spawn(following);
    let why = signals.end().await;
    tracing::info!(why, "stopping: what is in flight is finished");
    intake.cancel();
    gateway.stopped().await;
    log.close().await;
    rest.cancel();
    following
        .await
        .context("following the registers ended without an outcome")?;
    probe
        .await
        .context("the probe ended without an outcome")??;
    tracing::info!("stopped; nothing is left undone");
    Ok(())
}

/// The log itself, or a spool before it.
async fn way_to_log(
    config: &Config,
    folder: &DataFolder,
    stop: &CancellationToken,
) -> Result<(Arc<dyn Append>, Option<Spool>)> {
    if config.use_spool {
        let spool = far_log::spooled(config, folder.path(), None).await?;
        return Ok((Arc::new(spool.clone()), Some(spool)));
    }
    let log = far_log::wait_for(config, stop).await?;
    let log = log.context("told to stop before Kafka was reached")?;
    Ok((log, None))
}

/// Short labels of what keeps a gateway from being ready.
pub fn not_ready(gateway: &GatewayHandle) -> Vec<String> {
    let health = gateway.health();
    let prevents = health.iter().filter(|h| h.prevents());
    prevents.map(|h| h.label().to_owned()).collect()
}

/// The gateway's settings with what the data folder holds.
///
/// # Errors
/// A key of authentication codes that cannot be read or made.
pub fn settings(config: &Config, folder: &DataFolder) -> Result<GatewayConfig> {
    let mut gateway = config.gateway.clone();
    folder.path().clone_into(&mut gateway.data);
    gateway.wire.auth_key = auth_key(config)?;
    Ok(gateway)
}

/// Reads the key of authentication codes, or makes it: every gateway must have the same.
fn auth_key(config: &Config) -> Result<Vec<u8>> {
    let path = match &config.auth_key_file {
        Some(path) => path.clone(),
        None => config.data.join("auth.key"),
    };
    let said = || path.display().to_string();
    match std::fs::read(&path) {
        Ok(key) if key.len() == 32 => return Ok(key),
        Ok(key) => anyhow::bail!("{} has {} bytes, not 32", said(), key.len()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && config.auth_key_file.is_none() => {}
        Err(e) => return Err(e).with_context(said),
    }
    make_key(&path).with_context(said)
}

/// Writes a new key whole or not at all: half a key would be refused at every later start.
fn make_key(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use rand::RngCore;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut key = vec![0; 32];
    rand::rng().fill_bytes(&mut key);
    let begun = path.with_extension("new");
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&begun)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&begun, path)?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(key)
}
