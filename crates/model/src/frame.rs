//! What the gateway makes durable: one device frame with its records, and the marks between them.

use crate::ids::SourceId;
use crate::record::Record;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Protocols that the gateway speaks. The numbers are filed and sent: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Protocol {
    Teltonika = 1,
    Gt06 = 2,
    Jt808 = 3,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Teltonika, Self::Gt06, Self::Jt808];

    /// Lower-case name in settings, labels and columns.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teltonika => "teltonika",
            Self::Gt06 => "gt06",
            Self::Jt808 => "jt808",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|p| *p as u8 == n)
    }

    /// The port that the field configures its devices with.
    pub const fn port(self) -> u16 {
        match self {
            Self::Teltonika => 5027,
            Self::Gt06 => 5023,
            Self::Jt808 => 5015,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One device frame: its records and its raw bytes, made durable as one message.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    pub source: SourceId,
    pub protocol: Protocol,
    /// Time of receipt, stamped once by the gateway; never goes back.
    pub received: Timestamp,
    /// From a device that is held: filed, not judged.
    pub held: bool,
    /// Seconds east of UTC that the device said at its log-in, where its protocol lets it: the
    /// frame itself does not tell, and decoding it again needs it.
    pub told_offset_s: Option<i32>,
    pub records: Vec<Record>,
    /// The bytes as they came, for evidence and for decoding again.
    pub raw: Vec<u8>,
}

/// A gateway's 'I am listening since ..., it is ...'.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tick {
    pub gateway: String,
    pub listening_since: Timestamp,
    pub now: Timestamp,
}

/// What stands in the log.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    Frame(Frame),
    Tick(Tick),
    /// From here on the partition is judged with this registry version.
    Registry(u32),
}
