//! The administration's side of the store: registers, tokens, backup, the record of reads.

use crate::batch::Result;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use waywarden_model::registry::Registers;
use waywarden_model::{LocalDay, Timestamp};

/// What a token may do; each role includes those before it where the console says so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Viewer,
    Operator,
    Agency,
    Administrator,
}

impl Role {
    pub const ALL: [Self; 4] = [
        Self::Viewer,
        Self::Operator,
        Self::Agency,
        Self::Administrator,
    ];

    /// Name in the command line, JSON and the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Agency => "agency",
            Self::Administrator => "administrator",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// A token as filed: only the hash of its secret is known.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Token {
    pub name: String,
    pub role: Role,
    pub created: Timestamp,
    /// Not valid from this instant on.
    pub expires: Timestamp,
    pub withdrawn: Option<Timestamp>,
}

impl Token {
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.withdrawn.is_none() && now < self.expires
    }
}

/// SHA-256 of a token's secret.
pub type TokenHash = [u8; 32];

/// A read of personal data, for the record.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct ReadOfData {
    pub at: Timestamp,
    /// Name of the token.
    pub token: String,
    /// Kind of what was read: driver, track, export, pull, evidence.
    pub what: String,
    /// Id of the driver or vehicle, or the filter of an export.
    pub object: String,
    pub purpose: String,
}

/// New content of the registers, or of some of them.
#[derive(Clone, PartialEq, Debug)]
pub struct RegisterChange {
    /// Version that the change was made on; another head refuses it.
    pub expected_head: u32,
    /// All registers as they shall be; those whose content stays are not written again.
    pub registers: Registers,
    pub author: String,
    pub note: String,
    pub now: Timestamp,
    /// Partitions of the log that are to be told, 0 to `partitions` - 1.
    pub partitions: u32,
}

/// What is no longer kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Older {
    /// Positions of earlier event time, their frames, the states of earlier days, what was set
    /// aside before, alerts that ended before; driving periods some weeks later, since a week is judged as a whole. The
    /// beginning of a local day.
    pub positions: Timestamp,
    /// That day.
    pub day: LocalDay,
    /// Reads recorded earlier.
    pub reads: Timestamp,
}

/// A registry version that a partition has yet to be told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Announcement {
    pub version: u32,
    pub partition: u32,
}

/// What the commands and the console's administration ask of the store.
#[async_trait]
pub trait AdminStore: Send + Sync + std::fmt::Debug + 'static {
    /// Makes a new registry version and queues its number for every partition: all or nothing.
    /// Where nothing differs from the head, the head is given back and nothing is written.
    ///
    /// # Errors
    /// [`Conflict`](crate::StoreError::Conflict) when the head is not the expected one.
    async fn save_registers(&self, change: RegisterChange) -> Result<u32>;

    /// Newest registry version; 0 (empty registers) before the first import.
    async fn registry_head(&self) -> Result<u32>;

    /// Whether some process owns a partition right now and is connected. What is kept in a file
    /// belongs to whoever holds its folder, which tells it: there the answer is no.
    async fn is_worked(&self) -> Result<bool>;

    /// Announcements to publish, by version; those not acknowledged are given again.
    async fn take_outbox(&self, limit: usize) -> Result<Vec<Announcement>>;

    /// The announcements are durable in the log.
    async fn ack_outbox(&self, done: Vec<Announcement>) -> Result<()>;

    /// # Errors
    /// [`Conflict`](crate::StoreError::Conflict) when a token of this name is in force.
    async fn create_token(&self, hash: TokenHash, token: Token) -> Result<()>;

    /// All tokens, the newest last, withdrawn ones too.
    async fn tokens(&self) -> Result<Vec<Token>>;

    /// # Errors
    /// [`NotFound`](crate::StoreError::NotFound) when no token of this name is in force.
    async fn withdraw_token(&self, name: &str, now: Timestamp) -> Result<()>;

    /// The token with this hash, in force or not: the caller asks [`Token::is_valid_at`].
    async fn find_token(&self, hash: TokenHash) -> Result<Option<Token>>;

    async fn record_read(&self, read: ReadOfData) -> Result<()>;

    /// The newest reads first, at most `limit`.
    async fn reads(&self, limit: usize) -> Result<Vec<ReadOfData>>;

    /// Removes what is older, a few thousand rows at most; gives how many went, 0 when nothing that
    /// old is left. Violations, their evidence, reviews and changes stay.
    async fn prune(&self, older: Older) -> Result<u64>;

    /// Writes a consistent copy into `dir` while the store is in use, and makes it durable; gives
    /// the file. A copy of the same name is replaced at once, or stays whole.
    async fn backup(&self, dir: &Path) -> Result<PathBuf>;
}
