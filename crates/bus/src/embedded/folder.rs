//! Opening the folder: the lock, the segments that are there, what a crash left behind.

use super::meta::Meta;
use super::segment::{self, Active, Segment};
use super::{OpenError, Options};
use std::fs::{File, TryLockError};
use std::path::Path;

/// A folder that is ours, with everything that a log starts from.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) meta: Meta,
    /// Oldest first; never empty, the last one is written to.
    pub(super) segments: Vec<Segment>,
    pub(super) active: Active,
    /// Per partition, the offset that the next message gets.
    pub(super) ends: Vec<u64>,
    /// Held for as long as the log is open.
    pub(super) lock: File,
}

pub(super) fn open(dir: &Path, options: &Options) -> Result<Opened, OpenError> {
    if options.partitions == 0
        || options.segment_bytes == 0
        || options.queue_messages == 0
        || options.queue_bytes == 0
    {
        return Err(OpenError::Options);
    }
    let lock = lock(dir)?;
    let meta = Meta::open(dir, options)?;
    let mut segments = load_segments(dir, options)?;
    drop_premature(&mut segments)?;
    let (active, ends) = match segments.last() {
        Some(last) => Active::open(last).map_err(|error| database(&last.path, error))?,
        None => {
            let (first, active) = first_segment(dir, &meta, options.partitions)?;
            let ends = first.starts.clone();
            segments.push(first);
            (active, ends)
        }
    };
    Ok(Opened {
        meta,
        segments,
        active,
        ends,
        lock,
    })
}

fn first_segment(dir: &Path, meta: &Meta, partitions: u32) -> Result<(Segment, Active), OpenError> {
    let path = Segment::file(dir, 1);
    let failed = |error| database(&path, error);
    if meta.begun().map_err(failed)? {
        return Err(OpenError::Damaged {
            path: dir.to_owned(),
            what: "its segments are gone",
        });
    }
    let first = Segment {
        number: 1,
        path: path.clone(),
        starts: vec![0; partitions as usize],
        bytes: 0,
    };
    let active = Active::create(&first).map_err(failed)?;
    sync_folder(dir).map_err(|error| folder(dir, error))?;
    meta.begin().map_err(failed)?;
    Ok((first, active))
}

/// The names of new files are durable only when their folder is.
pub(super) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    std::fs::create_dir_all(dir).map_err(|error| folder(dir, error))?;
    let file = File::create(dir.join("lock")).map_err(|error| folder(dir, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(folder(dir, error)),
    }
}

fn load_segments(dir: &Path, options: &Options) -> Result<Vec<Segment>, OpenError> {
    let mut numbers = numbers(dir).map_err(|error| folder(dir, error))?;
    numbers.sort_unstable();
    let mut segments: Vec<Segment> = Vec::with_capacity(numbers.len());
    for (i, number) in numbers.iter().enumerate() {
        let path = Segment::file(dir, *number);
        let starts = segment::open_reader(&path)
            .and_then(|connection| segment::load_starts(&connection, options.partitions))
            .map_err(|error| database(&path, error))?;
        let found = Segment {
            number: *number,
            bytes: segment::disk_bytes(&path),
            path,
            starts: starts.clone().unwrap_or_default(),
        };
        match starts {
            Some(_) => segments.push(found),
            // The process ended while it made the newest segment: nothing can be in it.
            None if i + 1 == numbers.len() => {
                found.remove().map_err(|error| folder(dir, error))?;
            }
            None => {
                return Err(OpenError::Damaged {
                    path: dir.to_owned(),
                    what: "a segment does not say where it begins",
                });
            }
        }
    }
    check_order(dir, &segments)?;
    Ok(segments)
}

/// Removes a newest segment that was made and could not be used: it is empty, and the one before it
/// was written further than where it begins.
fn drop_premature(segments: &mut Vec<Segment>) -> Result<(), OpenError> {
    let [.., former, newest] = segments.as_slice() else {
        return Ok(());
    };
    let ends = |segment: &Segment| {
        segment::open_reader(&segment.path)
            .and_then(|connection| segment::ends(&connection, &segment.starts))
            .map_err(|error| database(&segment.path, error))
    };
    let (ends, former) = (ends(newest)?, ends(former)?);
    let starts = || former.iter().zip(&newest.starts);
    if starts().any(|(end, start)| end < start) {
        return Err(OpenError::Damaged {
            path: newest.path.clone(),
            what: "the segment before it ends too early",
        });
    }
    if ends == newest.starts && starts().any(|(end, start)| end > start) {
        newest
            .remove()
            .map_err(|error| folder(&newest.path, error))?;
        segments.pop();
    }
    Ok(())
}

/// Numbers of the segments in `dir`; what SQLite kept beside a removed segment is swept away.
fn numbers(dir: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        if let Some(number) = Segment::number_of(name) {
            numbers.push(number);
        } else if let Some(database) = name
            .strip_suffix("-wal")
            .or_else(|| name.strip_suffix("-shm"))
            && Segment::number_of(database).is_some()
            && !dir.join(database).exists()
        {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(numbers)
}

/// A segment that went missing in the middle would be a hole in the log.
fn check_order(dir: &Path, segments: &[Segment]) -> Result<(), OpenError> {
    for pair in segments.windows(2) {
        let grows = pair[0]
            .starts
            .iter()
            .zip(&pair[1].starts)
            .all(|(a, b)| a <= b);
        if pair[1].number != pair[0].number + 1 || !grows {
            return Err(OpenError::Damaged {
                path: dir.to_owned(),
                what: "a segment is missing between two others",
            });
        }
    }
    Ok(())
}

fn folder(dir: &Path, error: std::io::Error) -> OpenError {
    OpenError::Folder {
        path: dir.to_owned(),
        error,
    }
}

fn database(path: &Path, error: rusqlite::Error) -> OpenError {
    OpenError::Database {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(dir: &Path) -> Result<Opened, OpenError> {
        let options = Options {
            partitions: 2,
            ..Options::default()
        };
        open(dir, &options)
    }

    /// A log of two messages in partition 0, and behind it a segment that begins at `starts`.
    fn folder_with(starts: [u64; 2]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut first = opened(folder.path()).unwrap();
        let rows = [(0, 0, &b"a"[..]), (0, 1, &b"b"[..])];
        first.active.commit(rows.into_iter()).unwrap();
        let second = Segment {
            number: 2,
            path: Segment::file(folder.path(), 2),
            starts: starts.to_vec(),
            bytes: 0,
        };
        Active::create(&second).unwrap();
        folder
    }

    #[test]
    fn a_segment_that_was_made_and_never_used_hides_nothing() {
        // Where making it failed, the one before was written further.
        let folder = folder_with([1, 0]);
        let opened = opened(folder.path()).unwrap();
        assert_eq!((opened.segments.len(), opened.ends), (1, vec![2, 0]));
    }

    #[test]
    fn a_segment_that_follows_stays() {
        let folder = folder_with([2, 0]);
        let opened = opened(folder.path()).unwrap();
        assert_eq!((opened.segments.len(), opened.ends), (2, vec![2, 0]));
    }

    #[test]
    fn a_segment_that_lost_its_end_is_damage() {
        let folder = folder_with([3, 0]);
        match opened(folder.path()) {
            Err(OpenError::Damaged { what, .. }) => assert!(what.contains("too early")),
            opened => panic!("{opened:?}"),
        }
    }
}
