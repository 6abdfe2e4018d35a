//! Opening the embedded store for commands that work beside a running process.

use crate::config::{Config, StoreKind};
use crate::exit::Ending;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use waywarden_store::{
    DataFolder, SqliteStore, Store, StoreError, TimescaleStore, schema_of, timescale_schema_of,
};

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

    /// Opens the store; a process that runs on it may go on.
    pub async fn open(&self) -> Result<Arc<dyn Store>> {
        let config = self.config()?;
        let folder = config.data.display().to_string();
        std::fs::create_dir_all(&config.data).context(folder)?;
        open(&config).await
    }

    /// Opens what is there, for commands that only read.
    ///
    /// # Errors
    /// [`Ending::Missing`] where the folder holds no store.
    pub async fn open_existing(&self) -> Result<Arc<dyn Store>> {
        let config = self.config()?;
        let path = config.data.join("store.db");
        if config.store_kind == StoreKind::Sqlite && !path.is_file() {
            let why = format!(
                "{} is not there; --data or --config names the data folder",
                path.display()
            );
            return Err(Ending::Missing(why).into());
        }
        open(&config).await
    }
}

/// The store that the configuration names, brought to this program's schema.
pub async fn open(config: &Config) -> Result<Arc<dyn Store>> {
    Ok(match config.store_kind {
        StoreKind::Sqlite => {
            let path = config.data.join("store.db");
            let store = SqliteStore::open(&path, config.store.clone());
            Arc::new(store.with_context(|| path.display().to_string())?)
        }
        StoreKind::Timescale => {
            let options = config.timescale.clone();
            let store = TimescaleStore::open(&server(config)?, options).await;
            Arc::new(store.context("the server of the store")?)
        }
    })
}

/// Between two attempts to reach a store that is away.
const AGAIN: Duration = Duration::from_secs(2);

/// Opens the store, and waits for one that is away.
///
/// # Errors
/// A store that may not be used: of a newer program, without its extension, not safely reached.
pub async fn wait_for(config: &Config) -> Result<Arc<dyn Store>> {
    let mut told = false;
    loop {
        let error = match open(config).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        if !matches!(error.downcast_ref(), Some(StoreError::Failed(_))) {
            return Err(error);
        }
        if !std::mem::replace(&mut told, true) {
            let error = format!("{error:#}");
            tracing::warn!(error, "the store is away; it is tried again");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// How the server is reached, with the password from its file.
fn server(config: &Config) -> Result<String> {
    let mut server = config.store_server.clone();
    if let Some(path) = &config.store_password_file {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let quoted = text.trim().replace('\\', "\\\\").replace('\'', "\\'");
        server.push_str(&format!(" password='{quoted}'"));
    }
    Ok(server)
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
    let copy = block_on(async {
        let store = args.data.open_existing().await?;
        Ok(store.backup(&args.dir).await?)
    })?;
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
    let (place, before, after) = block_on(async {
        let before = schema(&config).await?;
        drop(open(&config).await?);
        let place = match config.store_kind {
            StoreKind::Sqlite => folder.store_file().display().to_string(),
            StoreKind::Timescale => "the server's database".to_owned(),
        };
        Ok((place, before, schema(&config).await?))
    })?;
    let said = |v: Option<u32>| v.map_or_else(|| "none".to_owned(), |v| v.to_string());
    let (before, after) = (said(before), said(after));
    eprintln!("waywarden: schema of {place}: {before} before, {after} now");
    Ok(())
}

async fn schema(config: &Config) -> Result<Option<u32>> {
    match config.store_kind {
        StoreKind::Sqlite => {
            let file = config.data.join("store.db");
            schema_of(&file).with_context(|| file.display().to_string())
        }
        StoreKind::Timescale => {
            let server = server(config)?;
            let found = timescale_schema_of(&server, &config.timescale).await;
            Ok(found.context("the server of the store")?)
        }
    }
}
