//! A database made ready: extension, tables, chunks, and the policies that its licence offers.

use super::trouble::{Outcome, Trouble};
use super::{Extension, Options};
use crate::batch::{Result, StoreError};
use deadpool_postgres::ClientWrapper;
use refinery::embed_migrations;

embed_migrations!("src/timescale/schema");

/// Of the newest migration in `schema/`.
pub(super) const SCHEMA: u32 = 6;
/// Advisory lock under which databases are made ready: 'WYWD' and 1.
const LOCK: i64 = 0x5759_5744_0000_0001;

/// What of TimescaleDB there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Licence {
    /// No extension: positions are a plain table.
    None,
    /// Hypertables; old chunks are dropped by the program.
    Apache,
    /// Compression and retention by the server's own policies too.
    Timescale,
}

/// One process at a time; the others wait and find nothing left to do.
pub(super) async fn migrate(client: &mut ClientWrapper, o: &Options) -> Result<Licence> {
    // Building indexes and waiting for another process may take longer than a query may.
    let unbound = "SET statement_timeout = 0; SET lock_timeout = 0";
    client.batch_execute(unbound).await.map_err(Trouble::from)?;
    let lock = format!("SELECT pg_advisory_lock({LOCK})");
    client.batch_execute(&lock).await.map_err(Trouble::from)?;
    // The lock goes with the session, which is dropped behind this.
    refuse_newer(client).await?;
    ensure_extension(client, o.extension).await?;
    migrations::runner()
        .run_async(&mut **client)
        .await
        .map_err(|e| StoreError::Failed(format!("migration: {e}")))?;
    let licence = licence(client).await?;
    if licence != Licence::None && is_hypertable(client).await? {
        let sql = format!(
            "SELECT set_chunk_time_interval('positions', BIGINT '{}')",
            o.chunk_ms.max(1)
        );
        client.batch_execute(&sql).await.map_err(Trouble::from)?;
        if licence == Licence::Timescale {
            let sql = policies(o);
            client.batch_execute(&sql).await.map_err(Trouble::from)?;
        }
    }
    rebase_changes(client).await?;
    Ok(licence)
}

async fn refuse_newer(client: &ClientWrapper) -> Result<()> {
    let found = schema_of(client).await?.unwrap_or(0);
    if found > SCHEMA {
        return Err(StoreError::Newer {
            found,
            known: SCHEMA,
        });
    }
    Ok(())
}

/// Version of the newest migration that the database has had; None where it has had none.
pub(super) async fn schema_of(client: &ClientWrapper) -> Outcome<Option<u32>> {
    let known = "SELECT to_regclass('refinery_schema_history') IS NOT NULL";
    if !client.query_one(known, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT max(version)::int8 FROM refinery_schema_history";
    let version: Option<i64> = client.query_one(sql, &[]).await?.get(0);
    Ok(version.map(|v| u32::try_from(v).unwrap_or(u32::MAX)))
}

async fn ensure_extension(client: &ClientWrapper, wanted: Extension) -> Result<()> {
    let exists = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb')";
    let row = client.query_one(exists, &[]).await.map_err(Trouble::from)?;
    if row.get(0) || wanted == Extension::Without {
        return Ok(());
    }
    if wanted == Extension::Expected {
        return Err(StoreError::NoExtension);
    }
    let available =
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb')";
    let row = client
        .query_one(available, &[])
        .await
        .map_err(Trouble::from)?;
    if !row.get::<_, bool>(0) {
        return Err(StoreError::NoExtension);
    }
    let make = "CREATE EXTENSION IF NOT EXISTS timescaledb";
    client.batch_execute(make).await.map_err(Trouble::from)?;
    Ok(())
}

async fn licence(client: &ClientWrapper) -> Outcome<Licence> {
    let sql = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    let Some(row) = client.query_opt(sql, &[]).await? else {
        return Ok(Licence::None);
    };
    // Compression of integer time, and policies on it, are as used here since 2.0.
    let version: String = row.get(0);
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let sql = "SELECT current_setting('timescaledb.license', true)";
    let licence: Option<String> = client.query_one(sql, &[]).await?.get(0);
    Ok(match licence.as_deref() {
        Some("timescale") if major >= 2 => Licence::Timescale,
        _ => Licence::Apache,
    })
}

/// The extension may have come after the tables.
async fn is_hypertable(client: &ClientWrapper) -> Outcome<bool> {
    let sql = "SELECT EXISTS (SELECT FROM timescaledb_information.hypertables
                              WHERE hypertable_name = 'positions')";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// What a server is told whose licence offers policies: those wanted now, in place of those before.
pub fn policies(o: &Options) -> String {
    let mut sql = String::from(
        "SELECT set_integer_now_func('positions', 'now_millis', replace_if_exists => true);
         SELECT remove_retention_policy('positions', if_exists => true);",
    );
    if let Some(after) = o.compress_after_ms {
        sql.push_str(&format!(
            "ALTER TABLE positions SET (timescaledb.compress,
                 timescaledb.compress_segmentby = 'source',
                 timescaledb.compress_orderby = 'time, hash');
             SELECT remove_compression_policy('positions', if_exists => true);
             SELECT add_compression_policy('positions', compress_after => BIGINT '{after}');"
        ));
    }
    if let Some(kept) = o.retention_ms {
        sql.push_str(&format!(
            "SELECT add_retention_policy('positions', drop_after => BIGINT '{kept}');"
        ));
    }
    sql
}

/// A database restored from a dump counts its transactions anew: numbers of changes go on above
/// those on file, so that no agency's cursor stands in front of what comes.
pub(super) async fn rebase_changes(client: &ClientWrapper) -> Outcome<()> {
    client
        .batch_execute(
            "UPDATE change_base SET base = (SELECT max(seq) >> 16 FROM changes) + 1
             WHERE (SELECT max(seq) >> 16 FROM changes)
                 >= base + pg_snapshot_xmax(pg_current_snapshot())::text::int8",
        )
        .await?;
    Ok(())
}
