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
    pub const fn record(&self) -> &Record {
        match self {
            Self::Timed(r) | Self::Untimed(r) => r,
        }
    }
}

/// What a frame said, in its order. A large frame's records are kept as the log takes them: each
/// move of one is felt.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Readings {
    timed: Vec<Record>,
    /// Each with the number of timed ones before it.
    untimed: Vec<(usize, Record)>,
}

impl Readings {
    pub(crate) fn with_capacity(records: usize) -> Self {
        Self {
            timed: Vec::with_capacity(records),
            untimed: Vec::new(),
        }
    }

    pub fn push(&mut self, reading: Reading) {
        match reading {
            Reading::Timed(record) => self.timed.push(record),
            Reading::Untimed(record) => self.untimed.push((self.timed.len(), record)),
        }
    }

    /// So many records, each read where it will stay, from a report of `now` that says nothing more;
    /// `read` gives its time in milliseconds since 1970, as it came. One that no calendar has is no
    /// time: the record keeps the one it began with.
    pub(crate) fn read_in_place<E>(
        count: usize,
        now: Timestamp,
        mut read: impl FnMut(&mut Record) -> Result<i64, E>,
    ) -> Result<Self, E> {
        let mut timed = Vec::with_capacity(count);
        timed.extend((0..count).map(|_| Record::status(now)));
        let mut without = Vec::new();
        for (n, record) in timed.iter_mut().enumerate() {
            let ms = read(record)?;
            // Times are unsigned on the wire: what is negative here lies beyond all of them.
            if (0..Timestamp::MAX.millis()).contains(&ms) {
                record.time = Timestamp::from_millis(ms);
            } else {
                without.push(n);
            }
        }
        let mut untimed = Vec::with_capacity(without.len());
        for (gone, n) in without.into_iter().enumerate() {
            untimed.push((n - gone, timed.remove(n - gone)));
        }
        Ok(Self { timed, untimed })
    }

    pub fn len(&self) -> usize {
        self.timed.len() + self.untimed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that have an event time of their own.
    pub fn timed(&self) -> &[Record] {
        &self.timed
    }

    /// The same, for good.
    pub fn into_timed(self) -> Vec<Record> {
        self.timed
    }

    /// All of them, each with whether it has an event time of its own.
    pub fn iter(&self) -> impl Iterator<Item = (&Record, bool)> {
        let mut untimed = self.untimed.iter().peekable();
        let mut timed = self.timed.iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let next = timed.peek().map(|(n, _)| *n);
            let first = untimed.next_if(|(before, _)| next.is_none_or(|n| *before <= n));
            first
                .map(|(_, record)| (record, false))
                .or_else(|| timed.next().map(|(_, record)| (record, true)))
        })
    }
}

impl From<Reading> for Readings {
    fn from(reading: Reading) -> Self {
        let mut readings = Self::default();
        readings.push(reading);
        readings
    }
}

/// One frame that carries data, whole and checked.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodedFrame {
    /// Device of the frame, as the directory named it at log-in or for this frame.
    pub device: waywarden_model::DeviceProfile,
    pub readings: Readings,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_time_keeps_its_place_among_what_has() {
        let record = |ms| Record::status(Timestamp::from_millis(ms));
        let mut came = [2, -1, i64::MAX, 5].into_iter();
        let read = |_: &mut Record| came.next().ok_or(());
        let mut readings = Readings::read_in_place(4, Timestamp::from_millis(3), read).unwrap();
        readings.push(Reading::Untimed(record(6)));
        let all: Vec<_> = readings.iter().map(|(r, t)| (r.time.millis(), t)).collect();
        let expected = [(2, true), (3, false), (3, false), (5, true), (6, false)];
        assert_eq!(all, expected);
        assert_eq!((readings.len(), readings.is_empty()), (5, false));
        assert_eq!(readings.into_timed(), [record(2), record(5)]);
    }
}
