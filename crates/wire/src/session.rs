//! The interface of every protocol: a session takes bytes and gives events.

use std::fmt;
use waywarden_model::{DeviceDirectory, Protocol, Record, Timestamp};

/// How the bytes came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    Tcp,
    /// Each datagram is handed over whole, to a session of its own.
    Udp,
}

/// What does not change while a session lives.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Take frames whose checksum is wrong (recorded frames with identifiers made anonymous).
    pub lenient_checksums: bool,
    /// Largest frame in bytes; a longer one is an error and the stream is resynchronised.
    pub max_frame: usize,
    /// Key of the HMAC that makes JT/T 808 authentication codes, the same on every gateway.
    pub auth_key: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lenient_checksums: false,
            max_frame: 32 * 1024,
            auth_key: Vec::new(),
        }
    }
}

/// What a session may ask while it decodes.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// Time of receipt of these bytes.
    pub now: Timestamp,
    pub directory: &'a dyn DeviceDirectory,
    pub settings: &'a Settings,
}

impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// A record as decoded.
#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    /// Has an event time of its own: becomes a record.
    Timed(Record),
    /// The device gave no instant (a heartbeat): `time` is the time of receipt. Counted, shown by
    /// `decode`, not filed.
    Untimed(Record),
}

impl Reading {
    pub fn record(&self) -> &Record {
        match self {
            Self::Timed(r) | Self::Untimed(r) => r,
        }
    }
}

/// One frame that carries data, whole and checked.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodedFrame {
    /// Device of the frame, as the directory named it at log-in or for this frame.
    pub device: waywarden_model::DeviceProfile,
    pub readings: Vec<Reading>,
    /// The bytes as they came on the wire (all parts of a split packet, one after the other).
    pub raw: Vec<u8>,
    /// Seconds east of UTC that the device said at its log-in, where its protocol lets it.
    pub told_offset_s: Option<i32>,
    /// To be sent once the records are durable; None where the protocol has no acknowledgement.
    pub durable_reply: Option<Vec<u8>>,
    /// The durable reply carries the request's serial or type, so that immediate replies may
    /// overtake it.
    pub reply_is_tagged: bool,
}

/// What the bytes meant, in their order.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The device said who it is; candidates in the order in which they are looked up.
    Identified {
        candidates: Vec<String>,
        device: waywarden_model::DeviceProfile,
    },
    /// To be sent at once (log-in, heartbeat).
    Reply(Vec<u8>),
    Frame(DecodedFrame),
    /// A frame of a kind that the decoder does not know, kept raw and counted; the stream goes on.
    Unknown {
        label: &'static str,
        raw: Vec<u8>,
    },
    /// Something was wrong and the stream goes on behind it.
    Error(FrameError),
}

/// What was wrong with a frame. Labels are bounded and stand in metrics.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrameErrorKind {
    /// Bytes that begin no frame were skipped.
    Garbage,
    BadChecksum,
    /// A length, count or trailer contradicts another.
    BadLength,
    TooLong,
    /// The frame ends within a field.
    Truncated,
    /// A value that cannot be (a date of month 13).
    BadValue,
    /// The device is encrypted, or a part of a split packet never came.
    Unsupported,
    /// Data before log-in.
    NotLoggedIn,
    /// The directory refuses the device.
    Refused,
}

impl FrameErrorKind {
    pub const ALL: [Self; 9] = [
        Self::Garbage,
        Self::BadChecksum,
        Self::BadLength,
        Self::TooLong,
        Self::Truncated,
        Self::BadValue,
        Self::Unsupported,
        Self::NotLoggedIn,
        Self::Refused,
    ];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Garbage => "garbage",
            Self::BadChecksum => "bad_checksum",
            Self::BadLength => "bad_length",
            Self::TooLong => "too_long",
            Self::Truncated => "truncated",
            Self::BadValue => "bad_value",
            Self::Unsupported => "unsupported",
            Self::NotLoggedIn => "not_logged_in",
            Self::Refused => "refused",
        }
    }
}

/// A framing or decoding error, with what and where.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{}: {what} (at byte {at})", kind.label())]
pub struct FrameError {
    pub kind: FrameErrorKind,
    pub what: &'static str,
    /// Offset within the frame, or within the input where no frame was found.
    pub at: usize,
    /// The bytes concerned, cut to a bound by who keeps them.
    pub raw: Vec<u8>,
}

/// How far the session came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// `consumed` bytes are done with; what is left begins a frame that is not complete.
    /// `consumed` may be 0.
    NeedMore { consumed: usize },
    /// The stream cannot go on: close the connection after what is already to be sent.
    Close {
        consumed: usize,
        reason: FrameErrorKind,
    },
}

/// One connection (or one datagram) of a protocol.
///
/// Contract, held by property tests for every protocol: fed in any split, the events are the
/// same; truncated anywhere, it wants more or reports an error and never panics and never makes
/// up a record.
pub trait Session: Send + fmt::Debug {
    fn protocol(&self) -> Protocol;

    /// Reads all whole frames of `input` and appends what they mean to `out`.
    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress;
}
