//! Frames decoded again, in the file.

use super::rows::{Binder, RECORD_COLUMNS, all};
use super::states::{self, Concerned};
use super::{SqliteStore, rebuild, source_id};
use crate::aside::{AT_ONCE, NO_FRAME};
use crate::batch::{AsideReason, Result};
use crate::rebuild::Stretch;
use crate::redecode::{
    Framed, KEPT, KeptFrame, RedecodeStore, Redecoded, Removed, SAID_NOW, SAID_NOW_HELD, SaidNow,
    framed, kept, reason,
};
use crate::rows::{Columns, RECORD, put_record};
use async_trait::async_trait;
use rusqlite::Connection;
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Timestamp, Verdict};

#[async_trait]
impl RedecodeStore for SqliteStore {
    async fn framed(&self, stretch: &Stretch) -> Result<Vec<Framed>> {
        let stretch = stretch.clone();
        self.read(move |c| records_framed(c, &stretch)).await
    }

    async fn kept_frames(&self, numbers: Vec<i64>) -> Result<Vec<KeptFrame>> {
        let sql = format!("SELECT {KEPT} FROM frames WHERE id = ?1");
        self.read(move |c| {
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                found.extend(all(c, &sql, [number], |r| kept(r))?);
            }
            Ok(found)
        })
        .await
    }

    async fn on_file(
        &self,
        source: &SourceId,
        keys: Vec<(Timestamp, u64)>,
    ) -> Result<Vec<(Timestamp, u64)>> {
        let source = source.clone();
        self.read(move |c| on_file(c, &source, keys)).await
    }

    async fn ask_redecoded(
        &self,
        redecoded: Redecoded,
        partitions: u32,
        now: Timestamp,
    ) -> Result<()> {
        self.write(move |s| ask(s.conn, &redecoded, partitions, now))
            .await
    }
}

fn records_framed(c: &Connection, stretch: &Stretch) -> Result<Vec<Framed>> {
    let Some(source) = source_id(c, stretch.source.as_str())? else {
        return Ok(Vec::new());
    };
    let sql = "WITH concerned AS (
                   SELECT frame FROM positions WHERE source = ?1 AND time BETWEEN ?2 AND ?3
                   UNION SELECT frame FROM records_aside
                   WHERE source = ?1 AND time BETWEEN ?2 AND ?3 AND reason = ?4)
               SELECT frame, time, hash, verdict = ?5 FROM positions
               WHERE source = ?1 AND frame IN concerned
                   AND (frame <> ?6 OR time BETWEEN ?2 AND ?3)
               UNION ALL SELECT frame, time, hash, 0 FROM records_aside
               WHERE source = ?1 AND frame IN concerned AND reason = ?4
                   AND (frame <> ?6 OR time BETWEEN ?2 AND ?3)
               ORDER BY 1, 2, 3";
    let (from, upto) = (stretch.from.millis(), stretch.upto.millis());
    let (future, held) = (AsideReason::Future.label(), Verdict::Held.code());
    let key = (source, from, upto, future, held, NO_FRAME);
    all(c, sql, key, |r| framed(r))
}

fn on_file(
    c: &Connection,
    source: &SourceId,
    mut keys: Vec<(Timestamp, u64)>,
) -> Result<Vec<(Timestamp, u64)>> {
    let Some(source) = source_id(c, source.as_str())? else {
        return Ok(Vec::new());
    };
    let mut there =
        c.prepare_cached("SELECT 1 FROM positions WHERE source = ?1 AND time = ?2 AND hash = ?3")?;
    let mut failed = None;
    keys.retain(|(time, hash)| {
        let found = there.exists((source, time.millis(), hash.cast_signed()));
        found.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            false
        })
    });
    failed.map_or(Ok(keys), |error| Err(error.into()))
}

