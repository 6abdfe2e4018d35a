//! Copies of what violations rest on, made in the transaction that closes them: of what it has filed
//! itself from memory, and the rest for many violations at once, since each statement is a question
//! and an answer over the network.

use super::cells::{Reader, Table, all};
use super::newest::Newest;
use super::trouble::Outcome;
use super::work::Work;
use crate::episodes::counts_driving;
use crate::evidence::{Copies, FRAME, Frame, Verdicts, ZSTD_LEVEL, copied, frame};
use crate::filed::limit;
use crate::rows::{self, Cells, PERIOD, RECORD};
use std::collections::BTreeMap;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use waywarden_model::{Period, Span, Timestamp, Violation};

/// Violations whose evidence is in memory at once.
const AT_ONCE: usize = 128;
/// Records of a span that is read together with others; a longer one is read by itself.
const SHORT: usize = 500;

/// Freezes the evidence of violations with these revisions.
pub(super) async fn freeze(
    work: &Work<'_>,
    violations: &[(&Violation, u32)],
    newest: &Newest<'_>,
    now: Timestamp,
) -> Outcome<()> {
    for some in violations.chunks(AT_ONCE) {
        freeze_some(work, some, newest, now).await?;
    }
    Ok(())
}

async fn freeze_some(
    work: &Work<'_>,
    violations: &[(&Violation, u32)],
    newest: &Newest<'_>,
    now: Timestamp,
) -> Outcome<()> {
    let spans: Vec<&Span> = violations.iter().flat_map(|(v, _)| &v.spans).collect();
    let mut found = short_spans(work, &spans, newest).await?.into_iter();
    let mut gathered = Vec::with_capacity(violations.len());
    let mut frames = BTreeMap::new();
    for (v, _) in violations {
        let mut copies = Copies::new();
        for (span, found) in v.spans.iter().zip(&mut found) {
            match found {
                Found::Newest => copy_newest(work, span, newest, &mut copies, &mut frames)?,
                Found::Rows(rows) => copy(span, &rows, &mut copies)?,
                Found::Alone => copy_span(work, span, newest.verdicts, &mut copies).await?,
            }
        }
        gathered.push(copies);
    }
    read_frames(work, &gathered, &mut frames).await?;
    let mut zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)
        .map_err(|e| crate::batch::StoreError::Failed(format!("zstd: {e}")))?;
    let mut table = Table::default();
    for ((v, revision), copies) in violations.iter().zip(gathered) {
        let periods = if counts_driving(v.kind) {
            periods(work, v).await?
        } else {
            Vec::new()
        };
        let sealed = copies.seal(v, &frames, &periods, |json| zstd.compress(json))?;
        table.bytes(Some(&v.id().bytes()))?;
        table.long(Some(i64::from(*revision)))?;
        table.bytes(Some(&sealed.sha256))?;
        table.bytes(Some(&sealed.body))?;
        table.end_row();
    }
    let names = "violation, revision, sha256, body";
    work.put(&table, names, &[&now.millis()], |rows| {
        format!(
            "INSERT INTO evidence ({names}, at) SELECT {names}, $5 FROM {rows}
             ON CONFLICT (violation, revision) DO UPDATE
             SET at = excluded.at, sha256 = excluded.sha256, body = excluded.body"
        )
    })
    .await?;
    Ok(())
}

/// Where the records of a span are.
enum Found {
    /// All among what the transaction has filed.
    Newest,
    Rows(Vec<Row>),
    /// To be read by itself: one of its ends only, over the bounds of a chunk, or of too many
    /// records.
    Alone,
}

