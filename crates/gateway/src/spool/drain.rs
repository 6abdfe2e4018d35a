//! From the spool to the far log, in order, until nothing is left: then the breaker closes.

use super::{Inner, Way, behind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use waywarden_bus::{Append, BusError, Entry, Log};
use waywarden_model::Timestamp;

/// Messages and bytes of one partition that are on their way at once.
const AT_ONCE: (usize, usize) = (2000, 4 << 20);
/// Between two looks at the spool's size.
const LOOK_AT_SIZE: Duration = Duration::from_secs(1);
/// While the breaker closes, between two looks whether everything has reached the spool.
const LOOK_AT_LANES: Duration = Duration::from_millis(5);

/// Why draining stopped for now.
enum Stop {
    Failed(String),
    Closed,
}

impl From<BusError> for Stop {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Closed => Self::Closed,
            other => Self::Failed(other.to_string()),
        }
    }
}

pub(super) async fn run(inner: Arc<Inner>) {
    let watching = inner.tasks.spawn(watch_size(Arc::clone(&inner)));
    let work = async {
        loop {
            while !inner.spooling.load(Ordering::Acquire) {
                inner.drain.notified().await;
            }
            match drain(&inner).await {
                Ok(()) => {}
                Err(Stop::Closed) => return,
                Err(Stop::Failed(why)) => {
                    tracing::debug!(why, "the spool is not drained yet");
                    tokio::time::sleep(inner.options.retry).await;
                }
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = inner.stop.cancelled() => {}
    }
    watching.abort();
}

/// Drains until the breaker is closed.
async fn drain(inner: &Inner) -> Result<(), Stop> {
    let far = match inner.far() {
        Some(far) => far,
        None => connect(inner).await?,
    };
    let begun = Instant::now();
    let drained = inner.counts.drained.load(Ordering::Relaxed);
    while inner.undrained() > 0 {
        round(inner, &far).await?;
    }
    // What comes now waits for a moment, and nothing can overtake the rest of the spool.
    let mut way = inner.way.write().await;
    let until = Instant::now() + inner.options.patience;
    loop {
        while inner.undrained() > 0 {
            if Instant::now() > until {
                return Err(Stop::Failed("new messages came too fast".to_owned()));
            }
            round(inner, &far).await?;
        }
        if inner.on_the_way.load(Ordering::Acquire) == 0 && inner.undrained() == 0 {
            break;
        }
        if Instant::now() > until {
            return Err(Stop::Failed("the spool's disk is slow".to_owned()));
        }
        tokio::time::sleep(LOOK_AT_LANES).await;
    }
    *way = Way::Far(far);
    inner.spooling.store(false, Ordering::Release);
    drop(way);
    let messages = inner.counts.drained.load(Ordering::Relaxed) - drained;
    let seconds = begun.elapsed().as_secs();
    tracing::info!(
        messages,
        seconds,
        "the log is back and the spool is drained"
    );
    trim(inner).await;
    Ok(())
}

async fn connect(inner: &Inner) -> Result<Arc<dyn Append>, Stop> {
    match (inner.connect)().await {
        Ok(far) => {
            inner.set_far(Some(Arc::clone(&far)));
            Ok(far)
        }
        Err(error) => {
            if error.lasting {
                tracing::error!(%error, "the log may not be used: messages stay in the spool");
            }
            Err(Stop::Failed(error.what))
        }
    }
}

/// Some messages of each partition.
async fn round(inner: &Inner, far: &Arc<dyn Append>) -> Result<(), Stop> {
    for (partition, lane) in (0..).zip(&inner.lanes) {
        let from = lane.drained();
        if behind(&inner.local, partition, from) == 0 {
            continue;
        }
        let entries = inner
            .local
            .read(partition, from, AT_ONCE.0, AT_ONCE.1)
            .await?;
        let Some(last) = entries.last().map(|e| e.offset) else {
            continue;
        };
        let until = Instant::now() + inner.options.patience;
        let mut below = from;
        let sent = timeout_at(until, send(far, partition, entries, &mut below)).await;
        let failed = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no confirmation in time".to_owned()),
        };
        if failed.is_some() {
            far.purge();
        }
        // What was confirmed is not sent again, however the rest went.
        let confirmed = below - from;
        inner.counts.drained.fetch_add(confirmed, Ordering::Relaxed);
        lane.set_drained(below);
        if confirmed > 0
            && let Err(error) = inner.local.release(partition, below).await
        {
            tracing::warn!(%error, "the spool does not note what is drained");
        }
        if let Some(why) = failed {
            return Err(Stop::Failed(why));
        }
        debug_assert_eq!(below, last + 1);
    }
    Ok(())
}

/// Sends messages in their order; `below` follows what is confirmed.
async fn send(
    far: &Arc<dyn Append>,
    partition: u32,
    entries: Vec<Entry>,
    below: &mut u64,
) -> Result<(), BusError> {
    let mut receipts = Vec::with_capacity(entries.len());
    let mut refused = None;
    for entry in entries {
        match far.append(partition, entry.payload).await {
            Ok(receipt) => receipts.push((entry.offset, receipt)),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    for (offset, receipt) in receipts {
        receipt.await.map_err(|_| BusError::Closed)??;
        *below = offset + 1;
    }
    refused.map_or(Ok(()), Err)
}

/// Gives the disk back what is drained.
async fn trim(inner: &Inner) {
    if let Err(error) = inner.local.trim(Timestamp::MAX).await {
        tracing::warn!(%error, "the spool's drained messages stay on disk for now");
    }
}

/// Keeps the size up to date, and whether it is at its bound.
async fn watch_size(inner: Arc<Inner>) {
    loop {
        if inner.spooling.load(Ordering::Acquire) {
            trim(&inner).await;
        }
        let folder = inner.options.folder.clone();
        let size = tokio::task::spawn_blocking(move || size_of(&folder)).await;
        if let Ok(Ok(bytes)) = size {
            inner.counts.bytes.store(bytes, Ordering::Relaxed);
            let full = bytes >= inner.options.max_bytes && inner.spooling.load(Ordering::Acquire);
            let turned = inner
                .full
                .send_if_modified(|was| std::mem::replace(was, full) != full);
            if turned && full {
                tracing::error!(
                    bytes,
                    "the spool is full: devices are not read until it drains"
                );
            } else if turned {
                tracing::info!(bytes, "the spool has room again");
            }
        }
        // A close is never far away.
        let _ = timeout(LOOK_AT_SIZE, inner.stop.cancelled()).await;
        if inner.stop.is_cancelled() {
            return;
        }
    }
}

/// Bytes of the files in a folder.
fn size_of(folder: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        // A segment may go away in between.
        bytes += entry?.metadata().map_or(0, |m| m.len());
    }
    Ok(bytes)
}
