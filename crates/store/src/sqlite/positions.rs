//! Filing of records by their key: a fast way for what is newer, an anti-join for the rest.

use super::rows::{Binder, RECORD_COLUMNS};
use super::states::Concerned;
use super::writer::Session;
use crate::aside::NO_FRAME;
use crate::batch::{AsideRecord, Committed, FiledRecord, Result, SourceRecords, StoreError};
use crate::rows::{RECORD, put_record, put_said, verdict_code};
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use std::fmt::Write;
use waywarden_model::Timestamp;

/// Rows of one statement, from the most on; a rest is written in smaller ones.
const ROWS: [usize; 3] = [64, 8, 1];

/// A record with the interned numbers of its source and frame.
struct Row<'a> {
    source: i64,
    frame: i64,
    filed: &'a FiledRecord,
}

impl Row<'_> {
    /// The filing key: source, event time, content.
    fn key(&self) -> (i64, i64, i64) {
        let filed = self.filed;
        (
            self.source,
            filed.record.time.millis(),
            filed.hash.cast_signed(),
        )
    }
}

/// One source of a batch, its frames numbered.
struct Entry<'a> {
    source: i64,
    first_frame: i64,
    records: &'a SourceRecords,
    /// Frames with a record that was new.
    used: Vec<bool>,
}

/// Files everything of `sources`, and what is set aside; gives the counts and, by source, the span
/// of the late records.
pub(super) fn file(
    session: &mut Session<'_>,
    sources: &[SourceRecords],
    aside: &[AsideRecord],
    done: &mut Committed,
) -> Result<Vec<Concerned>> {
    let mut entries = number(session, sources)?;
    file_newer(session.conn, &mut entries, done)?;
    file_aside(session, &mut entries, aside)?;
    let mut late = Vec::new();
    for entry in &mut entries {
        late.extend(file_older(session.conn, entry, done)?);
        file_frames(session.conn, entry)?;
        note_latest(session.conn, entry)?;
    }
    Ok(late)
}

/// In the order of the key, so that pages are visited once.
fn number<'a>(session: &mut Session<'_>, sources: &'a [SourceRecords]) -> Result<Vec<Entry<'a>>> {
    let mut entries = Vec::with_capacity(sources.len());
    for records in sources {
        entries.push(Entry {
            source: session.intern(&records.source)?,
            first_frame: session.reserve_frames(records.frames.len())?,
            records,
            used: vec![false; records.frames.len()],
        });
    }
    entries.sort_by_key(|e| e.source);
    Ok(entries)
}

