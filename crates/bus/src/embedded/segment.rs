//! One segment: a SQLite database with a stretch of every partition.

use super::meta::{from_sql, to_sql};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use std::path::{Path, PathBuf};

/// What is known of a segment without opening it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// Per partition, the offset of the first message that this segment can hold.
    pub(super) starts: Vec<u64>,
    /// About how many bytes it takes on disk.
    pub(super) bytes: u64,
}

impl Segment {
    /// File of segment `number` in `dir`; the names sort as the numbers do.
    pub(super) fn file(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("segment-{number:020}.db"))
    }

    /// The number in a file name that [`Segment::file`] gave.
    pub(super) fn number_of(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("segment-")?.strip_suffix(".db")?;
        (digits.len() == 20).then(|| digits.parse().ok()).flatten()
    }

    /// Removes the database and what SQLite keeps beside it. The database goes first: without it
    /// the rest means nothing, and is swept away when the log is opened again.
    pub(super) fn remove(&self) -> std::io::Result<()> {
        std::fs::remove_file(&self.path)?;
        for suffix in ["-wal", "-shm"] {
            match std::fs::remove_file(beside(&self.path, suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `path` with `suffix` behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Bytes of the database and its write-ahead log; 0 where the disk does not say.
pub(super) fn disk_bytes(path: &Path) -> u64 {
    let len = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
    len(path) + len(&beside(path, "-wal"))
}

/// Durable at COMMIT: the write-ahead log is synced by every transaction.
pub(super) fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", 4096)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints write every page a second time: seldom is cheaper, 32 MiB is soon read back.
    connection.query_row("PRAGMA wal_autocheckpoint = 8192", [], |_| Ok(()))
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Active {
    connection: Connection,
    /// Bytes on disk, estimated between commits.
    pub(super) bytes: u64,
    written: bool,
}

impl Active {
    /// Makes the database of `segment`, in one transaction: a file without its starts was never
    /// written to.
    pub(super) fn create(segment: &Segment) -> rusqlite::Result<Self> {
        let mut connection = Connection::open(&segment.path)?;
        configure(&connection)?;
        let tx = connection.transaction()?;
        tx.execute_batch(
            "CREATE TABLE starts(partition INTEGER PRIMARY KEY, offset INTEGER NOT NULL);
             CREATE TABLE entries(partition INTEGER NOT NULL, offset INTEGER NOT NULL,
                 payload BLOB NOT NULL, PRIMARY KEY(partition, offset)) WITHOUT ROWID;",
        )?;
        for (partition, offset) in segment.starts.iter().enumerate() {
            tx.execute(
                "INSERT INTO starts(partition, offset) VALUES(?1, ?2)",
                params![to_sql(partition as u64), to_sql(*offset)],
            )?;
        }
        tx.commit()?;
        Ok(Self {
            connection,
            bytes: 0,
            written: false,
        })
    }

    /// Opens the newest segment again, with the offsets that come next.
    pub(super) fn open(segment: &Segment) -> rusqlite::Result<(Self, Vec<u64>)> {
        // Without CREATE: a file that has gone is damage, not an empty segment.
        let connection = Connection::open_with_flags(
            &segment.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        configure(&connection)?;
        settle(&connection)?;
        let ends = ends(&connection, &segment.starts)?;
        let written = ends != segment.starts;
        Ok((
            Self {
                connection,
                bytes: disk_bytes(&segment.path),
                written,
            },
            ends,
        ))
    }

    /// Writes `batch` in one transaction; returns after COMMIT. On an error nothing is written.
    pub(super) fn commit<'a>(
        &mut self,
        batch: impl Iterator<Item = (u32, u64, &'a [u8])>,
    ) -> rusqlite::Result<()> {
        let mut bytes = 0;
        // Dropping the transaction on an error rolls it back.
        let tx = self.connection.transaction()?;
        {
            let mut insert = tx.prepare_cached(
                "INSERT INTO entries(partition, offset, payload) VALUES(?1,?2,?3)",
            )?;
            for (partition, offset, payload) in batch {
                insert.execute(params![partition, to_sql(offset), payload])?;
                bytes += payload.len() as u64 + ROW_BYTES;
            }
        }
        tx.commit()?;
        self.bytes += bytes;
        self.written = true;
        Ok(())
    }

    pub(super) const fn is_empty(&self) -> bool {
        !self.written
    }

    /// Brings everything from the write-ahead log into the database file. Failing is harmless:
    /// the write-ahead log stays and is read.
    pub(super) fn seal(self) {
        let checkpoint = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::debug!(%error, "a closed segment keeps its write-ahead log");
        }
    }
}

/// Writes what the write-ahead log shows into the database, with a sync of its own. After a sync
/// that failed the system shows pages that never reached the disk, and counts them as written: what
/// is appended behind them would be lost with them.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        let what = "the write-ahead log is being read".to_owned();
        return Err(rusqlite::Error::SqliteFailure(busy, Some(what)));
    }
    Ok(())
}

/// Key, record header and share of the page of one row.
const ROW_BYTES: u64 = 16;

/// Opens a segment for reading.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "query_only", true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // A range is not planned anew each time its bounds are bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The starts that a segment was made with; none when making it was interrupted.
pub(super) fn load_starts(
    connection: &Connection,
    partitions: u32,
) -> rusqlite::Result<Option<Vec<u64>>> {
    let there: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_master WHERE name = 'starts'",
        [],
        |row| row.get(0),
    )?;
    if there == 0 {
        return Ok(None);
    }
    let mut statement = connection.prepare("SELECT offset FROM starts ORDER BY partition")?;
    let starts = statement
        .query_map([], |row| row.get(0).map(from_sql))?
        .collect::<Result<Vec<u64>, _>>()?;
    Ok((starts.len() == partitions as usize).then_some(starts))
}

pub(super) fn ends(connection: &Connection, starts: &[u64]) -> rusqlite::Result<Vec<u64>> {
    let mut last = connection.prepare("SELECT max(offset) FROM entries WHERE partition = ?1")?;
    let mut ends = Vec::with_capacity(starts.len());
    for (partition, start) in starts.iter().enumerate() {
        let max: Option<i64> = last.query_row([to_sql(partition as u64)], |row| row.get(0))?;
        ends.push(max.map_or(*start, |offset| from_sql(offset) + 1));
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_round_trip() {
        let path = Segment::file(Path::new("log"), 42);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name, "segment-00000000000000000042.db");
        assert_eq!(Segment::number_of(name), Some(42));
        for other in [
            "segment-42.db",
            "meta.db",
            "segment-00000000000000000042.db-wal",
        ] {
            assert_eq!(Segment::number_of(other), None, "{other}");
        }
    }
}
