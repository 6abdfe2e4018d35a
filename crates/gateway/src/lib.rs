//! Listeners, admission, limits; drives `wire`, publishes, releases acknowledgements.
//!
//! No device is told that its data is safe before the log has said so: [`serve`] reads frames,
//! gives them to what makes them durable ([`Append`]) and sends the replies that wait for its receipts. Whatever is full or
//! fails makes sockets wait; nothing that was read is dropped.

mod clock;
mod config;
mod connection;
mod connections;
mod disk;
mod health;
mod held;
mod intake;
mod listen;
mod metrics;
mod odd;
mod pace;
mod shared;
mod spool;
mod udp;
mod watch;

pub use clock::Clock;
pub use config::{GatewayConfig, Limits, Listener, Speaks, Times};
pub use disk::{FreeSpace, free_space_of};
pub use health::Health;
pub use odd::OddFrame;
pub use shared::{NewSession, wire_sessions};
pub use spool::{Connect, Spool, SpoolOptions, SpoolState, Unreachable};

use clock::ReceiptClock;
use disk::DiskGuard;
use listen::Bound;
use metrics::Metrics;
use shared::{Parts, Shared};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waywarden_bus::Append;
use waywarden_model::DeviceDirectory;

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error("cannot listen on {address}: {error}")]
    Bind {
        address: SocketAddr,
        error: io::Error,
    },
    /// The listener could never serve anybody.
    #[error("{} is not spoken over {:?}", listener.speaks.label(), listener.transport)]
    NotSpoken { listener: Listener },
    #[error("the last stamp of receipt in {} cannot be used: {error}", folder.display())]
    Stamp { folder: PathBuf, error: io::Error },
    #[error("the metrics are registered already: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What a gateway works with, beside its settings.
pub struct Surroundings<'a> {
    pub log: Arc<dyn Append>,
    /// The same, where it is a log behind a spool: its state is told then.
    pub spool: Option<Spool>,
    pub directory: Arc<dyn DeviceDirectory>,
    /// Makes the session of a connection: [`wire_sessions`], but in tests.
    pub sessions: NewSession,
    pub clock: Clock,
    /// [`free_space_of`] the data folder, but in tests.
    pub free_space: FreeSpace,
    pub metrics: &'a prometheus::Registry,
    /// Cancelled to shut down.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// A running gateway. Dropping the handle does not stop it.
#[derive(Clone, Debug)]
pub struct GatewayHandle {
    shared: Arc<Shared>,
    listeners: Arc<[Listener]>,
    tasks: TaskTracker,
}

/// Binds every listener, then serves them in tasks of the current runtime.
///
/// # Errors
/// [`GatewayError`] when an address is taken or the data folder cannot be used; nothing runs then.
pub async fn serve(
    config: GatewayConfig,
    with: Surroundings<'_>,
) -> Result<GatewayHandle, GatewayError> {
    let unspoken = |l: &&Listener| (with.sessions)(l.speaks, l.transport).is_none();
    if let Some(listener) = config.listeners.iter().find(unspoken) {
        let listener = *listener;
        return Err(GatewayError::NotSpoken { listener });
    }
    let clock =
        ReceiptClock::open(&config.data, with.clock).map_err(|error| GatewayError::Stamp {
            folder: config.data.clone(),
            error,
        })?;
    let bound = config
        .listeners
        .iter()
        .map(|listener| Bound::bind(*listener))
        .collect::<Result<Vec<_>, _>>()?;
    let listeners = bound
        .iter()
        .zip(&config.listeners)
        .map(|(bound, asked)| {
            bound.local().map_err(|error| GatewayError::Bind {
                address: asked.address,
                error,
            })
        })
        .collect::<Result<Arc<[Listener]>, _>>()?;
    let shared = Arc::new(Shared::new(Parts {
        log: with.log,
        spool: with.spool,
        directory: with.directory,
        new_session: with.sessions,
        clock,
        disk: DiskGuard::new(with.free_space, config.disk_reserve),
        metrics: Metrics::new(with.metrics)?,
        shutdown: with.shutdown,
        config,
    }));
    watch::look_at_disk(&shared).await;
    let tasks = start(&shared, bound);
    Ok(GatewayHandle {
        shared,
        listeners,
        tasks,
    })
}

fn start(shared: &Arc<Shared>, bound: Vec<Bound>) -> TaskTracker {
    let tasks = TaskTracker::new();
    for socket in bound {
        tasks.spawn(socket.serve(Arc::clone(shared), tasks.clone()));
    }
    tasks.spawn(watch::run(Arc::clone(shared)));
    tasks.spawn(watch::tick(Arc::clone(shared)));
    // Not tracked: it is the one who waits for the others.
    tokio::spawn(stop(Arc::clone(shared), tasks.clone()));
    tasks
}

/// Stops in order: accept and read no more, finish what is in flight, then give up.
async fn stop(shared: Arc<Shared>, tasks: TaskTracker) {
    shared.shutdown.cancelled().await;
    shared.connections.stop();
    let finished = tokio::time::timeout(shared.config.times.shutdown, async {
        // Closed only now: a tracker that is closed counts as ended while it is empty.
        tasks.close();
        tasks.wait().await;
    });
    if finished.await.is_err() {
        let left = tasks.len();
        tracing::warn!(
            left,
            "connections were given up; their devices will send again"
        );
        shared.give_up.cancel();
        shared.connections.abort();
    }
}

impl GatewayHandle {
    /// What is not as it should be; nothing that [prevents](Health::prevents) when it is ready.
    pub fn health(&self) -> Vec<Health> {
        self.shared.health()
    }

    /// The listeners with the addresses that they have.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.open()
    }

    /// The newest frames that were not understood, oldest first.
    pub fn odd_frames(&self) -> Vec<OddFrame> {
        self.shared.odd.list()
    }

    /// Returns when the gateway was told to stop and everything of it has ended. The log may be
    /// closed then.
    pub async fn stopped(&self) {
        self.shared.shutdown.cancelled().await;
        self.tasks.wait().await;
        let shared = Arc::clone(&self.shared);
        // Failing leaves the stamp with its margin, which is as safe.
        let _ = tokio::task::spawn_blocking(move || shared.clock.save_last()).await;
    }
}
