//! What a batch has just filed, for evidence: nothing of it needs to be read back.

use super::positions::{Entry, Row};
use crate::batch::{FiledFrame, FiledRecord};
use crate::evidence::Verdicts;
use waywarden_model::{Span, Timestamp};

/// The new rows of a transaction.
#[derive(Default)]
pub(super) struct Newest<'a> {
    /// By the number of the source.
    pub entries: Vec<Entry<'a>>,
    /// By key.
    pub rows: Vec<(Row<'a>, Timestamp)>,
    /// False when something was on file that was promised to be newer than all there.
    pub promise_kept: bool,
    /// Of what is read, where evidence does not rest on the new rows alone.
    pub verdicts: Verdicts,
}

/// A row with the number of its frame, and the frame.
pub(super) struct Filed<'a> {
    pub record: &'a FiledRecord,
    /// The smallest of the batch's copies.
    pub received: Timestamp,
    pub number: i64,
    pub frame: Option<&'a FiledFrame>,
}

impl<'a> Newest<'a> {
    /// All rows on file within a span of this source, by time and hash, where they are all among
    /// these: the batch has one entry of the source, nothing in it is at or before what was on file,
    /// and the span begins with it or later.
    pub fn within(
        &self,
        source: i32,
        span: &Span,
    ) -> Option<impl Iterator<Item = Filed<'a>> + use<'_, 'a>> {
        let first = self.entries.partition_point(|e| e.source < source);
        let entry = self.entries.get(first).filter(|e| e.source == source)?;
        let alone = self
            .entries
            .get(first + 1)
            .is_none_or(|e| e.source != source);
        let begins = entry.records.newer.first()?.record.time;
        let whole = alone && entry.records.older.is_empty() && begins <= span.from;
        if !(self.promise_kept && span.every && whole) {
            return None;
        }
        let before = |time| {
            move |row: &(Row<'_>, Timestamp)| {
                (row.0.source, row.0.filed.record.time) < (source, time)
            }
        };
        let behind = |row: &(Row<'_>, Timestamp)| {
            (row.0.source, row.0.filed.record.time) <= (source, span.to)
        };
        let from = self.rows.partition_point(before(span.from));
        let upto = self.rows.partition_point(behind).max(from);
        let (frames, first_frame) = (&entry.records.frames, entry.first_frame);
        Some(
            self.rows[from..upto]
                .iter()
                .map(move |(row, received)| Filed {
                    record: row.filed,
                    received: *received,
                    number: first_frame + i64::from(row.filed.frame),
                    frame: frames.get(row.filed.frame as usize),
                }),
        )
    }
}
