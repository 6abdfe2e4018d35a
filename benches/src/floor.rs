//! The floors: what SQLite does with the same bytes and rows when nothing else is asked of it.

use anyhow::Result;
use rusqlite::Connection;
use std::path::Path;
use std::time::Instant;
use waywarden_model::Record;

const INSERT: &str = "INSERT INTO positions (source, time, hash, received, verdict, frame, kind, \
    lat, lon, valid, altitude, speed, course, satellites, ignition, odometer, said, alarms, stored) \
    VALUES (?,?,?,?,0,?,?,?,?,?,?,?,?,?,?,?,0,?,?)";

/// An append-only table on disk.
#[derive(Debug)]
pub struct Appending(Connection);

/// The table of positions as the store makes it, without anything that writes to it.
#[derive(Debug)]
pub struct Inserting(Connection);

fn durable(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.query_row("PRAGMA wal_autocheckpoint = 8192", [], |_| Ok(()))
}

impl Appending {
    /// # Errors
    /// The database cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        let conn = Connection::open(folder.join("append.db"))?;
        durable(&conn)?;
        conn.execute_batch("CREATE TABLE entries (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)")?;
        Ok(Self(conn))
    }

    /// One transaction, on disk when this returns.
    ///
    /// # Errors
    /// What the database says.
    pub fn commit(&mut self, payloads: &[bytes::Bytes]) -> Result<()> {
        let tx = self.0.transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO entries (payload) VALUES (?)")?;
            for payload in payloads {
                insert.execute([payload.as_ref()])?;
            }
        }
        Ok(tx.commit()?)
    }
}

impl Inserting {
    /// # Errors
    /// The database cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        let path = folder.join("insert.db");
        // Made by the store itself, so that the shape is the store's.
        drop(waywarden_store::SqliteStore::open(
            &path,
            waywarden_store::Options::default(),
        )?);
        let conn = Connection::open(path)?;
        durable(&conn)?;
        conn.pragma_update(None, "cache_size", -65_536)?;
        Ok(Self(conn))
    }

    /// One transaction of rows in the order of the key, on disk when this returns.
    ///
    /// # Errors
    /// What the database says.
    pub fn commit(&mut self, rows: impl Iterator<Item = (usize, Record)>) -> Result<()> {
        let tx = self.0.transaction()?;
        {
            let mut insert = tx.prepare_cached(INSERT)?;
            for (source, r) in rows {
                let time = r.time.millis();
                // Any 64 bits that differ: making the hash is not the database's work.
                let hash = time.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed());
                insert.execute(rusqlite::params![
                    source,
                    time,
                    hash,
                    time,
                    time / 1000,
                    r.kind as u8,
                    r.position.map(waywarden_model::Position::lat),
                    r.position.map(waywarden_model::Position::lon),
                    r.valid,
                    r.altitude_dm,
                    r.speed.map(waywarden_model::Speed::centi),
                    r.course.map(waywarden_model::Course::centi),
                    r.satellites,
                    r.ignition,
                    r.odometer_m.map(u64::cast_signed),
                    0,
                    r.stored,
                ])?;
            }
        }
        Ok(tx.commit()?)
    }
}

/// Records a second when the messages are appended and the rows inserted at the same time, on two
/// threads: a transaction for each round of all devices.
///
/// # Errors
/// What the database says.
pub fn append_and_insert(
    messages: &[bytes::Bytes],
    messages_a_round: usize,
    devices: usize,
    records_a_round: usize,
) -> Result<f64> {
    let folder = crate::children::folder()?;
    let (mut appending, mut inserting) = (
        Appending::new(folder.path())?,
        Inserting::new(folder.path())?,
    );
    let rounds = messages.len() / messages_a_round;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let append = scope.spawn(|| -> Result<()> {
            messages
                .chunks(messages_a_round)
                .try_for_each(|m| appending.commit(m))
        });
        let each = records_a_round / devices;
        for round in 0..rounds {
            let of = |device| {
                let records = round * each..(round + 1) * each;
                records.map(move |n| (device, crate::devices::record(device, n)))
            };
            inserting.commit((0..devices).flat_map(of))?;
        }
        append
            .join()
            .map_err(|_| anyhow::anyhow!("the appending thread panicked"))?
    })?;
    Ok((rounds * records_a_round) as f64 / begun.elapsed().as_secs_f64())
}
