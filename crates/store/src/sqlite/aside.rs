//! Records that were set aside and are asked for, in the file.

use super::rows::{Reader, all};
use super::states::{self, Concerned};
use super::{SqliteStore, redecode, source_id};
use crate::aside::{ASKED, AT_ONCE, AsideStore, TakenIn, WAITING, verdict};
use crate::batch::{AsideReason, Claim, Result};
use crate::rebuild::Stretch;
use crate::rows::{self, Columns, RECORD};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Timestamp, Verdict};

#[async_trait]
impl AsideStore for SqliteStore {
    async fn set_aside(&self, from: Timestamp, upto: Timestamp) -> Result<Vec<SourceId>> {
        self.read(move |c| set_aside(c, from, upto)).await
    }

    async fn readmit(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<u64> {
        self.write(move |s| readmit(s.conn, &stretches, partitions, now))
            .await
    }

    async fn take_in(&self, claim: &Claim, source: &SourceId) -> Result<TakenIn> {
        let (claim, source) = (claim.clone(), source.clone());
        self.write(move |s| take_in(s.conn, &claim, &source)).await
    }
}

fn set_aside(c: &Connection, from: Timestamp, upto: Timestamp) -> Result<Vec<SourceId>> {
    let sql = "SELECT name FROM sources s WHERE EXISTS (
                   SELECT 1 FROM records_aside
                   WHERE source = s.id AND time BETWEEN ?1 AND ?2 AND reason = ?3)
               ORDER BY name";
    let key = (from.millis(), upto.millis(), AsideReason::Future.label());
    all(c, sql, key, |r| Ok(SourceId::new(r.string()?)))
}

fn readmit(
    conn: &Connection,
    stretches: &[Stretch],
    partitions: u32,
    now: Timestamp,
) -> Result<u64> {
    let mut asked = 0;
    for stretch in stretches {
        let Some(source) = source_id(conn, stretch.source.as_str())? else {
            continue;
        };
        let future = AsideReason::Future.label();
        let key = (source, stretch.from.millis(), stretch.upto.millis(), future);
        let (from, upto): (Option<i64>, Option<i64>) = conn
            .prepare_cached(
                "SELECT min(time), max(time) FROM records_aside
                 WHERE source = ?1 AND time BETWEEN ?2 AND ?3 AND reason = ?4",
            )?
            .query_row(key, |r| Ok((r.get(0)?, r.get(1)?)))?;
        let (Some(from), Some(upto)) = (from, upto) else {
            continue;
        };
        asked += conn
            .prepare_cached(
                "UPDATE records_aside SET reason = ?5
                 WHERE source = ?1 AND time BETWEEN ?2 AND ?3 AND reason = ?4",
            )?
            .execute((source, from, upto, future, ASKED))? as u64;
        let concerned = Concerned {
            source,
            from: Timestamp::from_millis(from),
            upto: Timestamp::from_millis(upto),
        };
        let partition = partition_of(&stretch.source, partitions);
        states::mark(conn, partition, &[concerned], now)?;
    }
    Ok(asked)
}

fn take_in(conn: &Connection, claim: &Claim, source: &SourceId) -> Result<TakenIn> {
    states::guard_epoch(conn, claim)?;
    let Some(source) = source_id(conn, source.as_str())? else {
        return Ok(TakenIn::default());
    };
    let gone = redecode::remove(conn, source)?;
    if gone.asked > 0 {
        conn.prepare_cached(
            "UPDATE partitions SET \"read\" = \"read\" - ?2 - ?3, filed = filed - ?2,
                 aside = aside - ?3 WHERE \"partition\" = ?1",
        )?
        .execute((claim.partition, gone.filed, gone.aside))?;
        return Ok(TakenIn {
            removed: gone.asked,
            ..TakenIn::default()
        });
    }
    for (reason, verdict) in WAITING {
        let taken = file(conn, claim.partition, source, reason, verdict)?;
        if !taken.is_empty() {
            return Ok(taken);
        }
    }
    Ok(TakenIn::default())
}

/// Files records that wait with this reason. Without a verdict they get that of the source's newest.
fn file(
    conn: &Connection,
    partition: u32,
    source: i64,
    reason: &str,
    verdict: Option<Verdict>,
) -> Result<TakenIn> {
    let newest: Option<i64> = conn
        .prepare_cached(
            "SELECT max(time) FROM (SELECT time FROM records_aside
                 WHERE source = ?1 AND reason = ?2 ORDER BY time LIMIT ?3)",
        )?
        .query_row((source, reason, AT_ONCE), |r| r.get(0))?;
    let Some(newest) = newest else {
        return Ok(TakenIn::default());
    };
    let verdict = match verdict {
        Some(verdict) => verdict,
        None => of_newest(conn, source)?,
    };
    let repeated = conn
        .prepare_cached(
            "UPDATE positions AS p SET received = min(p.received, a.received)
             FROM records_aside a WHERE a.source = ?1 AND a.reason = ?2 AND a.time <= ?3
                 AND p.source = a.source AND p.time = a.time AND p.hash = a.hash",
        )?
        .execute((source, reason, newest))? as u64;
    let filed = conn
        .prepare_cached(&format!(
            "INSERT OR IGNORE INTO positions (source, time, hash, received, verdict, frame, {RECORD})
             SELECT source, time, hash, received, ?4, frame, {RECORD} FROM records_aside
             WHERE source = ?1 AND reason = ?2 AND time <= ?3"
        ))?
        .execute((source, reason, newest, verdict.code()))? as u64;
    conn.prepare_cached(
        "DELETE FROM records_aside WHERE source = ?1 AND reason = ?2 AND time <= ?3",
    )?
    .execute((source, reason, newest))?;
    // What was set aside was read before; what a frame says now was not.
    let (read, aside) = match reason {
        ASKED => (0, filed + repeated),
        _ => (filed + repeated, 0),
    };
    conn.prepare_cached(
        "UPDATE partitions SET \"read\" = \"read\" + ?4, filed = filed + ?2,
             repeated = repeated + ?3, late = late + ?2, aside = aside - ?5
         WHERE \"partition\" = ?1",
    )?
    .execute((partition, filed, repeated, read, aside))?;
    Ok(TakenIn {
        filed,
        repeated,
        removed: 0,
        newest: Some(Timestamp::from_millis(newest)),
    })
}

fn of_newest(conn: &Connection, source: i64) -> Result<Verdict> {
    let on_file = conn
        .prepare_cached(
            "SELECT verdict FROM positions WHERE source = ?1 ORDER BY time DESC LIMIT 1",
        )?
        .query_row([source], |r| {
            Ok(rows::verdict_filed(&mut Reader::new(r, 0)))
        })
        .optional()?
        .transpose()?;
    Ok(verdict(on_file.map(|(verdict, _)| verdict)))
}
