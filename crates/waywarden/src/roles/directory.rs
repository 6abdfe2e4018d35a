//! The registers as roles know them, with a copy on disk so that a gateway starts without the store.

use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_model::registry::{Registers, Registry, RegistryDirectory};
use waywarden_store::{Store, pack_registers, unpack_registers};

/// Between two looks for a newer version.
const LOOK: Duration = Duration::from_secs(2);
/// What a gateway does not wait longer for at its start.
const AT_START: Duration = Duration::from_secs(10);

/// The newest registry version.
pub async fn registry(store: &dyn Store) -> Result<Arc<Registry>> {
    let version = store.registry_head().await?;
    let registers = match version {
        0 => Registers::default(),
        version => store.registers(version).await?,
    };
    Ok(Arc::new(Registry::new(version, registers)))
}

/// A copy of the newest version in the data folder.
#[derive(Debug, Clone)]
pub struct Copy(PathBuf);

impl Copy {
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join("registers"))
    }

    /// What was kept; None where nothing was.
    ///
    /// # Errors
    /// A file that cannot be read, or is no copy.
    pub fn read(&self) -> Result<Option<Registry>> {
        let said = || self.0.display().to_string();
        match std::fs::read(&self.0) {
            Ok(bytes) => {
                let (version, registers) = unpack_registers(&bytes).with_context(said)?;
                Ok(Some(Registry::new(version, registers)))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(said),
        }
    }

    /// Keeps it whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn keep(&self, registry: &Registry) -> Result<()> {
        let bytes = pack_registers(registry.version(), registry.registers())?;
        let begun = self.0.with_extension("new");
        let mut file = std::fs::File::create(&begun)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&begun, &self.0)?;
        Ok(())
    }
}

/// The registers to begin with: the store's, else the copy's.
///
/// # Errors
/// Neither is to be had.
pub async fn at_start(
    store: impl Future<Output = Result<Arc<dyn Store>>>,
    copy: &Copy,
) -> Result<(Option<Arc<dyn Store>>, Arc<Registry>)> {
    let asked = tokio::time::timeout(AT_START, async {
        let store = store.await?;
        let registry = registry(store.as_ref()).await?;
        anyhow::Ok((store, registry))
    });
    let why = match asked.await {
        Ok(Ok((store, registry))) => {
            copy.keep(&registry)?;
            return Ok((Some(store), registry));
        }
        Ok(Err(error)) => error,
        Err(_) => anyhow::anyhow!("no answer within {} s", AT_START.as_secs()),
    };
    match copy.read()? {
        Some(registry) => {
            let (error, version) = (format!("{why:#}"), registry.version());
            tracing::warn!(
                error,
                version,
                "the store is away: devices are known from the copy"
            );
            Ok((None, Arc::new(registry)))
        }
        None => Err(why.context("the store is away, and there is no copy of the registers yet")),
    }
}

/// Keeps the directory at the newest version until `stop`; a store that is away is asked again.
pub async fn follow(
    config: crate::config::Config,
    mut store: Option<Arc<dyn Store>>,
    directory: Arc<RegistryDirectory>,
    copy: Copy,
    stop: CancellationToken,
) {
    let mut away = store.is_none();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        directory.set_now(crate::clock::now());
        let looked = look(&config, &mut store, &directory, &copy);
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = looked => looked,
        };
        let failed = looked.is_err();
        match looked {
            Ok(()) if away => tracing::info!("the store answers again"),
            Err(error) if !away => {
                let error = format!("{error:#}");
                tracing::warn!(error, "the store is away: devices are known from the copy");
            }
            _ => {}
        }
        away = failed;
    }
}

async fn look(
    config: &crate::config::Config,
    store: &mut Option<Arc<dyn Store>>,
    directory: &RegistryDirectory,
    copy: &Copy,
) -> Result<()> {
    let store = match store {
        Some(store) => store,
        None => store.insert(crate::store::open(config).await?),
    };
    let head = store.registry_head().await?;
    if head == directory.registry().version() {
        return Ok(());
    }
    let newest = registry(store.as_ref()).await?;
    copy.keep(&newest)?;
    directory.replace(newest);
    tracing::info!(version = head, "registry version in force");
    Ok(())
}
