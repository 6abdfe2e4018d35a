//! Reading what is not in memory any more, in short transactions.

use super::meta::{from_sql, to_sql};
use super::shared::Shared;
use crate::{BusError, Entry, Offset};
use bytes::Bytes;
use rusqlite::{Connection, params};

/// How much one read may still give, at least 1 of each. The first message always passes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Limit {
    /// Whether a message of `len` bytes still fits; counts it.
    pub(super) fn take(&mut self, len: usize) -> bool {
        if self.messages == 0 || self.bytes == 0 {
            return false;
        }
        self.messages -= 1;
        self.bytes = self.bytes.saturating_sub(len);
        true
    }
}

pub(super) fn read(
    shared: &Shared,
    partition: u32,
    from: Offset,
    limit: Limit,
) -> Result<Vec<Entry>, BusError> {
    let (_, end) = shared.check_range(partition, from)?;
    let mut left = limit;
    let mut entries = Vec::new();
    let mut next = from;
    while next < end && left.messages > 0 && left.bytes > 0 {
        let before = entries.len();
        let found = read_segment(shared, partition, next..end, &mut left, &mut entries);
        next = from + entries.len() as u64;
        if found.is_ok() && entries.len() > before {
            continue;
        }
        // Retention may have removed the segment between the look at the list and the reading.
        shared.check_range(partition, next)?;
        found?;
        return Err(BusError::Read(format!(
            "partition {partition} has a hole at {next}"
        )));
    }
    Ok(entries)
}

fn read_segment(
    shared: &Shared,
    partition: u32,
    range: std::ops::Range<Offset>,
    left: &mut Limit,
    out: &mut Vec<Entry>,
) -> Result<(), BusError> {
    let text = |error: rusqlite::Error| BusError::Read(error.to_string());
    let Some((number, path)) = shared.segment_of(partition, range.start) else {
        return Ok(());
    };
    let connection = shared.take_reader(number, &path).map_err(text)?;
    select(&connection, partition, range, left, out).map_err(text)?;
    shared.return_reader(number, connection);
    Ok(())
}

fn select(
    connection: &Connection,
    partition: u32,
    range: std::ops::Range<Offset>,
    left: &mut Limit,
    out: &mut Vec<Entry>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT offset, payload FROM entries
         WHERE partition = ?1 AND offset >= ?2 AND offset < ?3 ORDER BY offset",
    )?;
    let mut rows = statement.query(params![partition, to_sql(range.start), to_sql(range.end)])?;
    let mut expected = range.start;
    while let Some(row) = rows.next()? {
        let offset = from_sql(row.get(0)?);
        let payload = row.get_ref(1)?.as_blob()?;
        // Offsets have no holes: what lies behind one is not given out as if it were next.
        if offset != expected || !left.take(payload.len()) {
            break;
        }
        out.push(Entry {
            offset,
            payload: Bytes::copy_from_slice(payload),
        });
        expected += 1;
    }
    Ok(())
}
