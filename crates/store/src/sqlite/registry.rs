//! Registry versions: a list of register contents by hash, so that a version writes what changed.

use crate::admin::{Announcement, RegisterChange};
use crate::batch::{Result, StoreError};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use waywarden_model::registry::Registers;

/// How bodies are encoded: 1 is postcard of the register's rows, compressed by zstd.
const FORMAT: u32 = 1;
const ZSTD_LEVEL: i32 = 3;
/// A register's size when unpacked, at most.
const REGISTER_BYTES: usize = 1 << 30;

/// One register's content, packed.
pub(super) struct Part {
    kind: &'static str,
    hash: [u8; 32],
    body: Vec<u8>,
}

pub(super) fn encode(r: &Registers) -> Result<Vec<Part>> {
    Ok(vec![
        part("vehicles", &r.vehicles)?,
        part("drivers", &r.drivers)?,
        part("cards", &r.cards)?,
        part("operators", &r.operators)?,
        part("devices", &r.devices)?,
        part("fittings", &r.fittings)?,
        part("routes", &r.routes)?,
        part("zones", &r.zones)?,
        part("signs", &r.signs)?,
    ])
}

fn part<T: Serialize>(kind: &'static str, rows: &[T]) -> Result<Part> {
    let failed = |e: &dyn std::fmt::Display| StoreError::Failed(format!("register {kind}: {e}"));
    let plain = postcard::to_stdvec(rows).map_err(|e| failed(&e))?;
    if plain.len() > REGISTER_BYTES {
        return Err(failed(&"too large"));
    }
    // The kind is hashed too: empty registers are not one blob.
    let hash = Sha256::new()
        .chain_update(kind.as_bytes())
        .chain_update([0])
        .chain_update(&plain)
        .finalize()
        .into();
    let body = zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(|e| failed(&e))?;
    Ok(Part { kind, hash, body })
}

pub(super) fn head(conn: &Connection) -> Result<u32> {
    Ok(conn.query_row(
        "SELECT coalesce(max(version), 0) FROM registry_versions",
        [],
        |r| r.get(0),
    )?)
}

pub(super) fn save(conn: &Connection, change: &RegisterChange, parts: &[Part]) -> Result<u32> {
    let on_file = head(conn)?;
    if on_file != change.expected_head {
        return Err(StoreError::Conflict {
            expected: change.expected_head,
            on_file,
        });
    }
    if on_file > 0 && same_as(conn, on_file, parts)? {
        return Ok(on_file);
    }
    let version = on_file + 1;
    conn.execute(
        "INSERT INTO registry_versions (version, created, author, note) VALUES (?1, ?2, ?3, ?4)",
        (version, change.now.millis(), &change.author, &change.note),
    )?;
    for p in parts {
        conn.prepare_cached(
            "INSERT OR IGNORE INTO register_blobs (hash, kind, format, body)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((p.hash, p.kind, FORMAT, &p.body))?;
        conn.prepare_cached(
            "INSERT INTO registry_parts (version, kind, hash) VALUES (?1, ?2, ?3)",
        )?
        .execute((version, p.kind, p.hash))?;
    }
    for partition in 0..change.partitions {
        conn.prepare_cached(
            "INSERT INTO registry_outbox (version, \"partition\") VALUES (?1, ?2)",
        )?
        .execute((version, partition))?;
    }
    Ok(version)
}

fn same_as(conn: &Connection, version: u32, parts: &[Part]) -> Result<bool> {
    let mut stmt = conn.prepare_cached(
        "SELECT count(*) FROM registry_parts WHERE version = ?1 AND kind = ?2 AND hash = ?3",
    )?;
    for p in parts {
        let same: u32 = stmt.query_row((version, p.kind, p.hash), |r| r.get(0))?;
        if same == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Content of a version; version 0 is empty.
pub(super) fn load(conn: &Connection, version: u32) -> Result<Registers> {
    if version == 0 {
        return Ok(Registers::default());
    }
    let known: u32 = conn.query_row(
        "SELECT count(*) FROM registry_versions WHERE version = ?1",
        [version],
        |r| r.get(0),
    )?;
    if known == 0 {
        return Err(StoreError::NotFound {
            what: "registry version",
            id: version.to_string(),
        });
    }
    Ok(Registers {
        vehicles: rows_of(conn, version, "vehicles")?,
        drivers: rows_of(conn, version, "drivers")?,
        cards: rows_of(conn, version, "cards")?,
        operators: rows_of(conn, version, "operators")?,
        devices: rows_of(conn, version, "devices")?,
        fittings: rows_of(conn, version, "fittings")?,
        routes: rows_of(conn, version, "routes")?,
        zones: rows_of(conn, version, "zones")?,
        signs: rows_of(conn, version, "signs")?,
    })
}

fn rows_of<T: DeserializeOwned>(conn: &Connection, version: u32, kind: &str) -> Result<Vec<T>> {
    let (format, body): (u32, Vec<u8>) = conn
        .prepare_cached(
            "SELECT b.format, b.body FROM registry_parts p JOIN register_blobs b USING (hash)
             WHERE p.version = ?1 AND p.kind = ?2",
        )?
        .query_row((version, kind), |r| Ok((r.get(0)?, r.get(1)?)))?;
    let broken = |e: &dyn std::fmt::Display| StoreError::Corrupt(format!("register {kind}: {e}"));
    if format != FORMAT {
        return Err(broken(&format_args!("format {format}")));
    }
    let plain = zstd::stream::decode_all(body.as_slice()).map_err(|e| broken(&e))?;
    postcard::from_bytes(&plain).map_err(|e| broken(&e))
}

pub(super) fn outbox(conn: &Connection, limit: usize) -> Result<Vec<Announcement>> {
    let mut stmt = conn.prepare_cached(
        "SELECT version, \"partition\" FROM registry_outbox
         ORDER BY version, \"partition\" LIMIT ?1",
    )?;
    let found = stmt
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |r| {
            Ok(Announcement {
                version: r.get(0)?,
                partition: r.get(1)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

pub(super) fn ack(conn: &Connection, done: &[Announcement]) -> Result<()> {
    let mut stmt = conn
        .prepare_cached("DELETE FROM registry_outbox WHERE version = ?1 AND \"partition\" = ?2")?;
    for a in done {
        stmt.execute((a.version, a.partition))?;
    }
    Ok(())
}
