//! The one thread that writes: everything that waits goes into one transaction.

use super::Options;
use super::folder::{Opened, sync_folder};
use super::meta::Meta;
use super::segment::{Active, Segment, beside};
use super::shared::{Shared, Weight};
use crate::{BusError, Messages, Offset, total};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;
use tokio::sync::{mpsc, oneshot};
use waywarden_model::Timestamp;

/// Most that one transaction holds, so that the first of it does not wait long.
const BATCH_MESSAGES: usize = 16 * 1024;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What the writer is asked to do, in the order in which it does it.
#[derive(Debug)]
pub(super) enum Command {
    Append(Append),
    Release {
        partition: u32,
        below: Offset,
        reply: oneshot::Sender<Result<(), BusError>>,
    },
    Trim {
        before: Timestamp,
        reply: oneshot::Sender<Result<u64, BusError>>,
    },
    Close,
}

#[derive(Debug)]
pub(super) struct Append {
    pub(super) partition: u32,
    pub(super) messages: Messages,
    pub(super) reply: oneshot::Sender<Result<Offset, BusError>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    options: Options,
    shared: Arc<Shared>,
    meta: Meta,
    segments: Vec<Segment>,
    /// None after an error, until the next batch opens the segment again.
    active: Option<Active>,
    ends: Vec<u64>,
    /// Kept for its drop, which lets another process open the folder.
    _lock: File,
}

impl Writer {
    pub(super) fn new(opened: Opened, options: Options, shared: Arc<Shared>) -> Self {
        Self {
            options,
            shared,
            meta: opened.meta,
            segments: opened.segments,
            active: Some(opened.active),
            ends: opened.ends,
            _lock: opened.lock,
        }
    }

    pub(super) fn run(mut self, mut queue: mpsc::UnboundedReceiver<Command>) {
        let mut batch = Vec::new();
        while let Some(command) = queue.blocking_recv() {
            let mut other = collect(command, &mut queue, &mut batch);
            if !batch.is_empty() {
                self.write(&mut batch);
            }
            match other.take() {
                None | Some(Command::Append(_)) => {}
                // Nobody can send any more; what was sent is still done.
                Some(Command::Close) => queue.close(),
                // Who asked may have gone; the work is done all the same.
                Some(Command::Release {
                    partition,
                    below,
                    reply,
                }) => {
                    let _ = reply.send(self.release(partition, below));
                }
                Some(Command::Trim { before, reply }) => {
                    let _ = reply.send(self.trim(before));
                }
            }
        }
        if let Some(active) = self.active.take() {
            active.seal();
        }
    }

    /// One transaction; the receipts resolve when it is on disk, or with the error.
    fn write(&mut self, batch: &mut Vec<Append>) {
        // Neighbours in the tree are written together; the order within a partition stays.
        batch.sort_by_key(|append| append.partition);
        let weights: Vec<Weight> = batch
            .iter()
            .map(|append| self.shared.weight(&append.messages))
            .collect();
        match self.commit(batch) {
            Ok(last) => {
                for append in batch.iter() {
                    self.shared.push_tail(append.partition, &append.messages);
                }
                self.shared.publish(&self.ends);
                // A receipt that nobody waits for any more is no error.
                for (append, last) in batch.drain(..).zip(last) {
                    let _ = append.reply.send(Ok(last));
                }
                self.roll_if_full();
            }
            Err(error) => {
                let text = error.to_string();
                // Opened again for the next batch, so that its state is what the disk holds.
                self.active = None;
                for append in batch.drain(..) {
                    let _ = append.reply.send(Err(BusError::Write(text.clone())));
                }
            }
        }
        for weight in weights {
            self.shared.give_back(weight);
        }
    }

    /// Gives the last offset of each.
    fn commit(&mut self, batch: &[Append]) -> rusqlite::Result<Vec<Offset>> {
        let mut next = self.reopen()?.to_vec();
        let mut last = Vec::with_capacity(batch.len());
        let rows = batch.iter().flat_map(|append| {
            let partition = append.partition;
            let slot = &mut next[partition as usize];
            let first = *slot;
            *slot += append.messages.len() as u64;
            last.push(*slot - 1);
            (first..)
                .zip(&append.messages)
                .map(move |(offset, payload)| (partition, offset, payload.as_ref()))
        });
        let active = self.active.as_mut().expect("opened above");
        active.commit(rows)?;
        self.ends = next;
        Ok(last)
    }

    /// The segment, opened again after an error, and the offsets that come next.
    fn reopen(&mut self) -> rusqlite::Result<&[u64]> {
        if self.active.is_none() {
            let newest = self.segments.last().expect("a log has a segment");
            let (active, ends) = Active::open(newest)?;
            if ends
                .iter()
                .zip(&self.ends)
                .any(|(there, told)| there < told)
            {
                let lost = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                let what = "what was confirmed is not in the segment".to_owned();
                return Err(rusqlite::Error::SqliteFailure(lost, Some(what)));
            }
            if ends != self.ends {
                // The sync failed after the commit was written, and it is there after all. Its
                // sender was told that it failed and sends again: a repeat, never a loss.
                tracing::warn!("a batch whose commit had failed is in the log");
                self.shared.reset(&ends);
                self.ends = ends;
            }
            self.active = Some(active);
        }
        Ok(&self.ends)
    }

