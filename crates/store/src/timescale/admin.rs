//! Registers, tokens, the record of reads, and what is no longer kept.

use super::cells::{all, written};
use super::registry::{HEAD, Save};
use super::trouble::Outcome;
use super::work::Work;
use super::{Licence, TimescaleStore, Writing};
use crate::admin::{AdminStore, Announcement, Older, ReadOfData, RegisterChange, Token, TokenHash};
use crate::batch::{Result, StoreError};
use crate::filed::{TOKEN, limit as rows, token};
use crate::parts;
use crate::rows::Columns;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use waywarden_model::Timestamp;

#[async_trait]
impl AdminStore for TimescaleStore {
    async fn save_registers(&self, change: RegisterChange) -> Result<u32> {
        let parts = parts::encode(&change.registers)?;
        self.write(&Save { change, parts }).await
    }

    async fn registry_head(&self) -> Result<u32> {
        let head = all(&self.rows(HEAD, &[]).await?, |r| r.number())?;
        Ok(head.first().copied().unwrap_or(0))
    }

    async fn is_worked(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM partitions p JOIN pg_stat_activity a
                                      ON a.pid = p.pid AND a.backend_start = p.started)";
        Ok(self.row(sql, &[]).await?.is_some_and(|r| r.get(0)))
    }

    async fn take_outbox(&self, limit: usize) -> Result<Vec<Announcement>> {
        let sql = "SELECT version, \"partition\" FROM registry_outbox
             ORDER BY version, \"partition\" LIMIT $1";
        all(&self.rows(sql, &[&rows(limit)]).await?, |r| {
            Ok(Announcement {
                version: r.number()?,
                partition: r.number()?,
            })
        })
    }

    async fn ack_outbox(&self, done: Vec<Announcement>) -> Result<()> {
        let split = |a: &Announcement| (i64::from(a.version), i64::from(a.partition));
        let (versions, partitions): (Vec<i64>, Vec<i64>) = done.iter().map(split).unzip();
        let sql = "DELETE FROM registry_outbox o USING unnest($1::int8[], $2::int8[]) AS n(v, p)
             WHERE o.version = n.v AND o.\"partition\" = n.p";
        self.rows(sql, &[&versions, &partitions]).await?;
        Ok(())
    }

    async fn create_token(&self, hash: TokenHash, token: Token) -> Result<()> {
        self.write(&Create { hash, token }).await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        let sql = format!("SELECT {TOKEN} FROM tokens ORDER BY id");
        all(&self.rows(&sql, &[]).await?, |r| token(r))
    }

    async fn withdraw_token(&self, name: &str, now: Timestamp) -> Result<()> {
        self.write(&Withdraw {
            name: name.to_owned(),
            now,
        })
        .await
    }

    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>> {
        let sql = format!("SELECT {TOKEN} FROM tokens WHERE hash = $1");
        Ok(all(&self.rows(&sql, &[&hash.as_slice()]).await?, |r| token(r))?.pop())
    }

    async fn record_read(&self, read: ReadOfData) -> Result<()> {
        self.write(&Record { read }).await
    }

    async fn reads(&self, limit: usize) -> Result<Vec<ReadOfData>> {
        let sql = "SELECT at, token, what, object, purpose FROM reads ORDER BY seq DESC LIMIT $1";
        all(&self.rows(sql, &[&rows(limit)]).await?, |r| {
            Ok(ReadOfData {
                at: r.time()?,
                token: r.string()?,
                what: r.string()?,
                object: r.string()?,
                purpose: r.string()?,
            })
        })
    }

    /// Positions go by whole chunks, once all of a chunk is older.
    async fn prune(&self, older: Older) -> Result<u64> {
        let chunks = self.inner.licence != Licence::None;
        self.write(&Prune { older, chunks }).await
    }

    /// # Errors
    /// [`StoreError::Unsupported`] always: a server is copied by its own tools.
    async fn backup(&self, _dir: &Path) -> Result<PathBuf> {
        Err(StoreError::Unsupported {
            what: "backup of a PostgreSQL store",
            instead: "pg_dump, or pg_basebackup with an archive of its log",
        })
    }
}

struct Create {
    hash: TokenHash,
    token: Token,
}

#[async_trait]
impl Writing for Create {
    type Written = ();

    async fn write(&self, work: &mut Work<'_>) -> Outcome<()> {
        let t = &self.token;
        // The unique index on names in force decides between two at once.
        let made = work
            .execute(
                "INSERT INTO tokens (hash, name, role, created, expires)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (name) WHERE withdrawn IS NULL DO NOTHING",
                &[
                    &self.hash.as_slice(),
                    &written(&t.name),
                    &t.role.name(),
                    &t.created.millis(),
                    &t.expires.millis(),
                ],
            )
            .await?;
        match made {
            0 => Err(StoreError::Conflict {
                expected: 0,
                on_file: 1,
            }
            .into()),
            _ => Ok(()),
        }
    }
}

