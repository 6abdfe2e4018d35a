//! The roles of one process and the order in which they start and stop.

use super::leap::Found;
use super::{Demo, PARTITIONS, auth_key};
use crate::config::{Config, LogKind, Retention};
use crate::fleet::{DAY_MS, fleet};
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, KafkaLog, Log};
use waywarden_console::{Backlog, ConsoleHandle, LivePosition, ServiceStatus, StatusSource};
use waywarden_gateway::{
    FreeSpace, GatewayConfig, GatewayHandle, Listener, Speaks, Surroundings, free_space_of,
    wire_sessions,
};
use waywarden_model::registry::{Registers, Registry, RegistryDirectory};
use waywarden_model::{Message, Protocol, Record, SourceId, TimeZone, Timestamp};
use waywarden_simulator::{Span, Told, device::Pace};
use waywarden_store::{DataFolder, Older, Role, Store, WorkerStore};
use waywarden_wire::Transport;
use waywarden_worker::{Work, WorkerError};

/// How often queued registry versions and the log's retention are looked at.
const CARE_EVERY: Duration = Duration::from_secs(2);
/// Number of the simulated vehicle that tells its past weeks: its habit are long days, and its
/// protocol takes many records a frame.
const WEEK_TOLD_BY: u32 = 3;
/// How often rows that are no longer kept are looked for.
const PRUNE_EVERY_MS: i64 = 3_600_000;
/// Time that live writes have between two of its transactions.
const BETWEEN_PRUNES: Duration = Duration::from_millis(50);
/// Positions that a slow page may lag behind.
const LIVE_CAPACITY: usize = 4096;

pub struct Roles {
    log: Arc<dyn Log>,
    gateway: GatewayHandle,
    console: ConsoleHandle,
    workers: Vec<JoinHandle<Result<(), WorkerError>>>,
    care: JoinHandle<Result<()>>,
    link_lifetime: Duration,
    /// Cancelled first: no new data.
    intake: CancellationToken,
    /// Cancelled when the gateway has nothing in flight any more.
    rest: CancellationToken,
    /// Locks the folder for as long as the roles live.
    _folder: DataFolder,
}

