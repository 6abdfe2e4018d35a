//! Copies of what a violation rests on, read in the transaction that closes it.

use super::cells::{Reader, all};
use super::trouble::Outcome;
use super::work::Work;
use crate::episodes::counts_driving;
use crate::evidence::{COPIED, Copies, FRAME, ZSTD_LEVEL, frame};
use crate::filed::limit;
use crate::rows::{self, PERIOD, RECORD};
use waywarden_model::{Period, Span, Timestamp, Violation};

pub(super) async fn freeze(
    work: &Work<'_>,
    v: &Violation,
    revision: u32,
    now: Timestamp,
) -> Outcome<()> {
    let mut copies = Copies::new();
    for span in &v.spans {
        copy_span(work, span, &mut copies).await?;
    }
    let sql = format!("SELECT {FRAME} FROM frames WHERE id = ANY($1)");
    let frames = all(&work.rows(&sql, &[&copies.frames()]).await?, |r| frame(r))?;
    let periods = if counts_driving(v.kind) {
        periods(work, v).await?
    } else {
        Vec::new()
    };
    let sealed = copies.seal(v, frames.into_iter().collect(), &periods, |json| {
        zstd::bulk::compress(json, ZSTD_LEVEL)
    })?;
    work.execute(
        "INSERT INTO evidence (violation, revision, at, sha256, body) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (violation, revision) DO UPDATE
         SET at = excluded.at, sha256 = excluded.sha256, body = excluded.body",
        &[
            &v.id().bytes().as_slice(),
            &i64::from(revision),
            &now.millis(),
            &sealed.sha256.as_slice(),
            &sealed.body,
        ],
    )
    .await?;
    Ok(())
}

async fn copy_span(work: &Work<'_>, span: &Span, copies: &mut Copies) -> Outcome<()> {
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
        "SELECT {COPIED}, {RECORD} FROM positions
         WHERE source = $1 AND time BETWEEN $2 AND $3 {only} ORDER BY time, hash LIMIT $4"
    );
    let (from, to) = (span.from.millis(), span.to.millis());
    let room = limit(copies.room());
    for row in &work.rows(&sql, &[&source, &from, &to, &room]).await? {
        if !copies.record(&span.source, &mut Reader::new(row))? {
            break;
        }
    }
    Ok(())
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
