//! Frames decoded again on purpose, since a setting of their device was wrong when they came: what
//! is kept of them, and what they do not say any more or say now.
//!
//! A command decodes and asks; whoever owns a source's partition removes and files it before it
//! judges the mark, as it takes in what was set aside.

use crate::batch::Result;
use crate::rebuild::Stretch;
use crate::rows::{Columns, corrupt};
use async_trait::async_trait;
use waywarden_model::{Protocol, Record, SourceId, Timestamp};

/// Reasons of records that a frame says now, until they are filed: judged, or held.
pub(crate) const SAID_NOW: &str = "said_now";
pub(crate) const SAID_NOW_HELD: &str = "said_now_held";

/// A record of a source, by its key and its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framed {
    /// Number of the frame it came in; 0: it was not kept.
    pub frame: i64,
    pub time: Timestamp,
    pub hash: u64,
    /// Filed as of a device that nobody approved.
    pub held: bool,
}

impl Framed {
    /// Event time and hash: its key within the source.
    pub const fn key(&self) -> (Timestamp, u64) {
        (self.time, self.hash)
    }
}

/// A frame that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptFrame {
    pub number: i64,
    pub protocol: Protocol,
    pub received: Timestamp,
    /// Seconds east of UTC that the device said at its log-in.
    pub told_offset_s: Option<i32>,
    pub raw: Vec<u8>,
}

/// A record that a frame says now.
#[derive(Clone, PartialEq, Debug)]
pub struct SaidNow {
    pub frame: i64,
    pub record: Record,
    pub received: Timestamp,
    pub hash: u64,
    pub held: bool,
}

/// What decoding frames of a source again changes.
#[derive(Clone, PartialEq, Debug)]
pub struct Redecoded {
    pub source: SourceId,
    /// Numbers of the frames that were decoded: what was asked for them before counts no more.
    pub frames: Vec<i64>,
    pub unsaid: Vec<Framed>,
    pub said: Vec<SaidNow>,
}

impl Redecoded {
    /// First and last event time that it touches; None: it changes nothing.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let unsaid = self.unsaid.iter().map(|u| u.time);
        let times = unsaid.chain(self.said.iter().map(|s| s.record.time));
        times.fold(None, |span, t| {
            let (from, upto) = span.unwrap_or((t, t));
            Some((from.min(t), upto.max(t)))
        })
    }

    /// Event time of the first record that is removed.
    pub(crate) fn removed(&self) -> Option<Timestamp> {
        self.unsaid.iter().map(|u| u.time).min()
    }
}

#[async_trait]
pub trait RedecodeStore: Send + Sync {
    /// Records of the stretch that are on file or were set aside as future, and all others that
    /// came in the same frames, by frame.
    async fn framed(&self, stretch: &Stretch) -> Result<Vec<Framed>>;

    /// Those of the frames that are still kept.
    async fn kept_frames(&self, numbers: Vec<i64>) -> Result<Vec<KeptFrame>>;

    /// Those of the keys that are on file.
    async fn on_file(
        &self,
        source: &SourceId,
        keys: Vec<(Timestamp, u64)>,
    ) -> Result<Vec<(Timestamp, u64)>>;

    /// Asks for it in one transaction, and marks the source; `partitions`: of the log, whose owners
    /// do it.
    async fn ask_redecoded(
        &self,
        redecoded: Redecoded,
        partitions: u32,
        now: Timestamp,
    ) -> Result<()>;
}

/// What was done of the removals that were asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Removed {
    pub asked: u64,
    /// That were on file.
    pub filed: u64,
    /// That were set aside.
    pub aside: u64,
}

/// Reason of a record that waits for being filed.
pub(crate) const fn reason(held: bool) -> &'static str {
    if held { SAID_NOW_HELD } else { SAID_NOW }
}

/// Columns frame, time, hash, held.
pub(crate) fn framed(c: &mut impl Columns) -> Result<Framed> {
    Ok(Framed {
        frame: c.number()?,
        time: c.time()?,
        hash: c.number::<i64>()?.cast_unsigned(),
        held: c.yes()?,
    })
}

/// Columns of [`kept`].
pub(crate) const KEPT: &str = "id, protocol, received, told_offset, raw";

pub(crate) fn kept(c: &mut impl Columns) -> Result<KeptFrame> {
    Ok(KeptFrame {
        number: c.number()?,
        protocol: Protocol::from_u8(c.number()?).ok_or_else(|| corrupt("protocol"))?,
        received: c.time()?,
        told_offset_s: c.opt()?,
        raw: c.blob()?,
    })
}