impl Roles {
    /// Opens the data folder and starts everything on it.
    pub async fn start(config: Config, demo: &Demo<'_>) -> Result<Self> {
        let folder = DataFolder::open(&config.data)?;
        let log = open_log(&config, &folder).await?;
        let store = crate::store::open(&config).await?;
        begin_with_example(store.as_ref(), demo.example).await?;
        let registry = registry(store.as_ref()).await?;
        let directory = RegistryDirectory::new(registry, config.unknown, config.max_held);
        let directory = Arc::new(directory);
        directory.set_now(crate::clock::now());
        announce(store.as_ref(), log.as_ref()).await?;
        let last_received = store.status().await?.last_received;
        let found = Found::new(crate::clock::now(), last_received);

        let (intake, rest) = (CancellationToken::new(), CancellationToken::new());
        let metrics = prometheus::Registry::new();
        let (positions, _) = broadcast::channel(LIVE_CAPACITY);
        let place = Place {
            log: Arc::clone(&log),
            store: Arc::clone(&store),
            directory: Arc::clone(&directory),
        };
        let workers = start_workers(&place, &config, &positions, &rest).await?;
        let free_space = free_space_of(folder.path());
        let with = Surroundings {
            log: Arc::clone(&log),
            directory: Arc::clone(&directory) as Arc<dyn waywarden_model::DeviceDirectory>,
            sessions: wire_sessions(),
            clock: Arc::new(crate::clock::now),
            free_space: Arc::clone(&free_space),
            metrics: &metrics,
            shutdown: intake.clone(),
        };
        let gateway = waywarden_gateway::serve(gateway_config(&config, &folder)?, with).await?;
        let status = Arc::new(Status {
            gateway: gateway.clone(),
            log: Arc::clone(&log),
            free_space,
            reserve: config.gateway.disk_reserve,
        });
        let parts = waywarden_console::Parts {
            store: Arc::clone(&store) as Arc<dyn waywarden_store::read::ConsoleStore>,
            status,
            positions,
            metrics,
            clock: Arc::new(crate::clock::now),
            shutdown: rest.clone(),
        };
        let console = waywarden_console::serve(config.console.clone(), parts).await?;
        if demo.vehicles > 0 {
            let begun = folder.path().join("fleet-set-out");
            drive(demo.vehicles, gateway.listeners(), &begun, intake.clone())?;
        }
        let kept = Kept {
            log: config.log_kept,
            rows: config.retention,
        };
        let care = tokio::spawn(care(place, kept, found, rest.clone()));
        Ok(Self {
            log,
            gateway,
            console,
            workers,
            care,
            link_lifetime: config.console.link_lifetime,
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

    /// How long a link is good, as the configuration writes it.
    pub fn link_lifetime(&self) -> String {
        crate::config::show_duration(self.link_lifetime)
            .trim_matches('"')
            .to_owned()
    }

    pub fn link(&self, role: Role) -> String {
        self.console.one_use_link(role)
    }

    /// Runs until a signal, or until a role fails; then stops in order: nothing new is read, what
    /// is in flight becomes durable, what is durable is judged and filed. SIGUSR1 tells a new link
    /// to the page.
    pub async fn until_told(mut self, mut signals: Signals) -> Result<()> {
        let (why, failed) = loop {
            tokio::select! {
                _ = signals.interrupt.recv() => break ("SIGINT", None),
                _ = signals.terminate.recv() => break ("SIGTERM", None),
                _ = signals.link.recv() => super::show_link(&self),
                failed = first_end(&mut self.workers) => {
                    break ("a partition stopped", Some(failed));
                }
            }
        };
        if let Some(error) = &failed {
            let error = format!("{error:#}");
            tracing::error!(error, "a partition stopped; the program ends");
        }
        tracing::info!(why, "stopping: what is in flight is finished");
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
        tracing::info!("stopped; nothing is left undone");
        failed.map_or(Ok(()), Err)
    }
}

/// What the program listens to. Made before anything is told: a signal without somebody who
/// listens would end it in the middle of something.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    link: Signal,
}

impl Signals {
    pub fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            link: signal(SignalKind::user_defined1())?,
        })
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

/// The log that the configuration names.
async fn open_log(config: &Config, folder: &DataFolder) -> Result<Arc<dyn Log>> {
    Ok(match config.log_kind {
        LogKind::Embedded => {
            let path = folder.path().join("log");
            Arc::new(EmbeddedLog::open(&path, config.log.clone())?)
        }
        LogKind::Kafka => Arc::new(KafkaLog::open(config.kafka.clone()).await?),
    })
}

async fn begin_with_example(store: &dyn Store, example: Option<&Path>) -> Result<()> {
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

async fn registry(store: &dyn Store) -> Result<Arc<Registry>> {
    let version = store.registry_head().await?;
    let registers = match version {
        0 => Registers::default(),
        version => store.registers(version).await?,
    };
    Ok(Arc::new(Registry::new(version, registers)))
}

/// What the roles of one process share.
struct Place {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    directory: Arc<RegistryDirectory>,
}

async fn start_workers(
    place: &Place,
    config: &Config,
    positions: &broadcast::Sender<LivePosition>,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<Result<(), WorkerError>>>> {
    let mut workers = Vec::new();
    let kept = i64::try_from(config.retention.positions.as_millis()).unwrap_or(i64::MAX);
    let law = Arc::new(crate::profiles::law(config)?);
    for partition in 0..PARTITIONS {
        let (positions, directory) = (positions.clone(), Arc::clone(&place.directory));
        let options = waywarden_worker::Options {
            retention_ms: Some(kept),
            filed: Some(Arc::new(move |source, record| {
                // Nobody watches: nobody is told.
                if positions.receiver_count() > 0
                    && let Some(position) = live(source, record, &directory)
                {
                    // The last watcher may have gone in between.
                    let _ = positions.send(position);
                }
            })),
            ..config.worker.clone()
        };
        let work = Work {
            partition,
            log: Arc::clone(&place.log),
            store: Arc::clone(&place.store) as Arc<dyn WorkerStore>,
            profiles: Arc::clone(&law),
            options,
            clock: Arc::new(crate::clock::now),
        };
        // What is wrong for good is said before a device is listened to.
        let claimed = work.claim().await?;
        workers.push(tokio::spawn(work.keep_working(claimed, stop.clone())));
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

fn gateway_config(config: &Config, folder: &DataFolder) -> Result<GatewayConfig> {
    let mut gateway = config.gateway.clone();
    folder.path().clone_into(&mut gateway.data);
    gateway.wire.auth_key = auth_key(config)?;
    Ok(gateway)
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

/// How long what is kept is kept.
#[derive(Clone, Copy)]
struct Kept {
    log: Duration,
    rows: Retention,
}

/// Puts queued registry versions into the log; removes what is no longer kept. What fails is tried
/// again: a full disk must not end it.
async fn care(place: Place, kept: Kept, found: Found, stop: CancellationToken) -> Result<()> {
    let (mut known, mut failed) = (place.directory.registry().version(), false);
    // Soon after every start: a program that is started every day would never come to it.
    let mut pruned_at: Option<Timestamp> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(CARE_EVERY) => {}
        }
        let now = crate::clock::now();
        place.directory.set_now(now);
        let done = tend(&place, &mut known, kept, now).await;
        if let Err(error) = &done
            && !failed
        {
            tracing::warn!(%error, "the store or the log refuses upkeep; it is tried again");
        }
        failed = done.is_err();
        let due = pruned_at.is_none_or(|at| now.since(at) >= PRUNE_EVERY_MS);
        if due && !failed {
            pruned_at = Some(now);
            if found.agrees_with(now) {
                prune(place.store.as_ref(), kept.rows, now, &stop).await;
            } else {
                tracing::warn!("old rows stay: the clock leapt; restart when it is right");
            }
        }
    }
}

async fn tend(place: &Place, known: &mut u32, kept: Kept, now: Timestamp) -> Result<()> {
    announce(place.store.as_ref(), place.log.as_ref()).await?;
    let head = place.store.registry_head().await?;
    if head != *known {
        place
            .directory
            .replace(registry(place.store.as_ref()).await?);
        tracing::info!(version = head, "registry version in force");
        *known = head;
    }
    place.log.trim(before(now, kept.log)).await?;
    Ok(())
}

fn before(now: Timestamp, kept: Duration) -> Timestamp {
    now.plus_millis(-i64::try_from(kept.as_millis()).unwrap_or(i64::MAX / 4))
}

/// Removes rows that are no longer kept, a little at a time, so that nothing waits for it.
async fn prune(store: &dyn Store, kept: Retention, now: Timestamp, stop: &CancellationToken) {
    let zone = TimeZone::vietnam();
    let day = zone.day_of(before(now, kept.positions));
    let older = Older {
        positions: zone.start_of(day),
        day,
        reads: before(now, kept.reads),
    };
    let mut gone = 0;
    while !stop.is_cancelled() {
        match store.prune(older).await {
            Ok(0) => break,
            Ok(n) => gone += n,
            Err(error) => {
                tracing::warn!(%error, "old rows were not removed");
                break;
            }
        }
        tokio::time::sleep(BETWEEN_PRUNES).await;
    }
    if gone > 0 {
        tracing::info!(rows = gone, before = %older.positions, "old rows removed");
    }
}

/// Announces queued registry versions, each partition's in their order.
async fn announce(store: &dyn Store, log: &dyn Log) -> Result<()> {
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
    log: Arc<dyn Log>,
    free_space: FreeSpace,
    reserve: u64,
}

impl StatusSource for Status {
    fn status(&self) -> ServiceStatus {
        let head = |partition| Backlog {
            partition,
            head: self.log.seen_end(partition),
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
