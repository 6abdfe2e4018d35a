//! What a transaction works with: its statements, the numbers of sources, the feed of changes.

use super::Inner;
use super::cells::{CopyRows, Params, Table};
use super::trouble::{Outcome, Trouble};
use crate::batch::StoreError;
use crate::read::ChangeKind;
use bytes::Bytes;
use deadpool_postgres::{Pool, Transaction};
use futures::SinkExt;
use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};
use tokio_postgres::types::ToSql;
use tokio_postgres::{CopyInSink, Row};
use waywarden_model::{SourceId, Timestamp, ViolationId};

/// Bytes of a COPY that are gathered before they are sent.
const CHUNK: usize = 1 << 18;
/// Changes that one transaction can number.
const CHANGES: u32 = 1 << 16;

/// Numbers of sources. They are given in transactions of their own, so none is ever undone.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: RwLock<HashMap<SourceId, i32>>,
}

impl Sources {
    fn get(&self, source: &SourceId) -> Option<i32> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(source).copied()
    }

    fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }

    /// Numbers for all of them; those without one are given one.
    async fn ensure(
        &self,
        pool: &Pool,
        wanted: impl IntoIterator<Item = &SourceId>,
    ) -> Outcome<()> {
        let mut missing: Vec<String> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let missing = wanted.into_iter().filter(|s| !known.contains_key(*s));
            missing
                .map(|s| super::cells::written(s.as_str()).into_owned())
                .collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        missing.dedup();
        let client = pool.get().await?;
        let give = client
            .prepare_cached(
                "INSERT INTO sources (name) SELECT w.name FROM unnest($1::text[]) AS w(name)
                 WHERE NOT EXISTS (SELECT FROM sources s WHERE s.name = w.name COLLATE \"C\")
                 ON CONFLICT DO NOTHING",
            )
            .await?;
        client.execute(&give, &[&missing]).await?;
        let find = "SELECT name, id FROM sources WHERE name = ANY($1)";
        let rows = client
            .query(&client.prepare_cached(find).await?, &[&missing])
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for row in &rows {
            use crate::rows::Columns;
            let mut r = super::cells::Reader::new(row);
            known.insert(SourceId::new(r.string()?), r.number()?);
        }
        Ok(())
    }
}

pub(super) struct Work<'a> {
    tx: &'a Transaction<'a>,
    inner: &'a Inner,
    /// Changes numbered so far.
    changes: u32,
}

impl<'a> Work<'a> {
    pub fn new(tx: &'a Transaction<'a>, inner: &'a Inner) -> Self {
        Self {
            tx,
            inner,
            changes: 0,
        }
    }

