//! The one producer: idempotent, acknowledged by all replicas in sync, with a bounded queue.

use super::lanes::{Due, Lanes};
use super::{Ends, KafkaOptions, MESSAGE_BYTES, no_partition, number, said, seen};
use crate::{BusError, MOST_AS_ONE, Messages, Receipt, total};
use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig, ThreadedProducer,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

/// While closing, between two looks at what is still on its way.
const CLOSING: Duration = Duration::from_millis(5);

/// The library's own linger: as long as it takes to hand it a batch.
const HAND_OVER: Duration = Duration::from_millis(1);
/// Timers of the runtime wake at whole milliseconds: by so much a free one is late at most.
const TICK: Duration = Duration::from_millis(1);

type Producing = ThreadedProducer<Deliveries>;

/// Takes messages in order, and sends those of a partition in batches.
pub(super) struct Publisher {
    sender: Arc<Sender>,
    /// Bytes that may wait.
    queue: Arc<Semaphore>,
    queue_bytes: usize,
    /// What the smallest message takes of them, so that no more messages wait than may.
    least: usize,
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

/// What was appended as one: whom to tell, and its place in the queue.
struct Waiting {
    messages: Messages,
    told: oneshot::Sender<Result<u64, BusError>>,
    place: OwnedSemaphorePermit,
}

impl Waiting {
    fn fail(self, why: &str) {
        // Who waited may be gone.
        let _ = self.told.send(Err(BusError::Write(why.to_owned())));
    }
}

/// What was appended as one, on its way message by message.
struct Flight {
    partition: u32,
    /// Number of the producer that sends it.
    producer: u64,
    state: Mutex<Flying>,
}

struct Flying {
    /// Messages that have not arrived.
    left: usize,
    /// The offset of the last, or the first failure.
    outcome: Result<u64, BusError>,
    /// Gone when the last has arrived.
    told: Option<(oneshot::Sender<Result<u64, BusError>>, OwnedSemaphorePermit)>,
}

impl Flight {
    /// So many messages arrived, or never will. With the last of them who waits is told.
    fn landed(&self, count: usize, outcome: Result<u64, BusError>, lanes: &Lanes<Waiting>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left = state.left.saturating_sub(count);
        if state.outcome.is_ok() {
            state.outcome = outcome;
        }
        if state.left > 0 {
            return;
        }
        let Some((told, _place)) = state.told.take() else {
            return;
        };
        // Who waited may be gone; the messages are where they are all the same.
        let _ = told.send(std::mem::replace(&mut state.outcome, Ok(0)));
        drop(state);
        lanes.landed(self.partition, self.producer);
    }
}

struct Deliveries(Ways);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        said::tell(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = Arc<Flight>;

    fn delivery(&self, result: &DeliveryResult<'_>, flight: Arc<Flight>) {
        let outcome = match result {
            Ok(message) => Ok(match u64::try_from(message.offset()) {
                Ok(offset) => {
                    seen(&self.0.ends, flight.partition, offset + 1);
                    offset
                }
                // Of a repeat the broker only says that it has the message already.
                Err(_) => end_of(&self.0.ends, flight.partition).saturating_sub(1),
            }),
            Err((error, _)) => Err(BusError::Write(error.to_string())),
        };
        flight.landed(1, outcome, &self.0.lanes);
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
        // A message does not linger longer than is set, all together.
        let in_lane = options.linger.saturating_sub(HAND_OVER + TICK);
        let queue_bytes = options.queue_bytes.clamp(1, Semaphore::MAX_PERMITS);
        let mut config = options.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", &options.compression)
            .set("linger.ms", ms(HAND_OVER))
            .set("message.timeout.ms", ms(options.give_up))
            // The queue is bounded by us, so that whoever appends waits without holding a thread;
            // the library's is larger, and never full: it also takes what passes ours alone.
            .set(
                "queue.buffering.max.messages",
                (2 * options.queue_messages.max(MOST_AS_ONE)).to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                (2 * queue_bytes.max(MESSAGE_BYTES as usize) / 1024).to_string(),
            )
            .set("message.max.bytes", MESSAGE_BYTES.to_string());
        let ways = Ways {
            ends: Arc::clone(ends),
            lanes: Arc::new(Lanes::new(options.partitions, in_lane)),
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
            queue: Arc::new(Semaphore::new(queue_bytes)),
            queue_bytes,
            least: queue_bytes.div_ceil(options.queue_messages.max(1)),
            give_up: options.give_up,
        })
    }

    /// Waits for a place, takes the messages, and gives their receipt.
    pub async fn publish(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        let place = Arc::clone(&self.queue)
            .acquire_many_owned(self.size(&messages))
            .await
            .map_err(|_| BusError::Closed)?;
        self.push(partition, messages, place)
    }

    /// As [`Publisher::publish`]; None where it would wait.
    pub fn try_publish(
        &self,
        partition: u32,
        messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        match Arc::clone(&self.queue).try_acquire_many_owned(self.size(messages)) {
            Ok(place) => Some(self.push(partition, messages.clone(), place)),
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => Some(Err(BusError::Closed)),
        }
    }

