//! The log on Kafka: one topic, acknowledged by all replicas in sync, read from the positions that
//! the store gives.
//!
//! The consumer group only says which member works which partition, and how far the workers are:
//! what [`Log::release`] is told is committed there, so that lag is shown by every tool and
//! trimming goes on where it was after a restart. Nothing is ever read from a committed offset.

mod client_file;
mod group;
mod lanes;
mod produce;
mod read;
mod said;
mod topic;

use crate::{
    Append, BusError, Entry, Log, LogIdentity, Messages, Offset, Receipt, Share, check_some,
};
use async_trait::async_trait;
pub use client_file::{ClientFileError, ClientSettings, TLS};
use group::Group;
use produce::Publisher;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use read::Reader;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
pub use topic::TopicError;
use waywarden_model::Timestamp;

/// How the log is reached and what its topic must be.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Addresses of some brokers, with commas between them.
    pub brokers: String,
    pub topic: String,
    /// Of the topic; it is never changed: another number is another topic.
    pub partitions: u32,
    /// Copies of each partition.
    pub replication: u32,
    /// Copies that must be written before a message counts as durable.
    pub min_in_sync: u32,
    /// lz4, zstd, snappy, gzip or none.
    pub compression: String,
    /// How long a message waits for others of its batch.
    pub linger: Duration,
    /// After which a message that the brokers do not take is given up: its receipt fails.
    pub give_up: Duration,
    /// Messages that may wait for the brokers; above it `append` waits.
    pub queue_messages: usize,
    /// Bytes that may wait for the brokers; above it `append` waits.
    pub queue_bytes: usize,
    /// Group whose offsets show how far the workers are.
    pub group: String,
    /// A request that is not answered for this long has failed.
    pub patience: Duration,
    /// A worker that is not heard of for this long has lost its partitions.
    pub session: Duration,
    /// How long a partition that is taken away may be worked on.
    pub hand_over: Duration,
    /// How the brokers let this program in: TLS, SASL.
    pub more: ClientSettings,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic: "records".to_owned(),
            partitions: 12,
            replication: 3,
            min_in_sync: 2,
            compression: "lz4".to_owned(),
            linger: Duration::from_millis(5),
            give_up: Duration::from_secs(30),
            queue_messages: 32 * 1024,
            queue_bytes: 32 * 1024 * 1024,
            group: "waywarden-worker".to_owned(),
            patience: Duration::from_secs(10),
            session: Duration::from_secs(20),
            hand_over: Duration::from_secs(30),
            more: ClientSettings::default(),
        }
    }
}

impl KafkaOptions {
    /// What every client of it is made with.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "waywarden")
            // A broker that comes back is found within seconds.
            .set("reconnect.backoff.max.ms", "2000")
            .set("topic.metadata.refresh.interval.ms", "30000")
            .set("log.connection.close", "false");
        self.more.apply(&mut config);
        config
    }
}

/// Largest message that the brokers take, bytes. A frame of a device and its records is far below.
pub const MESSAGE_BYTES: u32 = 4_000_000;

/// Ends of partitions, which only grow.
type Ends = Arc<[AtomicU64]>;

/// The log on Kafka. Clones share one producer.
#[derive(Clone)]
pub struct KafkaLog {
    inner: Arc<Inner>,
}

struct Inner {
    options: KafkaOptions,
    identity: LogIdentity,
    publisher: Publisher,
    readers: Vec<Reader>,
    /// Ends of the partitions as they were last seen.
    ends: Ends,
    /// Commits what was released, and asks for it.
    group: Group,
    admin: AdminClient<DefaultClientContext>,
    closed: AtomicBool,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog")
            .field("identity", &self.inner.identity)
            .finish_non_exhaustive()
    }
}

impl KafkaLog {
    /// Connects, makes the topic where it is missing, and checks it.
    ///
    /// # Errors
    /// Brokers that do not answer; a topic whose settings would lose data or forget it, with the
    /// command that mends it; brokers that do not take this program, with what they say.
    pub async fn open(options: KafkaOptions) -> Result<Self, TopicError> {
        let error = match Self::connect(options.clone()).await {
            Err(error) if error.may_pass() => error,
            done => return done,
        };
        let heard = tokio::task::spawn_blocking(move || said::listen(&options)).await;
        Err(match heard.ok().flatten() {
            Some(said) if said.refused => TopicError::Refused(said.why),
            Some(said) => TopicError::Unreached(said.why),
            None => error,
        })
    }