    pub async fn rows(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Outcome<Vec<Row>> {
        let stmt = self.tx.prepare_cached(sql).await?;
        Ok(self.tx.query(&stmt, params).await?)
    }

    pub async fn opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Outcome<Option<Row>> {
        let stmt = self.tx.prepare_cached(sql).await?;
        Ok(self.tx.query_opt(&stmt, params).await?)
    }

    pub async fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Outcome<u64> {
        let stmt = self.tx.prepare_cached(sql).await?;
        Ok(self.tx.execute(&stmt, params).await?)
    }

    /// One statement over the rows of a table, which are its first parameters; `sql` is given the
    /// text that unnests them. Nothing is sent for no rows.
    pub async fn put(
        &self,
        table: &Table,
        names: &str,
        more: &[&(dyn ToSql + Sync)],
        sql: impl FnOnce(&str) -> String,
    ) -> Outcome<Vec<Row>> {
        if table.is_empty() {
            return Ok(Vec::new());
        }
        let mut params: Params<'_> = table.params();
        params.extend_from_slice(more);
        self.rows(&sql(&table.unnest(names)), &params).await
    }

    pub async fn batch(&self, sql: &str) -> Outcome<()> {
        Ok(self.tx.batch_execute(sql).await?)
    }

    /// `write` gives one row after the other, and false when there is none left.
    pub async fn copy(
        &self,
        sql: &str,
        mut write: impl FnMut(&mut CopyRows) -> bool + Send,
    ) -> Result<u64, tokio_postgres::Error> {
        let stmt = self.tx.prepare_cached(sql).await?;
        let sink: CopyInSink<Bytes> = self.tx.copy_in(&stmt).await?;
        futures::pin_mut!(sink);
        let mut rows = CopyRows::new();
        while write(&mut rows) {
            if rows.buffer.len() >= CHUNK {
                sink.send(rows.buffer.split().freeze()).await?;
            }
        }
        rows.finish();
        sink.send(rows.buffer.split().freeze()).await?;
        sink.finish().await
    }

    /// Items by the chunk that their time is in, as chunks are cut now. A statement that names the
    /// bounds of its times opens one chunk, and costs the same however many there are.
    pub fn by_chunk<T>(&self, items: impl IntoIterator<Item = (i64, T)>) -> Vec<InChunk<T>> {
        let length = self.inner.options.chunk_ms.max(1);
        let mut chunks: BTreeMap<i64, InChunk<T>> = BTreeMap::new();
        for (time, item) in items {
            let chunk = chunks.entry(time.div_euclid(length)).or_insert(InChunk {
                first: time,
                last: time,
                items: Vec::new(),
            });
            chunk.first = chunk.first.min(time);
            chunk.last = chunk.last.max(time);
            chunk.items.push(item);
        }
        chunks.into_values().collect()
    }

    /// Whether both times are in one chunk, as chunks are cut now.
    pub fn in_one_chunk(&self, from: i64, upto: i64) -> bool {
        let length = self.inner.options.chunk_ms.max(1);
        from.div_euclid(length) == upto.div_euclid(length)
    }

    pub async fn ensure_sources(&self, wanted: impl IntoIterator<Item = &SourceId>) -> Outcome<()> {
        self.inner.sources.ensure(&self.inner.pool, wanted).await
    }

    /// Number of a source that was made sure of before.
    pub fn source(&self, source: &SourceId) -> Outcome<i32> {
        let missing = || StoreError::Failed("a source has no number".into());
        self.inner
            .sources
            .get(source)
            .ok_or_else(|| missing().into())
    }

    /// Forgets numbers that were given in transactions which the server may not have any more.
    pub async fn forget_numbers(&self) {
        self.inner.sources.forget();
        self.inner.frames.forget().await;
    }

    /// First of `count` numbers for frames.
    pub async fn reserve_frames(&self, count: usize) -> Outcome<i64> {
        self.inner.frames.reserve(&self.inner.pool, count).await
    }

    /// Whether the transaction should make no more changes than it has.
    pub fn has_many_changes(&self) -> bool {
        self.changes > CHANGES / 4
    }

    /// Appends to the feed, in the order given.
    pub async fn note(
        &mut self,
        changes: &[(ViolationId, u32, ChangeKind)],
        now: Timestamp,
    ) -> Outcome<()> {
        use crate::rows::Cells;
        let mut table = Table::default();
        for (id, revision, kind) in changes {
            if self.changes >= CHANGES {
                let many = "one transaction changes more violations than it can number";
                return Err(Trouble::Store(StoreError::Failed(many.into())));
            }
            table.long(Some(self.changes.into()))?;
            table.bytes(Some(&id.bytes()))?;
            table.long(Some((*revision).into()))?;
            table.text(Some(kind.name()))?;
            table.end_row();
            self.changes += 1;
        }
        let names = "place, violation, revision, kind";
        self.put(&table, names, &[&now.millis()], |rows| {
            format!(
                "INSERT INTO changes (seq, at, violation, revision, kind)
                 SELECT ((b.base + pg_current_xact_id()::text::int8) << 16) | n.place, $5,
                     n.violation, n.revision, n.kind FROM change_base b, {rows}"
            )
        })
        .await?;
        Ok(())
    }
}

/// Items of one chunk, with the bounds of their times.
pub(super) struct InChunk<T> {
    pub first: i64,
    pub last: i64,
    pub items: Vec<T>,
}

/// Numbers of frames, taken in blocks; gaps do no harm.
#[derive(Debug, Default)]
pub(super) struct FrameNumbers {
    /// Next number and how many are left.
    block: tokio::sync::Mutex<(i64, usize)>,
}

/// Numbers in a block, as the schema has it; more frames than any batch has.
const BLOCK: usize = 1 << 20;

impl FrameNumbers {
    async fn forget(&self) {
        *self.block.lock().await = (0, 0);
    }

    async fn reserve(&self, pool: &Pool, count: usize) -> Outcome<i64> {
        if count > BLOCK {
            return Err(StoreError::Failed("a batch has too many frames".into()).into());
        }
        let mut block = self.block.lock().await;
        if block.1 < count {
            let sql = "SELECT nextval('frame_blocks')";
            let first: i64 = pool.get().await?.query_one(sql, &[]).await?.get(0);
            *block = (first * BLOCK as i64, BLOCK);
        }
        let first = block.0;
        *block = (first + count as i64, block.1 - count);
        Ok(first)
    }
}
