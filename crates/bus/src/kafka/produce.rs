//! The one producer: idempotent, acknowledged by all replicas in sync, with a bounded queue.

use super::lanes::{Due, Lanes};
use super::{Ends, KafkaOptions, MESSAGE_BYTES, no_partition, number, said, seen};
use crate::{BusError, Receipt};
use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

/// While closing, between two looks at what is still on its way.
const CLOSING: Duration = Duration::from_millis(5);

/// The library's own linger, milliseconds: as long as it takes to hand it a batch.
const HAND_OVER: &str = "1";

type Producing = ThreadedProducer<Deliveries>;

/// Takes messages in order, and sends those of a partition in batches.
pub(super) struct Publisher {
    sender: Arc<Sender>,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    queue_bytes: usize,
    give_up: Duration,
}

struct Sender {
    topic: String,
    config: ClientConfig,
    ways: Ways,
    /// Made anew after an error that the library calls fatal: it would take nothing any more.
    producer: RwLock<Arc<Producing>>,
}

/// What the sender and the library's callbacks share.
#[derive(Clone)]
struct Ways {
    ends: Ends,
    lanes: Arc<Lanes<Waiting>>,
}

struct Waiting {
    payload: Bytes,
    pending: Box<Pending>,
}

/// A message on its way: whom to tell, and its places in the queue.
struct Pending {
    partition: u32,
    /// Number of the producer that sends it.
    producer: u64,
    told: oneshot::Sender<Result<u64, BusError>>,
    _places: [OwnedSemaphorePermit; 2],
}

impl Pending {
    fn tell(self, outcome: Result<u64, BusError>) {
        // Who waited may be gone; the message is where it is all the same.
        let _ = self.told.send(outcome);
    }
}

struct Deliveries(Ways);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        said::tell(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Box<Pending>) {
        let outcome = match result {
            Ok(message) => Ok(match u64::try_from(message.offset()) {
                Ok(offset) => {
                    seen(&self.0.ends, pending.partition, offset + 1);
                    offset
                }
                // Of a repeat the broker only says that it has the message already.
                Err(_) => end_of(&self.0.ends, pending.partition).saturating_sub(1),
            }),
            Err((error, _)) => Err(BusError::Write(error.to_string())),
        };
        let (partition, by) = (pending.partition, pending.producer);
        pending.tell(outcome);
        self.0.lanes.landed(partition, by);
    }
}

fn end_of(ends: &Ends, partition: u32) -> u64 {
    let end = ends.get(partition as usize);
    end.map_or(0, |end| end.load(Ordering::Relaxed))
}

impl Publisher {
    /// To be called within a runtime: a task of it sends.
    pub fn new(options: &KafkaOptions, ends: &Ends) -> Result<Self, KafkaError> {
        let ms = |d: Duration| d.as_millis().to_string();
        let mut config = options.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", &options.compression)
            .set("linger.ms", HAND_OVER)
            .set("message.timeout.ms", ms(options.give_up))
            // The queue is bounded by us, so that whoever appends waits without holding a thread;
            // the library's is larger, and never full.
            .set(
                "queue.buffering.max.messages",
                (2 * options.queue_messages).to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                (options.queue_bytes / 512).to_string(),
            )
            .set("message.max.bytes", MESSAGE_BYTES.to_string());
        let ways = Ways {
            ends: Arc::clone(ends),
            lanes: Arc::new(Lanes::new(options.partitions, options.linger)),
        };
        let producer = config.create_with_context(Deliveries(ways.clone()))?;
        let sender = Arc::new(Sender {
            topic: options.topic.clone(),
            producer: RwLock::new(Arc::new(producer)),
            config,
            ways: ways.clone(),
        });
        tokio::spawn(send_what_is_due(ways.lanes, Arc::downgrade(&sender)));
        Ok(Self {
            sender,
            messages: Arc::new(Semaphore::new(options.queue_messages)),
            bytes: Arc::new(Semaphore::new(options.queue_bytes)),
            queue_bytes: options.queue_bytes,
            give_up: options.give_up,
        })
    }

    /// Waits for a place, takes the message, and gives its receipt.
    pub async fn publish(&self, partition: u32, payload: Bytes) -> Result<Receipt, BusError> {
        let closed = |_| BusError::Closed;
        let one = Arc::clone(&self.messages)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let all = Arc::clone(&self.bytes)
            .acquire_many_owned(self.size(&payload))
            .await
            .map_err(closed)?;
        self.push(partition, payload, [one, all])
    }

