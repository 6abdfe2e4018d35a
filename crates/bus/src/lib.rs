//! An ordered durable log in partitions, behind one trait.

pub mod embedded;
pub mod kafka;
pub mod message;
mod share;

pub use embedded::{EmbeddedLog, OpenError, Options};
pub use kafka::{
    ClientFileError, ClientSettings, KafkaLog, KafkaOptions, MESSAGE_BYTES, TopicError,
};
pub use message::{DecodeError, decode, encode};
pub use share::{Held, Share};

use async_trait::async_trait;
use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use std::fmt;
use waywarden_model::Timestamp;

/// Place of a message in its partition; the first is 0, they grow by one.
pub type Offset = u64;

/// Why the log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The disk or the broker refused; nothing of this message is durable.
    #[error("the log cannot be written: {0}")]
    Write(String),
    #[error("the log cannot be read: {0}")]
    Read(String),
    /// The position asked for is not in the log any more (or not yet).
    #[error("partition {partition} holds {begin} to {end}, position {wanted} was asked for")]
    OutOfRange {
        partition: u32,
        wanted: Offset,
        begin: Offset,
        end: Offset,
    },
    /// What was read last is not what stands there now: another log has this one's name.
    #[error(
        "message {offset} of partition {partition} is not the one that was read there: the log was \
         made anew"
    )]
    MadeAnew { partition: u32, offset: Offset },
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
    /// Bytes that are not a message of a version that this program knows.
    #[error("message at {partition}/{offset} cannot be read: {why}")]
    Poison {
        partition: u32,
        offset: Offset,
        why: String,
    },
}

impl BusError {
    /// Bounded label for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Read(_) => "read",
            Self::OutOfRange { .. } => "out_of_range",
            Self::MadeAnew { .. } => "made_anew",
            Self::Closed => "closed",
            Self::Poison { .. } => "poison",
        }
    }
}

/// What is appended as one, such as the frames of one read: messages of one partition, at least one
/// and seldom another. They stand there in their order.
pub type Messages = SmallVec<[Bytes; 1]>;

/// Most messages that are to be appended as one.
pub const MOST_AS_ONE: usize = 64;

/// Resolves when all that was appended as one is durable, with the offset of the last; of a message
/// that was sent twice on the way a broker may tell none, and then it is about that. When it fails,
/// some of several may be durable all the same.
pub type Receipt = tokio::sync::oneshot::Receiver<Result<Offset, BusError>>;

/// Nothing has no offset to be told.
fn check_some(messages: &[Bytes]) -> Result<(), BusError> {
    match messages {
        [] => Err(BusError::Write("there is nothing to append".to_owned())),
        _ => Ok(()),
    }
}

/// Bytes of messages.
fn total(messages: &[Bytes]) -> usize {
    messages.iter().map(Bytes::len).sum()
}

/// A message as it stands in the log.
#[derive(Clone, Debug)]
pub struct Entry {
    pub offset: Offset,
    pub payload: Bytes,
}

/// What the reader must hold against the store before it goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogIdentity {
    /// Cluster and topic, or the id given to an embedded log when it was made.
    pub id: String,
    pub partitions: u32,
}

/// Where messages become durable: a log, or a gateway's way to one.
#[async_trait]
pub trait Append: Send + Sync + fmt::Debug + 'static {
    /// Partitions, of which the first is 0.
    fn partitions(&self) -> u32;

    /// Waits for a place in the bounded queue, then gives the receipt; order per partition is the
    /// order of the calls. An error means that nothing was taken.
    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError>;

    /// As [`Append::append_all`], without a future to be kept; None where it would wait, which is
    /// seldom.
    fn try_append_all(
        &self,
        _partition: u32,
        _messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        None
    }

    /// As [`Append::append_all`], of one message.
    async fn append(&self, partition: u32, payload: Bytes) -> Result<Receipt, BusError> {
        self.append_all(partition, smallvec![payload]).await
    }

    /// Gives up what is not durable yet where that can take long: the receipts fail, though some of
    /// it may become durable all the same. What is appended afterwards begins anew.
    fn purge(&self) {}

    /// Finishes what was taken and closes; later calls give [`BusError::Closed`].
    async fn close(&self);
}

/// An ordered durable log. Cheap to share.
#[async_trait]
pub trait Log: Append {
    fn identity(&self) -> LogIdentity;

    /// Joins those who work this log: what falls to this process. Once per log and process.
    async fn join(&self) -> Result<Share, BusError>;

    /// Up to `max_messages` and about `max_bytes` from `from` on, in order; empty at the end.
    ///
    /// # Errors
    /// [`BusError::OutOfRange`] where the partition does not hold the position;
    /// [`BusError::MadeAnew`] where another log took this one's place between two reads.
    async fn read(
        &self,
        partition: u32,
        from: Offset,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, BusError>;

    /// First offset held and the offset that the next durable message gets.
    async fn range(&self, partition: u32) -> Result<(Offset, Offset), BusError>;

    /// The partition's end as far as this process has seen it, without asking anybody: for showing
    /// how far a reader is behind. 0 for a partition that is not there.
    fn seen_end(&self, partition: u32) -> Offset;

    /// Returns when the partition's end lies beyond `offset` (or the log is closed).
    async fn wait_beyond(&self, partition: u32, offset: Offset) -> Result<(), BusError>;

    /// Nobody here reads the partition for now: what was fetched ahead of it is let go.
    fn rest(&self, _partition: u32) {}

    /// Everything below `below` is not needed by the worker any more; retention may remove it.
    async fn release(&self, partition: u32, below: Offset) -> Result<(), BusError>;

    /// Removes what retention allows: released, and older than `before` or above the size bound.
    async fn trim(&self, before: Timestamp) -> Result<u64, BusError>;
}
