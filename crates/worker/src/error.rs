//! Why a partition stops, and what of it passes.

use crate::rebuild::RebuildError;
use waywarden_bus::BusError;
use waywarden_rules::StateError;
use waywarden_store::StoreError;

/// Why a partition stopped.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    State(#[from] StateError),
    /// The log is not the one that the partition was read from.
    #[error(
        "partition {partition} was read from log {expected}, this is {found}. Configure that one, \
         or go on with this one: --accept-gap"
    )]
    OtherLog {
        partition: u32,
        expected: String,
        found: String,
    },
    /// What is to be judged next is not in the log.
    #[error(
        "partition {partition} goes on at {wanted}, and the log holds {begin} to {end}: what was \
         between is gone. Restore the log, or go on without it: --accept-gap"
    )]
    Gone {
        partition: u32,
        wanted: u64,
        begin: u64,
        end: u64,
    },
    /// The log has the name of the one that was read, and holds something else.
    #[error(
        "partition {partition} was read up to {position}, and another message stands there now: \
         the log was made anew. Restore it, or go on with this one: --accept-gap"
    )]
    MadeAnew { partition: u32, position: u64 },
    /// What is on file was judged by other profiles.
    #[error(
        "partition {partition} was judged by other profiles than this program has. Configure those \
         (`rules.regime`, `rules.profiles`), or judge by these from when they are the law: \
         waywarden recalculate, while nothing else runs, or --accept-profiles"
    )]
    OtherProfiles { partition: u32 },
    #[error("a commit ended without an outcome: {0}")]
    Lost(String),
    /// A defect of ours. Another worker would meet the same.
    #[error("judging ended in a defect: {0}")]
    Defect(String),
}

impl WorkerError {
    /// Whether a new claim may help: a full disk, a connection that is gone. Nothing is lost by it,
    /// since the claim goes on at the position on file; and where the log does not hold what comes
    /// next, the claim tells what that means.
    pub const fn may_pass(&self) -> bool {
        match self {
            // A position that went back is that of a server which took over without the last
            // commits.
            Self::Store(error) => matches!(
                error,
                StoreError::Failed(_) | StoreError::Insecure(_) | StoreError::PositionMoved { .. }
            ),
            Self::Bus(error) => matches!(
                error,
                BusError::Write(_)
                    | BusError::Read(_)
                    | BusError::OutOfRange { .. }
                    | BusError::MadeAnew { .. }
            ),
            Self::State(_)
            | Self::OtherLog { .. }
            | Self::Gone { .. }
            | Self::MadeAnew { .. }
            | Self::OtherProfiles { .. }
            | Self::Lost(_)
            | Self::Defect(_) => false,
        }
    }

    /// Whether somebody may say that what is missing in the log is given up.
    pub(crate) const fn is_gap(&self) -> bool {
        matches!(
            self,
            Self::OtherLog { .. } | Self::Gone { .. } | Self::MadeAnew { .. }
        )
    }

    /// Whether another owner has claimed the partition.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, Self::Store(StoreError::Superseded { .. }))
    }
}

impl From<RebuildError> for WorkerError {
    fn from(error: RebuildError) -> Self {
        match error {
            RebuildError::Store(error) => Self::Store(error),
            RebuildError::State(error) => Self::State(error),
        }
    }
}