impl<'a> Entry<'a> {
    fn row(&self, filed: &'a FiledRecord) -> Row<'a> {
        Row {
            source: self.source,
            frame: self.first_frame + i64::from(filed.frame),
            filed,
        }
    }

    fn use_frame(&mut self, index: u32) {
        if let Some(used) = self.used.get_mut(index as usize) {
            *used = true;
        }
    }
}

fn file_newer(conn: &Connection, entries: &mut [Entry<'_>], done: &mut Committed) -> Result<()> {
    let rows: Vec<(usize, Row<'_>)> = entries
        .iter()
        .enumerate()
        .flat_map(|(i, e)| e.records.newer.iter().map(move |r| (i, e.row(r))))
        .collect();
    let mut inserts = Inserts::new(conn);
    let mut new = Vec::with_capacity(rows.len());
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let slot = ROWS.iter().position(|n| *n <= rest.len()).unwrap_or(2);
        let (chunk, behind) = rest.split_at(ROWS[slot].min(rest.len()));
        rest = behind;
        let written = inserts.new_ones(slot, chunk)?;
        if written == chunk.len() {
            new.extend(chunk.iter().map(|(i, r)| (*i, r.filed.frame)));
            done.filed += chunk.len() as u64;
            continue;
        }
        // Against the caller's promise one of them is on file, or stands in the batch before it.
        let first = rows.len() - rest.len() - chunk.len();
        for (n, (i, row)) in chunk.iter().enumerate() {
            let before = rows[..first + n].iter();
            let again = before.rev().any(|(_, before)| before.key() == row.key());
            if !again && is_of_its_frame(conn, row)? {
                new.push((*i, row.filed.frame));
                done.filed += 1;
            } else {
                keep_earlier(conn, row)?;
                done.repeated += 1;
            }
        }
    }
    for (entry, frame) in new {
        entries[entry].use_frame(frame);
    }
    Ok(())
}

fn file_older(
    conn: &Connection,
    entry: &mut Entry<'_>,
    done: &mut Committed,
) -> Result<Option<Concerned>> {
    let mut times: Option<(Timestamp, Timestamp)> = None;
    let records = entry.records;
    for filed in &records.older {
        if insert_or_keep(conn, &entry.row(filed))? {
            entry.use_frame(filed.frame);
            done.filed += 1;
            done.late += 1;
            if filed.ahead {
                let t = filed.record.time;
                let (from, upto) = times.unwrap_or((t, t));
                times = Some((from.min(t), upto.max(t)));
            }
        } else {
            done.repeated += 1;
        }
    }
    Ok(times.map(|(from, upto)| Concerned {
        source: entry.source,
        from,
        upto,
    }))
}

/// The three statements for many rows, prepared when first used. They leave out what is on file:
/// a statement that failed instead would keep a copy of every page it changes, to undo it.
struct Inserts<'c> {
    conn: &'c Connection,
    ready: [Option<CachedStatement<'c>>; ROWS.len()],
}

impl<'c> Inserts<'c> {
    fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            ready: [const { None }; ROWS.len()],
        }
    }

