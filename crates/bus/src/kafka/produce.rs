//! The one producer: idempotent, acknowledged by all replicas in sync, with a bounded queue.

use super::{Ends, KafkaOptions, number, said, seen};
use crate::{BusError, Receipt};
use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Wait before a full queue of the library is tried again; ours is smaller, so it is rare.
const FULL: Duration = Duration::from_millis(5);

pub(super) struct Publisher {
    topic: String,
    producer: ThreadedProducer<Deliveries>,
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
            Ok(message) => u64::try_from(message.offset())
                .map_err(|_| BusError::Write("confirmed without an offset".to_owned())),
            Err((error, _)) => Err(BusError::Write(error.to_string())),
        };
        if let Ok(offset) = &outcome {
            seen(&self.0, pending.partition, offset + 1);
        }
        // Who waited may be gone; the message is where it is all the same.
        let _ = pending.told.send(outcome);
    }
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
            .set("message.max.bytes", "4000000");
        Ok(Self {
            topic: options.topic.clone(),
            producer: config.create_with_context(Deliveries(Arc::clone(ends)))?,
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
            match self.producer.send(record) {
                Ok(()) => return Ok(receipt),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    pending = back.delivery_opaque;
                    tokio::time::sleep(FULL).await;
                }
                Err((error, _)) => return Err(BusError::Write(error.to_string())),
            }
        }
    }

    pub fn purge(&self) {
        self.producer
            .purge(PurgeConfig::default().queue().inflight());
    }

    /// Lets nobody append any more, and waits for what is on its way; what no broker takes in time
    /// is told so.
    pub fn close(&self) {
        self.messages.close();
        if self.producer.flush(self.give_up).is_err() {
            self.purge();
            // The receipts of what was purged are told by the library's thread.
            if let Err(error) = self.producer.flush(FULL * 100) {
                tracing::warn!(%error, "messages were left behind");
            }
        }
    }
}
