//! Tables, migrations and queries behind traits; the only crate that knows SQL.

pub mod admin;
pub mod alerts;
#[cfg(test)]
#[path = "../tests/suite/any.rs"]
mod any;
pub mod aside;
pub mod batch;
mod episodes;
mod evidence;
pub mod facts;
mod filed;
pub mod folder;
mod parts;
pub mod preview;
mod pull;
pub mod read;
pub mod rebuild;
pub mod redecode;
mod rows;
pub mod sqlite;
mod stage;
pub mod summary;
pub mod timescale;

pub use admin::*;
pub use alerts::{AlertFilter, AlertKey};
pub use aside::{AsideStore, TakenIn};
pub use batch::*;
pub use facts::{FactStore, Filed};
pub use folder::{DataFolder, FolderError};
pub use parts::{pack_registers, unpack_registers};
pub use preview::{Foreseen, Overlay, PreviewStore, SourcePreview};
pub use read::{ConsoleStore, ReadStore};
pub use rebuild::{Due, Mark, RebuildStore, Rebuilt, Replaced, Reversed, StoredRecord, Stretch};
pub use redecode::{Framed, KeptFrame, RedecodeStore, Redecoded, SaidNow};
pub use sqlite::{Options, SqliteStore, schema_of};
pub use summary::{Summary, SummaryFilter, SummaryOf, ViolationSum};
pub use timescale::{TimescaleOptions, TimescaleStore, timescale_reach, timescale_schema_of};

/// Everything that the program asks of a store, whichever it is.
pub trait Store: WorkerStore + ConsoleStore + PreviewStore {}

impl<T: WorkerStore + ConsoleStore + PreviewStore> Store for T {}
