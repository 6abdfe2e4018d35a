//! Tokens, known by their hash only, and the record of who read what.

use crate::admin::{ReadOfData, Role, Token, TokenHash};
use crate::batch::{Result, StoreError};
use rusqlite::{Connection, Row};
use waywarden_model::Timestamp;

const TOKEN: &str = "name, role, created, expires, withdrawn";

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
    let mut stmt = conn.prepare_cached(&format!("SELECT {TOKEN} FROM tokens ORDER BY id"))?;
    let mut rows = stmt.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(token(row)?);
    }
    Ok(tokens)
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
    let mut stmt = conn.prepare_cached(&format!("SELECT {TOKEN} FROM tokens WHERE hash = ?1"))?;
    let mut rows = stmt.query([hash])?;
    rows.next()?.map(token).transpose()
}

fn token(row: &Row<'_>) -> Result<Token> {
    let role: String = row.get(1)?;
    Ok(Token {
        name: row.get(0)?,
        role: Role::from_name(&role).ok_or_else(|| super::rows::corrupt("role"))?,
        created: Timestamp::from_millis(row.get(2)?),
        expires: Timestamp::from_millis(row.get(3)?),
        withdrawn: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
    })
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
    let mut stmt = conn.prepare_cached(
        "SELECT at, token, what, object, purpose FROM reads ORDER BY seq DESC LIMIT ?1",
    )?;
    let found = stmt
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |r| {
            Ok(ReadOfData {
                at: Timestamp::from_millis(r.get(0)?),
                token: r.get(1)?,
                what: r.get(2)?,
                object: r.get(3)?,
                purpose: r.get(4)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}
