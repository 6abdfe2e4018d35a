//! Registry versions in the file, and the announcements that partitions have yet to be told.

use super::rows::all;
use crate::admin::{Announcement, RegisterChange};
use crate::batch::{Result, StoreError};
use crate::filed::limit as rows;
use crate::parts::{self, Bodies, FORMAT, Part};
use crate::rows::Columns;
use rusqlite::Connection;
use waywarden_model::registry::Registers;

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
        return Err(parts::unknown(version));
    }
    let sql = "SELECT p.kind, b.format, b.body
         FROM registry_parts p JOIN register_blobs b USING (hash) WHERE p.version = ?1";
    let bodies = all(conn, sql, [version], |r| {
        Ok((r.string()?, (r.number()?, r.blob()?)))
    })?;
    parts::decode(&bodies.into_iter().collect::<Bodies>())
}

pub(super) fn outbox(conn: &Connection, limit: usize) -> Result<Vec<Announcement>> {
    let sql = "SELECT version, \"partition\" FROM registry_outbox
         ORDER BY version, \"partition\" LIMIT ?1";
    all(conn, sql, [rows(limit)], |r| {
        Ok(Announcement {
            version: r.number()?,
            partition: r.number()?,
        })
    })
}

pub(super) fn ack(conn: &Connection, done: &[Announcement]) -> Result<()> {
    let mut stmt = conn
        .prepare_cached("DELETE FROM registry_outbox WHERE version = ?1 AND \"partition\" = ?2")?;
    for a in done {
        stmt.execute((a.version, a.partition))?;
    }
    Ok(())
}