struct Withdraw {
    name: String,
    now: Timestamp,
}

#[async_trait]
impl Writing for Withdraw {
    type Written = ();

    async fn write(&self, work: &mut Work<'_>) -> Outcome<()> {
        let sql = "UPDATE tokens SET withdrawn = $2 WHERE name = $1 AND withdrawn IS NULL";
        let key = (written(&self.name), self.now.millis());
        match work.execute(sql, &[&key.0, &key.1]).await? {
            0 => Err(StoreError::NotFound {
                what: "token",
                id: self.name.clone(),
            }
            .into()),
            _ => Ok(()),
        }
    }
}

struct Record {
    read: ReadOfData,
}

#[async_trait]
impl Writing for Record {
    type Written = ();

    async fn write(&self, work: &mut Work<'_>) -> Outcome<()> {
        let r = &self.read;
        let sql = "INSERT INTO reads (at, token, what, object, purpose)
                   VALUES ($1, $2, $3, $4, $5)";
        let (token, what) = (written(&r.token), written(&r.what));
        let (object, purpose) = (written(&r.object), written(&r.purpose));
        work.execute(sql, &[&r.at.millis(), &token, &what, &object, &purpose])
            .await?;
        Ok(())
    }
}

/// Rows of one statement, so that nothing is held for long.
const ROWS: i64 = 2000;
/// A frame may carry records a little later than its receipt; it goes this much later.
const FRAMES_LATER_MS: i64 = 3_600_000;
/// Driving is judged by weeks and by chains over midnight: periods go this much later.
const PERIODS_LATER_MS: i64 = 35 * 86_400_000;
/// Advisory lock of whoever drops: 'WYWD' and 2.
const LOCK: i64 = 0x5759_5744_0000_0002;

struct Prune {
    older: Older,
    /// Positions are a hypertable.
    chunks: bool,
}

#[async_trait]
impl Writing for Prune {
    type Written = u64;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<u64> {
        let sql = "SELECT pg_try_advisory_xact_lock($1)";
        let free = work.opt(sql, &[&LOCK]).await?.is_some_and(|r| r.get(0));
        if !free {
            return Ok(0); // another process is at it
        }
        let positions = self.positions(work).await?;
        if positions > 0 {
            return Ok(positions);
        }
        self.others(work).await
    }
}

impl Prune {
    async fn positions(&self, work: &Work<'_>) -> Outcome<u64> {
        let before = self.older.positions.millis();
        if self.chunks {
            // Counted by chunks.
            let sql = "SELECT drop_chunks('positions', older_than => $1::int8)";
            return Ok(work.rows(sql, &[&before]).await?.len() as u64);
        }
        let sql = "DELETE FROM positions WHERE (source, time, hash) IN
                       (SELECT source, time, hash FROM positions WHERE time < $1 LIMIT $2)";
        work.execute(sql, &[&before, &ROWS]).await
    }

    async fn others(&self, work: &Work<'_>) -> Outcome<u64> {
        let before = self.older.positions.millis();
        // The newest state before the day stays: judging may have to begin there.
        let mut gone = work
            .execute(
                "DELETE FROM day_states d USING
                     (SELECT source, max(day) AS day FROM day_states WHERE day <= $1
                      GROUP BY source) kept
                 WHERE d.source = kept.source AND d.day < kept.day",
                &[&self.older.day.0],
            )
            .await?;
        let frames = before - FRAMES_LATER_MS;
        let periods = before - PERIODS_LATER_MS;
        let reads = self.older.reads.millis();
        let steps: [(&str, i64); 5] = [
            (
                "DELETE FROM periods WHERE (source, start) IN (SELECT source, start FROM periods
                     WHERE \"end\" < $1 AND NOT open LIMIT $2)",
                periods,
            ),
            // Frames are numbered about in the order of their receipt.
            (
                "DELETE FROM frames WHERE id IN (SELECT id FROM frames ORDER BY id LIMIT $2)
                     AND received < $1",
                frames,
            ),
            (
                "DELETE FROM records_aside WHERE (source, time, hash) IN
                     (SELECT source, time, hash FROM records_aside WHERE received < $1 LIMIT $2)",
                before,
            ),
            (
                "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts
                     WHERE start < $1 AND coalesce(ended, raised) < $1 ORDER BY start LIMIT $2)",
                before,
            ),
            (
                "DELETE FROM reads WHERE seq IN
                     (SELECT seq FROM reads WHERE at < $1 ORDER BY seq LIMIT $2)",
                reads,
            ),
        ];
        for (sql, limit) in steps {
            gone += work.execute(sql, &[&limit, &ROWS]).await?;
        }
        Ok(gone)
    }
}
