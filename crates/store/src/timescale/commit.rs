//! One batch of a worker: guard, rows, marks, counters, in one transaction.

use super::session::Job;
use super::trouble::Outcome;
use super::violations::Upserts;
use super::work::Work;
use super::{alerts, positions, rebuild, tables, violations};
use crate::batch::{Batch, Claim, Committed, Gap, Position, StoreError};
use async_trait::async_trait;
use waywarden_model::SourceId;

pub(super) struct Filing {
    pub partition: u32,
    pub expected: Position,
    pub next: Position,
    pub batch: Batch,
}

#[async_trait]
impl Job for Filing {
    type Done = Committed;

    async fn guard(&self, work: &Work<'_>, claim: &Claim) -> Outcome<()> {
        let key = i64::from(claim.partition);
        let (epoch, expected) = (claim.epoch.cast_signed(), self.expected.cast_signed());
        let moved = work
            .execute(
                "UPDATE partitions SET position = $4
                 WHERE \"partition\" = $1 AND epoch = $2 AND position = $3",
                &[&key, &epoch, &expected, &self.next.cast_signed()],
            )
            .await?;
        if moved == 1 {
            return Ok(());
        }
        let sql = "SELECT epoch, position FROM partitions WHERE \"partition\" = $1";
        let row = work.opt(sql, &[&key]).await?;
        let row = row.ok_or_else(|| StoreError::no_partition(claim.partition))?;
        if row.get::<_, i64>(0) != epoch {
            return Err(StoreError::superseded(claim).into());
        }
        // Another server took over without the last commits: what they gave out is not given.
        work.forget_numbers().await;
        Err(StoreError::PositionMoved {
            partition: claim.partition,
            expected: self.expected,
            on_file: row.get::<_, i64>(1).cast_unsigned(),
        }
        .into())
    }

    async fn run(&self, work: &mut Work<'_>) -> Outcome<Committed> {
        let b = &self.batch;
        work.ensure_sources(self.sources()).await?;
        let mut done = Committed {
            aside: b.aside.len() as u64,
            ..Committed::default()
        };
        let (mut concerned, newest) =
            positions::file(work, &b.sources, &b.aside, &mut done).await?;
        concerned.extend(rebuild::known(work, &b.marks).await?);
        tables::mark(work, self.partition, &concerned, b.now).await?;
        tables::wait(work, &b.sources).await?;
        tables::save_days(work, &b.day_states).await?;
        tables::file_poison(work, self.partition, &b.poison, b.now).await?;
        tables::file_periods(work, &b.periods).await?;
        // Behind the records and periods, since evidence is copied from them.
        let mut upserts = Upserts::default();
        let stated: Vec<_> = b.violations.iter().collect();
        violations::upsert(work, &mut upserts, &stated, &newest, b.now).await?;
        tables::file_days(work, &b.day_rows).await?;
        tables::save_states(work, self.partition, &b.states, b.checkpoint).await?;
        tables::file_ticks(work, &b.ticks).await?;
        alerts::file(work, Some(self.partition), &b.alerts).await?;
        self.advance(work, &done).await?;
        if let Some(gap) = &b.gap {
            self.give_up(work, gap).await?;
        }
        Ok(done)
    }

    /// A batch that leaves the position where it is cannot be told from none; it is sent again.
    fn moves_to(&self) -> Option<Position> {
        (self.next != self.expected).then_some(self.next)
    }
}

impl Filing {
    /// All that the batch gives rows of. Marks are left out: nobody may have heard of theirs.
    fn sources(&self) -> impl Iterator<Item = &SourceId> {
        let b = &self.batch;
        let records = b.sources.iter().map(|s| &s.source);
        let others = b.aside.iter().map(|a| &a.source);
        let summaries = b.day_rows.iter().map(|d| &d.source);
        let states = b.states.iter().map(|s| &s.source);
        let days = b.day_states.iter().map(|s| &s.source);
        let periods = b.periods.iter().map(|p| &p.source);
        records
            .chain(others)
            .chain(summaries)
            .chain(states)
            .chain(days)
            .chain(periods)
    }

    /// Counters move with the position, in its transaction.
    async fn advance(&self, work: &Work<'_>, done: &Committed) -> Outcome<()> {
        let b = &self.batch;
        work.execute(
            "UPDATE partitions SET \"read\" = \"read\" + $2, filed = filed + $3,
                 repeated = repeated + $4, aside = aside + $5, refused = refused + $6,
                 late = late + $7, registry = $8, log = $9, updated = $10,
                 tail = coalesce($11, tail), listening = coalesce($12, listening),
                 profiles = coalesce($13, profiles)
             WHERE \"partition\" = $1",
            &[
                &i64::from(self.partition),
                &b.records_read.cast_signed(),
                &done.filed.cast_signed(),
                &done.repeated.cast_signed(),
                &done.aside.cast_signed(),
                &b.records_refused.cast_signed(),
                &done.late.cast_signed(),
                &i64::from(b.registry),
                &super::cells::written(&b.log),
                &b.now.millis(),
                &b.tail.map(u64::cast_signed),
                &b.listening,
                &b.profiles.map(u64::cast_signed),
            ],
        )
        .await?;
        Ok(())
    }

    /// Notes what of the log was given up; nothing is known of the message below the new position.
    async fn give_up(&self, work: &Work<'_>, gap: &Gap) -> Outcome<()> {
        let b = &self.batch;
        alerts::end_all(work, self.partition, b.now).await?;
        work.execute(
            "INSERT INTO gaps (at, \"partition\", log_before, log_after, \"from\", \"to\")
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &b.now.millis(),
                &i64::from(self.partition),
                &gap.log_before.as_deref().map(super::cells::written),
                &super::cells::written(&b.log),
                &self.expected.cast_signed(),
                &self.next.cast_signed(),
            ],
        )
        .await?;
        work.execute(
            "UPDATE partitions SET tail = NULL WHERE \"partition\" = $1",
            &[&i64::from(self.partition)],
        )
        .await?;
        Ok(())
    }
}
