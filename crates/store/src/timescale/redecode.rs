//! Frames decoded again, on the server.

use super::cells::{Reader, Table, all, written};
use super::tables::{self, Concerned};
use super::trouble::Outcome;
use super::work::Work;
use super::{TimescaleStore, Who, Writing, rebuild};
use crate::aside::{AT_ONCE, NO_FRAME};
use crate::batch::{AsideReason, Result};
use crate::rebuild::Stretch;
use crate::redecode::{
    Framed, KEPT, KeptFrame, RedecodeStore, Redecoded, Removed, SAID_NOW, SAID_NOW_HELD, framed,
    kept, reason,
};
use crate::rows::{Cells, Columns, RECORD, put_record};
use async_trait::async_trait;
use std::collections::BTreeMap;
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Timestamp, Verdict};

#[async_trait]
impl RedecodeStore for TimescaleStore {
    async fn framed(&self, stretch: &Stretch) -> Result<Vec<Framed>> {
        let sql = "WITH s AS (SELECT id FROM sources WHERE name = $1),
                   concerned AS MATERIALIZED (
                       SELECT frame FROM positions
                       WHERE source = (SELECT id FROM s) AND time BETWEEN $2 AND $3
                       UNION SELECT frame FROM records_aside
                       WHERE source = (SELECT id FROM s) AND time BETWEEN $2 AND $3
                           AND reason = $4)
                   SELECT frame, time, hash, verdict = $5 FROM positions
                   WHERE source = (SELECT id FROM s) AND frame IN (SELECT frame FROM concerned)
                       AND (frame <> $6 OR time BETWEEN $2 AND $3)
                   UNION ALL SELECT frame, time, hash, false FROM records_aside
                   WHERE source = (SELECT id FROM s) AND frame IN (SELECT frame FROM concerned)
                       AND reason = $4 AND (frame <> $6 OR time BETWEEN $2 AND $3)
                   ORDER BY 1, 2, 3";
        let name = written(stretch.source.as_str());
        let (from, upto) = (stretch.from.millis(), stretch.upto.millis());
        let (future, held) = (AsideReason::Future.label(), i16::from(Verdict::Held.code()));
        let found = self
            .rows(sql, &[&name, &from, &upto, &future, &held, &NO_FRAME])
            .await?;
        all(&found, |r| framed(r))
    }

    async fn kept_frames(&self, numbers: Vec<i64>) -> Result<Vec<KeptFrame>> {
        let sql = format!("SELECT {KEPT} FROM frames WHERE id = ANY($1) ORDER BY id");
        let found = self.rows(&sql, &[&numbers]).await?;
        all(&found, |r| kept(r))
    }

    async fn on_file(
        &self,
        source: &SourceId,
        keys: Vec<(Timestamp, u64)>,
    ) -> Result<Vec<(Timestamp, u64)>> {
        let (times, hashes): (Vec<i64>, Vec<i64>) = keys
            .iter()
            .map(|(time, hash)| (time.millis(), hash.cast_signed()))
            .unzip();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok(Vec::new());
        };
        let sql = "SELECT p.time, p.hash FROM unnest($2::int8[], $3::int8[]) AS n(time, hash)
                   JOIN positions p ON p.source = (SELECT id FROM sources WHERE name = $1)
                       AND p.time = n.time AND p.hash = n.hash AND p.time BETWEEN $4 AND $5";
        let name = written(source.as_str());
        let found = self
            .rows_for(Who::Worker, sql, &[&name, &times, &hashes, first, last])
            .await?;
        all(&found, |r| {
            Ok((r.time()?, r.number::<i64>()?.cast_unsigned()))
        })
    }

    async fn ask_redecoded(
        &self,
        redecoded: Redecoded,
        partitions: u32,
        now: Timestamp,
    ) -> Result<()> {
        let asking = Asking {
            redecoded,
            partitions,
            now,
        };
        // What is asked for takes the place of what was, so this may be tried again.
        let mut patience = self.patience(Who::Worker);
        loop {
            match self.try_write(&asking).await {
                Ok(()) => return Ok(()),
                Err(trouble) => patience.bear(trouble).await?,
            }
        }
    }
}

struct Asking {
    redecoded: Redecoded,
    partitions: u32,
    now: Timestamp,
}

#[async_trait]
impl Writing for Asking {
    type Written = ();

