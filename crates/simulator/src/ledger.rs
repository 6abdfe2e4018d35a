//! The fleet's own book: which records there were and which were acknowledged. What a test holds
//! against the store.

use crate::carried::Entry;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ledger cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct LedgerError(#[from] std::io::Error);

/// Lines of JSON: `state` (`generated`, once for each record; `acknowledged`, once for each that
/// the server said it has), `device`, `time` (event time in milliseconds) and `hash` (content
/// hash of the record as the protocol carries it, the store's).
#[derive(Debug)]
pub struct Ledger(Option<Mutex<BufWriter<File>>>);

impl Ledger {
    /// Appends to `path`; without one nothing is kept.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: Option<&Path>) -> Result<Self, LedgerError> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Some(Mutex::new(BufWriter::new(file)))))
    }

    pub const fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Enters the records of a frame before it is sent for the first time.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn generated(&self, device: &str, entries: &[Entry]) -> Result<(), LedgerError> {
        let Some(mut file) = self.file() else {
            return Ok(());
        };
        write(&mut file, "generated", device, entries)
    }

    /// Enters the records of one acknowledged frame and hands all lines to the operating system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn acknowledged(&self, device: &str, entries: &[Entry]) -> Result<(), LedgerError> {
        let Some(mut file) = self.file() else {
            return Ok(());
        };
        write(&mut file, "acknowledged", device, entries)?;
        Ok(file.flush()?)
    }

    fn file(&self) -> Option<MutexGuard<'_, BufWriter<File>>> {
        let file = self.0.as_ref()?;
        // A poisoned lock holds a file that is as good as before.
        Some(file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn write(
    file: &mut BufWriter<File>,
    state: &str,
    device: &str,
    entries: &[Entry],
) -> Result<(), LedgerError> {
    for Entry { time, hash } in entries {
        let time = time.millis();
        writeln!(
            file,
            r#"{{"state":"{state}","device":"{device}","time":{time},"hash":"{hash:016x}"}}"#
        )?;
    }
    Ok(())
}
