//! Upkeep: queued registry versions go into the log, and what is no longer kept goes away.

use super::directory::registry;
use super::leap::Found;
use crate::config::Retention;
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Log;
use waywarden_model::registry::RegistryDirectory;
use waywarden_model::{Message, TimeZone, Timestamp};
use waywarden_store::{Older, Store};

/// How often queued registry versions and the log's retention are looked at.
const CARE_EVERY: Duration = Duration::from_secs(2);
/// How often rows that are no longer kept are looked for.
const PRUNE_EVERY_MS: i64 = 3_600_000;
/// Time that live writes have between two of its transactions.
const BETWEEN_PRUNES: Duration = Duration::from_millis(50);
/// Announcements taken at once.
const AT_ONCE: usize = 1024;

/// Which partitions this process announces to.
pub type Mine = Arc<dyn Fn(u32) -> bool + Send + Sync>;

/// What is cared for.
pub struct Place {
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn Store>,
    /// Kept at the newest version, where this process has one.
    pub directory: Option<Arc<RegistryDirectory>>,
    pub mine: Mine,
}

/// How long what is kept is kept.
#[derive(Clone, Copy)]
pub struct Kept {
    pub log: Duration,
    pub rows: Retention,
}

/// Puts queued registry versions into the log; removes what is no longer kept. What fails is tried
/// again: a full disk must not end it.
pub async fn care(place: Place, kept: Kept, found: Found, stop: CancellationToken) -> Result<()> {
    let directory = place.directory.as_ref();
    let (mut known, mut failed) = (directory.map_or(0, |d| d.registry().version()), false);
    // Soon after every start: a program that is started every day would never come to it.
    let mut pruned_at: Option<Timestamp> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(CARE_EVERY) => {}
        }
        let now = crate::clock::now();
        if let Some(directory) = directory {
            directory.set_now(now);
        }
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
    announce(place).await?;
    if let Some(directory) = &place.directory {
        let head = place.store.registry_head().await?;
        if head != *known {
            directory.replace(registry(place.store.as_ref()).await?);
            tracing::info!(version = head, "registry version in force");
            *known = head;
        }
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

/// Announces queued registry versions, each partition's in their order. Two processes may announce
/// one for a moment; the worker takes it once.
///
/// # Errors
/// A log or a store that refuses; a version queued for a partition that the log does not have.
pub async fn announce(place: &Place) -> Result<()> {
    let partitions = place.log.partitions();
    loop {
        let mut queued = place.store.take_outbox(AT_ONCE).await?;
        queued.retain(|a| a.partition >= partitions || (place.mine)(a.partition));
        if queued.is_empty() {
            return Ok(());
        }
        for a in &queued {
            anyhow::ensure!(
                a.partition < partitions,
                "version {} is queued for partition {}, the log has {partitions}",
                a.version,
                a.partition
            );
            let payload = waywarden_bus::encode(&Message::Registry(a.version));
            place.log.append(a.partition, payload).await?.await??;
        }
        place.store.ack_outbox(queued).await?;
    }
}
