//! The store in PostgreSQL with TimescaleDB: many workers and consoles, one transaction a batch.
//!
//! Every partition that is claimed has a session of its own ([`session`]), which a successor ends;
//! everything else goes through a pool. Connections must be direct ones: behind a pooler that
//! shares sessions between transactions nobody could be ended.

mod admin;
mod alerts;
mod aside;
mod cells;
mod commit;
mod connect;
mod evidence;
mod facts;
mod migrate;
mod newest;
mod positions;
mod preview;
mod read;
mod rebuild;
mod redecode;
mod registry;
mod session;
mod subjects;
mod tables;
mod tls;
mod trouble;
mod violations;
mod work;

use crate::batch::{
    Batch, Claim, Committed, Counters, Position, Result, SavedState, StoreError, SubjectJudge,
    WorkerStore,
};
use crate::filed::{COUNTERS, counters};
use crate::stage::Stage;
use async_trait::async_trait;
use connect::Patience;
use deadpool_postgres::Pool;
pub use migrate::{Licence, policies};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
pub use tls::{Reach, ServerError, timescale_password, timescale_reach};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};
use trouble::Outcome;
use waywarden_model::registry::Registers;
use waywarden_model::{SourceId, TimeZone};

/// What is wanted of the extension TimescaleDB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Extension {
    /// Made in the database where the server has it; a server without it is refused.
    #[default]
    Made,
    /// Somebody with more rights has made it; a database without it is refused.
    Expected,
    /// Not needed: positions are then a plain table, whose rows are deleted one by one when they
    /// are no longer kept. For small fleets.
    Without,
}

/// How the server is used.
#[derive(Clone, Debug)]
pub struct TimescaleOptions {
    /// Connections beside those of claimed partitions, at least 1.
    pub connections: usize,
    /// Certificates in PEM of the authorities that may have signed the server's, which is then
    /// checked whatever the connection string says. None: those of the system, where the string
    /// says `sslmode=require`.
    pub ca_file: Option<PathBuf>,
    /// Zone of the local days of drivers.
    pub zone: TimeZone,
    pub extension: Extension,
    /// Length of a chunk of positions, milliseconds; for chunks that are not made yet.
    pub chunk_ms: i64,
    /// Chunks older than this are compressed where the licence offers it, milliseconds. More than
    /// the window within which late data is judged. None: never.
    pub compress_after_ms: Option<i64>,
    /// Chunks older than this are dropped by the server where the licence offers it, milliseconds;
    /// [`prune`](crate::AdminStore::prune) does it in every case.
    pub retention_ms: Option<i64>,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
    /// Of a session that holds a transaction open and sends nothing.
    pub idle_timeout: Duration,
    /// Of a connection whose other end does not answer.
    pub tcp_timeout: Duration,
    /// A worker's call goes on trying for this long while the server is away.
    pub patience: Duration,
}

type Options = TimescaleOptions;

const DAY_MS: i64 = 86_400_000;

impl Default for TimescaleOptions {
    fn default() -> Self {
        Self {
            connections: 8,
            ca_file: None,
            zone: TimeZone::vietnam(),
            extension: Extension::Made,
            chunk_ms: DAY_MS,
            compress_after_ms: None,
            retention_ms: None,
            statement_timeout: Duration::from_secs(60),
            lock_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(30),
            tcp_timeout: Duration::from_secs(15),
            patience: Duration::from_secs(300),
        }
    }
}

/// The store on a server. Clones share its connections.
#[derive(Clone, Debug)]
pub struct TimescaleStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    licence: Licence,
    pool: Pool,
    sessions: session::Sessions,
    sources: work::Sources,
    frames: work::FrameNumbers,
}