    async fn connect(options: KafkaOptions) -> Result<Self, TopicError> {
        let admin: AdminClient<_> = options.client().create()?;
        topic::ensure(&admin, &options).await?;
        let group = Group::new(&options)?;
        let ends: Ends = (0..options.partitions).map(|_| AtomicU64::new(0)).collect();
        let publisher = Publisher::new(&options, &ends)?;
        let of = |partition| Reader::new(&options, partition, &ends);
        let readers = (0..options.partitions).map(of).collect();
        let inner = Arc::new(Inner {
            identity: LogIdentity {
                id: String::new(),
                partitions: options.partitions,
            },
            publisher,
            readers,
            ends,
            group,
            admin,
            closed: AtomicBool::new(false),
            options,
        });
        let asked = Arc::clone(&inner);
        let cluster = blocking(move || {
            // Every partition has a leader before anything is promised.
            let patience = asked.options.patience;
            for partition in 0..asked.options.partitions {
                let (_, end) =
                    read::marks(asked.group.consumer.as_ref(), &asked.options, partition)?;
                seen(&asked.ends, partition, end);
            }
            Ok(asked.group.consumer.client().fetch_cluster_id(patience))
        });
        let cluster = cluster.await?.ok_or(TopicError::NoCluster)?;
        let mut inner = Arc::into_inner(inner).ok_or(TopicError::NoCluster)?;
        inner.identity.id = format!("{cluster}/{}", inner.options.topic);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    fn alive(&self, partition: u32) -> Result<&Reader, BusError> {
        if self.inner.closed.load(Ordering::Acquire) {
            return Err(BusError::Closed);
        }
        let readers = &self.inner.readers;
        readers
            .get(partition as usize)
            .ok_or_else(|| no_partition(partition))
    }

    /// A list of one partition at an offset. None of these may outlive a consumer.
    fn at(&self, partition: u32, offset: At) -> Result<TopicPartitionList, BusError> {
        group::one(&self.inner.options.topic, partition, offset).map_err(|e| read_error(&e))
    }

    /// The offset below which the workers need nothing; None where none was ever told.
    fn released(&self, partition: u32) -> Result<Option<Offset>, BusError> {
        let asked = self.at(partition, At::Invalid)?;
        let (group, patience) = (&self.inner.group.consumer, self.inner.options.patience);
        let committed = group.committed_offsets(asked, patience);
        let committed = committed.map_err(|e| read_error(&e))?;
        let of = committed.elements().first().map(|e| e.offset());
        Ok(match of {
            Some(At::Offset(n)) => u64::try_from(n).ok(),
            _ => None,
        })
    }
}

/// Notes that the partition's end is at least there.
fn seen(ends: &Ends, partition: u32, end: Offset) {
    if let Some(at) = ends.get(partition as usize) {
        at.fetch_max(end, Ordering::Relaxed);
    }
}

/// Runs what waits for the brokers off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(BusError::Read(e.to_string())),
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn no_partition(partition: u32) -> BusError {
    BusError::Read(format!("there is no partition {partition}"))
}

/// The text of a library's error names brokers and codes, never what a message holds.
fn read_error(e: &KafkaError) -> BusError {
    BusError::Read(e.to_string())
}

#[async_trait]
impl Append for KafkaLog {
    fn partitions(&self) -> u32 {
        self.inner.identity.partitions
    }

    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        self.alive(partition)?;
        check_some(&messages)?;
        self.inner.publisher.publish(partition, messages).await
    }

    fn try_append_all(
        &self,
        partition: u32,
        messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        let may = self.alive(partition).and_then(|_| check_some(messages));
        match may {
            Ok(()) => self.inner.publisher.try_publish(partition, messages),
            Err(error) => Some(Err(error)),
        }
    }

