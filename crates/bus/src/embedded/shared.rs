//! What the writer and the readers share: ends, tails, the list of segments, the queue's places.

use super::Options;
use super::folder::Opened;
use super::reader::Limit;
use super::segment::{self, Segment};
use crate::{BusError, Entry, LogIdentity, Offset, total};
use bytes::Bytes;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError, watch};

/// Connections for reading that are kept open.
const READERS: usize = 8;

#[derive(Debug)]
pub(super) struct Shared {
    identity: LogIdentity,
    partitions: Vec<Partition>,
    segments: RwLock<Vec<Segment>>,
    readers: Mutex<VecDeque<(u64, Connection)>>,
    messages: Semaphore,
    bytes: Semaphore,
    /// All places that there are.
    queue: Weight,
    closed: AtomicBool,
}

#[derive(Debug)]
struct Partition {
    begin: AtomicU64,
    /// Offset behind the last durable message; whoever waits for more waits here.
    end: watch::Sender<u64>,
    tail: Mutex<Tail>,
}

/// The newest messages of a partition.
#[derive(Debug)]
struct Tail {
    first: u64,
    entries: VecDeque<Bytes>,
    bytes: usize,
    bound: usize,
}

impl Tail {
    fn push(&mut self, payload: Bytes) {
        self.bytes += payload.len();
        self.entries.push_back(payload);
        while self.bytes > self.bound {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
            self.first += 1;
        }
    }

    fn reset(&mut self, end: u64) {
        self.entries.clear();
        self.bytes = 0;
        self.first = end;
    }
}

/// Places in the queue, given back when dropped unless [`Place::keep`] is called.
#[derive(Debug)]
pub(super) struct Place<'a> {
    messages: SemaphorePermit<'a>,
    bytes: SemaphorePermit<'a>,
}

impl Place<'_> {
    /// Leaves giving back to [`Shared::give_back`].
    pub(super) fn keep(self) {
        self.messages.forget();
        self.bytes.forget();
    }
}

/// What messages take of the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    messages: u32,
    bytes: u32,
}

impl Shared {
    pub(super) fn new(opened: &Opened, options: &Options) -> Self {
        let begin = &opened.segments[0].starts;
        let bound = options.tail_bytes / opened.ends.len();
        let partitions = begin.iter().zip(&opened.ends);
        let queue = Weight {
            messages: clamp(options.queue_messages),
            bytes: clamp(options.queue_bytes),
        };
        Self {
            identity: LogIdentity {
                id: opened.meta.id.clone(),
                partitions: options.partitions,
            },
            partitions: partitions
                .map(|(begin, end)| Partition::new(*begin, *end, bound))
                .collect(),
            segments: RwLock::new(opened.segments.clone()),
            readers: Mutex::new(VecDeque::new()),
            messages: Semaphore::new(queue.messages as usize),
            bytes: Semaphore::new(queue.bytes as usize),
            queue,
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    pub(super) fn check_open(&self) -> Result<(), BusError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(BusError::Closed);
        }
        Ok(())
    }

    pub(super) fn check_partition(&self, partition: u32) -> Result<(), BusError> {
        self.partition(partition).map(|_| ())
    }

    fn partition(&self, partition: u32) -> Result<&Partition, BusError> {
        self.check_open()?;
        self.partitions
            .get(partition as usize)
            .ok_or(BusError::OutOfRange {
                partition,
                wanted: 0,
                begin: 0,
                end: 0,
            })
    }

