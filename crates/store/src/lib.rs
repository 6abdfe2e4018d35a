//! Tables, migrations and queries behind traits; the only crate that knows SQL.

pub mod admin;
pub mod batch;
pub mod facts;
pub mod folder;
pub mod read;
pub mod rebuild;
pub mod sqlite;

pub use admin::*;
pub use batch::*;
pub use facts::{FactStore, Filed};
pub use folder::{DataFolder, FolderError};
pub use read::{ConsoleStore, ReadStore};
pub use rebuild::{Due, Mark, RebuildStore, Rebuilt, Replaced, StoredRecord};
pub use sqlite::{Options, SqliteStore, schema_of};