    fn purge(&self) {
        self.inner.publisher.purge();
    }

    async fn close(&self) {
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || this.inner.publisher.close());
        if let Err(error) = done.await {
            tracing::error!(%error, "the producer was not closed");
        }
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn identity(&self) -> LogIdentity {
        self.inner.identity.clone()
    }

    async fn join(&self) -> Result<Share, BusError> {
        let this = self.clone();
        blocking(move || {
            let group = &this.inner.group;
            let membership = group.join().map_err(|e| read_error(&e))?;
            Ok(Share::of(Arc::clone(&group.desk), Box::new(membership)))
        })
        .await
    }

    async fn read(
        &self,
        partition: u32,
        from: Offset,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, BusError> {
        self.alive(partition)?;
        let this = self.clone();
        blocking(move || this.alive(partition)?.read(from, max_messages, max_bytes)).await
    }

    async fn range(&self, partition: u32) -> Result<(Offset, Offset), BusError> {
        self.alive(partition)?;
        let this = self.clone();
        blocking(move || this.alive(partition)?.range()).await
    }

    fn seen_end(&self, partition: u32) -> Offset {
        self.inner
            .ends
            .get(partition as usize)
            .map_or(0, |end| end.load(Ordering::Relaxed))
    }

    async fn wait_beyond(&self, partition: u32, offset: Offset) -> Result<(), BusError> {
        loop {
            self.alive(partition)?;
            let this = self.clone();
            let grown = blocking(move || this.alive(partition)?.grown_beyond(offset));
            if grown.await? {
                return Ok(());
            }
        }
    }

    fn rest(&self, partition: u32) {
        if let Some(reader) = self.inner.readers.get(partition as usize) {
            reader.rest();
        }
    }

    async fn release(&self, partition: u32, below: Offset) -> Result<(), BusError> {
        self.alive(partition)?;
        let this = self.clone();
        blocking(move || {
            let (_, end) = this.alive(partition)?.range()?;
            if below > end {
                return Err(BusError::OutOfRange {
                    partition,
                    wanted: below,
                    begin: 0,
                    end,
                });
            }
            let released = this.released(partition)?.filter(|r| *r <= end);
            if released >= Some(below) {
                return Ok(());
            }
            let offset = At::Offset(i64::try_from(below).unwrap_or(i64::MAX));
            let list = this.at(partition, offset)?;
            match this.inner.group.consumer.commit(&list, CommitMode::Sync) {
                // The group is dividing the partitions anew: the next release tells more.
                Err(error) if group::divides(&error) => Ok(()),
                done => done.map_err(|e| read_error(&e)),
            }
        })
        .await
    }

    async fn trim(&self, before: Timestamp) -> Result<u64, BusError> {
        let this = self.clone();
        let found = blocking(move || {
            let mut found = Vec::new();
            for partition in 0..this.inner.options.partitions {
                let reader = this.alive(partition)?;
                let (begin, end) = reader.range()?;
                let Some(released) = this.released(partition)?.filter(|r| *r <= end) else {
                    continue; // never told, or left over from a topic of the same name
                };
                let old = reader.first_since(before, end)?;
                let below = released.min(old).min(end);
                if below > begin {
                    found.push((partition, begin, below));
                }
            }
            Ok(found)
        });
        let found = found.await?;
        let mut gone = 0;
        let mut list = TopicPartitionList::new();
        for (partition, begin, below) in &found {
            let offset = At::Offset(i64::try_from(*below).unwrap_or(i64::MAX));
            list.add_partition_offset(&self.inner.options.topic, number(*partition), offset)
                .map_err(|e| read_error(&e))?;
            gone += below - begin;
        }
        if gone > 0 {
            let options = AdminOptions::new().operation_timeout(Some(self.inner.options.patience));
            let deleted = self.inner.admin.delete_records(&list, &options).await;
            for element in deleted
                .map_err(|e| BusError::Write(e.to_string()))?
                .elements()
            {
                let error = element.error();
                error.map_err(|e| BusError::Write(e.to_string()))?;
            }
        }
        Ok(gone)
    }
}
