//! The session of a partition's owner: one connection that a successor can end, and one way to
//! run a transaction on it through lost connections and unknown outcomes.

use super::TimescaleStore;
use super::cells::Reader;
use super::connect::{Patience, own};
use super::trouble::{Outcome, Trouble};
use super::work::Work;
use crate::batch::{Claim, Position, Result, StoreError};
use crate::rows::Columns;
use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::Row;

/// Waiting for a session that was told to end.
const END_MS: i64 = 5000;

/// Sessions by partition.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    held: Mutex<HashMap<u32, Arc<tokio::sync::Mutex<Held>>>>,
}

/// An owner's session; None until it is made again.
#[derive(Debug, Default)]
struct Held {
    epoch: u64,
    client: Option<ClientWrapper>,
}

impl Sessions {
    fn of(&self, partition: u32) -> Arc<tokio::sync::Mutex<Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(partition).or_default())
    }
}

/// A transaction under a partition's epoch.
#[async_trait]
pub(super) trait Job: Sync {
    type Done: Send;

    /// The first statement: refuses who is not the owner, and locks the partition's row.
    async fn guard(&self, work: &Work<'_>, claim: &Claim) -> Outcome<()> {
        let sql = "SELECT epoch FROM partitions WHERE \"partition\" = $1 FOR UPDATE";
        let row = work.opt(sql, &[&i64::from(claim.partition)]).await?;
        let row = row.ok_or_else(|| StoreError::no_partition(claim.partition))?;
        let epoch: u64 = Reader::new(&row).number()?;
        match epoch == claim.epoch {
            true => Ok(()),
            false => Err(StoreError::superseded(claim).into()),
        }
    }

    async fn run(&self, work: &mut Work<'_>) -> Outcome<Self::Done>;

    /// The position that tells a transaction that stands from one that does not. None: running it
    /// twice does no harm.
    fn moves_to(&self) -> Option<Position> {
        None
    }
}

impl TimescaleStore {
    /// Ends the former owner's session, then raises the epoch.
    pub(super) async fn take(&self, partition: u32, worker: &str) -> Result<Claim> {
        let held = self.inner.sessions.of(partition);
        let mut held = held.lock().await;
        held.client = None;
        let mut patience = Patience::new(self.inner.options.patience);
        loop {
            match self.try_claim(partition, worker).await {
                Ok((claim, client)) => {
                    held.epoch = claim.epoch;
                    held.client = Some(client);
                    return Ok(claim);
                }
                Err(trouble) => patience.bear(trouble).await?,
            }
        }
    }

    async fn try_claim(&self, partition: u32, worker: &str) -> Outcome<(Claim, ClientWrapper)> {
        let mut client = own(&self.inner.pool).await?;
        end_registered(&client, partition).await?;
        let tx = client.transaction().await?;
        wait_briefly(&tx).await?;
        let row = tx
            .query_one(
                "INSERT INTO partitions AS p (\"partition\", epoch, position, worker, registry,
                                              checkpoint, pid, started)
                 SELECT $1, 1, 0, $2, 0, 0, pid, backend_start FROM pg_stat_activity
                 WHERE pid = pg_backend_pid()
                 ON CONFLICT (\"partition\") DO UPDATE SET epoch = p.epoch + 1,
                     worker = excluded.worker, pid = excluded.pid, started = excluded.started
                 RETURNING epoch, position, log, registry, tail, listening, profiles,
                     (SELECT coalesce(max(version), 0) FROM registry_versions)",
                &[&i64::from(partition), &super::cells::written(worker)],
            )
            .await?;
        tx.commit().await?;
        Ok((claim_of(partition, &row)?, client))
    }

    /// Runs a job in one transaction. A transaction whose outcome is not known is looked up: the
    /// session that it ran in is ended first, so that what is then on file is final.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] as soon as another owner is seen; `Failed` when the server was
    /// away for longer than the store's patience.
    pub(super) async fn run<J: Job>(&self, claim: &Claim, job: &J) -> Result<J::Done> {
        let held = self.inner.sessions.of(claim.partition);
        let mut held = held.lock().await;
        if held.epoch != claim.epoch {
            // This process has claimed the partition again, or never did.
            held.client = None;
            held.epoch = claim.epoch;
        }
        let mut patience = Patience::new(self.inner.options.patience);
        let mut unknown = None;
        loop {
            match self.attempt(&mut held, claim, job, &mut unknown).await {
                Ok(done) => return Ok(done),
                Err(trouble) => {
                    if matches!(trouble, Trouble::Lost(_)) {
                        held.client = None;
                    }
                    patience.bear(trouble).await?;
                }
            }
        }
    }

