//! What the store says about itself.

use super::{count, rows};
use crate::batch::{Counters, Result};
use crate::read::{PartitionStatus, StoreStatus};
use rusqlite::Connection;
use waywarden_model::{Timestamp, Verdict};

pub(super) fn status(c: &Connection) -> Result<StoreStatus> {
    let number = |sql: &str| -> Result<i64> { Ok(c.query_row(sql, [], |r| r.get(0))?) };
    let instant = |sql: &str| -> Result<Option<Timestamp>> {
        let ms: Option<i64> = c.query_row(sql, [], |r| r.get(0))?;
        Ok(ms.map(Timestamp::from_millis))
    };
    let held: i64 = c.query_row(
        "SELECT COUNT(*) FROM latest WHERE verdict = ?",
        [Verdict::Held.code()],
        |r| r.get(0),
    )?;
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
    let mut q = c.prepare_cached(
        "SELECT \"partition\", position, registry, \"read\", filed, repeated, aside, refused, \
             late, updated FROM partitions ORDER BY 1 LIMIT ?",
    )?;
    let found = q.query_map([rows(4096)], |r| {
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
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}
