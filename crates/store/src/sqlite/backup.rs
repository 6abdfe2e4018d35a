//! A consistent copy of the file while it is in use.

use super::open_reader;
use crate::batch::{Result, StoreError};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "store.db";

/// All pages in one step: one read transaction, so that the copy is of one instant however much
/// is written meanwhile, and never begins again.
pub(super) fn backup(from: &Path, dir: &Path) -> Result<PathBuf> {
    let failed = |e: io::Error| StoreError::Failed(format!("backup: {e}"));
    fs::create_dir_all(dir).map_err(failed)?;
    let target = dir.join(NAME);
    let same = |p: &Path| p.canonicalize().ok();
    if same(&target).is_some() && same(&target) == same(from) {
        return Err(StoreError::Failed(
            "backup: the folder is the store's own".into(),
        ));
    }
    let partial = dir.join("store.db.partial");
    match fs::remove_file(&partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    copy(from, &partial)?;
    File::open(&partial)
        .and_then(|f| f.sync_all())
        .map_err(failed)?;
    fs::rename(&partial, &target).map_err(failed)?;
    File::open(dir).and_then(|d| d.sync_all()).map_err(failed)?;
    Ok(target)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = open_reader(from)?;
    let mut copy = Connection::open(to)?;
    match Backup::new(&source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        other => return Err(StoreError::Failed(format!("backup: {other:?}"))),
    }
    copy.close().map_err(|(_, e)| e.into())
}