fn ask(conn: &Connection, r: &Redecoded, partitions: u32, now: Timestamp) -> Result<()> {
    let Some(source) = source_id(conn, r.source.as_str())? else {
        return Ok(());
    };
    let (mut said, mut unsaid) = (
        conn.prepare_cached(
            "DELETE FROM records_aside WHERE source = ?1 AND frame = ?2 AND reason IN (?3, ?4)",
        )?,
        conn.prepare_cached("DELETE FROM unsaid WHERE source = ?1 AND frame = ?2")?,
    );
    if waits(conn, source)? {
        for frame in &r.frames {
            said.execute((source, frame, SAID_NOW, SAID_NOW_HELD))?;
            unsaid.execute((source, frame))?;
        }
    }
    let mut insert = conn.prepare_cached(
        "INSERT OR REPLACE INTO unsaid (source, time, hash, frame) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for u in &r.unsaid {
        insert.execute((source, u.time.millis(), u.hash.cast_signed(), u.frame))?;
    }
    r.said.iter().try_for_each(|s| put(conn, source, s))?;
    let Some((from, upto)) = r.span() else {
        return Ok(());
    };
    let concerned = Concerned { source, from, upto };
    let partition = partition_of(&r.source, partitions);
    states::mark(conn, partition, &[concerned], now)?;
    if let Some(removed) = r.removed() {
        conn.prepare_cached(
            "UPDATE marks SET removed = min(coalesce(removed, ?2), ?2) WHERE source = ?1",
        )?
        .execute((source, removed.millis()))?;
    }
    Ok(())
}

/// Whether something was asked for that nobody has taken in yet.
fn waits(conn: &Connection, source: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM unsaid WHERE source = ?1)
                   OR EXISTS (SELECT 1 FROM records_aside
                              WHERE source = ?1 AND reason IN (?2, ?3))";
    let key = (source, SAID_NOW, SAID_NOW_HELD);
    Ok(conn.prepare_cached(sql)?.query_row(key, |r| r.get(0))?)
}

fn put(conn: &Connection, source: i64, said: &SaidNow) -> Result<()> {
    let one = ["?"; 6 + RECORD_COLUMNS].join(",");
    let mut stmt = conn.prepare_cached(&format!(
        "INSERT INTO records_aside (source, time, hash, received, reason, frame, {RECORD})
         VALUES ({one})
         ON CONFLICT (source, time, hash) DO UPDATE SET reason = excluded.reason,
             frame = excluded.frame, received = min(received, excluded.received)"
    ))?;
    let mut b = Binder::new(&mut stmt);
    b.put(source)?;
    b.put(said.record.time.millis())?;
    b.put(said.hash.cast_signed())?;
    b.put(said.received.millis())?;
    b.put(reason(said.held))?;
    b.put(said.frame)?;
    put_record(&mut b, &said.record)?;
    b.execute()?;
    Ok(())
}

/// Removes some of what the source's frames do not say.
pub(super) fn remove(conn: &Connection, source: i64) -> Result<Removed> {
    let sql = "SELECT time, hash, frame FROM unsaid WHERE source = ?1 ORDER BY time, hash LIMIT ?2";
    let gone: Vec<(i64, i64, i64)> = all(conn, sql, (source, AT_ONCE), |r| {
        Ok((r.number()?, r.number()?, r.number()?))
    })?;
    let mut filed = conn.prepare_cached(
        "DELETE FROM positions WHERE source = ?1 AND time = ?2 AND hash = ?3 AND frame = ?4",
    )?;
    let mut aside = conn.prepare_cached(
        "DELETE FROM records_aside
         WHERE source = ?1 AND time = ?2 AND hash = ?3 AND frame = ?4 AND reason = ?5",
    )?;
    let mut done =
        conn.prepare_cached("DELETE FROM unsaid WHERE source = ?1 AND time = ?2 AND hash = ?3")?;
    let mut removed = Removed {
        asked: gone.len() as u64,
        ..Removed::default()
    };
    for (time, hash, frame) in gone {
        let key = (source, time, hash, frame);
        removed.filed += filed.execute(key)? as u64;
        let future = AsideReason::Future.label();
        removed.aside += aside.execute((source, time, hash, frame, future))? as u64;
        done.execute((source, time, hash))?;
    }
    if removed.filed > 0 {
        rebuild::note_latest(conn, source)?;
    }
    Ok(removed)
}
