//! The roles of one process and the order in which they start and stop.

use super::Demo;
use super::demo::drive;
use crate::config::{Config, LogKind};
use crate::roles::care::{self, Kept, Mine};
use crate::roles::leap::Found;
use crate::roles::signals::Signals;
use crate::roles::{directory, far_log, gateway, live, worker};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, Log};
use waywarden_console::{Backlog, ConsoleHandle, ServiceStatus, StatusSource};
use waywarden_gateway::{
    FreeSpace, GatewayHandle, Listener, Spool, Surroundings, free_space_of, wire_sessions,
};
use waywarden_model::TimeZone;
use waywarden_model::registry::RegistryDirectory;
use waywarden_store::{DataFolder, Role, Store};
use waywarden_worker::{Crew, WorkerError};

pub struct Roles {
    log: Arc<dyn Log>,
    /// Before the log, where that is on Kafka.
    spool: Option<Spool>,
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
        let log = far_log::open(&config, folder.path()).await?;
        let store = crate::store::open(&config).await?;
        begin_with_example(&config, store.as_ref(), demo.example).await?;
        let registry = directory::registry(store.as_ref()).await?;
        let directory = RegistryDirectory::new(registry, config.unknown, config.max_held);
        let directory = Arc::new(directory);
        directory.set_now(crate::clock::now());
        let everything: Mine = Arc::new(|_| true);
        let place = care::Place {
            log: Arc::clone(&log),
            store: Arc::clone(&store),
            directory: Some(Arc::clone(&directory)),
            mine: everything,
        };
        care::announce(&place).await?;
        let last_received = store.status().await?.last_received;
        let found = Found::new(crate::clock::now(), last_received);

        let (intake, rest) = (CancellationToken::new(), CancellationToken::new());
        let metrics = prometheus::Registry::new();
        let (positions, _) = broadcast::channel(live::CAPACITY);
        let filed = live::tell_filed(positions.clone(), Arc::clone(&directory));
        let options = waywarden_worker::Options {
            filed: Some(filed),
            ..worker::options(&config)
        };
        let law = crate::profiles::law(&config)?;
        let badge = crate::profiles::badge_thresholds(&law);
        let make = worker::make_work(&log, &store, law, options);
        let workers = start_workers(&log, make, &rest).await?;
        let spool = match config.log_kind {
            LogKind::Kafka if config.use_spool => {
                let far = Arc::clone(&log) as Arc<dyn Append>;
                Some(far_log::spooled(&config, folder.path(), Some(far)).await?)
            }
            _ => None,
        };
        let free_space = free_space_of(folder.path());
        let with = Surroundings {
            log: match &spool {
                Some(spool) => Arc::new(spool.clone()) as Arc<dyn Append>,
                None => Arc::clone(&log) as Arc<dyn Append>,
            },
            spool: spool.clone(),
            directory: Arc::clone(&directory) as Arc<dyn waywarden_model::DeviceDirectory>,
            sessions: wire_sessions(),
            clock: Arc::new(crate::clock::now),
            free_space: Arc::clone(&free_space),
            metrics: &metrics,
            shutdown: intake.clone(),
        };
        let settings = gateway::settings(&config, &folder)?;
        let gateway = waywarden_gateway::serve(settings, with).await?;
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
            badge,
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
        let care = tokio::spawn(care::care(place, kept, found, rest.clone()));
        Ok(Self {
            log,
            spool,
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
        // With the spool ends the log behind it, which the workers read until now.
        if let Some(spool) = &self.spool {
            spool.close().await;
        }
        self.log.close().await;
        tracing::info!("stopped; nothing is left undone");
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

async fn begin_with_example(
    config: &Config,
    store: &dyn Store,
    example: Option<&Path>,
) -> Result<()> {
    let Some(example) = example else {
        return Ok(());
    };
    if store.registry_head().await? > 0 {
        return Ok(());
    }
    let files = [example.to_owned()];
    let partitions = config.log.partitions;
    let zone = TimeZone::vietnam();
    for line in crate::import::import(store, &files, &zone, "example", partitions).await? {
        tracing::info!("{line}");
    }
    Ok(())
}

/// Starts what works the log. Where it is this process's alone, what is wrong for good is said
/// before a device is listened to; among several, a partition that cannot be worked stands still.
async fn start_workers(
    log: &Arc<dyn Log>,
    make: waywarden_worker::MakeWork,
    stop: &CancellationToken,
) -> Result<Vec<JoinHandle<Result<(), WorkerError>>>> {
    let share = log.join().await?;
    if share.is_shared() {
        let crew = Crew::new(share, make);
        return Ok(vec![tokio::spawn(crew.run(stop.clone()))]);
    }
    let mut workers = Vec::new();
    for partition in 0..log.partitions() {
        let work = make(partition);
        let claimed = work.claim().await?;
        workers.push(tokio::spawn(work.keep_working(claimed, stop.clone())));
    }
    Ok(workers)
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
            not_ready: gateway::not_ready(&self.gateway),
            connections: self.gateway.connections() as u64,
            disk_free_bytes: (self.free_space)().ok(),
            disk_reserve_bytes: Some(self.reserve),
            log: (0..self.log.partitions()).map(head).collect(),
        }
    }
}