    /// How many of the rows were not on file and are now.
    fn new_ones(&mut self, slot: usize, chunk: &[(usize, Row<'_>)]) -> Result<usize> {
        if self.ready[slot].is_none() {
            self.ready[slot] = Some(self.conn.prepare_cached(&insert_sql(ROWS[slot]))?);
        }
        let stmt = self.ready[slot].as_mut().expect("filled above");
        let mut b = Binder::new(stmt);
        for (_, row) in chunk {
            bind(&mut b, row)?;
        }
        Ok(b.execute()?)
    }
}

fn insert_sql(rows: usize) -> String {
    let mut sql = format!(
        "INSERT OR IGNORE INTO positions (source, time, hash, received, verdict, frame, {RECORD}) VALUES "
    );
    let one = format!("({})", ["?"; 6 + RECORD_COLUMNS].join(","));
    for i in 0..rows {
        let comma = if i == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{comma}{one}");
    }
    sql
}

fn bind(b: &mut Binder<'_, '_>, row: &Row<'_>) -> rusqlite::Result<()> {
    b.put(row.source)?;
    b.put(row.filed.record.time.millis())?;
    b.put(row.filed.hash.cast_signed())?;
    b.put(row.filed.received.millis())?;
    b.put(verdict_code(row.filed.verdict, row.filed.ahead))?;
    b.put(row.frame)?;
    put_record(b, &row.filed.record)
}

/// True when the row is new; of copies the smaller time of receipt counts.
fn insert_or_keep(conn: &Connection, row: &Row<'_>) -> Result<bool> {
    let mut stmt = conn.prepare_cached(&insert_sql(1))?;
    let mut b = Binder::new(&mut stmt);
    bind(&mut b, row)?;
    if b.execute()? == 1 {
        return Ok(true);
    }
    keep_earlier(conn, row)?;
    Ok(false)
}

/// Of copies the smaller time of receipt counts.
fn keep_earlier(conn: &Connection, row: &Row<'_>) -> Result<()> {
    let (source, time, hash) = row.key();
    conn.prepare_cached(
        "UPDATE positions SET received = ?4
         WHERE source = ?1 AND time = ?2 AND hash = ?3 AND received > ?4",
    )?
    .execute((source, time, hash, row.filed.received.millis()))?;
    Ok(())
}

/// Whether the row on file is this one: a frame has its number from this batch alone.
fn is_of_its_frame(conn: &Connection, row: &Row<'_>) -> Result<bool> {
    let frame: Option<i64> = conn
        .prepare_cached(
            "SELECT frame FROM positions WHERE source = ?1 AND time = ?2 AND hash = ?3",
        )?
        .query_row(row.key(), |r| r.get(0))
        .optional()?;
    let frame = frame.ok_or_else(|| StoreError::Failed("a record was not taken".into()))?;
    Ok(frame == row.frame)
}

fn file_frames(conn: &Connection, entry: &Entry<'_>) -> Result<()> {
    let mut stmt = conn.prepare_cached(
        "INSERT INTO frames (id, source, protocol, received, raw, told_offset)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let frames = (entry.first_frame..).zip(&entry.records.frames);
    for ((id, frame), _) in frames.zip(&entry.used).filter(|(_, used)| **used) {
        stmt.execute((
            id,
            entry.source,
            frame.protocol as u8,
            frame.received.millis(),
            &frame.raw,
            frame.told_offset_s,
        ))?;
    }
    Ok(())
}

fn note_latest(conn: &Connection, entry: &Entry<'_>) -> Result<()> {
    let Some((last, place)) = entry.records.last_shown() else {
        return Ok(());
    };
    let mut stmt = conn.prepare_cached(
        "INSERT INTO latest (source, time, hash, received, verdict, lat, lon, speed, course,
                             ignition, said, driver)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (source) DO UPDATE SET
             time = excluded.time, hash = excluded.hash, received = excluded.received,
             verdict = excluded.verdict, lat = excluded.lat, lon = excluded.lon,
             speed = excluded.speed, course = excluded.course, ignition = excluded.ignition,
             said = excluded.said, driver = excluded.driver
         WHERE excluded.time > time OR (excluded.time = time AND excluded.hash < hash)",
    )?;
    let mut b = Binder::new(&mut stmt);
    b.put(entry.source)?;
    b.put(last.record.time.millis())?;
    b.put(last.hash.cast_signed())?;
    b.put(last.received.millis())?;
    b.put(last.verdict.code())?;
    b.put(place.lat())?;
    b.put(place.lon())?;
    b.put(last.record.speed.map(|s| s.centi()))?;
    b.put(last.record.course.map(|c| c.centi()))?;
    b.put(last.record.ignition)?;
    put_said(&mut b, &last.record.driver)?;
    b.execute()?;
    Ok(())
}

/// Counted as set aside also when it repeats: read = filed + repeated + aside + refused.
fn file_aside(
    session: &mut Session<'_>,
    entries: &mut [Entry<'_>],
    aside: &[AsideRecord],
) -> Result<()> {
    let one = ["?"; 6 + RECORD_COLUMNS].join(",");
    let sql = format!(
        "INSERT OR IGNORE INTO records_aside
             (source, time, hash, received, reason, frame, {RECORD}) VALUES ({one})"
    );
    for a in aside {
        let source = session.intern(&a.source)?;
        let index = entries.partition_point(|e| e.source < source);
        let entry = entries.get_mut(index).filter(|e| e.source == source);
        let entry = entry.zip(a.frame);
        let mut stmt = session.conn.prepare_cached(&sql)?;
        let mut b = Binder::new(&mut stmt);
        b.put(source)?;
        b.put(a.record.time.millis())?;
        b.put(a.hash.cast_signed())?;
        b.put(a.received.millis())?;
        b.put(a.reason.label())?;
        let number = |(e, frame): &(&mut Entry<'_>, u32)| e.first_frame + i64::from(*frame);
        b.put(entry.as_ref().map_or(NO_FRAME, number))?;
        put_record(&mut b, &a.record)?;
        if b.execute()? == 1 {
            if let Some((entry, frame)) = entry {
                entry.use_frame(frame);
            }
            continue;
        }
        let key = (source, a.record.time.millis(), a.hash.cast_signed());
        session
            .conn
            .prepare_cached(
                "UPDATE records_aside SET received = min(received, ?4)
                 WHERE source = ?1 AND time = ?2 AND hash = ?3",
            )?
            .execute((key.0, key.1, key.2, a.received.millis()))?;
    }
    Ok(())
}
