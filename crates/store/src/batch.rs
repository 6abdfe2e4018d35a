//! The worker's side of the store: what one transaction writes, and the guard that it stands under.

use async_trait::async_trait;
use std::fmt;
use waywarden_model::registry::Registers;
use waywarden_model::{
    Alert, DayRow, DriverDay, LocalDay, Period, Position as Place, Protocol, Record, SourceId,
    Subject, Timestamp, Verdict, Violation, ViolationId,
};

/// Place in a partition of the log: the next offset to read.
pub type Position = u64;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another owner has the partition; everything that this one holds must be dropped.
    #[error("partition {partition} has been claimed by another worker")]
    Superseded { partition: u32 },
    /// The position on file is not the one that the batch continues.
    #[error("partition {partition} stands at {on_file}, the batch expects {expected}")]
    PositionMoved {
        partition: u32,
        expected: Position,
        on_file: Position,
    },
    /// The folder or database was made by a newer program.
    #[error("the store has schema version {found}, this program knows {known}")]
    Newer { found: u32, known: u32 },
    #[error("no such {what}: {id}")]
    NotFound { what: &'static str, id: String },
    /// Somebody else decided first.
    #[error("revision {expected} was expected, {on_file} is on file")]
    Conflict { expected: u32, on_file: u32 },
    #[error("only closed violations are reviewed")]
    StillOpen,
    /// The disk is full, the file is damaged, the connection is gone.
    #[error("the store failed: {0}")]
    Failed(String),
    /// The server cannot be connected to as configured.
    #[error("the server's address {0}")]
    Server(#[from] crate::timescale::ServerError),
    /// The server's certificate is not taken, or it has none: nothing is told to it.
    #[error("no safe connection to the database: {0}")]
    Insecure(String),
    #[error("what is filed cannot be read: {0}")]
    Corrupt(String),
    /// Positions need it to be kept by chunks, unless the store is told to run without.
    #[error("the database does not have the extension timescaledb")]
    NoExtension,
    /// Another tool does this for the database in use.
    #[error("{what} is not for this program: use {instead}")]
    Unsupported {
        what: &'static str,
        instead: &'static str,
    },
}

impl StoreError {
    pub(crate) const fn superseded(claim: &Claim) -> Self {
        Self::Superseded {
            partition: claim.partition,
        }
    }

    /// Nobody has claimed it yet.
    pub(crate) fn no_partition(partition: u32) -> Self {
        Self::NotFound {
            what: "partition",
            id: partition.to_string(),
        }
    }

    /// Bounded label for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Superseded { .. } => "superseded",
            Self::PositionMoved { .. } => "position_moved",
            Self::Newer { .. } => "newer",
            Self::NotFound { .. } => "not_found",
            Self::Conflict { .. } => "conflict",
            Self::StillOpen => "still_open",
            Self::Failed(_) => "failed",
            Self::Server(_) => "server",
            Self::Insecure(_) => "insecure",
            Self::Corrupt(_) => "corrupt",
            Self::NoExtension => "no_extension",
            Self::Unsupported { .. } => "unsupported",
        }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// A partition claimed by this worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub partition: u32,
    /// Raised by every claim; what is written under an older one is refused.
    pub epoch: u64,
    /// Next offset to judge.
    pub position: Position,
    /// Identity of the log when the partition was first read; None before.
    pub log: Option<String>,
    /// Registry version in force at `position`.
    pub registry: u32,
    /// Newest registry version on file.
    pub newest_registry: u32,
    /// Hash of the message below `position`, where one is known.
    pub tail: Option<u64>,
    /// Hash of the profiles that it was judged by, where it was judged.
    pub profiles: Option<u64>,
    /// Of the newest checkpoint: what was heard of the gateways, in the worker's own form.
    pub listening: Option<Vec<u8>>,
}

/// One source's state as saved, with the log position up to which it counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavedState {
    pub source: SourceId,
    /// Messages below it are in the state: a replay skips them for this source.
    pub position: Position,
    pub engine: u32,
    pub bytes: Vec<u8>,
}

/// What a source's state was before its first record of a local day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayState {
    pub source: SourceId,
    pub day: LocalDay,
    /// The first of its month: kept as long as positions, the others for the newest days only.
    pub month: bool,
    pub engine: u32,
    pub bytes: Vec<u8>,
}

