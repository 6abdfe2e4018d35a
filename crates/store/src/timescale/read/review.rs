//! Decisions on violations, and their history.

use crate::batch::StoreError;
use crate::filed::{CHANGE, REVIEW, change, review};
use crate::read::{Change, ChangeKind, Decision, Review};
use crate::rows::Columns;
use crate::timescale::cells::{Reader, all, written};
use crate::timescale::trouble::Outcome;
use crate::timescale::work::Work;
use crate::timescale::{Reading, Writing};
use async_trait::async_trait;
use waywarden_model::{Timestamp, ViolationId};

/// A decision; the guard is the revision, under the lock of the violation's row.
pub(super) struct Decide {
    pub id: ViolationId,
    pub expected: u32,
    pub decision: Decision,
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
}

#[async_trait]
impl Writing for Decide {
    type Written = u32;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<u32> {
        let revision = self.check(work).await? + 1;
        let (key, at) = (self.id.bytes(), self.at.millis());
        let (key, decision) = (key.as_slice(), self.decision.name());
        work.execute(
            "UPDATE violations SET status = $2, revision = $3, evidence_changed = false,
                 updated = $4 WHERE id = $1",
            &[&key, &decision, &i64::from(revision), &at],
        )
        .await?;
        work.execute(
            "INSERT INTO reviews (violation, revision, decision, reason, token, at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &key,
                &i64::from(self.expected),
                &decision,
                &written(&self.reason),
                &written(&self.by),
                &at,
            ],
        )
        .await?;
        let change = (self.id, revision, ChangeKind::Decided);
        work.note(&[change], self.at).await?;
        Ok(revision)
    }
}

impl Decide {
    /// The revision on file, when it may be decided on.
    async fn check(&self, work: &Work<'_>) -> Outcome<u32> {
        let sql = "SELECT open, revision, status FROM violations WHERE id = $1 FOR UPDATE";
        let row = work.opt(sql, &[&self.id.bytes().as_slice()]).await?;
        let row = row.ok_or_else(|| StoreError::NotFound {
            what: "violation",
            id: self.id.to_string(),
        })?;
        let mut r = Reader::new(&row);
        let (open, on_file, status) = (r.yes()?, r.number()?, r.string()?);
        if on_file != self.expected || status == "withdrawn" {
            return Err(StoreError::Conflict {
                expected: self.expected,
                on_file,
            }
            .into());
        }
        match open {
            true => Err(StoreError::StillOpen.into()),
            false => Ok(on_file),
        }
    }
}

pub(super) struct History {
    pub id: ViolationId,
}

#[async_trait]
impl Reading for History {
    type Read = (Vec<Change>, Vec<Review>);

    async fn read(&self, work: &Work<'_>) -> Outcome<Self::Read> {
        let key = self.id.bytes();
        let sql =
            format!("SELECT {CHANGE} FROM changes c WHERE violation = $1 ORDER BY seq LIMIT 1000");
        let changes = all(&work.rows(&sql, &[&key.as_slice()]).await?, |r| change(r))?;
        let sql =
            format!("SELECT {REVIEW} FROM reviews WHERE violation = $1 ORDER BY id LIMIT 1000");
        let reviews = all(&work.rows(&sql, &[&key.as_slice()]).await?, |r| review(r))?;
        Ok((changes, reviews))
    }
}
