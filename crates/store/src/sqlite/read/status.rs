//! What the store says about itself.

use crate::batch::Result;
use crate::filed::{COUNTERS, partition};
use crate::read::{PartitionStatus, StoreStatus};
use crate::sqlite::rows::all;
use rusqlite::Connection;
use waywarden_model::{Timestamp, Verdict};

/// Rows are never counted below nothing.
fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

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
        alerts_open: crate::sqlite::alerts::open_by_kind(c)?,
    })
}

fn partitions(c: &Connection) -> Result<Vec<PartitionStatus>> {
    let sql = format!(
        "SELECT \"partition\", position, registry, {COUNTERS}, updated FROM partitions
         ORDER BY 1 LIMIT 4096"
    );
    all(c, &sql, [], |r| partition(r))
}
