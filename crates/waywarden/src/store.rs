//! Opening the embedded store for commands that work beside a running process.

use crate::exit::Ending;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use waywarden_store::{AdminStore, Options, SqliteStore};

/// Partitions of the embedded log. Fixed when a data folder is made.
pub const PARTITIONS: u32 = 4;

/// The data folder that a command works on.
#[derive(Debug, Clone, clap::Args)]
pub struct Data {
    /// The data folder.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

impl Data {
    /// Opens the folder's store; a process that runs on the folder may go on.
    pub fn open(&self) -> Result<SqliteStore> {
        std::fs::create_dir_all(&self.data).with_context(|| self.data.display().to_string())?;
        open(&self.data.join("store.db"))
    }

    /// Opens what is there, for commands that only read.
    ///
    /// # Errors
    /// [`Ending::Missing`] where the folder holds no store.
    pub fn open_existing(&self) -> Result<SqliteStore> {
        let path = self.data.join("store.db");
        if !path.is_file() {
            let why = format!(
                "{} is not there; --data names the data folder",
                path.display()
            );
            return Err(Ending::Missing(why).into());
        }
        open(&path)
    }
}

fn open(path: &Path) -> Result<SqliteStore> {
    SqliteStore::open(path, Options::default()).with_context(|| path.display().to_string())
}

/// A runtime for one command.
pub fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

#[derive(Debug, clap::Args)]
pub struct BackupArgs {
    #[command(flatten)]
    data: Data,
    /// Folder that takes the copy.
    dir: PathBuf,
}

/// `waywarden backup DIR`.
pub fn backup(args: &BackupArgs) -> Result<()> {
    let store = args.data.open_existing()?;
    let copy = block_on(async { Ok(store.backup(&args.dir).await?) })?;
    eprintln!("waywarden: {} is a whole copy of the store", copy.display());
    Ok(())
}

#[derive(Debug, clap::Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    data: Data,
}

/// `waywarden migrate`: brings the store to this program's schema; no process may run on the
/// folder.
pub fn migrate(args: &MigrateArgs) -> Result<()> {
    let folder = waywarden_store::DataFolder::open(&args.data.data)?;
    let before = waywarden_store::schema_of(&folder.store_file())?;
    let store = open(&folder.store_file())?;
    drop(store);
    let after = waywarden_store::schema_of(&folder.store_file())?;
    let said = |v: Option<u32>| v.map_or_else(|| "none".to_owned(), |v| v.to_string());
    eprintln!(
        "waywarden: schema of {}: {} before, {} now",
        folder.store_file().display(),
        said(before),
        said(after)
    );
    Ok(())
}
