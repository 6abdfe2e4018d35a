//! The embedded log: partitions on SQLite, one writer thread, acknowledged after fsync.
//!
//! The folder holds `meta.db` (id, number of partitions, what the worker released) and segments of
//! bounded size, each a database of its own that is dropped whole. Nothing spans two databases:
//! a segment says at which offsets it begins, and everything else follows from that.

mod folder;
mod meta;
mod reader;
mod segment;
mod shared;
mod writer;

use crate::{BusError, Entry, Log, LogIdentity, Messages, Offset, Receipt, Share, check_some};
use async_trait::async_trait;
use bytes::Bytes;
use shared::{Place, Shared};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use waywarden_model::Timestamp;
use writer::{Append, Command, Writer};

/// Settings of an embedded log. The number of partitions is fixed when the log is made.
#[derive(Clone, Debug)]
pub struct Options {
    pub partitions: u32,
    /// A segment is closed when it has grown to about this many bytes.
    pub segment_bytes: u64,
    /// Messages that may wait for the disk; above it `append` waits.
    pub queue_messages: usize,
    /// Bytes that may wait for the disk; above it `append` waits.
    pub queue_bytes: usize,
    /// Bytes of the newest messages kept in memory, over all partitions, so that a worker that
    /// follows closely never reads the disk.
    pub tail_bytes: usize,
    /// Released segments above this size of the whole log are removed whatever their age.
    pub max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: 8,
            segment_bytes: 256 * 1024 * 1024,
            queue_messages: 32 * 1024,
            queue_bytes: 32 * 1024 * 1024,
            tail_bytes: 32 * 1024 * 1024,
            max_bytes: 64 * 1024 * 1024 * 1024,
        }
    }
}

/// Why the folder is not opened as a log.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder {} cannot be used: {error}", path.display())]
    Folder {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the log in {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("the database {} cannot be used: {error}", path.display())]
    Database {
        path: PathBuf,
        error: rusqlite::Error,
    },
    #[error(
        "the log was made with {found} partitions and cannot be opened with {wanted}: \
         drain it and begin a new one"
    )]
    Partitions { found: u32, wanted: u32 },
    #[error("the log has format {found}, this program knows up to {known}")]
    Newer { found: u32, known: u32 },
    #[error("the log in {} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("a log needs at least one partition, and sizes above zero")]
    Options,
}

/// An ordered durable log in a folder. See [`Log`].
#[derive(Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    left_at: Vec<Offset>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl EmbeddedLog {
    /// Opens the log in `dir`, or makes it. Blocks on the disk.
    ///
    /// # Errors
    /// [`OpenError`] when the folder is in use, damaged, of a newer format, or was made with
    /// another number of partitions.
    pub fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let opened = folder::open(dir, &options)?;
        let shared = Arc::new(Shared::new(&opened, &options));
        let (commands, queue) = mpsc::unbounded_channel();
        let left_at = opened.meta.released.clone();
        let writer = Writer::new(opened, options, Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("log-writer".into())
            .spawn(move || writer.run(queue))
            .map_err(|error| OpenError::Folder {
                path: dir.to_owned(),
                error,
            })?;
        Ok(Self {
            shared,
            commands,
            left_at,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Below it everything had been released when the log was opened: where a reader that keeps no
    /// position of its own goes on. 0 for a partition that is not there.
    pub fn left_at(&self, partition: u32) -> Offset {
        let left = self.left_at.get(partition as usize);
        left.copied().unwrap_or_default()
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, BusError>>) -> Command,
    ) -> Result<T, BusError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .map_err(|_| BusError::Closed)?;
        answer.await.map_err(|_| BusError::Closed)?
    }

    fn check(&self, partition: u32, messages: &[Bytes]) -> Result<(), BusError> {
        self.shared.check_partition(partition)?;
        check_some(messages)
    }

    fn write(
        &self,
        partition: u32,
        messages: Messages,
        place: Place<'_>,
    ) -> Result<Receipt, BusError> {
        let (reply, receipt) = oneshot::channel();
        let append = Append {
            partition,
            messages,
            reply,
        };
        self.commands
            .send(Command::Append(append))
            .map_err(|_| BusError::Closed)?;
        // The writer gives the place back when the messages are durable or have failed.
        place.keep();
        Ok(receipt)
    }

    /// The queue is open while the writer runs; what was sent before the close is still done.
    fn stop(&self) -> Option<JoinHandle<()>> {
        self.shared.close();
        // An error means that the writer has ended already.
        let _ = self.commands.send(Command::Close);
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// Dropping finishes what was taken, as [`Log::close`] does, and waits for it.
impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if let Some(thread) = self.stop() {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl crate::Append for EmbeddedLog {
    fn partitions(&self) -> u32 {
        self.shared.identity().partitions
    }

    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        self.check(partition, &messages)?;
        let place = self.shared.take_place(&messages).await?;
        self.write(partition, messages, place)
    }

    fn try_append_all(
        &self,
        partition: u32,
        messages: &Messages,
    ) -> Option<Result<Receipt, BusError>> {
        if let Err(error) = self.check(partition, messages) {
            return Some(Err(error));
        }
        let place = self.shared.try_take_place(messages)?;
        Some(place.and_then(|place| self.write(partition, messages.clone(), place)))
    }

    async fn close(&self) {
        if let Some(thread) = self.stop() {
            // Joining blocks for as long as the last commit takes.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn identity(&self) -> LogIdentity {
        self.shared.identity()
    }

    async fn join(&self) -> Result<Share, BusError> {
        Ok(Share::whole(self.shared.identity().partitions))
    }

    async fn read(
        &self,
        partition: u32,
        from: Offset,
        max_messages: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let limit = reader::Limit {
            messages: max_messages.max(1),
            bytes: max_bytes.max(1),
        };
        if let Some(entries) = self.shared.read_tail(partition, from, limit)? {
            return Ok(entries);
        }
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || reader::read(&shared, partition, from, limit))
            .await
            .map_err(|_| BusError::Read("the reading thread ended".into()))?
    }

    async fn range(&self, partition: u32) -> Result<(Offset, Offset), BusError> {
        self.shared.range(partition)
    }

    fn seen_end(&self, partition: u32) -> Offset {
        self.shared.range(partition).map_or(0, |(_, end)| end)
    }

    async fn wait_beyond(&self, partition: u32, offset: Offset) -> Result<(), BusError> {
        self.shared.wait_beyond(partition, offset).await
    }

    async fn release(&self, partition: u32, below: Offset) -> Result<(), BusError> {
        self.shared.check_partition(partition)?;
        self.ask(|reply| Command::Release {
            partition,
            below,
            reply,
        })
        .await
    }

    async fn trim(&self, before: Timestamp) -> Result<u64, BusError> {
        self.shared.check_open()?;
        self.ask(|reply| Command::Trim { before, reply }).await
    }
}
