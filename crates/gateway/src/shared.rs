//! What all tasks of a gateway share.

use crate::clock::ReceiptClock;
use crate::config::{GatewayConfig, Speaks};
use crate::connections::Connections;
use crate::disk::DiskGuard;
use crate::health::Health;
use crate::held::HeldBounds;
use crate::metrics::Metrics;
use crate::odd::{Folded, OddFrame, OddFrames};
use crate::pace::Pace;
use crate::spool::Spool;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, BusError};
use waywarden_model::{DeviceDirectory, Protocol, Timestamp};
use waywarden_wire::auto::Auto;
use waywarden_wire::{Env, FrameError, Session, Transport};

/// Makes the session of a new connection, or of one datagram; none where that is not spoken over
/// that transport.
pub type NewSession = Arc<dyn Fn(Speaks, Transport) -> Option<Box<dyn Session>> + Send + Sync>;

/// The protocols of `wire`.
pub fn wire_sessions() -> NewSession {
    Arc::new(|speaks, transport| match speaks {
        Speaks::One(protocol) => waywarden_wire::session(protocol, transport),
        Speaks::Any => Some(Box::new(Auto::new(transport))),
    })
}

pub(crate) struct Shared {
    pub(crate) config: GatewayConfig,
    pub(crate) log: Arc<dyn Append>,
    pub(crate) spool: Option<Spool>,
    pub(crate) partitions: u32,
    pub(crate) directory: Arc<dyn DeviceDirectory>,
    pub(crate) new_session: NewSession,
    pub(crate) clock: ReceiptClock,
    pub(crate) disk: DiskGuard,
    pub(crate) connections: Arc<Connections>,
    pub(crate) held: HeldBounds,
    pub(crate) pace: Pace,
    pub(crate) metrics: Metrics,
    pub(crate) odd: OddFrames,
    pub(crate) folded: Folded,
    /// Bytes that may be in flight, over all connections.
    pub(crate) budget: Arc<Semaphore>,
    /// The last write to the log failed.
    log_failing: AtomicBool,
    pub(crate) stamp_lost: AtomicBool,
    pub(crate) shutdown: CancellationToken,
    /// The deadline of the shutdown has passed.
    pub(crate) give_up: CancellationToken,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Everything but the two numbers that start at nothing.
pub(crate) struct Parts {
    pub(crate) config: GatewayConfig,
    pub(crate) log: Arc<dyn Append>,
    pub(crate) spool: Option<Spool>,
    pub(crate) directory: Arc<dyn DeviceDirectory>,
    pub(crate) new_session: NewSession,
    pub(crate) clock: ReceiptClock,
    pub(crate) disk: DiskGuard,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
}

fn total_budget(asked: usize) -> usize {
    let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
    asked.clamp(LEAST_TOTAL, most)
}

/// Least that all connections together may have in flight: one reservation for a read must fit.
const LEAST_TOTAL: usize = 128 * 1024;

impl Shared {
    pub(crate) fn new(parts: Parts) -> Self {
        let limits = &parts.config.limits;
        let total = total_budget(limits.total_bytes);
        Self {
            partitions: parts.log.partitions(),
            connections: Arc::new(Connections::new(
                limits.connections,
                limits.connections_per_address,
            )),
            held: HeldBounds::new(limits.held_frames, limits.held_devices),
            pace: Pace::new(limits.late_records, parts.config.times.late),
            odd: OddFrames::new(limits.odd_frames),
            folded: Folded::default(),
            budget: Arc::new(Semaphore::new(total)),
            log_failing: AtomicBool::new(false),
            stamp_lost: AtomicBool::new(false),
            config: parts.config,
            log: parts.log,
            spool: parts.spool,
            directory: parts.directory,
            new_session: parts.new_session,
            clock: parts.clock,
            disk: parts.disk,
            metrics: parts.metrics,
            shutdown: parts.shutdown,
            give_up: CancellationToken::new(),
        }
    }

    pub(crate) fn total_budget(&self) -> usize {
        total_budget(self.config.limits.total_bytes)
    }

    pub(crate) fn env(&self, now: Timestamp) -> Env<'_> {
        Env {
            now,
            directory: &*self.directory,
            settings: &self.config.wire,
        }
    }

    /// The log refused a write: told once in a while, and not ready until one succeeds.
    pub(crate) fn log_failed(&self, error: &BusError) {
        self.metrics.append_failures.inc();
        self.log_failing.store(true, Ordering::Release);
        if let Some(times) = self.folded.tell("append_failed") {
            tracing::error!(%error, times, "the log cannot be written; devices are not acknowledged");
        }
    }

    /// The log takes nothing any more. Before a stop that is a failure, of its thread for one.
    pub(crate) fn log_closed(&self) {
        if !self.shutdown.is_cancelled() {
            self.log_failed(&BusError::Closed);
        }
    }

    pub(crate) fn log_works(&self) {
        // Read first: the line is shared by every core and is nearly always false.
        if self.log_failing.load(Ordering::Relaxed)
            && self.log_failing.swap(false, Ordering::AcqRel)
        {
            tracing::info!("the log can be written again");
        }
    }

    pub(crate) fn error(&self, protocol: Protocol, received: Timestamp, error: FrameError) {
        let reason = error.kind.label();
        self.metrics
            .frame_errors
            .with_label_values(&[protocol.name(), reason])
            .inc();
        if let Some(times) = self.folded.tell(reason) {
            let (what, at) = (error.what, error.at);
            tracing::debug!(%protocol, reason, what, at, times, "a frame was wrong");
        }
        self.keep_odd(protocol, received, reason, error.raw);
    }

    pub(crate) fn unknown(
        &self,
        protocol: Protocol,
        received: Timestamp,
        label: &'static str,
        raw: Vec<u8>,
    ) {
        self.metrics
            .unknown
            .with_label_values(&[protocol.name(), label])
            .inc();
        if let Some(times) = self.folded.tell(label) {
            tracing::debug!(%protocol, kind = label, times, "a frame of an unknown kind");
        }
        self.keep_odd(protocol, received, label, raw);
    }

    fn keep_odd(
        &self,
        protocol: Protocol,
        received: Timestamp,
        reason: &'static str,
        raw: Vec<u8>,
    ) {
        self.odd.keep(OddFrame {
            received,
            protocol,
            reason,
            raw,
        });
    }

    pub(crate) fn health(&self) -> Vec<Health> {
        let mut found = Vec::new();
        if self.disk.paused() {
            found.push(Health::DiskReserve {
                free: self.disk.free(),
                reserve: self.disk.reserve(),
            });
        }
        if self.log_failing.load(Ordering::Acquire) {
            found.push(Health::LogFailing);
        }
        let ms = self.clock.behind_ms();
        if u128::from(ms.unsigned_abs()) > self.config.times.clock_tolerance.as_millis() {
            found.push(Health::ClockBehind { ms });
        }
        if self.stamp_lost.load(Ordering::Acquire) {
            found.push(Health::StampNotKept);
        }
        match self.spool.as_ref().map(Spool::state) {
            Some(state) if state.full => found.push(Health::SpoolFull { bytes: state.bytes }),
            Some(state) if state.spooling => found.push(Health::Spooling {
                messages: state.messages,
            }),
            _ => {}
        }
        if self.shutdown.is_cancelled() {
            found.push(Health::Stopping);
        }
        found
    }
}
