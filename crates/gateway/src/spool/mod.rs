//! The way to a log that can be away: what it does not confirm in time goes to a log on this
//! machine's disk, is acknowledged from there, and follows in order when the other is back.
//!
//! One breaker for the whole gateway. The first message that fails, or is not confirmed within
//! [`SpoolOptions::patience`], trips it: the unconfirmed ones are given up there and spooled in
//! their order, and everything behind them too. It closes when the spool has been drained. Some of
//! what was given up may be in the far log all the same, and a crash while draining sends again
//! what was confirmed last: the store files an exact repeat once.

mod drain;
mod lane;

use crate::metrics::Metrics;
use async_trait::async_trait;
use futures::future::BoxFuture;
use lane::{Item, Lane};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, RwLock, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use waywarden_bus::{Append, BusError, EmbeddedLog, Log, Messages, Receipt};

/// Why the far log cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}")]
pub struct Unreachable {
    pub what: String,
    /// It does not pass by itself: the log is there, and is not one that may be used.
    pub lasting: bool,
}

/// Connects to the far log.
pub type Connect =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Append>, Unreachable>> + Send + Sync>;

/// When the breaker trips, and how much the spool takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Folder of the spool.
    pub folder: PathBuf,
    /// A message that is not confirmed for this long trips the breaker.
    pub patience: Duration,
    /// Between two attempts to reach the far log.
    pub retry: Duration,
    /// Size of the spool on disk from which on nothing more is taken.
    pub max_bytes: u64,
}

/// While the breaker opens, between two times that what is on its way is given up.
const PURGE_AGAIN: Duration = Duration::from_millis(100);

/// Where messages go now.
enum Way {
    Far(Arc<dyn Append>),
    Spool,
}

/// The far log with a spool before it. What is appended is durable in one of them when its receipt
/// says so.
#[derive(Clone)]
pub struct Spool {
    inner: Arc<Inner>,
}

struct Inner {
    local: EmbeddedLog,
    lanes: Vec<Lane>,
    way: RwLock<Way>,
    /// Kept for the drain, and to purge without waiting for `way`.
    far: Mutex<Option<Arc<dyn Append>>>,
    connect: Connect,
    options: SpoolOptions,
    /// What lanes hold on its way to the one log or the other.
    on_the_way: AtomicU64,
    spooling: AtomicBool,
    full: watch::Sender<bool>,
    drain: Notify,
    counts: Counts,
    tasks: TaskTracker,
    closed: AtomicBool,
    stop: tokio_util::sync::CancellationToken,
}

/// What it has done, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub trips: AtomicU64,
    pub spooled: AtomicU64,
    pub drained: AtomicU64,
    pub bytes: AtomicU64,
}

/// How the spool stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolState {
    /// The breaker is open: messages go to the spool.
    pub spooling: bool,
    /// Nothing more is taken until some of it is drained.
    pub full: bool,
    /// On disk.
    pub bytes: u64,
    /// Messages that wait to be drained.
    pub messages: u64,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Spool {
    /// Starts with what an earlier process left in `local`. Where that is nothing the far log is
    /// asked once; if it is away, the breaker begins open.
    ///
    /// # Errors
    /// A far log that is there and may not be used.
    pub async fn open(
        local: EmbeddedLog,
        connect: Connect,
        options: SpoolOptions,
    ) -> Result<Self, Unreachable> {
        let mut left = 0;
        for partition in 0..local.partitions() {
            left += behind(&local, partition, local.left_at(partition));
        }
        let way = if left > 0 {
            tracing::info!(
                messages = left,
                "the spool holds messages of an earlier run"
            );
            Way::Spool
        } else {
            match connect().await {
                Ok(far) => Way::Far(far),
                Err(error) if error.lasting => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the log is away: messages go to the spool");
                    Way::Spool
                }
            }
        };
        let far = match &way {
            Way::Far(far) => Some(Arc::clone(far)),
            Way::Spool => None,
        };
        let lane = |partition| Lane::new(local.left_at(partition));
        let (lanes, ends): (Vec<_>, Vec<_>) = (0..local.partitions()).map(lane).unzip();
        let inner = Arc::new(Inner {
            spooling: AtomicBool::new(far.is_none()),
            local,
            lanes,
            way: RwLock::new(way),
            far: Mutex::new(far),
            connect,
            options,
            on_the_way: AtomicU64::new(0),
            full: watch::Sender::new(false),
            drain: Notify::new(),
            counts: Counts::default(),
            tasks: TaskTracker::new(),
            closed: AtomicBool::new(false),
            stop: tokio_util::sync::CancellationToken::new(),
        });
        for (partition, end) in (0..).zip(ends) {
            inner
                .tasks
                .spawn(lane::run(Arc::clone(&inner), partition, end));
        }
        inner.tasks.spawn(drain::run(Arc::clone(&inner)));
        Ok(Self { inner })
    }

    pub fn state(&self) -> SpoolState {
        let inner = &self.inner;
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        SpoolState {
            spooling: inner.spooling.load(Ordering::Acquire),
            full: *inner.full.borrow(),
            bytes: load(&inner.counts.bytes),
            messages: inner.undrained(),
        }
    }

    /// Brings the metrics up to date.
    pub(crate) fn tell(&self, metrics: &Metrics) {
        let (state, counts) = (self.state(), &self.inner.counts);
        let gauge = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.spool_active.set(state.spooling.into());
        metrics.spool_full.set(state.full.into());
        metrics.spool_bytes.set(gauge(state.bytes));
        metrics.spool_waiting.set(gauge(state.messages));
        for (counter, count) in [
            (&metrics.spool_trips, &counts.trips),
            (&metrics.spooled, &counts.spooled),
            (&metrics.drained, &counts.drained),
        ] {
            let now = count.load(Ordering::Relaxed);
            counter.inc_by(now.saturating_sub(counter.get()));
        }
    }
}