    async fn attempt<J: Job>(
        &self,
        held: &mut Held,
        claim: &Claim,
        job: &J,
        unknown: &mut Option<J::Done>,
    ) -> Outcome<J::Done> {
        if held.client.as_ref().is_none_or(|c| c.is_closed()) {
            held.client = None;
            held.client = Some(self.attach(claim).await?);
        }
        let Some(client) = held.client.as_mut() else {
            return Err(Trouble::Lost("no session".into()));
        };
        if let (true, Some(next)) = (unknown.is_some(), job.moves_to()) {
            // Not known yet if this fails.
            let (_, position) = stand(client, claim.partition).await?;
            let done = unknown.take();
            if let (true, Some(done)) = (position == next, done) {
                return Ok(done);
            }
        }
        let tx = client.transaction().await?;
        let mut work = Work::new(&tx, &self.inner);
        job.guard(&work, claim).await?;
        let done = job.run(&mut work).await?;
        match tx.commit().await.map_err(Trouble::from) {
            Ok(()) => Ok(done),
            Err(lost @ Trouble::Lost(_)) => {
                *unknown = Some(done);
                Err(lost)
            }
            Err(other) => Err(other),
        }
    }

    /// A new session for an owner whose former one is gone, or is ended here.
    async fn attach(&self, claim: &Claim) -> Outcome<ClientWrapper> {
        let mut client = own(&self.inner.pool).await?;
        let (epoch, _) = stand(&client, claim.partition).await?;
        if epoch != claim.epoch {
            return Err(StoreError::superseded(claim).into());
        }
        end_registered(&client, claim.partition).await?;
        let tx = client.transaction().await?;
        wait_briefly(&tx).await?;
        let owned = tx
            .execute(
                "UPDATE partitions SET pid = a.pid, started = a.backend_start
                 FROM pg_stat_activity a
                 WHERE a.pid = pg_backend_pid() AND \"partition\" = $1 AND epoch = $2",
                &[&i64::from(claim.partition), &claim.epoch.cast_signed()],
            )
            .await?;
        tx.commit().await?;
        match owned {
            1 => Ok(client),
            _ => Err(StoreError::superseded(claim).into()),
        }
    }
}

/// Whoever holds the row is ended in the next try.
async fn wait_briefly(tx: &deadpool_postgres::Transaction<'_>) -> Outcome<()> {
    Ok(tx.batch_execute("SET LOCAL lock_timeout = '1s'").await?)
}

/// Ends the session that is registered for a partition, and waits until it has ended: until then
/// it may hold the partition's row, in the middle of a COPY too.
async fn end_registered(client: &ClientWrapper, partition: u32) -> Outcome<()> {
    let sql = "SELECT pg_terminate_backend(a.pid, $2) FROM partitions p
         JOIN pg_stat_activity a ON a.pid = p.pid AND a.backend_start = p.started
         WHERE p.\"partition\" = $1 AND a.pid <> pg_backend_pid()";
    let ended = client
        .query_opt(sql, &[&i64::from(partition), &END_MS])
        .await?;
    match ended {
        Some(row) if !row.get::<_, bool>(0) => Err(Trouble::Again(
            "the former owner's session does not end".into(),
        )),
        _ => Ok(()),
    }
}

pub(super) async fn stand(client: &ClientWrapper, partition: u32) -> Outcome<(u64, Position)> {
    let sql = "SELECT epoch, position FROM partitions WHERE \"partition\" = $1";
    let row = client.query_opt(sql, &[&i64::from(partition)]).await?;
    let row = row.ok_or_else(|| StoreError::no_partition(partition))?;
    let mut r = Reader::new(&row);
    Ok((r.number()?, r.number()?))
}

fn claim_of(partition: u32, row: &Row) -> Outcome<Claim> {
    let mut r = Reader::new(row);
    Ok(Claim {
        partition,
        epoch: r.number()?,
        position: r.number()?,
        log: r.text()?,
        registry: r.number()?,
        tail: r.opt::<i64>()?.map(i64::cast_unsigned),
        listening: r.bytes()?,
        profiles: r.opt::<i64>()?.map(i64::cast_unsigned),
        newest_registry: r.number()?,
    })
}