    async fn write(&self, work: &mut Work<'_>) -> Outcome<()> {
        let r = &self.redecoded;
        let sql = "SELECT id FROM sources WHERE name = $1";
        let name = written(r.source.as_str());
        let Some(row) = work.opt(sql, &[&name]).await? else {
            return Ok(());
        };
        let source: i32 = row.get(0);
        work.execute(
            "DELETE FROM records_aside
             WHERE source = $1 AND frame = ANY($2) AND reason IN ($3, $4)",
            &[&source, &r.frames, &SAID_NOW, &SAID_NOW_HELD],
        )
        .await?;
        let sql = "DELETE FROM unsaid WHERE source = $1 AND frame = ANY($2)";
        work.execute(sql, &[&source, &r.frames]).await?;
        put_unsaid(work, source, r).await?;
        put_said(work, source, r).await?;
        let Some((from, upto)) = r.span() else {
            return Ok(());
        };
        let concerned = Concerned { source, from, upto };
        let partition = partition_of(&r.source, self.partitions);
        tables::mark(work, partition, &[concerned], self.now).await?;
        if let Some(removed) = r.removed() {
            let sql = "UPDATE marks SET removed = least(removed, $2) WHERE source = $1";
            work.execute(sql, &[&source, &removed.millis()]).await?;
        }
        Ok(())
    }
}

/// Rows of one statement.
const ROWS: usize = 10_000;

async fn put_unsaid(work: &Work<'_>, source: i32, r: &Redecoded) -> Outcome<()> {
    let names = "time, hash, frame";
    for some in r.unsaid.chunks(ROWS) {
        let mut table = Table::default();
        for u in some {
            table.long(Some(u.time.millis()))?;
            table.long(Some(u.hash.cast_signed()))?;
            table.long(Some(u.frame))?;
            table.end_row();
        }
        work.put(&table, names, &[&source], |rows| {
            format!(
                "INSERT INTO unsaid (source, {names}) SELECT $4, {names} FROM {rows}
                 ON CONFLICT (source, time, hash) DO UPDATE SET frame = excluded.frame"
            )
        })
        .await?;
    }
    Ok(())
}

async fn put_said(work: &Work<'_>, source: i32, r: &Redecoded) -> Outcome<()> {
    // Of two frames that say the same one files it.
    let mut said = BTreeMap::new();
    for s in &r.said {
        said.insert((s.record.time, s.hash), s);
    }
    let said: Vec<_> = said.into_values().collect();
    let names = format!("time, hash, received, reason, frame, {RECORD}");
    for some in said.chunks(ROWS) {
        let mut table = Table::default();
        for s in some {
            table.long(Some(s.record.time.millis()))?;
            table.long(Some(s.hash.cast_signed()))?;
            table.long(Some(s.received.millis()))?;
            table.text(Some(reason(s.held)))?;
            table.long(Some(s.frame))?;
            put_record(&mut table, &s.record)?;
            table.end_row();
        }
        let place = table.params().len() + 1;
        work.put(&table, &names, &[&source], |rows| {
            format!(
                "INSERT INTO records_aside AS a (source, {names})
                 SELECT ${place}, {names} FROM {rows}
                 ON CONFLICT (source, time, hash) DO UPDATE SET reason = excluded.reason,
                     frame = excluded.frame, received = least(a.received, excluded.received)"
            )
        })
        .await?;
    }
    Ok(())
}

/// Removes some of what the source's frames do not say.
pub(super) async fn remove(work: &Work<'_>, source: i32) -> Outcome<Removed> {
    let sql = "SELECT time, hash, frame FROM unsaid WHERE source = $1 ORDER BY time, hash LIMIT $2";
    let found = work.rows(sql, &[&source, &AT_ONCE]).await?;
    if found.is_empty() {
        return Ok(Removed::default());
    }
    let mut keys = Vec::with_capacity(found.len());
    for row in &found {
        let mut r = Reader::new(row);
        let key: (i64, i64, i64) = (r.number()?, r.number()?, r.number()?);
        keys.push((key.0, key));
    }
    let mut done = Removed {
        asked: keys.len() as u64,
        ..Removed::default()
    };
    for chunk in work.by_chunk(keys) {
        let mut table = Table::default();
        for (time, hash, frame) in chunk.items {
            table.long(Some(time))?;
            table.long(Some(hash))?;
            table.long(Some(frame))?;
            table.end_row();
        }
        let names = "time, hash, frame";
        let same =
            "source = $4 AND x.time = n.time AND x.hash = n.hash AND x.time BETWEEN $5 AND $6";
        let bounds: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&source, &chunk.first, &chunk.last];
        done.filed += work
            .put(&table, names, &bounds, |rows| {
                format!(
                    "DELETE FROM positions x USING {rows}
                     WHERE {same} AND x.frame = n.frame RETURNING 1"
                )
            })
            .await?
            .len() as u64;
        let future = AsideReason::Future.label();
        let mut with_reason = bounds.to_vec();
        with_reason.push(&future);
        done.aside += work
            .put(&table, names, &with_reason, |rows| {
                format!(
                    "DELETE FROM records_aside x USING {rows}
                     WHERE {same} AND x.frame = n.frame AND x.reason = $7 RETURNING 1"
                )
            })
            .await?
            .len() as u64;
        work.put(&table, names, &bounds, |rows| {
            format!("DELETE FROM unsaid x USING {rows} WHERE {same}")
        })
        .await?;
    }
    if done.filed > 0 {
        rebuild::note_latest(work, source).await?;
    }
    Ok(done)
}
