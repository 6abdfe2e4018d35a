//! The one producer: idempotent, acknowledged by all replicas in sync, with a bounded queue.

use super::{Ends, KafkaOptions, MESSAGE_BYTES, number, said, seen};
use crate::{BusError, Receipt};
use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Wait before a full queue of the library is tried again; ours is smaller, so it is rare.
const FULL: Duration = Duration::from_millis(5);

type Producing = ThreadedProducer<Deliveries>;

pub(super) struct Publisher {
    topic: String,
    config: ClientConfig,
    ends: Ends,
    /// Made anew after an error that the library calls fatal: it would take nothing any more.
    producer: RwLock<Arc<Producing>>,
    messages: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    queue_bytes: usize,
    give_up: Duration,
}

/// A message on its way: whom to tell, and its places in the queue.
struct Pending {
    partition: u32,
    told: oneshot::Sender<Result<u64, BusError>>,
    _places: [OwnedSemaphorePermit; 2],
}

struct Deliveries(Ends);

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
                    seen(&self.0, pending.partition, offset + 1);
                    offset
                }
                // Of a repeat the broker only says that it has the message already.
                Err(_) => end_of(&self.0, pending.partition).saturating_sub(1),
            }),
            Err((error, _)) => Err(BusError::Write(error.to_string())),
        };
        // Who waited may be gone; the message is where it is all the same.
        let _ = pending.told.send(outcome);
    }
}

fn end_of(ends: &Ends, partition: u32) -> u64 {
    let end = ends.get(partition as usize);
    end.map_or(0, |end| end.load(Ordering::Relaxed))
}

impl Publisher {
    pub fn new(options: &KafkaOptions, ends: &Ends) -> Result<Self, KafkaError> {
        let ms = |d: Duration| d.as_millis().to_string();
        let mut config = options.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", &options.compression)
            .set("linger.ms", ms(options.linger))
            .set("message.timeout.ms", ms(options.give_up))
            // The queue is bounded by us, so that whoever appends waits without holding a thread.
            .set(
                "queue.buffering.max.messages",
                (2 * options.queue_messages).to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                (options.queue_bytes / 512).to_string(),
            )
            .set("message.max.bytes", MESSAGE_BYTES.to_string());
        let producer = config.create_with_context(Deliveries(Arc::clone(ends)))?;
        Ok(Self {
            topic: options.topic.clone(),
            producer: RwLock::new(Arc::new(producer)),
            config,
            ends: Arc::clone(ends),
            messages: Arc::new(Semaphore::new(options.queue_messages)),
            bytes: Arc::new(Semaphore::new(options.queue_bytes)),
            queue_bytes: options.queue_bytes,
            give_up: options.give_up,
        })
    }

    /// Waits for a place, hands the message over, and gives its receipt.
    pub async fn publish(&self, partition: u32, payload: Bytes) -> Result<Receipt, BusError> {
        let size = payload.len().clamp(1, self.queue_bytes);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let closed = |_| BusError::Closed;
        let one = Arc::clone(&self.messages)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let all = Arc::clone(&self.bytes)
            .acquire_many_owned(size)
            .await
            .map_err(closed)?;
        let (told, receipt) = oneshot::channel();
        let mut pending = Box::new(Pending {
            partition,
            told,
            _places: [one, all],
        });
        loop {
            let record: BaseRecord<'_, (), [u8], Box<Pending>> =
                BaseRecord::with_opaque_to(&self.topic, pending)
                    .partition(number(partition))
                    .payload(&payload);
            let producer = self.producer();
            match producer.send(record) {
                Ok(()) => return Ok(receipt),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    pending = back.delivery_opaque;
                    tokio::time::sleep(FULL).await;
                }
                Err((error, _)) => {
                    if let Some((code, why)) = producer.client().fatal_error() {
                        self.renew(&producer, &format!("{code}: {why}"));
                    }
                    return Err(BusError::Write(error.to_string()));
                }
            }
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
            .create_with_context(Deliveries(Arc::clone(&self.ends)));
        match made {
            Ok(made) => {
                tracing::error!(why, "the producer failed for good; another takes its place");
                let failed = std::mem::replace(&mut *producer, Arc::new(made));
                // Letting go of it waits for its threads.
                tokio::task::spawn_blocking(move || drop(failed));
            }
            Err(error) => tracing::error!(why, %error, "the producer failed for good"),
        }
    }

    /// Does not wait for the library: whoever waits for a receipt is told a moment later.
    pub fn purge(&self) {
        self.producer()
            .purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    /// Lets nobody append any more, and waits for what is on its way; what no broker takes in time
    /// is told so.
    pub fn close(&self) {
        self.messages.close();
        let producer = self.producer();
        if producer.flush(self.give_up).is_err() {
            self.purge();
            // The receipts of what was purged are told by the library's thread.
            if let Err(error) = producer.flush(FULL * 100) {
                tracing::warn!(%error, "messages were left behind");
            }
        }
    }
}
