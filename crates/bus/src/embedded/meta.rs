//! What the log knows about itself: its id, its number of partitions, what was released.

use super::{OpenError, Options};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;

/// Format of the folder; a higher one was made by a newer program.
const FORMAT: u32 = 1;

/// The open `meta.db`.
#[derive(Debug)]
pub(super) struct Meta {
    connection: Connection,
    pub(super) id: String,
    /// Per partition, the offset below which nothing is needed any more.
    pub(super) released: Vec<u64>,
}

impl Meta {
    pub(super) fn open(dir: &Path, options: &Options) -> Result<Self, OpenError> {
        let path = dir.join("meta.db");
        let database = |error| OpenError::Database {
            path: path.clone(),
            error,
        };
        let mut connection = Connection::open(&path).map_err(database)?;
        super::segment::configure(&connection).map_err(database)?;
        create(&mut connection, options.partitions).map_err(database)?;
        let (id, partitions, format): (String, u32, u32) = connection
            .query_row("SELECT id, partitions, format FROM log", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .map_err(database)?;
        if format > FORMAT {
            return Err(OpenError::Newer {
                found: format,
                known: FORMAT,
            });
        }
        if partitions != options.partitions {
            return Err(OpenError::Partitions {
                found: partitions,
                wanted: options.partitions,
            });
        }
        let released = load_released(&connection, partitions).map_err(database)?;
        Ok(Self {
            connection,
            id,
            released,
        })
    }

    /// Whether the log ever had a segment: then it must have one, or offsets would be reused.
    pub(super) fn begun(&self) -> rusqlite::Result<bool> {
        self.connection
            .query_row("SELECT begun FROM log", [], |row| row.get(0))
    }

    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.connection
            .execute("UPDATE log SET begun = 1", [])
            .map(|_| ())
    }

    /// Never goes back: an older worker cannot take a release away.
    pub(super) fn release(&mut self, partition: u32, below: u64) -> rusqlite::Result<()> {
        let slot = &mut self.released[partition as usize];
        if below <= *slot {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO released(partition, below) VALUES(?1, ?2)
                 ON CONFLICT(partition) DO UPDATE SET below = excluded.below",
            )?
            .execute(params![partition, to_sql(below)])?;
        *slot = below;
        Ok(())
    }
}

/// Offsets are stored as SQLite's signed integers; 2^63 messages are never reached.
pub(super) fn to_sql(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The inverse of [`to_sql`]; a negative number in a column is damage and reads as 0.
pub(super) fn from_sql(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}

fn create(connection: &mut Connection, partitions: u32) -> rusqlite::Result<()> {
    let tx = connection.transaction()?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS log(id TEXT NOT NULL, partitions INTEGER NOT NULL,
             format INTEGER NOT NULL, begun INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS released(partition INTEGER PRIMARY KEY,
             below INTEGER NOT NULL);",
    )?;
    let made: Option<i64> = tx
        .query_row("SELECT 1 FROM log", [], |row| row.get(0))
        .optional()?;
    if made.is_none() {
        tx.execute(
            "INSERT INTO log(id, partitions, format, begun)
             VALUES(lower(hex(randomblob(16))), ?1, ?2, 0)",
            params![partitions, FORMAT],
        )?;
    }
    tx.commit()
}

fn load_released(connection: &Connection, partitions: u32) -> rusqlite::Result<Vec<u64>> {
    let mut released = vec![0; partitions as usize];
    let mut statement = connection.prepare("SELECT partition, below FROM released")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let partition: u32 = row.get(0)?;
        if let Some(slot) = released.get_mut(partition as usize) {
            *slot = from_sql(row.get(1)?);
        }
    }
    Ok(released)
}
