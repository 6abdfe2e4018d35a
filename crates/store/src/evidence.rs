//! Evidence, frozen when a violation closes: what it states and copies of what it rests on. The
//! databases read the rows; what is made of them is here.

use crate::batch::{FiledFrame, FiledRecord, Result, StoreError};
use crate::read::FrozenEvidence;
use crate::rows::{self, Columns, corrupt};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use waywarden_model::{Period, Protocol, Record, SourceId, Timestamp, Violation, ViolationId};

/// Records copied for one violation, at most; `complete` says when there were more.
pub(crate) const RECORDS: usize = 20_000;
pub(crate) const ZSTD_LEVEL: i32 = 3;

/// The body: the same facts give the same bytes, so nothing of it depends on when or how it was
/// filed.
#[derive(Serialize)]
struct Body<'a> {
    id: ViolationId,
    violation: &'a Violation,
    records: &'a [Copied],
    frames: &'a [CopiedFrame],
    /// Of the subject, for rules that count driving.
    periods: &'a [Period],
    /// False when there were more records than are kept.
    complete: bool,
}

#[derive(Serialize)]
struct Copied {
    source: SourceId,
    received: Timestamp,
    verdict: Option<&'static str>,
    /// Index into `frames`.
    frame: Option<usize>,
    record: Record,
}

#[derive(Serialize)]
struct CopiedFrame {
    protocol: Protocol,
    received: Timestamp,
    raw_hex: String,
}

/// Which verdicts are copied with the records.
#[derive(Clone, Copy, Default)]
pub(crate) enum Verdicts {
    /// As a reader sees them: what waits for being judged is late.
    #[default]
    Shown,
    /// Of a source that was judged again, whose mark may stand for more that came meanwhile.
    Judged,
}

/// Columns that [`Copies::record`] takes, of a query of `positions` under this name: these, and
/// behind them those of a record.
pub(crate) fn copied(verdicts: Verdicts, positions: &str) -> String {
    let verdict = match verdicts {
        Verdicts::Shown => rows::verdict_shown(positions),
        Verdicts::Judged => rows::verdict_judged(),
    };
    format!("time, received, {verdict} AS verdict, frame")
}

/// Copies while they are gathered, in the order of the spans.
pub(crate) struct Copies {
    records: Vec<Copied>,
    /// Numbers of the records' frames on file.
    numbers: Vec<i64>,
    complete: bool,
}

impl Copies {
    pub fn new() -> Self {
        Self {
            records: Vec::new(),
            numbers: Vec::new(),
            complete: true,
        }
    }

    /// How many rows are worth reading yet: one more than are kept, so that it is seen.
    pub fn room(&self) -> usize {
        RECORDS + 1 - self.records.len()
    }

    /// False when the record was not taken because there are too many.
    pub fn record(&mut self, source: &SourceId, c: &mut impl Columns) -> Result<bool> {
        if !self.has_room() {
            return Ok(false);
        }
        let time = c.time()?;
        let (received, verdict) = (c.time()?, rows::verdict(c)?.reason());
        self.numbers.push(c.number()?);
        self.records.push(Copied {
            source: source.clone(),
            received,
            verdict,
            frame: None,
            record: rows::record(c, time)?,
        });
        Ok(true)
    }

    /// As [`Copies::record`], of one that was just filed and came in the frame of this number.
    pub fn filed(
        &mut self,
        source: &SourceId,
        filed: &FiledRecord,
        received: Timestamp,
        number: i64,
    ) -> bool {
        if !self.has_room() {
            return false;
        }
        self.numbers.push(number);
        self.records.push(Copied {
            source: source.clone(),
            received,
            verdict: filed.shown().reason(),
            frame: None,
            record: filed.record.clone(),
        });
        true
    }

    fn has_room(&mut self) -> bool {
        self.complete &= self.records.len() < RECORDS;
        self.records.len() < RECORDS
    }

    /// Numbers of the frames that the copied records came in, each once, in order of first use.
    pub fn frames(&self) -> Vec<i64> {
        let mut seen = std::collections::BTreeSet::new();
        self.numbers
            .iter()
            .copied()
            .filter(|n| seen.insert(*n))
            .collect()
    }

    /// Closes the copies: `frames` holds those on file, by number, and may hold others. `compress`
    /// is zstd, by a compressor that the caller may keep.
    pub fn seal(
        mut self,
        v: &Violation,
        frames: &BTreeMap<i64, Frame>,
        periods: &[Period],
        compress: impl FnOnce(&[u8]) -> std::io::Result<Vec<u8>>,
    ) -> Result<Sealed> {
        let mut copied = Vec::new();
        let mut index = BTreeMap::new();
        for number in self.frames() {
            if let Some(f) = frames.get(&number) {
                index.insert(number, copied.len());
                copied.push(CopiedFrame {
                    protocol: f.protocol,
                    received: f.received,
                    raw_hex: in_hex(&f.raw),
                });
            }
        }
        for (record, number) in self.records.iter_mut().zip(&self.numbers) {
            record.frame = index.get(number).copied();
        }
        let json = rows::to_json(&Body {
            id: v.id(),
            violation: v,
            records: &self.records,
            frames: &copied,
            periods,
            complete: self.complete,
        })?;
        Ok(Sealed {
            sha256: Sha256::digest(json.as_bytes()).into(),
            body: compress(json.as_bytes())
                .map_err(|e| StoreError::Failed(format!("zstd: {e}")))?,
        })
    }
}

/// A device frame as it is on file.
pub(crate) struct Frame {
    protocol: Protocol,
    received: Timestamp,
    raw: Vec<u8>,
}

impl From<&FiledFrame> for Frame {
    fn from(f: &FiledFrame) -> Self {
        Self {
            protocol: f.protocol,
            received: f.received,
            raw: f.raw.clone(),
        }
    }
}

/// Byte by byte into room that is there: the library's own way to a text goes character by
/// character, which is felt in frames.
fn in_hex(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    match hex::encode_to_slice(bytes, &mut text).map(|()| String::from_utf8(text)) {
        Ok(Ok(text)) => text,
        _ => hex::encode(bytes),
    }
}

/// Columns of [`frame`].
pub(crate) const FRAME: &str = "id, protocol, received, raw";

pub(crate) fn frame(c: &mut impl Columns) -> Result<(i64, Frame)> {
    let id = c.number()?;
    let frame = Frame {
        protocol: Protocol::from_u8(c.number()?).ok_or_else(|| corrupt("protocol"))?,
        received: c.time()?,
        raw: c.blob()?,
    };
    Ok((id, frame))
}

/// Evidence as it is kept: the hash of its JSON, and that compressed.
pub(crate) struct Sealed {
    pub sha256: [u8; 32],
    pub body: Vec<u8>,
}

/// Columns of [`open`].
pub(crate) const EVIDENCE: &str = "revision, at, sha256, body";

/// The frozen JSON, checked against its hash.
pub(crate) fn open(c: &mut impl Columns) -> Result<FrozenEvidence> {
    let (revision, at) = (c.number()?, c.time()?);
    let sha256 = c.blob()?;
    let json = zstd::stream::decode_all(c.blob()?.as_slice())
        .map_err(|e| StoreError::Corrupt(format!("evidence: {e}")))?;
    if Sha256::digest(&json).as_slice() != sha256 {
        return Err(corrupt("evidence does not have its hash"));
    }
    Ok(FrozenEvidence {
        revision,
        at,
        sha256: sha256.try_into().map_err(|_| corrupt("evidence hash"))?,
        body: String::from_utf8(json).map_err(|_| corrupt("evidence is no text"))?,
    })
}