    /// What messages take of the queue; what is above the bound passes alone.
    fn size(&self, messages: &[Bytes]) -> u32 {
        let size: usize = messages.iter().map(|m| m.len().max(self.least)).sum();
        u32::try_from(size.min(self.queue_bytes)).unwrap_or(u32::MAX)
    }

    fn push(
        &self,
        partition: u32,
        messages: Messages,
        place: OwnedSemaphorePermit,
    ) -> Result<Receipt, BusError> {
        let bytes = total(&messages);
        let (told, receipt) = oneshot::channel();
        let waiting = Waiting {
            messages,
            told,
            place,
        };
        match self.sender.ways.lanes.push(partition, waiting, bytes) {
            Ok(()) => Ok(receipt),
            Err(_) => Err(no_partition(partition)),
        }
    }

    /// Does not wait for the library: whoever waits for a receipt is told a moment later.
    pub fn purge(&self) {
        for waiting in self.sender.ways.lanes.give_up() {
            waiting.fail("given up before it was sent");
        }
        self.sender
            .producer()
            .purge(PurgeConfig::default().queue().inflight().non_blocking());
    }

    /// Lets nobody append any more, and waits for what is on its way; what no broker takes in time
    /// is told so.
    pub fn close(&self) {
        self.queue.close();
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
                    for waiting in batch {
                        self.send(partition, by, waiting);
                    }
                }
                Due::At(at) => next = Some(next.map_or(at, |next: Instant| next.min(at))),
                Due::Nothing => {}
            }
        }
        next
    }

    fn send(&self, partition: u32, by: u64, waiting: Waiting) {
        let flight = Arc::new(Flight {
            partition,
            producer: by,
            state: Mutex::new(Flying {
                left: waiting.messages.len(),
                outcome: Ok(0),
                told: Some((waiting.told, waiting.place)),
            }),
        });
        let producer = self.producer();
        let mut left = waiting.messages.len();
        for payload in &waiting.messages {
            let record: BaseRecord<'_, (), [u8], Arc<Flight>> =
                BaseRecord::with_opaque_to(&self.topic, Arc::clone(&flight))
                    .partition(number(partition))
                    .payload(payload);
            if let Err((error, _)) = producer.send(record) {
                if let Some((code, why)) = producer.client().fatal_error() {
                    self.renew(&producer, &format!("{code}: {why}"));
                }
                // What is behind it is sent again with it, and must not come before it.
                let outcome = Err(BusError::Write(error.to_string()));
                return flight.landed(left, outcome, &self.ways.lanes);
            }
            left -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use smallvec::smallvec;

    /// A lane whose batch is what was appended as one, on its way, and its receipt.
    fn flying(count: usize) -> (Lanes<Waiting>, Flight, Receipt, Arc<Semaphore>) {
        let queue = Arc::new(Semaphore::new(10));
        let place = Arc::clone(&queue).try_acquire_many_owned(10).unwrap();
        let lanes = Lanes::new(1, Duration::ZERO);
        let (told, receipt) = oneshot::channel();
        let waiting = Waiting {
            messages: smallvec![Bytes::new(); count],
            told,
            place,
        };
        assert!(lanes.push(0, waiting, 0).is_ok());
        let Due::Now(producer, mut batch) = lanes.due(0, Instant::now(), true) else {
            panic!("it is due");
        };
        let waiting = batch.remove(0);
        let flight = Flight {
            partition: 0,
            producer,
            state: Mutex::new(Flying {
                left: count,
                outcome: Ok(0),
                told: Some((waiting.told, waiting.place)),
            }),
        };
        (lanes, flight, receipt, queue)
    }

    #[test]
    fn who_waits_is_told_with_the_last_and_of_a_failure_before_it() {
        let write = || Err(BusError::Write("away".to_owned()));
        let (lanes, flight, mut receipt, queue) = flying(3);
        flight.landed(1, Ok(7), &lanes);
        flight.landed(1, Ok(8), &lanes);
        assert!(receipt.try_recv().is_err() && !lanes.is_idle());
        assert_eq!(queue.available_permits(), 0);
        flight.landed(1, Ok(9), &lanes);
        assert!(matches!(receipt.try_recv(), Ok(Ok(9))));
        assert!(lanes.is_idle());
        assert_eq!(queue.available_permits(), 10);

        let (lanes, flight, mut receipt, queue) = flying(3);
        flight.landed(1, write(), &lanes);
        flight.landed(1, Ok(8), &lanes);
        assert!(receipt.try_recv().is_err() && !lanes.is_idle());
        flight.landed(1, Ok(9), &lanes);
        assert!(matches!(receipt.try_recv(), Ok(Err(BusError::Write(_)))));
        assert!(lanes.is_idle());
        assert_eq!(queue.available_permits(), 10);

        // The first is on its way, the others were never sent.
        let (lanes, flight, mut receipt, _) = flying(3);
        flight.landed(2, write(), &lanes);
        flight.landed(1, Ok(7), &lanes);
        assert!(matches!(receipt.try_recv(), Ok(Err(BusError::Write(_)))));
        assert!(lanes.is_idle());
    }
}
