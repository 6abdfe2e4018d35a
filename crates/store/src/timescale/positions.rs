//! Filing of records by their key: binary COPY for what is newer, and for the rest once an
//! anti-join has said what is on file.
//!
//! Nobody else writes rows of these sources meanwhile, since the partition's row is locked: what
//! the anti-join does not find is new. So its keys alone travel before the COPY, and there is no
//! upsert, which in compressed chunks would be slow.

use super::cells::{Reader, Table};
use super::newest::Newest;
use super::tables::Concerned;
use super::trouble::{Outcome, Trouble};
use super::work::Work;
use crate::aside::NO_FRAME;
use crate::batch::{AsideRecord, Committed, FiledRecord, SourceRecords};
use crate::evidence::Verdicts;
use crate::rows::{Cells, Columns, RECORD, put_record, put_said, verdict_code};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use waywarden_model::Timestamp;

/// Columns of the COPY: the key, receipt, frame, verdict, and [`RECORD`].
const COLUMNS: i16 = 6 + 21;

/// One source of a batch, its frames numbered.
pub(super) struct Entry<'a> {
    pub source: i32,
    pub first_frame: i64,
    pub records: &'a SourceRecords,
}

/// A record with the place of its entry, and whether it was promised to be newer than all on file.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    entry: usize,
    pub source: i32,
    pub filed: &'a FiledRecord,
    newer: bool,
}

type Key = (i32, i64, i64);

impl Row<'_> {
    fn key(&self) -> Key {
        let time = self.filed.record.time.millis();
        (self.source, time, self.filed.hash.cast_signed())
    }
}

/// Files everything of `sources`, and what is set aside; gives the counts, by source the span of
/// the late records, and what was new.
pub(super) async fn file<'a>(
    work: &Work<'_>,
    sources: &'a [SourceRecords],
    aside: &[AsideRecord],
    done: &mut Committed,
) -> Outcome<(Vec<Concerned>, Newest<'a>)> {
    let entries = number(work, sources).await?;
    let rows = rows(&entries);
    let older: Vec<Row<'_>> = rows.iter().copied().filter(|r| !r.newer).collect();
    let on_file = look(work, &older).await?;
    let mut new = fresh(&rows, &on_file);
    let promise_kept = copy(work, &entries, &new).await?;
    if !promise_kept {
        // Against the caller's promise one of the newer ones is on file.
        let on_file = look(work, &rows).await?;
        new = fresh(&rows, &on_file);
        earlier(work, &rows, &on_file).await?;
        if !copy(work, &entries, &new).await? {
            let twice = "records are on file that were just looked for";
            return Err(crate::batch::StoreError::Failed(twice.into()).into());
        }
    } else {
        earlier(work, &older, &on_file).await?;
    }
    let mut used: BTreeSet<(usize, u32)> =
        new.iter().map(|(r, _)| (r.entry, r.filed.frame)).collect();
    used.extend(file_aside(work, &entries, aside).await?);
    file_frames(work, &entries, &used).await?;
    note_latest(work, &entries).await?;
    done.filed += new.len() as u64;
    done.repeated += (rows.len() - new.len()) as u64;
    done.late += new.iter().filter(|(r, _)| !r.newer).count() as u64;
    let late = late(&new);
    let newest = Newest {
        entries,
        rows: new,
        promise_kept,
        verdicts: Verdicts::Shown,
    };
    Ok((late, newest))
}

async fn number<'a>(work: &Work<'_>, sources: &'a [SourceRecords]) -> Outcome<Vec<Entry<'a>>> {
    let frames = sources.iter().map(|s| s.frames.len()).sum();
    let mut first_frame = match frames {
        0 => 0,
        count => work.reserve_frames(count).await?,
    };
    let mut entries = Vec::with_capacity(sources.len());
    for records in sources {
        entries.push(Entry {
            source: work.source(&records.source)?,
            first_frame,
            records,
        });
        first_frame += records.frames.len() as i64;
    }
    entries.sort_by_key(|e| e.source);
    Ok(entries)
}

fn rows<'a>(entries: &[Entry<'a>]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (entry, e) in entries.iter().enumerate() {
        for (list, newer) in [(&e.records.newer, true), (&e.records.older, false)] {
            rows.extend(list.iter().map(|filed| Row {
                entry,
                source: e.source,
                filed,
                newer,
            }));
        }
    }
    rows
}

/// Which of the rows are on file, with their time of receipt there.
async fn look(work: &Work<'_>, rows: &[Row<'_>]) -> Outcome<BTreeMap<Key, i64>> {
    let mut on_file = BTreeMap::new();
    let keys = rows.iter().map(Row::key);
    for chunk in work.by_chunk(keys.map(|key| (key.1, key))) {
        let mut table = Table::default();
        for (source, time, hash) in chunk.items {
            table.int(Some(source))?;
            table.long(Some(time))?;
            table.long(Some(hash))?;
            table.end_row();
        }
        // Key by key, never by reading the chunk.
        let bounds: [&(dyn ToSql + Sync); 2] = [&chunk.first, &chunk.last];
        let found = work
            .put(&table, "source, time, hash", &bounds, |keys| {
                format!(
                    "SELECT n.source, n.time, n.hash, f.received FROM {keys}, LATERAL
                         (SELECT p.received FROM positions p
                          WHERE p.source = n.source AND p.time = n.time AND p.hash = n.hash
                              AND p.time BETWEEN $4 AND $5 LIMIT 1) f"
                )
            })
            .await?;
        for row in &found {
            let mut r = Reader::new(row);
            let key = (r.number()?, r.number()?, r.number()?);
            on_file.insert(key, r.number()?);
        }
    }
    Ok(on_file)
}

