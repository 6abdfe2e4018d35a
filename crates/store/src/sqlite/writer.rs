//! The one thread that writes: what waits together is committed together.

use crate::batch::{Result, StoreError};
use crate::evidence::ZSTD_LEVEL;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use waywarden_model::SourceId;

/// Writes that share one transaction, at most: bounds how long the first of them waits.
const GROUP: usize = 32;

/// What a write works with: the connection, inside a savepoint, and what the writer remembers.
pub(crate) struct Session<'a> {
    pub conn: &'a Connection,
    memory: &'a mut Memory,
}

#[derive(Default)]
struct Memory {
    sources: HashMap<SourceId, i64>,
    next_frame: Option<i64>,
    /// Made at the first evidence; it is megabytes, and making it takes longer than using it.
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Session<'_> {
    /// Interned id of a source; given now where it has none.
    pub fn intern(&mut self, source: &SourceId) -> Result<i64> {
        if let Some(id) = self.memory.sources.get(source) {
            return Ok(*id);
        }
        let id = intern(self.conn, source.as_str())?;
        self.memory.sources.insert(source.clone(), id);
        Ok(id)
    }

    /// Compresses with the writer's own compressor: the same bytes as with a fresh one.
    pub fn compress(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match &mut self.memory.compressor {
            Some(compressor) => compressor.compress(bytes),
            none => none
                .insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?)
                .compress(bytes),
        }
    }

    /// Reserves `count` numbers for frames and gives the first; gaps do no harm.
    pub fn reserve_frames(&mut self, count: usize) -> Result<i64> {
        let first = match self.memory.next_frame {
            Some(n) => n,
            None => {
                self.conn
                    .query_row("SELECT coalesce(max(id), 0) + 1 FROM frames", [], |r| {
                        r.get(0)
                    })?
            }
        };
        self.memory.next_frame = Some(first.saturating_add_unsigned(count as u64));
        Ok(first)
    }
}

fn intern(conn: &Connection, name: &str) -> Result<i64> {
    let known = conn
        .prepare_cached("SELECT id FROM sources WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => Ok(conn
            .prepare_cached("INSERT INTO sources (name) VALUES (?1)")?
            .insert([name])?),
    }
}

/// Tells the caller how the shared transaction ended.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;
/// Does its work and says whether it stands.
type Job = Box<dyn FnOnce(&mut Session<'_>) -> (bool, Answer) + Send>;

pub(super) struct Writer {
    /// None only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(conn: Connection, queue: usize) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(queue);
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || work(&conn, waiting))
            .map_err(|e| StoreError::Failed(format!("writer: {e}")))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    pub async fn run<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session<'_>) -> Result<T> + Send + 'static,
    {
        let gone = || StoreError::Failed("the writer has ended".into());
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |session| {
            let done = catch_unwind(AssertUnwindSafe(|| f(session)))
                .unwrap_or_else(|_| Err(StoreError::Failed("a write panicked".into())));
            let stands = done.is_ok();
            let answer: Answer = Box::new(move |committed| {
                // The caller may have stopped waiting; what was written stands all the same.
                let _ = tx.send(committed.and(done));
            });
            (stands, answer)
        });
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).await.map_err(|_| gone())?;
        rx.await
            .map_err(|_| StoreError::Failed("the write was not begun".into()))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It ends when the queue is empty; a panic in it has been told to the callers.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn work(conn: &Connection, mut waiting: mpsc::Receiver<Job>) {
    let mut memory = Memory::default();
    while let Some(first) = waiting.blocking_recv() {
        let mut answers = Vec::new();
        let ended = group(conn, &mut memory, first, &mut waiting, &mut answers);
        if ended.is_err() {
            // What was learnt in the transaction is gone with it.
            memory = Memory::default();
            if !conn.is_autocommit()
                && let Err(e) = conn.execute_batch("ROLLBACK")
            {
                tracing::error!(error = %e, "a transaction could not be rolled back");
            }
        }
        for answer in answers {
            answer(match &ended {
                Ok(()) => Ok(()),
                Err(e) => Err(StoreError::Failed(e.to_string())),
            });
        }
    }
}

fn group(
    conn: &Connection,
    memory: &mut Memory,
    first: Job,
    waiting: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    let mut next = Some(first);
    // Where this fails the job is dropped, and its caller told so by the channel.
    conn.execute_batch("BEGIN IMMEDIATE")?;
    while let Some(job) = next.take() {
        conn.prepare_cached("SAVEPOINT job")?.execute([])?;
        let (stands, answer) = job(&mut Session { conn, memory });
        answers.push(answer);
        if !stands {
            *memory = Memory::default();
            conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        conn.prepare_cached("RELEASE job")?.execute([])?;
        if answers.len() < GROUP {
            next = waiting.try_recv().ok();
        }
    }
    conn.execute_batch("COMMIT")
}