/// A record to file, with what judging made of it.
#[derive(Clone, PartialEq, Debug)]
pub struct FiledRecord {
    pub record: Record,
    pub received: Timestamp,
    /// Content hash, the third part of the filing key.
    pub hash: u64,
    pub verdict: Verdict,
    /// It waits for being judged: the verdict is given ahead, as that which it will most likely have.
    pub ahead: bool,
    /// Index into the batch's frames of the same source entry.
    pub frame: u32,
}

/// A device frame kept for evidence and for decoding again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FiledFrame {
    pub protocol: Protocol,
    pub received: Timestamp,
    /// Seconds east of UTC that the device said at its log-in.
    pub told_offset_s: Option<i32>,
    pub raw: Vec<u8>,
}

/// All records of one source in a batch, in order of event time.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceRecords {
    pub source: SourceId,
    pub frames: Vec<FiledFrame>,
    /// Later than everything of the source that is on file: no look-up is needed.
    pub newer: Vec<FiledRecord>,
    /// At or before the latest on file: late, repeated, or a second record of an instant. Those
    /// that turn out to be new and wait for being judged ([`FiledRecord::ahead`]) mark the source
    /// from the earliest of them on.
    pub older: Vec<FiledRecord>,
}

impl FiledRecord {
    /// Its verdict as a reader sees it.
    pub(crate) fn shown(&self) -> Verdict {
        if self.ahead {
            Verdict::Late
        } else {
            self.verdict
        }
    }
}

impl SourceRecords {
    /// First and last event time of those that wait for being judged.
    pub(crate) fn waiting(&self) -> Option<(Timestamp, Timestamp)> {
        let all = self.newer.iter().chain(&self.older);
        let times = all.filter(|r| r.ahead).map(|r| r.record.time);
        times.fold(None, |span, t| {
            let (from, upto) = span.unwrap_or((t, t));
            Some((from.min(t), upto.max(t)))
        })
    }

    /// The last record that has a place and is not invalid; of one instant the smallest hash, as
    /// databases order it.
    pub(crate) fn last_shown(&self) -> Option<(&FiledRecord, Place)> {
        self.newer
            .iter()
            .chain(&self.older)
            .filter(|r| r.verdict.shows_place())
            .filter_map(|r| r.record.position.map(|place| (r, place)))
            .max_by_key(|(r, _)| (r.record.time, std::cmp::Reverse(r.hash.cast_signed())))
    }
}

/// A record that is not filed among the positions: dated in the future at its receipt, or older
/// than the retention.
#[derive(Clone, PartialEq, Debug)]
pub struct AsideRecord {
    pub source: SourceId,
    pub record: Record,
    pub received: Timestamp,
    pub hash: u64,
    pub reason: AsideReason,
    /// Index into the batch's frames of the same source, where the frame is to be kept with it.
    pub frame: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AsideReason {
    Future,
    Expired,
}

impl AsideReason {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Future => "future",
            Self::Expired => "expired",
        }
    }
}

/// A message that could not be read, kept with its reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoisonMessage {
    pub offset: Position,
    pub why: String,
    pub payload: Vec<u8>,
}

/// Bytes kept of a message that could not be read.
const POISON_BYTES: usize = 1 << 20;

impl PoisonMessage {
    /// What is kept of it.
    pub(crate) fn kept(&self) -> &[u8] {
        &self.payload[..self.payload.len().min(POISON_BYTES)]
    }
}

/// A part of the log that is given up because it is not there any more: somebody said so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Identity of the log that was read before.
    pub log_before: Option<String>,
}

