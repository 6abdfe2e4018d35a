//! Registry versions, and the announcements that partitions have yet to be told.

use super::cells::{Table, all, written};
use super::trouble::Outcome;
use super::work::Work;
use super::{Reading, Writing};
use crate::admin::RegisterChange;
use crate::batch::{Result, StoreError};
use crate::parts::{self, Bodies, FORMAT, Part};
use crate::rows::{Cells, Columns};
use async_trait::async_trait;
use waywarden_model::registry::Registers;

/// Content of a version; version 0 is empty.
pub(super) struct Load {
    pub version: u32,
}

#[async_trait]
impl Reading for Load {
    type Read = Registers;

    async fn read(&self, work: &Work<'_>) -> Outcome<Registers> {
        if self.version == 0 {
            return Ok(Registers::default());
        }
        let key = i64::from(self.version);
        let sql = "SELECT FROM registry_versions WHERE version = $1";
        if work.opt(sql, &[&key]).await?.is_none() {
            return Err(parts::unknown(self.version).into());
        }
        let sql = "SELECT p.kind, b.format, b.body
             FROM registry_parts p JOIN register_blobs b USING (hash) WHERE p.version = $1";
        let bodies: Result<Vec<_>> = all(&work.rows(sql, &[&key]).await?, |r| {
            Ok((r.string()?, (r.number()?, r.blob()?)))
        });
        Ok(parts::decode(&bodies?.into_iter().collect::<Bodies>())?)
    }
}

pub(super) const HEAD: &str = "SELECT coalesce(max(version), 0) FROM registry_versions";

/// A new version, or the head where nothing differs from it.
pub(super) struct Save {
    pub change: RegisterChange,
    pub parts: Vec<Part>,
}

#[async_trait]
impl Writing for Save {
    type Written = u32;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<u32> {
        // Imports go one after the other; readers are not held up.
        work.batch("LOCK TABLE registry_versions IN SHARE ROW EXCLUSIVE MODE")
            .await?;
        let row = work.rows(HEAD, &[]).await?;
        let on_file = row.first().map_or(0, |r| r.get::<_, i64>(0));
        let on_file = u32::try_from(on_file).unwrap_or(u32::MAX);
        if on_file != self.change.expected_head {
            return Err(StoreError::Conflict {
                expected: self.change.expected_head,
                on_file,
            }
            .into());
        }
        if on_file > 0 && self.same_as(work, on_file).await? {
            return Ok(on_file);
        }
        self.insert(work, on_file + 1).await?;
        Ok(on_file + 1)
    }
}

impl Save {
    async fn same_as(&self, work: &Work<'_>, version: u32) -> Outcome<bool> {
        let sql = "SELECT kind, hash FROM registry_parts WHERE version = $1";
        let rows = work.rows(sql, &[&i64::from(version)]).await?;
        let same = |p: &Part| {
            rows.iter()
                .any(|r| r.get::<_, &str>(0) == p.kind && r.get::<_, &[u8]>(1) == p.hash.as_slice())
        };
        Ok(self.parts.iter().all(same))
    }

    async fn insert(&self, work: &Work<'_>, version: u32) -> Outcome<()> {
        let (change, key) = (&self.change, i64::from(version));
        work.execute(
            "INSERT INTO registry_versions (version, created, author, note)
             VALUES ($1, $2, $3, $4)",
            &[
                &key,
                &change.now.millis(),
                &written(&change.author),
                &written(&change.note),
            ],
        )
        .await?;
        let mut table = Table::default();
        for p in &self.parts {
            table.bytes(Some(&p.hash))?;
            table.text(Some(p.kind))?;
            table.bytes(Some(&p.body))?;
            table.end_row();
        }
        let names = "hash, kind, body";
        work.put(&table, names, &[&key, &i64::from(FORMAT)], |rows| {
            format!(
                "WITH n AS MATERIALIZED (SELECT {names} FROM {rows}),
                 parts AS (INSERT INTO registry_parts (version, kind, hash)
                     SELECT $4, kind, hash FROM n)
                 INSERT INTO register_blobs (hash, kind, format, body)
                 SELECT hash, kind, $5, body FROM n ON CONFLICT DO NOTHING"
            )
        })
        .await?;
        work.execute(
            "INSERT INTO registry_outbox (version, \"partition\")
             SELECT $1, p FROM generate_series(0, $2::int8 - 1) p",
            &[&key, &i64::from(change.partitions)],
        )
        .await?;
        Ok(())
    }
}