/// Rows that are not on file, each key once and in the order of the keys, with the smallest time
/// of receipt among the batch's copies.
fn fresh<'a>(rows: &[Row<'a>], on_file: &BTreeMap<Key, i64>) -> Vec<(Row<'a>, Timestamp)> {
    let mut new: Vec<(Row<'a>, Timestamp)> = rows
        .iter()
        .filter(|r| !on_file.contains_key(&r.key()))
        .map(|r| (*r, r.filed.received))
        .collect();
    // A stable sort: of equal keys the first one in the batch is filed.
    new.sort_by_key(|(r, _)| r.key());
    new.dedup_by(|again, first| {
        let same = again.0.key() == first.0.key();
        if same {
            first.1 = first.1.min(again.1);
        }
        same
    });
    new
}

/// False when a row of the same key is on file; then none has been written.
async fn copy(
    work: &Work<'_>,
    entries: &[Entry<'_>],
    new: &[(Row<'_>, Timestamp)],
) -> Outcome<bool> {
    if new.is_empty() {
        return Ok(true);
    }
    work.batch("SAVEPOINT filing").await?;
    let sql = format!(
        "COPY positions (source, time, hash, received, frame, verdict, {RECORD})
         FROM STDIN BINARY"
    );
    let mut rest = new.iter();
    let copied = work.copy(&sql, |c| {
        let Some((row, received)) = rest.next() else {
            return false;
        };
        let frame = entries[row.entry].first_frame + i64::from(row.filed.frame);
        let (source, time, hash) = row.key();
        c.begin_row(COLUMNS);
        let Ok(()) = c.int(Some(source));
        let Ok(()) = c.long(Some(time));
        let Ok(()) = c.long(Some(hash));
        let Ok(()) = c.long(Some(received.millis()));
        let Ok(()) = c.long(Some(frame));
        let verdict = verdict_code(row.filed.verdict, row.filed.ahead);
        let Ok(()) = c.short(Some(verdict.into()));
        let Ok(()) = put_record(c, &row.filed.record);
        true
    });
    match copied.await {
        Ok(_) => work.batch("RELEASE filing").await.map(|()| true),
        Err(e) if e.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            work.batch("ROLLBACK TO filing").await.map(|()| false)
        }
        Err(e) => Err(Trouble::from(e)),
    }
}

/// Of copies the smaller time of receipt counts.
async fn earlier(work: &Work<'_>, rows: &[Row<'_>], on_file: &BTreeMap<Key, i64>) -> Outcome<()> {
    let mut smaller: BTreeMap<Key, i64> = BTreeMap::new();
    for row in rows {
        let received = row.filed.received.millis();
        if on_file
            .get(&row.key())
            .is_some_and(|there| received < *there)
        {
            let least = smaller.entry(row.key()).or_insert(received);
            *least = received.min(*least);
        }
    }
    for chunk in work.by_chunk(smaller.into_iter().map(|row| (row.0.1, row))) {
        let mut table = Table::default();
        for ((source, time, hash), received) in chunk.items {
            table.int(Some(source))?;
            table.long(Some(time))?;
            table.long(Some(hash))?;
            table.long(Some(received))?;
            table.end_row();
        }
        let names = "source, time, hash, received";
        let bounds: [&(dyn ToSql + Sync); 2] = [&chunk.first, &chunk.last];
        work.put(&table, names, &bounds, |rows| {
            format!(
                "UPDATE positions p SET received = n.received FROM {rows}
                 WHERE p.source = n.source AND p.time = n.time AND p.hash = n.hash
                     AND p.time BETWEEN $5 AND $6 AND p.received > n.received"
            )
        })
        .await?;
    }
    Ok(())
}

/// Counted as set aside also when it repeats: read = filed + repeated + aside + refused. Gives the
/// frames of those that are new, by entry and index.
async fn file_aside(
    work: &Work<'_>,
    entries: &[Entry<'_>],
    aside: &[AsideRecord],
) -> Outcome<BTreeSet<(usize, u32)>> {
    let mut first: BTreeMap<Key, (&AsideRecord, Timestamp)> = BTreeMap::new();
    for a in aside {
        let (time, hash) = (a.record.time.millis(), a.hash.cast_signed());
        let key = (work.source(&a.source)?, time, hash);
        let kept = first.entry(key).or_insert((a, a.received));
        kept.1 = kept.1.min(a.received);
    }
    let mut frames: BTreeMap<i64, (usize, u32)> = BTreeMap::new();
    let mut table = Table::default();
    for ((source, time, hash), (a, received)) in first {
        let at = entries.partition_point(|e| e.source < source);
        let entry = entries.get(at).filter(|e| e.source == source);
        let number = entry.zip(a.frame).map(|(entry, index)| {
            let number = entry.first_frame + i64::from(index);
            frames.insert(number, (at, index));
            number
        });
        table.int(Some(source))?;
        table.long(Some(time))?;
        table.long(Some(hash))?;
        table.long(Some(received.millis()))?;
        table.text(Some(a.reason.label()))?;
        table.long(Some(number.unwrap_or(NO_FRAME)))?;
        put_record(&mut table, &a.record)?;
        table.end_row();
    }
    let names = format!("source, time, hash, received, reason, frame, {RECORD}");
    let written = work
        .put(&table, &names, &[], |rows| {
            format!(
                "INSERT INTO records_aside AS a ({names}) SELECT {names} FROM {rows}
                 ON CONFLICT (source, time, hash) DO UPDATE
                 SET received = excluded.received WHERE a.received > excluded.received
                 RETURNING frame"
            )
        })
        .await?;
    // A row that was there has another frame.
    let used = written.iter().filter_map(|row| frames.get(&row.get(0)));
    Ok(used.copied().collect())
}

/// Frames with a record that was new.
async fn file_frames(
    work: &Work<'_>,
    entries: &[Entry<'_>],
    used: &BTreeSet<(usize, u32)>,
) -> Outcome<()> {
    let mut frames = used.iter().filter_map(|(entry, index)| {
        let e = &entries[*entry];
        let frame = e.records.frames.get(*index as usize)?;
        Some((e, e.first_frame + i64::from(*index), frame))
    });
    if used.is_empty() {
        return Ok(());
    }
    let sql = "COPY frames (id, received, source, protocol, raw, told_offset) FROM STDIN BINARY";
    work.copy(sql, |c| {
        let Some((e, number, frame)) = frames.next() else {
            return false;
        };
        c.begin_row(6);
        let Ok(()) = c.long(Some(number));
        let Ok(()) = c.long(Some(frame.received.millis()));
        let Ok(()) = c.int(Some(e.source));
        let Ok(()) = c.short(Some(frame.protocol as i16));
        let Ok(()) = c.bytes(Some(&frame.raw));
        let Ok(()) = c.int(frame.told_offset_s);
        true
    })
    .await?;
    Ok(())
}

async fn note_latest(work: &Work<'_>, entries: &[Entry<'_>]) -> Outcome<()> {
    let mut lasts: BTreeMap<i32, (&FiledRecord, waywarden_model::Position)> = BTreeMap::new();
    for e in entries {
        if let Some((record, place)) = e.records.last_shown() {
            let order = |r: &FiledRecord| (r.record.time, Reverse(r.hash.cast_signed()));
            let last = lasts.entry(e.source).or_insert((record, place));
            if order(record) > order(last.0) {
                *last = (record, place);
            }
        }
    }
    let mut table = Table::default();
    for (source, (last, place)) in lasts {
        table.int(Some(source))?;
        table.long(Some(last.record.time.millis()))?;
        table.long(Some(last.hash.cast_signed()))?;
        table.long(Some(last.received.millis()))?;
        table.short(Some(last.verdict.code().into()))?;
        table.real(Some(place.lat()))?;
        table.real(Some(place.lon()))?;
        table.int(last.record.speed.map(|s| s.centi()))?;
        table.int(last.record.course.map(|c| c.centi().into()))?;
        table.flag(last.record.ignition)?;
        put_said(&mut table, &last.record.driver)?;
        table.end_row();
    }
    let names = "source, time, hash, received, verdict, lat, lon, speed, course, ignition, said, \
                 driver";
    work.put(&table, names, &[], |rows| {
        format!(
            "INSERT INTO latest AS l ({names}) SELECT {names} FROM {rows}
             ON CONFLICT (source) DO UPDATE SET
                 time = excluded.time, hash = excluded.hash, received = excluded.received,
                 verdict = excluded.verdict, lat = excluded.lat, lon = excluded.lon,
                 speed = excluded.speed, course = excluded.course, ignition = excluded.ignition,
                 said = excluded.said, driver = excluded.driver
             WHERE excluded.time > l.time
                 OR (excluded.time = l.time AND excluded.hash < l.hash)"
        )
    })
    .await?;
    Ok(())
}

/// By source, the span of the new records that wait for being judged.
fn late(new: &[(Row<'_>, Timestamp)]) -> Vec<Concerned> {
    let mut spans: BTreeMap<i32, (Timestamp, Timestamp)> = BTreeMap::new();
    for (row, _) in new {
        if !row.newer && row.filed.ahead {
            let t = row.filed.record.time;
            let span = spans.entry(row.source).or_insert((t, t));
            *span = (span.0.min(t), span.1.max(t));
        }
    }
    spans
        .into_iter()
        .map(|(source, (from, upto))| Concerned { source, from, upto })
        .collect()
}