/// Messages of a partition from `from` on.
fn behind(local: &EmbeddedLog, partition: u32, from: u64) -> u64 {
    local.seen_end(partition).saturating_sub(from)
}

impl Inner {
    fn far(&self) -> Option<Arc<dyn Append>> {
        let far = self.far.lock().unwrap_or_else(PoisonError::into_inner);
        far.clone()
    }

    fn set_far(&self, far: Option<Arc<dyn Append>>) {
        *self.far.lock().unwrap_or_else(PoisonError::into_inner) = far;
    }

    /// Messages that were spooled and not drained.
    fn undrained(&self) -> u64 {
        let of = |(partition, lane): (u32, &Lane)| behind(&self.local, partition, lane.drained());
        (0..).zip(&self.lanes).map(of).sum()
    }

    fn lane(&self, partition: u32) -> Result<&Lane, BusError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BusError::Closed);
        }
        let lane = self.lanes.get(partition as usize);
        lane.ok_or_else(|| BusError::Write(format!("no partition {partition}")))
    }

    /// Behind all others of the lane, with what the far log said.
    fn push(
        &self,
        lane: &Lane,
        messages: Messages,
        sent: Option<Result<Receipt, BusError>>,
    ) -> Result<Receipt, BusError> {
        let (told, receipt) = oneshot::channel();
        self.on_the_way.fetch_add(1, Ordering::AcqRel);
        let item = Item {
            messages,
            sent,
            told,
            until: Instant::now() + self.options.patience,
        };
        if !lane.push(item) {
            self.on_the_way.fetch_sub(1, Ordering::AcqRel);
            return Err(BusError::Closed);
        }
        Ok(receipt)
    }

    /// Opens the breaker. What is on its way to the far log is given up, so that its receipts fail
    /// at once and their lanes spool it.
    async fn trip(&self, why: &str) {
        if self.spooling.load(Ordering::Acquire) {
            return;
        }
        let mut way = loop {
            // Whoever waits for a place there lets go of `way`.
            if let Some(far) = self.far() {
                far.purge();
            }
            match timeout(PURGE_AGAIN, self.way.write()).await {
                Ok(way) => break way,
                // Another lane was first, and whoever closes the breaker waits for this one.
                Err(_) if self.spooling.load(Ordering::Acquire) => return,
                Err(_) => {}
            }
        };
        if let Way::Far(far) = &*way {
            far.purge();
            *way = Way::Spool;
            self.spooling.store(true, Ordering::Release);
            self.counts.trips.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(why, "the log is away: messages go to the spool");
            self.drain.notify_one();
        }
    }
}

#[async_trait]
impl Append for Spool {
    fn partitions(&self) -> u32 {
        self.inner.local.partitions()
    }

    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        let inner = &self.inner;
        let lane = inner.lane(partition)?;
        // Held until the messages are in their lane: the lane has the order of the far log.
        let way = inner.way.read().await;
        let sent = match &*way {
            // What it does not take is spooled, in its place.
            Way::Far(far) => Some(far.append_all(partition, messages.clone()).await),
            Way::Spool => None,
        };
        inner.push(lane, messages, sent)
    }

    fn try_append_all(
        &self,
        partition: u32,
        messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        let inner = &self.inner;
        let lane = match inner.lane(partition) {
            Ok(lane) => lane,
            Err(error) => return Some(Err(error)),
        };
        let way = inner.way.try_read().ok()?;
        let sent = match &*way {
            Way::Far(far) => Some(far.try_append_all(partition, messages)?),
            Way::Spool => None,
        };
        Some(inner.push(lane, messages.clone(), sent))
    }

    /// What is in the spool stays there for the next start.
    async fn close(&self) {
        let inner = &self.inner;
        if inner.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        inner.stop.cancel();
        inner.lanes.iter().for_each(Lane::close);
        inner.tasks.close();
        inner.tasks.wait().await;
        if let Some(far) = inner.far() {
            far.close().await;
        }
        inner.local.close().await;
    }
}
