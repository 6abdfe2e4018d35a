//! The fleet's own book: which records were acknowledged. What a test holds against the store.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use waywarden_model::Record;
use waywarden_model::hash::content_hash;

/// The ledger cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct LedgerError(#[from] std::io::Error);

/// One line of JSON for each acknowledged record: device, event time in milliseconds, content hash.
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

    /// Enters the records of one acknowledged frame and hands them to the operating system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn acknowledged(&self, device: &str, records: &[Record]) -> Result<(), LedgerError> {
        let Some(file) = &self.0 else { return Ok(()) };
        // A poisoned lock holds a file that is as good as before.
        let mut file = file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for record in records {
            let (time, hash) = (record.time.millis(), content_hash(record));
            writeln!(
                file,
                "{{\"device\":\"{device}\",\"time\":{time},\"hash\":\"{hash:016x}\"}}"
            )?;
        }
        Ok(file.flush()?)
    }
}
