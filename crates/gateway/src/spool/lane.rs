//! One partition's way: messages in the order of the calls, confirmed by the far log or spooled.

use super::Inner;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use waywarden_bus::{Append, BusError, Messages, Receipt};

type Told = oneshot::Sender<Result<u64, BusError>>;

/// What was appended as one, and whom to tell.
pub(super) struct Item {
    pub messages: Messages,
    /// What the far log said when it was given them; None: it was not.
    pub sent: Option<Result<Receipt, BusError>>,
    pub told: Told,
    /// When the far log's time is over.
    pub until: Instant,
}

/// The sending end of a partition's way. Without a bound of its own: whoever appends waits for the
/// receipts of what it has in flight, and bounds that.
pub(super) struct Lane {
    items: Mutex<Option<mpsc::UnboundedSender<Item>>>,
    /// Offset in the spool below which everything was confirmed by the far log.
    drained: AtomicU64,
}

impl Lane {
    pub fn new(drained: u64) -> (Self, mpsc::UnboundedReceiver<Item>) {
        let (items, end) = mpsc::unbounded_channel();
        let lane = Self {
            items: Mutex::new(Some(items)),
            drained: AtomicU64::new(drained),
        };
        (lane, end)
    }

    /// False where it is closed.
    pub fn push(&self, item: Item) -> bool {
        let items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        items.as_ref().is_some_and(|items| items.send(item).is_ok())
    }

    pub fn close(&self) {
        self.items
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    pub fn drained(&self) -> u64 {
        self.drained.load(Ordering::Acquire)
    }

    pub fn set_drained(&self, below: u64) {
        self.drained.store(below, Ordering::Release);
    }
}

/// Sees everything to the one log or the other.
pub(super) async fn run(
    inner: Arc<Inner>,
    partition: u32,
    mut items: mpsc::UnboundedReceiver<Item>,
) {
    let (spooled, receipts) = mpsc::unbounded_channel();
    inner.tasks.spawn(tell(Arc::clone(&inner), receipts));
    while let Some(item) = items.recv().await {
        match confirmed(&inner, item).await {
            Confirmed::Told => {
                inner.on_the_way.fetch_sub(1, Ordering::AcqRel);
            }
            Confirmed::No(messages, told) => {
                wait_for_room(&inner).await;
                let count = messages.len() as u64;
                let taken = inner.local.append_all(partition, messages).await;
                // Its other end lives for as long as this one.
                let _ = spooled.send(Spooled { count, taken, told });
            }
        }
    }
}

enum Confirmed {
    Told,
    No(Messages, Told),
}

/// What the spool was given.
struct Spooled {
    /// Messages.
    count: u64,
    taken: Result<Receipt, BusError>,
    told: Told,
}

async fn confirmed(inner: &Inner, item: Item) -> Confirmed {
    let why = match item.sent {
        None => return Confirmed::No(item.messages, item.told),
        Some(Err(error)) => error.to_string(),
        Some(Ok(receipt)) => match timeout_at(item.until, receipt).await {
            Ok(Ok(Ok(offset))) => {
                // Who waited may be gone; the messages are durable all the same.
                let _ = item.told.send(Ok(offset));
                return Confirmed::Told;
            }
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "no answer".to_owned(),
            Err(_) => "no confirmation in time".to_owned(),
        },
    };
    inner.trip(&why).await;
    Confirmed::No(item.messages, item.told)
}

async fn wait_for_room(inner: &Inner) {
    let mut full = inner.full.subscribe();
    tokio::select! {
        _ = full.wait_for(|full| !full) => {}
        // What is in flight at the end is little: it is not refused for want of room.
        () = inner.stop.cancelled() => {}
    }
}

/// Tells what became of spooled messages, in their order.
async fn tell(inner: Arc<Inner>, mut receipts: mpsc::UnboundedReceiver<Spooled>) {
    while let Some(Spooled { count, taken, told }) = receipts.recv().await {
        let outcome = match taken {
            Ok(receipt) => receipt.await.unwrap_or(Err(BusError::Closed)),
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            inner.counts.spooled.fetch_add(count, Ordering::Relaxed);
        }
        let _ = told.send(outcome);
        inner.on_the_way.fetch_sub(1, Ordering::AcqRel);
    }
}
