//! Opening the embedded store for commands that work beside a running process.

use crate::config::Config;
use crate::exit::Ending;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use waywarden_store::{AdminStore, DataFolder, Options, SqliteStore, schema_of};

/// Partitions of the embedded log. Fixed when a data folder is made.
pub const PARTITIONS: u32 = 4;

/// The data folder that a command works on.
#[derive(Debug, Clone, clap::Args)]
pub struct Data {
    /// The data folder, in place of the configuration's.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration that the running program has; without it the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Data {
    /// The configuration, with the folder that was named over it.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
        Ok(config)
    }

    /// Opens the folder's store; a process that runs on the folder may go on.
    pub fn open(&self) -> Result<SqliteStore> {
        let config = self.config()?;
        let folder = config.data.display().to_string();
        std::fs::create_dir_all(&config.data).context(folder)?;
        open(&config.data.join("store.db"), config.store)
    }

    /// Opens what is there, for commands that only read.
    ///
    /// # Errors
    /// [`Ending::Missing`] where the folder holds no store.
    pub fn open_existing(&self) -> Result<SqliteStore> {
        let config = self.config()?;
        let path = config.data.join("store.db");
        if !path.is_file() {
            let why = format!(
                "{} is not there; --data or --config names the data folder",
                path.display()
            );
            return Err(Ending::Missing(why).into());
        }
        open(&path, config.store)
    }
}

fn open(path: &Path, options: Options) -> Result<SqliteStore> {
    SqliteStore::open(path, options).with_context(|| path.display().to_string())
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
///
/// # Errors
/// A folder in use, or made by a newer program: nothing is touched then.
pub fn migrate(args: &MigrateArgs) -> Result<()> {
    let config = args.data.config()?;
    let folder = DataFolder::open(&config.data)?;
    let file = folder.store_file();
    let before = schema_of(&file).with_context(|| file.display().to_string())?;
    drop(open(&file, config.store)?);
    let after = schema_of(&file)?;
    let said = |v: Option<u32>| v.map_or_else(|| "none".to_owned(), |v| v.to_string());
    let (before, after) = (said(before), said(after));
    let file = file.display();
    eprintln!("waywarden: schema of {file}: {before} before, {after} now");
    Ok(())
}