    /// Waits until the queue has room for what is appended as one. What is above the bound passes
    /// alone.
    pub(super) async fn take_place(&self, messages: &[Bytes]) -> Result<Place<'_>, BusError> {
        let closed = |_| BusError::Closed;
        let weight = self.weight(messages);
        let messages = self.messages.acquire_many(weight.messages);
        let messages = messages.await.map_err(closed)?;
        let bytes = self
            .bytes
            .acquire_many(weight.bytes)
            .await
            .map_err(closed)?;
        Ok(Place { messages, bytes })
    }

    /// As [`Shared::take_place`]; None where the queue has no room now.
    pub(super) fn try_take_place(&self, messages: &[Bytes]) -> Option<Result<Place<'_>, BusError>> {
        let weight = self.weight(messages);
        let messages = self.messages.try_acquire_many(weight.messages);
        let place = messages.and_then(|messages| {
            let bytes = self.bytes.try_acquire_many(weight.bytes)?;
            Ok(Place { messages, bytes })
        });
        match place {
            Err(TryAcquireError::NoPermits) => None,
            place => Some(place.map_err(|_| BusError::Closed)),
        }
    }

    /// What is appended as one takes of the queue.
    pub(super) fn weight(&self, messages: &[Bytes]) -> Weight {
        Weight {
            messages: clamp(messages.len()).min(self.queue.messages),
            bytes: clamp(total(messages)).min(self.queue.bytes),
        }
    }

    /// The places of what is durable or has failed.
    pub(super) fn give_back(&self, weight: Weight) {
        self.messages.add_permits(weight.messages as usize);
        self.bytes.add_permits(weight.bytes as usize);
    }

    pub(super) fn range(&self, partition: u32) -> Result<(Offset, Offset), BusError> {
        let p = self.partition(partition)?;
        Ok((p.begin.load(Ordering::Acquire), *p.end.borrow()))
    }

    pub(super) fn check_range(
        &self,
        partition: u32,
        wanted: Offset,
    ) -> Result<(Offset, Offset), BusError> {
        let (begin, end) = self.range(partition)?;
        if wanted < begin || wanted > end {
            return Err(BusError::OutOfRange {
                partition,
                wanted,
                begin,
                end,
            });
        }
        Ok((begin, end))
    }

    /// The messages from memory; none when they reach further back than that.
    pub(super) fn read_tail(
        &self,
        partition: u32,
        from: Offset,
        limit: Limit,
    ) -> Result<Option<Vec<Entry>>, BusError> {
        let (_, end) = self.check_range(partition, from)?;
        if from == end {
            return Ok(Some(Vec::new()));
        }
        let tail = lock(&self.partition(partition)?.tail);
        if from < tail.first {
            return Ok(None);
        }
        // What is pushed and not published yet stays unseen: a reader that went past `end` would
        // ask next for a position that the log says it does not hold.
        let skip = usize::try_from(from - tail.first).unwrap_or(usize::MAX);
        let mut left = limit;
        Ok(Some(
            (from..end)
                .zip(tail.entries.iter().skip(skip))
                .take_while(|(_, payload)| left.take(payload.len()))
                .map(|(offset, payload)| Entry {
                    offset,
                    payload: payload.clone(),
                })
                .collect(),
        ))
    }

    pub(super) async fn wait_beyond(&self, partition: u32, offset: Offset) -> Result<(), BusError> {
        let mut end = self.partition(partition)?.end.subscribe();
        let closed = || self.closed.load(Ordering::Acquire);
        end.wait_for(|end| *end > offset || closed())
            .await
            .map_err(|_| BusError::Closed)?;
        self.check_open()
    }

    /// Wakes everybody who waits; nothing more is taken.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.messages.close();
        self.bytes.close();
        for p in &self.partitions {
            p.end.send_modify(|_| ());
        }
    }

    /// Durable messages, the next of their partition. Visible after [`Shared::publish`].
    pub(super) fn push_tail(&self, partition: u32, messages: &[Bytes]) {
        let mut tail = lock(&self.partitions[partition as usize].tail);
        for payload in messages {
            tail.push(payload.clone());
        }
    }

    pub(super) fn publish(&self, ends: &[u64]) {
        for (p, end) in self.partitions.iter().zip(ends) {
            if *p.end.borrow() != *end {
                p.end.send_replace(*end);
            }
        }
    }

    /// The disk holds more than the writer knew: what is in memory no longer follows.
    pub(super) fn reset(&self, ends: &[u64]) {
        for (p, end) in self.partitions.iter().zip(ends) {
            lock(&p.tail).reset(*end);
        }
        self.publish(ends);
    }

    pub(super) fn add_segment(&self, segment: Segment) {
        self.segments
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(segment);
    }

    /// Takes the oldest segment out of the list, so that nobody opens it any more.
    pub(super) fn drop_oldest(&self, next_starts: &[u64]) {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if segments.len() < 2 {
            return;
        }
        let oldest = segments.remove(0);
        for (p, start) in self.partitions.iter().zip(next_starts) {
            p.begin.store(*start, Ordering::Release);
        }
        lock(&self.readers).retain(|(number, _)| *number != oldest.number);
    }

    /// Number and file of the segment that holds `offset`.
    pub(super) fn segment_of(&self, partition: u32, offset: Offset) -> Option<(u64, PathBuf)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let held = segments
            .iter()
            .rev()
            .find(|s| s.starts[partition as usize] <= offset)?;
        Some((held.number, held.path.clone()))
    }

    pub(super) fn take_reader(&self, number: u64, path: &Path) -> rusqlite::Result<Connection> {
        let mut readers = lock(&self.readers);
        if let Some(i) = readers.iter().position(|(n, _)| *n == number)
            && let Some((_, connection)) = readers.remove(i)
        {
            return Ok(connection);
        }
        drop(readers);
        segment::open_reader(path)
    }

    pub(super) fn return_reader(&self, number: u64, connection: Connection) {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        if segments.iter().any(|s| s.number == number) {
            let mut readers = lock(&self.readers);
            readers.push_back((number, connection));
            if readers.len() > READERS {
                readers.pop_front();
            }
        }
    }
}

