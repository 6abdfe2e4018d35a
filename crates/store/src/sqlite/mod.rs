//! The store in one SQLite file: one writer thread, a few read-only connections.

mod alerts;
mod aside;
mod backup;
mod commit;
mod evidence;
mod facts;
mod positions;
mod preview;
mod prune;
mod read;
mod readers;
mod rebuild;
mod redecode;
mod registry;
pub(crate) mod rows;
mod states;
mod subjects;
#[cfg(test)]
mod tests;
mod tokens;
mod violations;
mod writer;

use crate::admin::{AdminStore, Announcement, Older, ReadOfData, RegisterChange, Token, TokenHash};
use crate::batch::{
    Batch, Claim, Committed, Counters, Position, Result, SavedState, StoreError, SubjectJudge,
    WorkerStore,
};
use crate::parts;
use crate::stage::Stage;
use async_trait::async_trait;
use readers::Readers;
use refinery::embed_migrations;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use waywarden_model::registry::Registers;
use waywarden_model::{TimeZone, Timestamp};
use writer::{Session, Writer};

embed_migrations!("src/sqlite/schema");

/// 'WYWD': tells the file from any other SQLite database.
const APPLICATION_ID: i32 = 0x5759_5744;
/// Of the newest migration in `schema/`.
const SCHEMA: u32 = 7;

/// How the file is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Read-only connections, at least 1.
    pub readers: usize,
    /// Writes that may wait, at least 1; beyond it callers wait to be let in.
    pub queue: usize,
    /// Page cache of the writer, KiB.
    pub cache_kib: u32,
    /// Zone of the local days of drivers.
    pub zone: TimeZone,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 4,
            queue: 64,
            cache_kib: 65_536,
            zone: TimeZone::vietnam(),
        }
    }
}

/// The embedded store. Clones share one writer and one pool of readers; the file is closed with
/// the last of them.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    options: Options,
    readers: Arc<Readers>,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the file, makes it where there is none, and brings it to this program's schema.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a newer program made it; [`StoreError::Corrupt`] when it is
    /// another application's database.
    pub fn open(path: &Path, options: Options) -> Result<Self> {
        // The writer's thread has it alone, and a connection is never shared between threads.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(path, flags)?;
        // First of all: preparing writes, and what a newer program made is left as it is.
        refuse_newer(&conn)?;
        prepare(&conn, options.cache_kib)?;
        migrate(&mut conn)?;
        let readers = Arc::new(Readers::open(path, options.readers.max(1))?);
        let writer = Writer::start(conn, options.queue.max(1))?;
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                options,
                readers,
                writer,
            }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    pub fn zone(&self) -> &TimeZone {
        &self.inner.options.zone
    }

    /// Runs `f` in one read transaction on a connection of the pool; keep it short, since the
    /// write-ahead log cannot be shortened behind it.
    pub(crate) async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.inner.readers.run(f).await
    }

    /// Runs `f` on the writer's thread in a savepoint; answered when the transaction that it
    /// shares with others is on disk.
    pub(crate) async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Session<'_>) -> Result<T> + Send + 'static,
    {
        self.inner.writer.run(f).await
    }
}

fn prepare(conn: &Connection, cache_kib: u32) -> Result<()> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if id != APPLICATION_ID && (id != 0 || tables != 0) {
        return Err(StoreError::Corrupt(
            "the file belongs to another application".into(),
        ));
    }
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.pragma_update(None, "page_size", 8192)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "WAL", |r| r.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Failed(
            "the file system does not carry a write-ahead log".into(),
        ));
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Pages of 8 KiB: a checkpoint every 64 MiB, so that a hot page is copied once for many
    // commits.
    conn.pragma_update(None, "wal_autocheckpoint", 8192)?;
    conn.pragma_update(None, "journal_size_limit", 256 << 20)?;
    conn.set_prepared_statement_cache_capacity(128);
    steady_plans(conn)
}

/// Plans do not look at bound values. Otherwise a statement with a range is compiled again each
/// time its bounds are bound, which costs more than running it.
fn steady_plans(conn: &Connection) -> Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Schema version of the file; None where there is none.
///
/// # Errors
/// A file that is no database.
pub fn schema_of(path: &Path) -> Result<Option<u32>> {
    if !path.is_file() {
        return Ok(None);
    }
    let conn = open_reader(path)?;
    Ok(Some(conn.pragma_query_value(
        None,
        "user_version",
        |r| r.get(0),
    )?))
}

fn refuse_newer(conn: &Connection) -> Result<()> {
    let id: i32 = conn.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let found: u32 = conn.pragma_query_value(None, "user_version", |r| r.get(0))?;
    if id == APPLICATION_ID && found > SCHEMA {
        return Err(StoreError::Newer {
            found,
            known: SCHEMA,
        });
    }
    Ok(())
}