/// The records of short spans, one statement a chunk.
async fn short_spans(work: &Work<'_>, spans: &[&Span], newest: &Newest<'_>) -> Outcome<Vec<Found>> {
    let mut found = Vec::with_capacity(spans.len());
    let mut short = Vec::new();
    for (n, span) in spans.iter().enumerate() {
        found.push(match newest.within(work.source(&span.source)?, span) {
            Some(_) => Found::Newest,
            None => Found::Alone,
        });
        let whole = span.every && work.in_one_chunk(span.from.millis(), span.to.millis());
        if whole && matches!(found[n], Found::Alone) {
            short.push((span.from.millis(), (n, span)));
        }
    }
    let columns = copied(newest.verdicts, "p");
    for chunk in work.by_chunk(short) {
        let mut table = Table::default();
        let mut last = chunk.last;
        for (n, span) in &chunk.items {
            table.long(Some(limit(*n)))?;
            table.int(Some(work.source(&span.source)?))?;
            table.long(Some(span.from.millis()))?;
            table.long(Some(span.to.millis()))?;
            table.end_row();
            last = last.max(span.to.millis());
            found[*n] = Found::Rows(Vec::new());
        }
        let more: [&(dyn ToSql + Sync); 3] = [&chunk.first, &last, &limit(SHORT + 1)];
        let names = "place, source, \"from\", upto";
        let rows = work
            .put(&table, names, &more, |spans| {
                format!(
                    "SELECT p.*, n.place FROM {spans}, LATERAL
                         (SELECT {columns}, {RECORD}, hash FROM positions p
                          WHERE p.source = n.source AND p.time BETWEEN n.\"from\" AND n.upto
                              AND p.time BETWEEN $5 AND $6
                          ORDER BY p.time, p.hash LIMIT $7) p
                     ORDER BY n.place, p.time, p.hash"
                )
            })
            .await?;
        for row in rows {
            let place: i64 = row.get("place");
            let of = usize::try_from(place).ok().and_then(|n| found.get_mut(n));
            if let Some(Found::Rows(of)) = of {
                of.push(row);
            }
        }
    }
    for found in &mut found {
        if matches!(found, Found::Rows(rows) if rows.len() > SHORT) {
            *found = Found::Alone;
        }
    }
    Ok(found)
}

fn copy_newest(
    work: &Work<'_>,
    span: &Span,
    newest: &Newest<'_>,
    copies: &mut Copies,
    frames: &mut BTreeMap<i64, Frame>,
) -> Outcome<()> {
    let filed = newest.within(work.source(&span.source)?, span);
    for filed in filed.into_iter().flatten() {
        if !copies.filed(&span.source, filed.record, filed.received, filed.number) {
            break;
        }
        if let Some(frame) = filed.frame {
            frames.entry(filed.number).or_insert_with(|| frame.into());
        }
    }
    Ok(())
}

fn copy(span: &Span, rows: &[Row], copies: &mut Copies) -> Outcome<()> {
    for row in rows {
        if !copies.record(&span.source, &mut Reader::new(row))? {
            break;
        }
    }
    Ok(())
}

/// The frames of all copies that are on file, by number, beside those that are there.
async fn read_frames(
    work: &Work<'_>,
    copies: &[Copies],
    frames: &mut BTreeMap<i64, Frame>,
) -> Outcome<()> {
    let mut numbers: Vec<i64> = copies.iter().flat_map(Copies::frames).collect();
    numbers.retain(|number| !frames.contains_key(number));
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Ok(());
    }
    let sql = format!("SELECT {FRAME} FROM frames WHERE id = ANY($1)");
    let rows = work.rows(&sql, &[&numbers]).await?;
    frames.extend(all(&rows, |r| frame(r))?);
    Ok(())
}

async fn copy_span(
    work: &Work<'_>,
    span: &Span,
    verdicts: Verdicts,
    copies: &mut Copies,
) -> Outcome<()> {
    let source = work.source(&span.source)?;
    // Without `every`, the records of the first and of the last instant that has some.
    let only = if span.every {
        ""
    } else {
        "AND time IN ((SELECT min(time) FROM positions
                       WHERE source = $1 AND time BETWEEN $2 AND $3),
                      (SELECT max(time) FROM positions
                       WHERE source = $1 AND time BETWEEN $2 AND $3))"
    };
    let sql = format!(
        "SELECT {}, {RECORD} FROM positions
         WHERE source = $1 AND time BETWEEN $2 AND $3 {only} ORDER BY time, hash LIMIT $4",
        copied(verdicts, "positions")
    );
    let (from, to) = (span.from.millis(), span.to.millis());
    let room = limit(copies.room());
    copy(
        span,
        &work.rows(&sql, &[&source, &from, &to, &room]).await?,
        copies,
    )
}

async fn periods(work: &Work<'_>, v: &Violation) -> Outcome<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.subject = $1 AND p.start <= $3 AND p.\"end\" >= $2 ORDER BY p.start, s.name"
    );
    let subject = v.subject.key();
    let subject = super::cells::written(&subject);
    let key = (v.start.millis(), v.end.millis());
    Ok(all(
        &work.rows(&sql, &[&subject, &key.0, &key.1]).await?,
        |r| rows::period(r),
    )?)
}
