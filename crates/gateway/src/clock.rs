//! Stamps of receipt: they never go back, not even over a restart with a clock that did.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use waywarden_model::Timestamp;

/// The time of day, given by the program so that tests and replays can set it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How far ahead of the last stamp the file stands, in milliseconds: a crash forgets no stamp as
/// long as the file is written more often than that.
const MARGIN_MS: i64 = 10_000;

/// Gives stamps, and keeps an instant on disk that none of them has passed.
pub(crate) struct ReceiptClock {
    clock: Clock,
    last: AtomicI64,
    path: PathBuf,
}

impl std::fmt::Debug for ReceiptClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptClock").finish_non_exhaustive()
    }
}

impl ReceiptClock {
    /// Goes on from what `folder` holds.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no instant.
    pub(crate) fn open(folder: &Path, clock: Clock) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("last-stamp");
        let last = match std::fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no instant"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => i64::MIN,
            Err(error) => return Err(error),
        };
        let opened = Self {
            clock,
            last: AtomicI64::new(last),
            path,
        };
        opened.save(MARGIN_MS)?;
        Ok(opened)
    }

    /// Now, or the last stamp where the clock stands before it.
    pub(crate) fn stamp(&self) -> Timestamp {
        let now = (self.clock)().millis();
        Timestamp::from_millis(self.last.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// Milliseconds by which the clock stands before the last stamp; 0 when it does not.
    pub(crate) fn behind_ms(&self) -> i64 {
        let last = self.last.load(Ordering::Acquire);
        last.saturating_sub((self.clock)().millis()).max(0)
    }

    /// Writes an instant that no stamp passes for as long as the margin.
    pub(crate) fn save_ahead(&self) -> io::Result<()> {
        self.save(MARGIN_MS)
    }

    /// Writes the last stamp itself: nothing more will be stamped.
    pub(crate) fn save_last(&self) -> io::Result<()> {
        self.save(0)
    }

    fn save(&self, margin: i64) -> io::Result<()> {
        let value = self.stamp().millis().saturating_add(margin);
        let next = self.path.with_extension("new");
        let mut file = std::fs::File::create(&next)?;
        writeln!(file, "{value}")?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(at: &Arc<AtomicI64>) -> Clock {
        let at = Arc::clone(at);
        Arc::new(move || Timestamp::from_millis(at.load(Ordering::Relaxed)))
    }

    #[test]
    fn stamps_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = Arc::new(AtomicI64::new(100_000));
        let stamps = ReceiptClock::open(folder.path(), clock(&at)).unwrap();
        assert_eq!(stamps.stamp().millis(), 100_000);
        at.store(40_000, Ordering::Relaxed);
        assert_eq!(stamps.stamp().millis(), 100_000);
        assert_eq!(stamps.behind_ms(), 60_000);
        at.store(100_001, Ordering::Relaxed);
        assert_eq!(stamps.stamp().millis(), 100_001);
        assert_eq!(stamps.behind_ms(), 0);
    }

    #[test]
    fn a_crash_forgets_no_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let at = Arc::new(AtomicI64::new(100_000));
        let stamps = ReceiptClock::open(folder.path(), clock(&at)).unwrap();
        at.store(105_000, Ordering::Relaxed);
        let last = stamps.stamp();
        // Never saved again: what a kill leaves. The clock comes back an hour early.
        drop(stamps);
        at.store(-3_500_000, Ordering::Relaxed);
        let again = ReceiptClock::open(folder.path(), clock(&at)).unwrap();
        assert!(again.stamp() >= last);
        assert!(again.behind_ms() > 3_600_000);
    }

    #[test]
    fn an_orderly_end_leaves_no_margin() {
        let folder = tempfile::tempdir().unwrap();
        let at = Arc::new(AtomicI64::new(100_000));
        let stamps = ReceiptClock::open(folder.path(), clock(&at)).unwrap();
        stamps.save_last().unwrap();
        let again = ReceiptClock::open(folder.path(), clock(&at)).unwrap();
        assert_eq!(again.stamp().millis(), 100_000);
    }

    #[test]
    fn a_file_that_is_no_stamp_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("last-stamp"), "yesterday").unwrap();
        let at = Arc::new(AtomicI64::new(0));
        assert!(ReceiptClock::open(folder.path(), clock(&at)).is_err());
    }
}
