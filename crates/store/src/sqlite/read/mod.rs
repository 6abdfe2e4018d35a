//! Reading SQLite on connections of its own, so that readers never wait for the writer.

mod admin;
mod changes;
mod fleet;
mod review;
mod violations;

use crate::batch::{Result, StoreError};
use crate::read::*;
use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use waywarden_model::{
    DayRow, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, VehicleId, ViolationId,
};

/// Connections that read at once; more callers wait.
const READERS: usize = 4;
/// Longest wait for another process's lock.
const BUSY: Duration = Duration::from_secs(10);

/// The console's view of a store file. The file must have been migrated by its owner.
#[derive(Debug, Clone)]
pub struct SqliteReader(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    /// Decisions and records of reading: few, and each a transaction of one or two rows.
    writer: Arc<Mutex<Connection>>,
}

impl SqliteReader {
    /// Opens the file; it must exist.
    ///
    /// # Errors
    /// `Failed` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let writer = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(failed)?;
        writer.busy_timeout(BUSY).map_err(failed)?;
        writer
            .pragma_update(None, "synchronous", "FULL")
            .map_err(failed)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            idle: Mutex::new(vec![reader(path)?]),
            permits: Arc::new(Semaphore::new(READERS)),
            writer: Arc::new(Mutex::new(writer)),
        })))
    }

    async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = Arc::clone(&self.0.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Failed("the reader is closed".into()))?;
        let inner = Arc::clone(&self.0);
        blocking(move || {
            let _permit = permit;
            let idle = lock(&inner.idle).pop();
            let mut connection = match idle {
                Some(c) => c,
                None => reader(&inner.path)?,
            };
            // One snapshot for all statements of a call.
            let out = {
                let tx = connection.transaction().map_err(failed)?;
                f(&tx)
            };
            lock(&inner.idle).push(connection);
            out
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let writer = Arc::clone(&self.0.writer);
        blocking(move || {
            let mut connection = lock(&writer);
            let tx = connection
                .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
                .map_err(failed)?;
            let out = f(&tx)?;
            tx.commit().map_err(failed)?;
            Ok(out)
        })
        .await
    }
}

fn reader(path: &Path) -> Result<Connection> {
    let c = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed)?;
    c.busy_timeout(BUSY).map_err(failed)?;
    c.set_prepared_statement_cache_capacity(64);
    Ok(c)
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f)
        .await
        .unwrap_or_else(|e| Err(StoreError::Failed(format!("a query ended early: {e}"))))
}

/// A panic while the lock was held left no half-made change: transactions roll back by themselves.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[allow(clippy::needless_pass_by_value)] // the shape that map_err calls
fn failed(e: rusqlite::Error) -> StoreError {
    StoreError::Failed(e.to_string())
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// A limit as SQLite takes it.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[async_trait]
impl ReadStore for SqliteReader {
    async fn violations(
        &self,
        filter: &ViolationFilter,
        after: Option<ViolationKey>,
        limit: usize,
    ) -> Result<Vec<FiledViolation>> {
        let filter = filter.clone();
        self.read(move |c| violations::list(c, &filter, after, limit))
            .await
    }

    async fn violation(&self, id: ViolationId) -> Result<Option<FiledViolation>> {
        self.read(move |c| violations::one(c, id)).await
    }

    async fn evidence(&self, id: ViolationId) -> Result<Vec<FrozenEvidence>> {
        self.read(move |c| review::evidence(c, id)).await
    }

    async fn history(&self, id: ViolationId) -> Result<(Vec<Change>, Vec<Review>)> {
        self.read(move |c| review::history(c, id)).await
    }

    async fn review(
        &self,
        id: ViolationId,
        expected: u32,
        decision: Decision,
        reason: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<u32> {
        let (reason, by) = (reason.to_owned(), by.to_owned());
        self.write(move |c| review::decide(c, id, expected, decision, &reason, &by, at))
            .await
    }

    async fn plan_pull(&self, pull: &Pull) -> Result<PullPlan> {
        let pull = pull.clone();
        self.read(move |c| changes::plan(c, &pull)).await
    }

    async fn changes(&self, seqs: &[i64]) -> Result<Vec<(Change, FiledViolation)>> {
        let seqs = seqs.to_vec();
        self.read(move |c| changes::by_seq(c, &seqs)).await
    }

    async fn changes_after(&self, after: i64, limit: usize) -> Result<Vec<i64>> {
        self.read(move |c| changes::after(c, after, limit)).await
    }

    async fn last_change(&self) -> Result<i64> {
        self.read(changes::last).await
    }

    async fn latest(&self, limit: usize) -> Result<Vec<Latest>> {
        self.read(move |c| fleet::latest(c, limit)).await
    }

    async fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<SourceId>> {
        let after = after.map(str::to_owned);
        self.read(move |c| fleet::sources(c, after.as_deref(), limit))
            .await
    }

    async fn positions(&self, page: &PositionPage) -> Result<Vec<FiledPosition>> {
        let page = page.clone();
        self.read(move |c| fleet::positions(c, &page)).await
    }

    async fn day_rows(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, SourceId)>,
        limit: usize,
    ) -> Result<Vec<DayRow>> {
        let filter = filter.clone();
        self.read(move |c| fleet::day_rows(c, &filter, after.as_ref(), limit))
            .await
    }

    async fn driver_days(
        &self,
        filter: &DayFilter,
        after: Option<(LocalDay, DriverId)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>> {
        let filter = filter.clone();
        self.read(move |c| fleet::driver_days(c, &filter, after.as_ref(), limit))
            .await
    }

    async fn vehicle_periods(
        &self,
        vehicle: &VehicleId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Period>> {
        let vehicle = vehicle.clone();
        self.read(move |c| fleet::periods(c, &vehicle, from, to, limit))
            .await
    }

    async fn status(&self) -> Result<StoreStatus> {
        self.read(admin::status).await
    }

    async fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>> {
        let hash = *hash;
        self.read(move |c| admin::token(c, &hash)).await
    }

    async fn record_read(
        &self,
        at: Timestamp,
        token: &str,
        what: ReadOf,
        object: &str,
        purpose: &str,
    ) -> Result<()> {
        let (token, object, purpose) = (token.to_owned(), object.to_owned(), purpose.to_owned());
        self.write(move |c| admin::record_read(c, at, &token, what, &object, &purpose))
            .await
    }
}
