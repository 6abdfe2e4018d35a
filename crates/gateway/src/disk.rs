//! The reserve of free disk: below it no socket is read, and reading resumes by itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Free bytes for the data folder; a test puts its own in the place of the disk's.
pub type FreeSpace = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Asks the file system of `folder` for the bytes that an unprivileged process may still write.
pub fn free_space_of(folder: &Path) -> FreeSpace {
    let folder: PathBuf = folder.to_owned();
    Arc::new(move || {
        let stat = rustix::fs::statvfs(&folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    })
}

/// Whether the disk has room.
pub(crate) struct DiskGuard {
    free_space: FreeSpace,
    reserve: u64,
    free: AtomicU64,
    paused: AtomicBool,
}

impl std::fmt::Debug for DiskGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskGuard").finish_non_exhaustive()
    }
}

/// What a look at the disk changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    None,
    Pause,
    Resume,
}

impl DiskGuard {
    pub(crate) fn new(free_space: FreeSpace, reserve: u64) -> Self {
        Self {
            free_space,
            reserve,
            free: AtomicU64::new(u64::MAX),
            paused: AtomicBool::new(false),
        }
    }

    pub(crate) fn paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Free bytes at the last look; `u64::MAX` before the first.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Ordering::Acquire)
    }

    pub(crate) const fn reserve(&self) -> u64 {
        self.reserve
    }

    /// Looks. Blocks on the file system.
    ///
    /// # Errors
    /// When the file system does not answer; the state stays as it was.
    pub(crate) fn look(&self) -> io::Result<Change> {
        let free = (self.free_space)()?;
        self.free.store(free, Ordering::Release);
        // A tenth above the reserve before reading resumes: the first frames must not pause it
        // again.
        let wanted = if self.paused() {
            self.reserve.saturating_add(self.reserve / 10)
        } else {
            self.reserve
        };
        let pause = free < wanted;
        let was = self.paused.swap(pause, Ordering::AcqRel);
        Ok(match (was, pause) {
            (false, true) => Change::Pause,
            (true, false) => Change::Resume,
            _ => Change::None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_resumes_only_well_above_the_reserve() {
        let free = Arc::new(AtomicU64::new(2000));
        let probe = Arc::clone(&free);
        let guard = DiskGuard::new(Arc::new(move || Ok(probe.load(Ordering::Relaxed))), 1000);
        for (bytes, change, paused) in [
            (2000, Change::None, false),
            (1000, Change::None, false),
            (999, Change::Pause, true),
            (1050, Change::None, true),
            (1099, Change::None, true),
            (1100, Change::Resume, false),
            (1050, Change::None, false),
        ] {
            free.store(bytes, Ordering::Relaxed);
            assert_eq!(guard.look().unwrap(), change, "{bytes}");
            assert_eq!(guard.paused(), paused, "{bytes}");
        }
    }

    #[test]
    fn a_real_disk_answers() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_space_of(folder.path())().unwrap() > 0);
        assert!(free_space_of(Path::new("/no/such/folder"))().is_err());
    }
}
