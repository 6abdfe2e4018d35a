//! The data folder: one process at a time, and none that is older than what it holds.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Layout of the folder that this program writes.
const VERSION: u32 = 1;

/// A data folder held by this process until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// The lock goes with the handle, also when the process is killed.
    _lock: File,
}

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("{} has layout version {found}, this program knows {VERSION}", .path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("{} is not a version number", .0.display())]
    Unreadable(PathBuf),
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl FolderError {
    /// Bounded label for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::InUse(_) => "in_use",
            Self::Newer { .. } => "newer",
            Self::Unreadable(_) => "unreadable",
            Self::Io { .. } => "io",
        }
    }
}

impl DataFolder {
    /// Makes the folder where there is none, locks it, and checks its version.
    ///
    /// # Errors
    /// [`FolderError`] when another process holds it, or it was made by a newer program.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let at = |source| FolderError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(at)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(at)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(e)) => return Err(at(e)),
        }
        check_version(path)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The store's database file.
    pub fn store_file(&self) -> PathBuf {
        self.path.join("store.db")
    }
}

fn check_version(folder: &Path) -> Result<(), FolderError> {
    let path = folder.join("VERSION");
    let at = |source| FolderError::Io {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(found) if found > VERSION => Err(FolderError::Newer { path, found }),
            Ok(_) => Ok(()),
            Err(_) => Err(FolderError::Unreadable(path)),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => write_version(folder, &path).map_err(at),
        Err(e) => Err(at(e)),
    }
}

/// By rename, so that a crash leaves no half-written number.
fn write_version(folder: &Path, path: &Path) -> io::Result<()> {
    let partial = folder.join("VERSION.partial");
    let mut f = File::create(&partial)?;
    writeln!(f, "{VERSION}")?;
    f.sync_all()?;
    fs::rename(&partial, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataFolder::open(dir.path()).unwrap();
        assert!(matches!(
            DataFolder::open(dir.path()),
            Err(FolderError::InUse(_))
        ));
        drop(first);
        DataFolder::open(dir.path()).unwrap();
    }

    #[test]
    fn a_newer_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataFolder::open(dir.path()).unwrap());
        fs::write(dir.path().join("VERSION"), "2\n").unwrap();
        assert!(matches!(
            DataFolder::open(dir.path()),
            Err(FolderError::Newer { found: 2, .. })
        ));
        fs::write(dir.path().join("VERSION"), "two").unwrap();
        assert!(matches!(
            DataFolder::open(dir.path()),
            Err(FolderError::Unreadable(_))
        ));
    }
}
