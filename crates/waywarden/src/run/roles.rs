//! The roles of one process and the order in which they start and stop.

use super::{Args, PARTITIONS, auth_key};
use crate::fleet::{DAY_MS, fleet};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, Log};
use waywarden_console::{
    Backlog, ConsoleConfig, ConsoleHandle, LivePosition, ServiceStatus, StatusSource,
};
use waywarden_gateway::{
    FreeSpace, GatewayConfig, GatewayHandle, Listener, Speaks, Surroundings, free_space_of,
    wire_sessions,
};
use waywarden_model::registry::{Registers, Registry, RegistryDirectory};
use waywarden_model::{Message, Protocol, Record, SourceId, TimeZone, Timestamp};
use waywarden_rules::Profiles;
use waywarden_simulator::{Span, Told, device::Pace};
use waywarden_store::{AdminStore, DataFolder, Options, Role, SqliteStore, WorkerStore};
use waywarden_wire::{Settings, Transport};
use waywarden_worker::{Partition, WorkerError};

/// How often queued registry versions and the log's retention are looked at.
const CARE_EVERY: Duration = Duration::from_secs(2);
/// Number of the simulated vehicle that tells its past weeks: its habit are long days, and its
/// protocol takes many records a frame.
const WEEK_TOLD_BY: u32 = 3;
/// Positions that a slow page may lag behind.
const LIVE_CAPACITY: usize = 4096;
/// Held devices that may be known at once.
const MAX_HELD: usize = 1000;

pub struct Roles {
    log: Arc<EmbeddedLog>,
    gateway: GatewayHandle,
    console: ConsoleHandle,
    workers: Vec<JoinHandle<Result<(), WorkerError>>>,
    care: JoinHandle<Result<()>>,
    /// Cancelled first: no new data.
    intake: CancellationToken,
    /// Cancelled when the gateway has nothing in flight any more.
    rest: CancellationToken,
    /// Locks the folder for as long as the roles live.
    _folder: DataFolder,
}

impl Roles {
    /// Opens the data folder and starts everything on it.
    pub async fn start(args: &Args) -> Result<Self> {
        let folder = DataFolder::open(&args.data.data)?;
        let log_options = waywarden_bus::Options {
            partitions: PARTITIONS,
            ..Default::default()
        };
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log"), log_options)?);
        let store = Arc::new(SqliteStore::open(&folder.store_file(), Options::default())?);
        begin_with_example(&store, args.example.as_deref()).await?;
        let registry = registry(&store).await?;
        let policy = args.unknown.into();
        let directory = Arc::new(RegistryDirectory::new(registry, policy, MAX_HELD));
        directory.set_now(crate::clock::now());
        announce(&store, &log).await?;

        let (intake, rest) = (CancellationToken::new(), CancellationToken::new());
        let metrics = prometheus::Registry::new();
        let (positions, _) = broadcast::channel(LIVE_CAPACITY);
        let workers = start_workers(&log, &store, &positions, &directory, &rest).await?;
        let free_space = free_space_of(folder.path());
        let config = gateway_config(args, folder.path())?;
        let with = Surroundings {
            log: Arc::clone(&log) as Arc<dyn Log>,
            directory: Arc::clone(&directory) as Arc<dyn waywarden_model::DeviceDirectory>,
            sessions: wire_sessions(),
            clock: Arc::new(crate::clock::now),
            free_space: Arc::clone(&free_space),
            metrics: &metrics,
            shutdown: intake.clone(),
        };
        let gateway = waywarden_gateway::serve(config, with).await?;
        let status = Arc::new(Status {
            gateway: gateway.clone(),
            log: Arc::clone(&log),
            free_space,
            reserve: args.disk_reserve,
        });
        let parts = waywarden_console::Parts {
            store: Arc::clone(&store) as Arc<dyn waywarden_store::read::ConsoleStore>,
            status,
            positions,
            metrics,
            clock: Arc::new(crate::clock::now),
            shutdown: rest.clone(),
        };
        let config = ConsoleConfig {
            listen: args.http,
            ..ConsoleConfig::default()
        };
        let console = waywarden_console::serve(config, parts).await?;
        if args.simulate > 0 {
            let begun = folder.path().join("fleet-set-out");
            drive(args.simulate, gateway.listeners(), &begun, intake.clone())?;
        }
        let care = tokio::spawn(care(store, Arc::clone(&log), directory, rest.clone()));
        Ok(Self {
            log,
            gateway,
            console,
            workers,
            care,
            intake,
            rest,
            _folder: folder,
        })
    }