    fn roll_if_full(&mut self) {
        let full = self
            .active
            .as_ref()
            .is_some_and(|active| active.bytes >= self.options.segment_bytes);
        if full && let Err(error) = self.roll() {
            // The segment grows beyond its bound and the next batch tries again.
            tracing::warn!(%error, "no new log segment could be made");
        }
    }

    fn roll(&mut self) -> Result<(), BusError> {
        let text = |error: &dyn std::fmt::Display| BusError::Write(error.to_string());
        let newest = self.segments.last_mut().expect("a log has a segment");
        let dir = newest.path.parent().unwrap_or(Path::new("."));
        let number = newest.number + 1;
        let segment = Segment {
            number,
            path: Segment::file(dir, number),
            starts: self.ends.clone(),
            bytes: 0,
        };
        let made = Active::create(&segment).map_err(|error| text(&error));
        let synced = made.and_then(|active| {
            sync_folder(dir).map_err(|error| text(&error))?;
            Ok(active)
        });
        let active = synced.inspect_err(|_| {
            // Where it stays all the same, opening finds that it begins too early.
            let _ = segment.remove();
        })?;
        if let Some(former) = self.active.replace(active) {
            newest.bytes = former.bytes;
            former.seal();
        }
        self.shared.add_segment(segment.clone());
        self.segments.push(segment);
        Ok(())
    }

    fn release(&mut self, partition: u32, below: Offset) -> Result<(), BusError> {
        // A position beyond the end is a worker that belongs to another log.
        let (begin, end) = (0, self.ends[partition as usize]);
        if below > end {
            return Err(BusError::OutOfRange {
                partition,
                wanted: below,
                begin,
                end,
            });
        }
        self.meta
            .release(partition, below)
            .map_err(|error| BusError::Write(error.to_string()))
    }

    /// Removes whole segments from the oldest on; gives how many messages went with them.
    fn trim(&mut self, before: Timestamp) -> Result<u64, BusError> {
        // Only a closed segment can be removed, and only one of which everything is released.
        let newest = self.segments.last().expect("a log has a segment");
        let released = self.ends.iter().zip(&self.meta.released);
        let stale = self.active.as_ref().is_some_and(|a| !a.is_empty())
            && released.clone().all(|(end, released)| end <= released)
            && modified(&newest.path).is_some_and(|at| at < before);
        // What can go goes, whether or not there is room for a new one.
        let rolled = if stale { self.roll() } else { Ok(()) };
        let mut removed = 0;
        while self.may_drop_oldest(before) {
            let oldest = self.segments.remove(0);
            let next = &self.segments[0].starts;
            removed += messages_between(&oldest.starts, next);
            self.shared.drop_oldest(next);
            oldest
                .remove()
                .map_err(|error| BusError::Write(error.to_string()))?;
        }
        rolled.map(|()| removed)
    }

    fn may_drop_oldest(&self, before: Timestamp) -> bool {
        let [oldest, next, ..] = self.segments.as_slice() else {
            return false;
        };
        let partitions = oldest.starts.iter().zip(&next.starts);
        let released = partitions
            .zip(&self.meta.released)
            .all(|((start, end), released)| start == end || end <= released);
        let written = self.active.as_ref().map_or(0, |active| active.bytes);
        let total: u64 = written + self.segments.iter().map(|s| s.bytes).sum::<u64>();
        released
            && (total > self.options.max_bytes
                || modified(&oldest.path).is_some_and(|at| at < before))
    }
}

/// Takes what waits, up to a command that is no append or the bound of a transaction.
fn collect(
    first: Command,
    queue: &mut mpsc::UnboundedReceiver<Command>,
    batch: &mut Vec<Append>,
) -> Option<Command> {
    let (mut messages, mut bytes) = (0, 0);
    let mut command = first;
    loop {
        match command {
            Command::Append(append) => {
                messages += append.messages.len();
                bytes += total(&append.messages);
                batch.push(append);
            }
            other => return Some(other),
        }
        if messages >= BATCH_MESSAGES || bytes >= BATCH_BYTES {
            return None;
        }
        command = queue.try_recv().ok()?;
    }
}

/// When a segment was last written to; none when the disk does not say.
fn modified(path: &Path) -> Option<Timestamp> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    let newest = of(path)?.max(of(&beside(path, "-wal")).unwrap_or(UNIX_EPOCH));
    let age = newest.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(age.as_millis())
        .ok()
        .map(Timestamp::from_millis)
}

fn messages_between(starts: &[u64], next: &[u64]) -> u64 {
    starts.iter().zip(next).map(|(a, b)| b - a).sum()
}