/// What one transaction writes. Everything is absolute, so writing it again changes nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    pub sources: Vec<SourceRecords>,
    pub aside: Vec<AsideRecord>,
    pub poison: Vec<PoisonMessage>,
    /// By (source, start); each marks its subject as dirty from its start on, and where a period
    /// on file changes its subject, the former one too.
    pub periods: Vec<Period>,
    /// Violations of sources; evidence is frozen in the same transaction when one closes.
    pub violations: Vec<Violation>,
    pub day_rows: Vec<DayRow>,
    /// States at the beginnings of local days, from which late data is judged again.
    pub day_states: Vec<DayState>,
    /// Sources to rebuild beside those whose late records are new: look-ups of theirs changed.
    pub marks: Vec<(SourceId, Timestamp)>,
    /// Changed states to save, and with them the checkpoint's position.
    pub states: Vec<SavedState>,
    /// Position below which every saved state counts; set when `states` holds all that changed.
    pub checkpoint: Option<Position>,
    /// Hash of the profiles that it is judged by; None leaves what is on file.
    pub profiles: Option<u64>,
    /// What was heard of the gateways, kept with the checkpoint.
    pub listening: Option<Vec<u8>>,
    /// Alerts of sources that began or ended.
    pub alerts: Vec<Alert>,
    /// The newest ticks by gateway: (gateway, listening since, now).
    pub ticks: Vec<(String, Timestamp, Timestamp)>,
    /// Records read from the log in this batch (filed + repeated + aside + refused add up to it).
    pub records_read: u64,
    pub records_refused: u64,
    /// Registry version in force behind this batch.
    pub registry: u32,
    /// Identity of the log, kept with the position.
    pub log: String,
    /// Hash of the newest message in the batch; None where it holds none.
    pub tail: Option<u64>,
    /// What of the log is given up with this batch, which alone may move the position back.
    pub gap: Option<Gap>,
    /// Time at which the batch was committed, for change rows.
    pub now: Timestamp,
}

/// What became of a batch's records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    pub filed: u64,
    pub repeated: u64,
    /// New ones among `older`: each has marked its source.
    pub late: u64,
    pub aside: u64,
}

/// Counters that advance with the position, per partition, since its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Counters {
    pub read: u64,
    pub filed: u64,
    pub repeated: u64,
    pub aside: u64,
    pub refused: u64,
    pub late: u64,
}

/// The subject stage: a pure function of a subject's periods, called inside a transaction.
pub trait SubjectJudge: Send + Sync {
    /// Where to begin reading periods for a subject that changed from `from` on.
    fn window_start(&self, from: Timestamp) -> Timestamp;

    /// All violations and driver days of the periods given, which begin at `window` or later (the
    /// first of them may continue one before it; then `need_from` asks to be called again).
    fn judge(&self, subject: &Subject, window: Timestamp, periods: &[Period]) -> Judged;

    /// Limits that come near in what is driven now, given what [`judge`](Self::judge) found in the
    /// same periods. By default nobody is told.
    fn ahead(
        &self,
        _subject: &Subject,
        _window: Timestamp,
        _periods: &[Period],
        _judged: &Judged,
    ) -> Vec<Alert> {
        Vec::new()
    }
}

/// What the periods of a subject show.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Judged {
    /// Read again from here on: what stands at the window's start cannot be judged alone.
    pub need_from: Option<Timestamp>,
    /// Complete for the subject from `settled_from` on; what is filed there and missing here is
    /// withdrawn.
    pub violations: Vec<Violation>,
    pub settled_from: Timestamp,
    pub driver_days: Vec<DriverDay>,
}

/// What the worker asks of the store.
#[async_trait]
pub trait WorkerStore:
    crate::rebuild::RebuildStore
    + crate::aside::AsideStore
    + crate::redecode::RedecodeStore
    + fmt::Debug
    + 'static
{
    /// Raises the epoch of a partition and ends what its former owner may still be writing.
    async fn claim(&self, partition: u32, worker: &str) -> Result<Claim>;

    /// All saved states of a partition, and the position from which a replay must begin.
    async fn load_states(&self, partition: u32) -> Result<(Position, Vec<SavedState>)>;

    /// One transaction: guard, rows, marks, counters, position `expected` to `next`.
    async fn commit(
        &self,
        claim: &Claim,
        expected: Position,
        next: Position,
        batch: Batch,
    ) -> Result<Committed>;

    /// Judges up to `limit` subjects that are dirty and belong to the claim's partition; gives how
    /// many were judged. `partitions` is the number among which subjects are spread.
    async fn judge_subjects(
        &self,
        claim: &Claim,
        partitions: u32,
        limit: usize,
        now: Timestamp,
        judge: std::sync::Arc<dyn SubjectJudge>,
    ) -> Result<usize>;

    async fn counters(&self, partition: u32) -> Result<Counters>;

    /// Content of a registry version.
    async fn registers(&self, version: u32) -> Result<Registers>;
}

/// Identity of a violation with what the store adds to it, as the subject stage compares it.
#[derive(Clone, PartialEq, Debug)]
pub struct OnFile {
    pub id: ViolationId,
    pub revision: u32,
}