    pub fn listeners(&self) -> &[Listener] {
        self.gateway.listeners()
    }

    pub fn http(&self) -> SocketAddr {
        self.console.address()
    }

    pub fn link(&self, role: Role) -> String {
        self.console.one_use_link(role)
    }

    /// Runs until a signal, or until a role fails; then stops in order: nothing new is read, what
    /// is in flight becomes durable, what is durable is judged and filed.
    pub async fn until_told(mut self) -> Result<()> {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let failed = tokio::select! {
            _ = tokio::signal::ctrl_c() => None,
            _ = terminate.recv() => None,
            failed = first_end(&mut self.workers) => Some(failed),
        };
        tracing::info!("stopping");
        self.intake.cancel();
        self.gateway.stopped().await;
        self.rest.cancel();
        for worker in self.workers.drain(..) {
            worker
                .await
                .context("a worker ended without an outcome")??;
        }
        self.care
            .await
            .context("the announcer ended without an outcome")??;
        self.console.join().await?;
        self.log.close().await;
        failed.map_or(Ok(()), Err)
    }
}

/// Waits for the first worker to end by itself, which none should.
async fn first_end(workers: &mut Vec<JoinHandle<Result<(), WorkerError>>>) -> anyhow::Error {
    loop {
        if let Some(at) = workers.iter().position(JoinHandle::is_finished) {
            return match workers.swap_remove(at).await {
                Ok(Ok(())) => anyhow::anyhow!("a worker ended before it was told to"),
                Ok(Err(error)) => error.into(),
                Err(error) => error.into(),
            };
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn begin_with_example(store: &SqliteStore, example: Option<&Path>) -> Result<()> {
    let Some(example) = example else {
        return Ok(());
    };
    if store.registry_head().await? > 0 {
        return Ok(());
    }
    let files = [example.to_owned()];
    for line in crate::import::import(store, &files, &TimeZone::vietnam(), "example").await? {
        tracing::info!("{line}");
    }
    Ok(())
}

async fn registry(store: &SqliteStore) -> Result<Arc<Registry>> {
    let version = store.registry_head().await?;
    let registers = match version {
        0 => Registers::default(),
        version => store.registers(version).await?,
    };
    Ok(Arc::new(Registry::new(version, registers)))
}

async fn start_workers(
    log: &Arc<EmbeddedLog>,
    store: &Arc<SqliteStore>,
    positions: &broadcast::Sender<LivePosition>,
    directory: &Arc<RegistryDirectory>,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<Result<(), WorkerError>>>> {
    let mut workers = Vec::new();
    for partition in 0..PARTITIONS {
        let (positions, directory) = (positions.clone(), Arc::clone(directory));
        let options = waywarden_worker::Options {
            filed: Some(Arc::new(move |source, record| {
                // Nobody watches: nobody is told.
                if positions.receiver_count() > 0
                    && let Some(position) = live(source, record, &directory)
                {
                    // The last watcher may have gone in between.
                    let _ = positions.send(position);
                }
            })),
            ..waywarden_worker::Options::default()
        };
        let worker = Partition::claim(
            partition,
            Arc::clone(log) as Arc<dyn Log>,
            Arc::clone(store) as Arc<dyn WorkerStore>,
            Arc::new(Profiles::vietnam()),
            options,
            Arc::new(crate::clock::now),
        );
        workers.push(tokio::spawn(worker.await?.run(stop.clone())));
    }
    Ok(workers)
}

fn live(source: &SourceId, record: &Record, directory: &RegistryDirectory) -> Option<LivePosition> {
    let position = record.position?;
    let registry = directory.registry();
    let fitted = registry.assignment(source, record.time).value;
    Some(LivePosition {
        source: source.to_string(),
        plate: fitted.map(|v| v.plate.to_string()),
        time: record.time,
        lat: position.lat(),
        lon: position.lon(),
        speed: record.speed.map(waywarden_model::Speed::kmh),
        course: record.course.map(waywarden_model::Course::degrees),
        driver: None,
    })
}

fn gateway_config(args: &Args, folder: &Path) -> Result<GatewayConfig> {
    let default = GatewayConfig::default();
    let place = |mut l: Listener| {
        let port = if args.any_port { 0 } else { l.address.port() };
        l.address = SocketAddr::new(args.listen, port);
        l
    };
    Ok(GatewayConfig {
        name: "run".to_owned(),
        data: folder.to_owned(),
        listeners: default.listeners.iter().copied().map(place).collect(),
        wire: Settings {
            auth_key: auth_key(folder)?,
            ..Settings::default()
        },
        disk_reserve: args.disk_reserve,
        ..default
    })
}

/// Drives the fleet in the background: what lies before now is due at once and goes as fast as it
/// is acknowledged, what comes after it goes with the clock.
///
/// The fleet sets out on the Monday of the week before it is first driven, and `begun` keeps that
/// day: started again it drives on as before and tells the past day once more. One vehicle, whose
/// days are long, tells the whole way, so that there is a week to judge.
fn drive(
    vehicles: u32,
    listeners: &[Listener],
    begun: &Path,
    stop: CancellationToken,
) -> Result<()> {
    let tcp = listeners.iter().filter(|l| l.transport == Transport::Tcp);
    let taken: Vec<(Protocol, SocketAddr)> = tcp
        .filter_map(|l| match l.speaks {
            Speaks::One(protocol) => Some((protocol, l.address)),
            Speaks::Any => None,
        })
        .collect();
    let now = crate::clock::now();
    let span = Span {
        from: set_out(begun, now)?,
        until: now.plus_millis(365 * DAY_MS),
        every_ms: 10_000,
    };
    let pace = Pace::Times {
        factor: 1.0,
        from: now,
    };
    let mut config = fleet(taken, vehicles, span, pace);
    config.shifts = true;
    config.told = Told::Since {
        from: now.plus_millis(-DAY_MS),
        whole: WEEK_TOLD_BY,
    };
    tokio::spawn(async move {
        if let Err(error) = waywarden_simulator::fleet::run(config, stop).await {
            tracing::warn!(%error, "the simulated fleet stopped");
        }
    });
    Ok(())
}

/// When the fleet of this data folder set out; now, where it did not yet.
fn set_out(kept: &Path, now: Timestamp) -> Result<Timestamp> {
    let said = || kept.display().to_string();
    match std::fs::read_to_string(kept) {
        Ok(text) => return Timestamp::parse_rfc3339(text.trim()).with_context(said),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(said),
    }
    let zone = TimeZone::vietnam();
    let from = zone.start_of(zone.day_of(now.plus_millis(-7 * DAY_MS)).monday());
    std::fs::write(kept, from.to_string()).with_context(said)?;
    Ok(from)
}

/// Puts queued registry versions into the log; trims what retention allows.
async fn care(
    store: Arc<SqliteStore>,
    log: Arc<EmbeddedLog>,
    directory: Arc<RegistryDirectory>,
    stop: CancellationToken,
) -> Result<()> {
    let mut known = directory.registry().version();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(CARE_EVERY) => {}
        }
        let now = crate::clock::now();
        directory.set_now(now);
        announce(&store, &log).await?;
        let head = store.registry_head().await?;
        if head != known {
            directory.replace(registry(&store).await?);
            tracing::info!(version = head, "registry version in force");
            known = head;
        }
        // The log is kept for two days behind what was judged.
        if let Err(error) = log.trim(now.plus_millis(-2 * DAY_MS)).await {
            tracing::warn!(%error, "the log was not trimmed");
        }
    }
}

/// Announces queued registry versions, each partition's in their order.
async fn announce(store: &SqliteStore, log: &EmbeddedLog) -> Result<()> {
    loop {
        let queued = store.take_outbox(64).await?;
        if queued.is_empty() {
            return Ok(());
        }
        for a in &queued {
            if a.partition >= PARTITIONS {
                bail!(
                    "version {} is queued for partition {}",
                    a.version,
                    a.partition
                );
            }
            let payload = waywarden_bus::encode(&Message::Registry(a.version));
            log.append(a.partition, payload).await?.await??;
        }
        store.ack_outbox(queued).await?;
    }
}

/// What the console shows of the other roles.
struct Status {
    gateway: GatewayHandle,
    log: Arc<EmbeddedLog>,
    free_space: FreeSpace,
    reserve: u64,
}

impl StatusSource for Status {
    fn status(&self) -> ServiceStatus {
        let head = |partition| Backlog {
            partition,
            head: self.log.end(partition),
        };
        ServiceStatus {
            not_ready: self
                .gateway
                .health()
                .iter()
                .map(|h| h.label().to_owned())
                .collect(),
            connections: self.gateway.connections() as u64,
            disk_free_bytes: (self.free_space)().ok(),
            disk_reserve_bytes: Some(self.reserve),
            log: (0..PARTITIONS).map(head).collect(),
        }
    }
}
