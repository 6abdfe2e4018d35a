//! Filing of records by their key: a fast way for what is newer, an anti-join for the rest.

use super::rows::{Binder, RECORD_COLUMNS};
use super::states::Concerned;
use super::writer::Session;
use crate::batch::{AsideRecord, Committed, FiledRecord, Result, SourceRecords};
use crate::rows::{RECORD, put_record, put_said};
use rusqlite::{CachedStatement, Connection, Error, ErrorCode};
use std::fmt::Write;
use waywarden_model::{Timestamp, Verdict};

/// Rows of one statement, from the most on; a rest is written in smaller ones.
const ROWS: [usize; 3] = [64, 8, 1];

/// A record with the interned numbers of its source and frame.
struct Row<'a> {
    source: i64,
    frame: i64,
    filed: &'a FiledRecord,
}

/// One source of a batch, its frames numbered.
struct Entry<'a> {
    source: i64,
    first_frame: i64,
    records: &'a SourceRecords,
    /// Frames with a record that was new.
    used: Vec<bool>,
}

/// Files everything of `sources`; gives the counts and, by source, the span of the late records.
pub(super) fn file(
    session: &mut Session<'_>,
    sources: &[SourceRecords],
    done: &mut Committed,
) -> Result<Vec<Concerned>> {
    let mut entries = number(session, sources)?;
    file_newer(session.conn, &mut entries, done)?;
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
        if inserts.all(slot, chunk)? {
            new.extend(chunk.iter().map(|(i, r)| (*i, r.filed.frame)));
            done.filed += chunk.len() as u64;
            continue;
        }
        // Against the caller's promise one of them is on file.
        for (i, row) in chunk {
            if insert_or_keep(conn, row)? {
                new.push((*i, row.filed.frame));
                done.filed += 1;
            } else {
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
            if filed.verdict == Verdict::Late {
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

/// The three statements of plain inserts, prepared when first used.
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

    /// False when a row of this key is on file: then none has been written.
    fn all(&mut self, slot: usize, chunk: &[(usize, Row<'_>)]) -> Result<bool> {
        if self.ready[slot].is_none() {
            let sql = insert_sql("INSERT", ROWS[slot]);
            self.ready[slot] = Some(self.conn.prepare_cached(&sql)?);
        }
        let stmt = self.ready[slot].as_mut().expect("filled above");
        let mut b = Binder::new(stmt);
        for (_, row) in chunk {
            bind(&mut b, row)?;
        }
        match b.execute() {
            Ok(_) => Ok(true),
            Err(Error::SqliteFailure(e, _)) if e.code == ErrorCode::ConstraintViolation => {
                Ok(false)
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn insert_sql(verb: &str, rows: usize) -> String {
    let mut sql = format!(
        "{verb} INTO positions (source, time, hash, received, verdict, frame, {RECORD}) VALUES "
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
    b.put(row.filed.verdict.code())?;
    b.put(row.frame)?;
    put_record(b, &row.filed.record)
}

/// True when the row is new; of copies the smaller time of receipt counts.
fn insert_or_keep(conn: &Connection, row: &Row<'_>) -> Result<bool> {
    let mut stmt = conn.prepare_cached(&insert_sql("INSERT OR IGNORE", 1))?;
    let mut b = Binder::new(&mut stmt);
    bind(&mut b, row)?;
    if b.execute()? == 1 {
        return Ok(true);
    }
    conn.prepare_cached(
        "UPDATE positions SET received = ?4
         WHERE source = ?1 AND time = ?2 AND hash = ?3 AND received > ?4",
    )?
    .execute((
        row.source,
        row.filed.record.time.millis(),
        row.filed.hash.cast_signed(),
        row.filed.received.millis(),
    ))?;
    Ok(false)
}

fn file_frames(conn: &Connection, entry: &Entry<'_>) -> Result<()> {
    let mut stmt = conn.prepare_cached(
        "INSERT INTO frames (id, source, protocol, received, raw) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let frames = (entry.first_frame..).zip(&entry.records.frames);
    for ((id, frame), _) in frames.zip(&entry.used).filter(|(_, used)| **used) {
        stmt.execute((
            id,
            entry.source,
            frame.protocol as u8,
            frame.received.millis(),
            &frame.raw,
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
pub(super) fn file_aside(session: &mut Session<'_>, aside: &[AsideRecord]) -> Result<()> {
    let one = ["?"; 5 + RECORD_COLUMNS].join(",");
    let sql = format!(
        "INSERT INTO records_aside (source, time, hash, received, reason, {RECORD})
         VALUES ({one})
         ON CONFLICT (source, time, hash) DO UPDATE
         SET received = min(received, excluded.received)"
    );
    for a in aside {
        let source = session.intern(&a.source)?;
        let mut stmt = session.conn.prepare_cached(&sql)?;
        let mut b = Binder::new(&mut stmt);
        b.put(source)?;
        b.put(a.record.time.millis())?;
        b.put(a.hash.cast_signed())?;
        b.put(a.received.millis())?;
        b.put(a.reason.label())?;
        put_record(&mut b, &a.record)?;
        b.execute()?;
    }
    Ok(())
}
