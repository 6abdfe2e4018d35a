//! What an operator should know of a gateway, and what keeps it from being ready.

use std::fmt;

/// Something that is not as it should be. None that [prevents](Health::prevents): ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Health {
    /// Less free disk than the reserve: no socket is read.
    DiskReserve { free: u64, reserve: u64 },
    /// The log refuses to write: nothing is acknowledged.
    LogFailing,
    /// The clock stands before the last stamp of receipt.
    ClockBehind { ms: i64 },
    /// The last stamp cannot be kept on disk.
    StampNotKept,
    /// The log is away; data is durable on this machine's disk.
    Spooling { messages: u64 },
    /// The log is away and the spool is full: no socket is read.
    SpoolFull { bytes: u64 },
    /// Shutting down: nothing more is taken.
    Stopping,
}

impl Health {
    /// Whether devices had better go elsewhere. A gateway that spools serves them as well as any.
    pub const fn prevents(&self) -> bool {
        !matches!(self, Self::Spooling { .. })
    }

    /// Bounded label for pages and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::DiskReserve { .. } => "disk_reserve",
            Self::LogFailing => "log_failing",
            Self::ClockBehind { .. } => "clock_behind",
            Self::StampNotKept => "stamp_not_kept",
            Self::Spooling { .. } => "spooling",
            Self::SpoolFull { .. } => "spool_full",
            Self::Stopping => "stopping",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DiskReserve { free, reserve } => write!(
                f,
                "{free} bytes of disk are free, the reserve is {reserve}: devices are not read"
            ),
            Self::LogFailing => f.write_str("the log cannot be written: nothing is acknowledged"),
            Self::ClockBehind { ms } => {
                write!(
                    f,
                    "the clock stands {ms} ms before the last stamp of receipt"
                )
            }
            Self::Spooling { messages } => {
                write!(f, "the log is away: {messages} messages wait in the spool")
            }
            Self::SpoolFull { bytes } => write!(
                f,
                "the log is away and the spool is full at {bytes} bytes: devices are not read"
            ),
            Self::StampNotKept => f.write_str("the last stamp of receipt cannot be kept on disk"),
            Self::Stopping => f.write_str("shutting down"),
        }
    }
}