fn migrate(conn: &mut Connection) -> Result<()> {
    migrations::runner()
        .run(conn)
        .map_err(|e| StoreError::Failed(format!("migration: {e}")))?;
    conn.pragma_update(None, "user_version", SCHEMA)?;
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode};
        match &e {
            Error::SqliteFailure(f, _)
                if matches!(f.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) =>
            {
                Self::Corrupt(f.to_string())
            }
            // The extended text of a failed statement may quote values; the code never does.
            Error::SqliteFailure(f, _) => Self::Failed(f.to_string()),
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::InvalidColumnType(..) => Self::Corrupt(e.to_string()),
            _ => Self::Failed(e.to_string()),
        }
    }
}

#[async_trait]
impl WorkerStore for SqliteStore {
    async fn claim(&self, partition: u32, worker: &str) -> Result<Claim> {
        let worker = worker.to_owned();
        self.write(move |s| states::claim(s.conn, partition, &worker))
            .await
    }

    async fn load_states(&self, partition: u32) -> Result<(Position, Vec<SavedState>)> {
        self.read(move |c| states::load(c, partition)).await
    }

    async fn commit(
        &self,
        claim: &Claim,
        expected: Position,
        next: Position,
        batch: Batch,
    ) -> Result<Committed> {
        let claim = claim.clone();
        self.write(move |s| commit::commit(s, &claim, expected, next, &batch))
            .await
    }

    async fn judge_subjects(
        &self,
        claim: &Claim,
        partitions: u32,
        limit: usize,
        now: Timestamp,
        judge: Arc<dyn SubjectJudge>,
    ) -> Result<usize> {
        let stage = Stage {
            claim: claim.clone(),
            partitions,
            limit,
            now,
            zone: self.inner.options.zone.clone(),
        };
        self.write(move |s| subjects::judge(s, &stage, judge.as_ref()))
            .await
    }

    async fn counters(&self, partition: u32) -> Result<Counters> {
        self.read(move |c| states::counters(c, partition)).await
    }

    async fn registers(&self, version: u32) -> Result<Registers> {
        self.read(move |c| registry::load(c, version)).await
    }
}

#[async_trait]
impl AdminStore for SqliteStore {
    async fn save_registers(&self, change: RegisterChange) -> Result<u32> {
        let parts = parts::encode(&change.registers)?;
        self.write(move |s| registry::save(s.conn, &change, &parts))
            .await
    }

    async fn registry_head(&self) -> Result<u32> {
        self.read(registry::head).await
    }

    async fn is_worked(&self) -> Result<bool> {
        Ok(false)
    }

    async fn take_outbox(&self, limit: usize) -> Result<Vec<Announcement>> {
        self.read(move |c| registry::outbox(c, limit)).await
    }

    async fn ack_outbox(&self, done: Vec<Announcement>) -> Result<()> {
        self.write(move |s| registry::ack(s.conn, &done)).await
    }

    async fn create_token(&self, hash: TokenHash, token: Token) -> Result<()> {
        self.write(move |s| tokens::create(s.conn, &hash, &token))
            .await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        self.read(tokens::list).await
    }

    async fn withdraw_token(&self, name: &str, now: Timestamp) -> Result<()> {
        let name = name.to_owned();
        self.write(move |s| tokens::withdraw(s.conn, &name, now))
            .await
    }

    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>> {
        self.read(move |c| tokens::find(c, &hash)).await
    }

    async fn record_read(&self, read: ReadOfData) -> Result<()> {
        self.write(move |s| tokens::record_read(s.conn, &read))
            .await
    }

    async fn reads(&self, limit: usize) -> Result<Vec<ReadOfData>> {
        self.read(move |c| tokens::reads(c, limit)).await
    }

    async fn prune(&self, older: Older) -> Result<u64> {
        self.write(move |s| prune::prune(s.conn, &older)).await
    }

    async fn backup(&self, dir: &Path) -> Result<PathBuf> {
        let (from, dir) = (self.inner.path.clone(), dir.to_owned());
        tokio::task::spawn_blocking(move || backup::backup(&from, &dir))
            .await
            .map_err(|e| StoreError::Failed(format!("backup: {e}")))?
    }
}

/// A connection that cannot write.
fn open_reader(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.pragma_update(None, "cache_size", -8192)?;
    conn.set_prepared_statement_cache_capacity(64);
    steady_plans(&conn)?;
    Ok(conn)
}

/// Interned id of a source, where it has one.
pub(crate) fn source_id(conn: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT id FROM sources WHERE name = ?1")?
        .query_row([name], |r| r.get(0))
        .optional()?)
}
