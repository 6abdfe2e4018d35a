//! Tokens, the record of readings, and what the store says about itself.

use super::{corrupt, count, failed, rows};
use crate::batch::{Counters, Result};
use crate::read::{PartitionStatus, ReadOf, StoreStatus, TokenRow};
use rusqlite::{Connection, OptionalExtension};
use waywarden_model::{Timestamp, Verdict};

pub(super) fn token(c: &Connection, hash: &[u8; 32]) -> Result<Option<TokenRow>> {
    let found: Option<(String, String, Vec<u8>, i64, Option<i64>)> = c
        .prepare_cached("SELECT name, role, hash, expires, withdrawn FROM tokens WHERE hash = ?")
        .map_err(failed)?
        .query_row([hash.as_slice()], |r| {
            Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
        })
        .optional()
        .map_err(failed)?;
    found
        .map(|(name, role, hash, expires, withdrawn)| {
            Ok(TokenRow {
                name,
                role,
                hash: hash.try_into().map_err(|_| corrupt("token hash"))?,
                expires: Timestamp::from_millis(expires),
                withdrawn: withdrawn.is_some(),
            })
        })
        .transpose()
}

pub(super) fn record_read(
    c: &Connection,
    at: Timestamp,
    token: &str,
    what: ReadOf,
    object: &str,
    purpose: &str,
) -> Result<()> {
    c.prepare_cached("INSERT INTO reads (at, token, what, object, purpose) VALUES (?, ?, ?, ?, ?)")
        .map_err(failed)?
        .execute((at.millis(), token, what.name(), object, purpose))
        .map_err(failed)?;
    Ok(())
}

pub(super) fn status(c: &Connection) -> Result<StoreStatus> {
    let number = |sql: &str| -> Result<i64> { c.query_row(sql, [], |r| r.get(0)).map_err(failed) };
    let instant = |sql: &str| -> Result<Option<Timestamp>> {
        let ms: Option<i64> = c.query_row(sql, [], |r| r.get(0)).map_err(failed)?;
        Ok(ms.map(Timestamp::from_millis))
    };
    let held: i64 = c
        .query_row(
            "SELECT COUNT(*) FROM latest WHERE verdict = ?",
            [Verdict::Held.code()],
            |r| r.get(0),
        )
        .map_err(failed)?;
    Ok(StoreStatus {
        partitions: partitions(c)?,
        last_received: instant("SELECT MAX(received) FROM latest")?,
        sources: count(number("SELECT COUNT(*) FROM sources")?),
        held: count(held),
        marks: count(number("SELECT COUNT(*) FROM marks")?),
        oldest_mark: instant("SELECT MIN(created) FROM marks")?,
        dirty_subjects: count(number("SELECT COUNT(*) FROM dirty")?),
        poison: count(number("SELECT COUNT(*) FROM poison")?),
        violations_open: count(number(
            "SELECT COUNT(*) FROM violations WHERE status = 'new' AND open = 1",
        )?),
    })
}

fn partitions(c: &Connection) -> Result<Vec<PartitionStatus>> {
    let mut q = c
        .prepare_cached(
            "SELECT \"partition\", position, registry, \"read\", filed, repeated, aside, refused, \
             late, updated FROM partitions ORDER BY 1 LIMIT ?",
        )
        .map_err(failed)?;
    let found = q
        .query_map([rows(4096)], |r| {
            let n = |i: usize| r.get::<_, i64>(i).map(count);
            Ok(PartitionStatus {
                partition: r.get(0)?,
                position: n(1)?,
                registry: r.get(2)?,
                counters: Counters {
                    read: n(3)?,
                    filed: n(4)?,
                    repeated: n(5)?,
                    aside: n(6)?,
                    refused: n(7)?,
                    late: n(8)?,
                },
                updated: r.get::<_, Option<i64>>(9)?.map(Timestamp::from_millis),
            })
        })
        .map_err(failed)?;
    found.collect::<rusqlite::Result<_>>().map_err(failed)
}
