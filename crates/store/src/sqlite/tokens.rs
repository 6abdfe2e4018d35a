//! Tokens, known by their hash only, and the record of who read what.

use super::rows::all;
use crate::admin::{ReadOfData, Token, TokenHash};
use crate::batch::{Result, StoreError};
use crate::filed::{TOKEN, limit as rows, token};
use crate::rows::Columns;
use rusqlite::Connection;
use waywarden_model::Timestamp;

pub(super) fn create(conn: &Connection, hash: &TokenHash, token: &Token) -> Result<()> {
    let in_force: u32 = conn.query_row(
        "SELECT count(*) FROM tokens WHERE name = ?1 AND withdrawn IS NULL",
        [&token.name],
        |r| r.get(0),
    )?;
    if in_force > 0 {
        return Err(StoreError::Conflict {
            expected: 0,
            on_file: in_force,
        });
    }
    conn.execute(
        "INSERT INTO tokens (hash, name, role, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            hash,
            &token.name,
            token.role.name(),
            token.created.millis(),
            token.expires.millis(),
        ),
    )?;
    Ok(())
}

pub(super) fn list(conn: &Connection) -> Result<Vec<Token>> {
    let sql = format!("SELECT {TOKEN} FROM tokens ORDER BY id");
    all(conn, &sql, [], |r| token(r))
}

pub(super) fn withdraw(conn: &Connection, name: &str, now: Timestamp) -> Result<()> {
    let changed = conn.execute(
        "UPDATE tokens SET withdrawn = ?2 WHERE name = ?1 AND withdrawn IS NULL",
        (name, now.millis()),
    )?;
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::NotFound {
        what: "token",
        id: name.to_owned(),
    })
}

pub(super) fn find(conn: &Connection, hash: &TokenHash) -> Result<Option<Token>> {
    let sql = format!("SELECT {TOKEN} FROM tokens WHERE hash = ?1");
    Ok(all(conn, &sql, [hash], |r| token(r))?.pop())
}

pub(super) fn record_read(conn: &Connection, read: &ReadOfData) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO reads (at, token, what, object, purpose) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        read.at.millis(),
        &read.token,
        &read.what,
        &read.object,
        &read.purpose,
    ))?;
    Ok(())
}

pub(super) fn reads(conn: &Connection, limit: usize) -> Result<Vec<ReadOfData>> {
    let sql = "SELECT at, token, what, object, purpose FROM reads ORDER BY seq DESC LIMIT ?1";
    all(conn, sql, [rows(limit)], |r| {
        Ok(ReadOfData {
            at: r.time()?,
            token: r.string()?,
            what: r.string()?,
            object: r.string()?,
            purpose: r.string()?,
        })
    })
}