impl Partition {
    fn new(begin: u64, end: u64, bound: usize) -> Self {
        Self {
            begin: AtomicU64::new(begin),
            end: watch::Sender::new(end),
            tail: Mutex::new(Tail {
                first: end,
                entries: VecDeque::new(),
                bytes: 0,
                bound,
            }),
        }
    }
}

/// A semaphore counts to less than a `usize`, and one request to a `u32`.
fn clamp(count: usize) -> u32 {
    u32::try_from(count.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX)
}

/// A thread that panicked while it held the lock left values that are each whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_gets_ahead_of_what_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            partitions: 1,
            ..Options::default()
        };
        let opened = super::super::folder::open(folder.path(), &options).unwrap();
        let shared = Shared::new(&opened, &options);
        let limit = Limit {
            messages: 10,
            bytes: 1000,
        };
        let offsets = |from| {
            let entries = shared.read_tail(0, from, limit).unwrap().unwrap();
            entries.iter().map(|e| e.offset).collect::<Vec<_>>()
        };
        shared.push_tail(0, &[Bytes::from_static(b"a")]);
        shared.publish(&[1]);
        // The writer is between the two: durable, in memory, and not told to anybody.
        shared.push_tail(0, &[Bytes::from_static(b"b")]);
        assert_eq!(offsets(0), [0]);
        assert!(offsets(1).is_empty());
        shared.publish(&[2]);
        assert_eq!(offsets(1), [1]);
    }

    #[test]
    fn a_tail_forgets_its_oldest() {
        let mut tail = Tail {
            first: 10,
            entries: VecDeque::new(),
            bytes: 0,
            bound: 5,
        };
        for payload in ["ab", "cd", "ef"] {
            tail.push(Bytes::from_static(payload.as_bytes()));
        }
        assert_eq!((tail.first, tail.entries.len(), tail.bytes), (11, 2, 4));
        tail.push(Bytes::from_static(b"larger than the bound"));
        assert_eq!((tail.first, tail.entries.len(), tail.bytes), (14, 0, 0));
    }
}
