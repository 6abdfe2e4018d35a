//! Records that were set aside and are asked for, on the server.

use super::cells::{Reader, all, written};
use super::session::Job;
use super::tables::{self, Concerned};
use super::trouble::Outcome;
use super::work::Work;
use super::{TimescaleStore, Writing};
use crate::aside::{ASKED, AT_ONCE, AsideStore, NO_FRAME, TakenIn, verdict};
use crate::batch::{AsideReason, Claim, Result};
use crate::rebuild::Stretch;
use crate::rows::{self, Columns, RECORD};
use async_trait::async_trait;
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Timestamp};

#[async_trait]
impl AsideStore for TimescaleStore {
    async fn set_aside(&self, from: Timestamp, upto: Timestamp) -> Result<Vec<SourceId>> {
        let sql = "SELECT name FROM sources s WHERE EXISTS (
                       SELECT FROM records_aside a
                       WHERE a.source = s.id AND a.time BETWEEN $1 AND $2 AND a.reason = $3)
                   ORDER BY name";
        let (from, upto, future) = (from.millis(), upto.millis(), AsideReason::Future.label());
        let found = self.rows(sql, &[&from, &upto, &future]).await?;
        all(&found, |r| Ok(SourceId::new(r.string()?)))
    }

    async fn readmit(
        &self,
        stretches: Vec<Stretch>,
        partitions: u32,
        now: Timestamp,
    ) -> Result<u64> {
        let asking = Asking {
            stretches,
            partitions,
            now,
        };
        self.write(&asking).await
    }

    async fn take_in(&self, claim: &Claim, source: &SourceId) -> Result<TakenIn> {
        let taking = Taking {
            partition: claim.partition,
            source: source.clone(),
        };
        self.run(claim, &taking).await
    }
}

struct Asking {
    stretches: Vec<Stretch>,
    partitions: u32,
    now: Timestamp,
}

#[async_trait]
impl Writing for Asking {
    type Written = u64;

    async fn write(&self, work: &mut Work<'_>) -> Outcome<u64> {
        let mut asked = 0;
        for stretch in &self.stretches {
            let sql = "WITH asked AS (
                           UPDATE records_aside a SET reason = $5 FROM sources s
                           WHERE s.name = $1 AND a.source = s.id AND a.time BETWEEN $2 AND $3
                               AND a.reason = $4 RETURNING a.source, a.time)
                       SELECT source, min(time), max(time), count(*) FROM asked GROUP BY source";
            let (name, future) = (
                written(stretch.source.as_str()),
                AsideReason::Future.label(),
            );
            let (from, upto) = (stretch.from.millis(), stretch.upto.millis());
            let found = work
                .opt(sql, &[&name, &from, &upto, &future, &ASKED])
                .await?;
            let Some(row) = found else { continue };
            let concerned = Concerned {
                source: row.get(0),
                from: Timestamp::from_millis(row.get(1)),
                upto: Timestamp::from_millis(row.get(2)),
            };
            asked += row.get::<_, i64>(3).cast_unsigned();
            let partition = partition_of(&stretch.source, self.partitions);
            tables::mark(work, partition, &[concerned], self.now).await?;
        }
        Ok(asked)
    }
}

struct Taking {
    partition: u32,
    source: SourceId,
}

#[async_trait]
impl Job for Taking {
    type Done = TakenIn;

    async fn run(&self, work: &mut Work<'_>) -> Outcome<TakenIn> {
        let name = written(self.source.as_str());
        let sql = "SELECT source, max(time) FROM (
                       SELECT a.source, a.time FROM records_aside a JOIN sources s ON s.id = a.source
                       WHERE s.name = $1 AND a.reason = $2 ORDER BY a.time LIMIT $3) n
                   GROUP BY source";
        let Some(row) = work.opt(sql, &[&name, &ASKED, &AT_ONCE]).await? else {
            return Ok(TakenIn::default());
        };
        let (source, newest): (i32, i64) = (row.get(0), row.get(1));
        let sql = "SELECT verdict FROM positions WHERE source = $1 ORDER BY time DESC LIMIT 1";
        let on_file = work.opt(sql, &[&source]).await?;
        let on_file = on_file.map(|row| rows::verdict(&mut Reader::new(&row)));
        let verdict = i16::from(verdict(on_file.transpose()?).code());
        let repeated = work
            .execute(
                "UPDATE positions p SET received = least(p.received, a.received)
                 FROM records_aside a WHERE a.source = $1 AND a.reason = $2 AND a.time <= $3
                     AND p.source = a.source AND p.time = a.time AND p.hash = a.hash",
                &[&source, &ASKED, &newest],
            )
            .await?;
        // The partition's row is locked, so what is not found is new.
        let sql = format!(
            "INSERT INTO positions (source, time, hash, received, verdict, frame, {RECORD})
             SELECT source, time, hash, received, $4, $5, {RECORD} FROM records_aside a
             WHERE a.source = $1 AND a.reason = $2 AND a.time <= $3 AND NOT EXISTS (
                 SELECT FROM positions p
                 WHERE p.source = a.source AND p.time = a.time AND p.hash = a.hash)"
        );
        let filed = work
            .execute(&sql, &[&source, &ASKED, &newest, &verdict, &NO_FRAME])
            .await?;
        let sql = "DELETE FROM records_aside WHERE source = $1 AND reason = $2 AND time <= $3";
        work.execute(sql, &[&source, &ASKED, &newest]).await?;
        let (new, again) = (filed.cast_signed(), repeated.cast_signed());
        work.execute(
            "UPDATE partitions SET filed = filed + $2, repeated = repeated + $3,
                 late = late + $2, aside = aside - $2 - $3 WHERE \"partition\" = $1",
            &[&i64::from(self.partition), &new, &again],
        )
        .await?;
        Ok(TakenIn {
            filed,
            repeated,
            newest: Some(Timestamp::from_millis(newest)),
        })
    }
}
