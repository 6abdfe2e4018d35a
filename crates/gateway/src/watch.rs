//! What happens by the clock: ticks, the look at the disk, the stamp on disk.

use crate::disk::Change;
use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use waywarden_bus::{BusError, encode};
use waywarden_model::{Message, Tick};

/// Between two writes of the stamp; less than its margin.
const STAMP: Duration = Duration::from_secs(5);

/// Runs until the gateway stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut disk = interval(shared.config.times.disk_check);
    let mut stamp = interval(STAMP);
    disk.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stamp.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = disk.tick() => {
                look_at_disk(&shared).await;
                if let Some(spool) = &shared.spool {
                    spool.tell(&shared.metrics);
                }
            }
            _ = stamp.tick() => keep_stamp(&shared).await,
        }
    }
}

pub(crate) async fn look_at_disk(shared: &Arc<Shared>) {
    let looking = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || looking.disk.look()).await;
    let metrics = &shared.metrics;
    let free = i64::try_from(shared.disk.free()).unwrap_or(i64::MAX);
    metrics.disk_free.set(free);
    metrics.paused.set(shared.disk.paused().into());
    metrics
        .clock_behind
        .set(shared.clock.behind_ms().div_euclid(1000));
    metrics.in_flight.set(in_flight(shared));
    let reserve = shared.disk.reserve();
    match looked {
        Ok(Ok(Change::None)) => {}
        Ok(Ok(Change::Pause)) => {
            tracing::error!(
                free,
                reserve,
                "the disk is nearly full; devices are not read"
            );
        }
        Ok(Ok(Change::Resume)) => {
            tracing::info!(free, reserve, "the disk has room again; devices are read");
            shared.connections.wake_all();
        }
        Ok(Err(error)) => {
            if let Some(times) = shared.folded.tell("disk_unknown") {
                tracing::warn!(%error, times, "the free disk is not known");
            }
        }
        // The process is ending.
        Err(_) => {}
    }
}

fn in_flight(shared: &Shared) -> i64 {
    let total = shared.total_budget();
    let left = shared.budget.available_permits();
    i64::try_from(total.saturating_sub(left)).unwrap_or(i64::MAX)
}

async fn keep_stamp(shared: &Arc<Shared>) {
    let keeping = Arc::clone(shared);
    let kept = tokio::task::spawn_blocking(move || keeping.clock.save_ahead()).await;
    let lost = matches!(kept, Ok(Err(_)));
    shared.stamp_lost.store(lost, Ordering::Release);
    if let Ok(Err(error)) = kept
        && let Some(times) = shared.folded.tell("stamp_lost")
    {
        tracing::error!(%error, times, "the last stamp of receipt cannot be kept");
    }
}

/// Says in every partition that this gateway listens, and since when.
pub(crate) async fn tick(shared: Arc<Shared>) {
    let mut every = interval(shared.config.times.tick);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut since = shared.clock.stamp();
    loop {
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            _ = every.tick() => {}
        }
        let now = shared.clock.stamp();
        if shared.disk.paused() {
            // Nobody is heard: the outage must show, so listening begins anew after it.
            since = now;
            continue;
        }
        let message = Message::Tick(Tick {
            gateway: shared.config.name.clone(),
            listening_since: since,
            now,
        });
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            written = write_tick(&shared, &message) => match written {
                Ok(()) => shared.log_works(),
                Err(BusError::Closed) => {
                    shared.log_closed();
                    return;
                }
                Err(error) => shared.log_failed(&error),
            }
        }
    }
}

async fn write_tick(shared: &Shared, message: &Message) -> Result<(), BusError> {
    let payload = encode(message);
    let mut receipts = Vec::with_capacity(shared.partitions as usize);
    for partition in 0..shared.partitions {
        receipts.push(shared.log.append(partition, payload.clone()).await?);
    }
    for receipt in receipts {
        receipt.await.map_err(|_| BusError::Closed)??;
        shared.metrics.ticks.inc();
    }
    Ok(())
}