    /// As [`Publisher::publish`]; None where it would wait.
    pub fn try_publish(
        &self,
        partition: u32,
        payload: &Bytes,
    ) -> Option<Result<Receipt, BusError>> {
        let one = Arc::clone(&self.messages).try_acquire_owned();
        let size = self.size(payload);
        let places = one.and_then(|one| {
            let all = Arc::clone(&self.bytes).try_acquire_many_owned(size)?;
            Ok([one, all])
        });
        match places {
            Ok(places) => Some(self.push(partition, payload.clone(), places)),
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => Some(Err(BusError::Closed)),
        }
    }

    /// What a message takes of the bytes that may wait.
    fn size(&self, payload: &Bytes) -> u32 {
        let size = payload.len().clamp(1, self.queue_bytes);
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    fn push(
        &self,
        partition: u32,
        payload: Bytes,
        places: [OwnedSemaphorePermit; 2],
    ) -> Result<Receipt, BusError> {
        let bytes = payload.len();
        let (told, receipt) = oneshot::channel();
        let pending = Box::new(Pending {
            partition,
            producer: 0,
            told,
            _places: places,
        });
        let waiting = Waiting { payload, pending };
        match self.sender.ways.lanes.push(partition, waiting, bytes) {
            Ok(()) => Ok(receipt),
            Err(_) => Err(no_partition(partition)),
        }
    }

    /// Does not wait for the library: whoever waits for a receipt is told a moment later.
    pub fn purge(&self) {
        for waiting in self.sender.ways.lanes.give_up() {
            let why = "given up before it was sent".to_owned();
            waiting.pending.tell(Err(BusError::Write(why)));
        }
        self.sender
            .producer()
            .purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    /// Lets nobody append any more, and waits for what is on its way; what no broker takes in time
    /// is told so.
    pub fn close(&self) {
        self.messages.close();
        let until = Instant::now() + self.give_up;
        while !self.sender.ways.lanes.is_idle() {
            self.sender.send_due(true);
            if Instant::now() >= until {
                self.purge();
                break;
            }
            // An error is the time that is over; what is still there is looked at again.
            let _ = self.sender.producer().flush(CLOSING);
        }
        // The receipts of what was purged are told by the library's thread.
        if let Err(error) = self.sender.producer().flush(CLOSING * 100) {
            tracing::warn!(%error, "messages were left behind");
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.sender.ways.lanes.wake();
    }
}

/// Ends with the publisher.
async fn send_what_is_due(lanes: Arc<Lanes<Waiting>>, sender: Weak<Sender>) {
    loop {
        let Some(next) = sender.upgrade().map(|sender| sender.send_due(false)) else {
            return;
        };
        match next {
            None => lanes.changed().await,
            Some(at) => {
                // Either way it is looked at again.
                let _ = tokio::time::timeout_at(at.into(), lanes.changed()).await;
            }
        }
    }
}

impl Sender {
    /// Hands the library what is due; gives when more will be.
    fn send_due(&self, hurry: bool) -> Option<Instant> {
        let lanes = &self.ways.lanes;
        let now = Instant::now();
        let mut next = None;
        for partition in 0..lanes.partitions() {
            match lanes.due(partition, now, hurry) {
                Due::Now(by, batch) => {
                    for mut waiting in batch {
                        waiting.pending.producer = by;
                        self.send(waiting);
                    }
                }
                Due::At(at) => next = Some(next.map_or(at, |next: Instant| next.min(at))),
                Due::Nothing => {}
            }
        }
        next
    }

    fn send(&self, waiting: Waiting) {
        let Waiting { payload, pending } = waiting;
        let (partition, by) = (pending.partition, pending.producer);
        let record: BaseRecord<'_, (), [u8], Box<Pending>> =
            BaseRecord::with_opaque_to(&self.topic, pending)
                .partition(number(partition))
                .payload(&payload);
        let producer = self.producer();
        if let Err((error, back)) = producer.send(record) {
            if let Some((code, why)) = producer.client().fatal_error() {
                self.renew(&producer, &format!("{code}: {why}"));
            }
            let outcome = Err(BusError::Write(error.to_string()));
            back.delivery_opaque.tell(outcome);
            self.ways.lanes.landed(partition, by);
        }
    }

    fn producer(&self) -> Arc<Producing> {
        let producer = self.producer.read();
        Arc::clone(&producer.unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the producer that failed, once. What it had was told to have failed.
    fn renew(&self, failed: &Arc<Producing>, why: &str) {
        let mut producer = self
            .producer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&producer, failed) {
            return;
        }
        let made = self
            .config
            .create_with_context(Deliveries(self.ways.clone()));
        match made {
            Ok(made) => {
                tracing::error!(why, "the producer failed for good; another takes its place");
                let failed = std::mem::replace(&mut *producer, Arc::new(made));
                self.ways.lanes.begin_anew();
                // Letting go of it waits for its threads.
                drop(std::thread::spawn(move || drop(failed)));
            }
            Err(error) => tracing::error!(why, %error, "the producer failed for good"),
        }
    }
}