impl TimescaleStore {
    /// Connects to a database and brings it to this program's schema. `server` is a connection
    /// string of PostgreSQL, `postgresql://...` or `host=... dbname=...`.
    ///
    /// # Errors
    /// [`StoreError::NoExtension`] when TimescaleDB is missing and was not waived;
    /// [`StoreError::Newer`] when a newer program made the tables; [`StoreError::Server`] and
    /// [`StoreError::Insecure`] when the connection cannot be made as it must be.
    pub async fn open(server: &str, options: TimescaleOptions) -> Result<Self> {
        let pool = connect::pool(server, &options)?;
        let mut client = connect::own(&pool).await?;
        let licence = migrate::migrate(&mut client, &options).await?;
        drop(client);
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                licence,
                pool,
                sessions: session::Sessions::default(),
                sources: work::Sources::default(),
                frames: work::FrameNumbers::default(),
            }),
        })
    }

    pub fn zone(&self) -> &TimeZone {
        &self.inner.options.zone
    }

    /// What of TimescaleDB the database has.
    pub fn licence(&self) -> Licence {
        self.inner.licence
    }

    /// One statement of a person's or a command's, tried again for a moment.
    async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.rows_for(Who::Person, sql, params).await
    }

    async fn row(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    async fn rows_for(
        &self,
        who: Who,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        let mut patience = self.patience(who);
        loop {
            match self.query(sql, params).await {
                Ok(rows) => return Ok(rows),
                Err(trouble) => patience.bear(trouble).await?,
            }
        }
    }

    fn patience(&self, who: Who) -> Patience {
        let worker = self.inner.options.patience;
        Patience::new(match who {
            Who::Worker => worker,
            Who::Person => worker.min(PERSON),
        })
    }

    async fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Outcome<Vec<Row>> {
        let client = self.inner.pool.get().await?;
        let stmt = client.prepare_cached(sql).await?;
        Ok(client.query(&stmt, params).await?)
    }

    /// Several statements of one instant that only read.
    async fn snapshot<J: Reading>(&self, who: Who, job: &J) -> Result<J::Read> {
        let mut patience = self.patience(who);
        loop {
            match self.try_snapshot(job).await {
                Ok(read) => return Ok(read),
                Err(trouble) => patience.bear(trouble).await?,
            }
        }
    }

    async fn try_snapshot<J: Reading>(&self, job: &J) -> Outcome<J::Read> {
        let mut client = self.inner.pool.get().await?;
        let tx = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let read = job.read(&work::Work::new(&tx, &self.inner)).await?;
        tx.commit().await?;
        Ok(read)
    }

    /// A short transaction of a person or a command. It is not tried again, since it may stand
    /// though its answer was lost: whoever asked is told, and looks.
    async fn write<J: Writing>(&self, job: &J) -> Result<J::Written> {
        Ok(self.try_write(job).await?)
    }

    async fn try_write<J: Writing>(&self, job: &J) -> Outcome<J::Written> {
        let mut client = self.inner.pool.get().await?;
        let tx = client.transaction().await?;
        let written = job.write(&mut work::Work::new(&tx, &self.inner)).await?;
        tx.commit().await?;
        Ok(written)
    }

    /// Number of a source, where it has one.
    async fn source_id(&self, who: Who, source: &SourceId) -> Result<Option<i32>> {
        let sql = "SELECT id FROM sources WHERE name = $1";
        let name = cells::written(source.as_str());
        let rows = self.rows_for(who, sql, &[&name]).await?;
        Ok(rows.first().map(|r| r.get(0)))
    }
}

/// A person or a command is told soon that the server is away.
const PERSON: Duration = Duration::from_secs(5);

/// Who waits for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Worker,
    Person,
}

/// What reads in one transaction.
#[async_trait]
trait Reading: Sync {
    type Read: Send;
    async fn read(&self, work: &work::Work<'_>) -> Outcome<Self::Read>;
}

/// What writes in one transaction.
#[async_trait]
trait Writing: Sync {
    type Written: Send;
    async fn write(&self, work: &mut work::Work<'_>) -> Outcome<Self::Written>;
}

/// Schema version of a database; None where this program has made no tables in it.
///
/// # Errors
/// The server is not there, or does not let us in.
pub async fn timescale_schema_of(server: &str, options: &TimescaleOptions) -> Result<Option<u32>> {
    let pool = connect::pool(server, options)?;
    let client = connect::own(&pool).await?;
    Ok(migrate::schema_of(&client).await?)
}

#[async_trait]
impl WorkerStore for TimescaleStore {
    async fn claim(&self, partition: u32, worker: &str) -> Result<Claim> {
        self.take(partition, worker).await
    }

    async fn load_states(&self, partition: u32) -> Result<(Position, Vec<SavedState>)> {
        self.snapshot(Who::Worker, &tables::LoadStates { partition })
            .await
    }

    async fn commit(
        &self,
        claim: &Claim,
        expected: Position,
        next: Position,
        batch: Batch,
    ) -> Result<Committed> {
        if next < expected && batch.gap.is_none() {
            return Err(StoreError::Failed("a batch must not go back".into()));
        }
        let filing = commit::Filing {
            partition: claim.partition,
            expected,
            next,
            batch,
        };
        self.run(claim, &filing).await
    }

    async fn judge_subjects(
        &self,
        claim: &Claim,
        partitions: u32,
        limit: usize,
        now: waywarden_model::Timestamp,
        judge: Arc<dyn SubjectJudge>,
    ) -> Result<usize> {
        let stage = Stage {
            claim: claim.clone(),
            partitions,
            limit,
            now,
            zone: self.zone().clone(),
        };
        self.run(claim, &subjects::Judging { stage, judge }).await
    }

    async fn counters(&self, partition: u32) -> Result<Counters> {
        let sql = format!("SELECT {COUNTERS} FROM partitions WHERE \"partition\" = $1");
        let key = i64::from(partition);
        let rows = self.rows_for(Who::Worker, &sql, &[&key]).await?;
        let found = cells::all(&rows, |r| counters(r))?.pop();
        found.ok_or_else(|| StoreError::no_partition(partition))
    }

    async fn registers(&self, version: u32) -> Result<Registers> {
        self.snapshot(Who::Worker, &registry::Load { version })
            .await
    }
}
