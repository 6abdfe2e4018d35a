//! Pages of facts for [`FactStore`].

use super::cells::{all, written};
use super::{TimescaleStore, Who};
use crate::batch::Result;
use crate::facts::{FactStore, Filed};
use crate::filed::{behind, limit as rows};
use crate::rows::{self as facts, Columns, DAY_ROW, DRIVER_DAY, PERIOD, VIOLATION};
use async_trait::async_trait;
use waywarden_model::{
    DayRow, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, Violation, ViolationId,
};

#[async_trait]
impl FactStore for TimescaleStore {
    async fn violations_after(
        &self,
        after: Option<(Timestamp, ViolationId)>,
        limit: usize,
    ) -> Result<Vec<Violation>> {
        let (start, id) = after.map_or((i64::MIN, [0; 16]), |(t, id)| (t.millis(), id.bytes()));
        let sql = format!(
            "SELECT {VIOLATION} FROM violations WHERE status <> 'withdrawn'
             AND (start, id) > ($1, $2) ORDER BY start, id LIMIT $3"
        );
        let found = self
            .rows(&sql, &[&start, &id.as_slice(), &rows(limit)])
            .await?;
        all(&found, |r| facts::violation(r))
    }

    async fn periods_after(
        &self,
        after: Option<(SourceId, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<Period>> {
        let (source, start) = after.map_or((String::new(), i64::MIN), |(s, t)| {
            (written(s.as_str()).into_owned(), t.millis())
        });
        let sql = format!(
            "SELECT {PERIOD} FROM sources s JOIN periods p ON p.source = s.id
             WHERE (s.name, p.start) > ($1, $2) ORDER BY s.name, p.start LIMIT $3"
        );
        let found = self.rows(&sql, &[&source, &start, &rows(limit)]).await?;
        all(&found, |r| facts::period(r))
    }

    async fn day_rows_after(
        &self,
        after: Option<(SourceId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DayRow>> {
        let (source, day) = after.map_or((String::new(), i32::MIN), |(s, d)| {
            (written(s.as_str()).into_owned(), d.0)
        });
        let sql = format!(
            "SELECT {DAY_ROW} FROM sources s JOIN day_rows d ON d.source = s.id
             WHERE (s.name, d.day) > ($1, $2) ORDER BY s.name, d.day LIMIT $3"
        );
        let found = self.rows(&sql, &[&source, &day, &rows(limit)]).await?;
        all(&found, |r| facts::day_row(r))
    }

    async fn driver_days_after(
        &self,
        after: Option<(DriverId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>> {
        let (driver, day) = after.map_or((String::new(), i32::MIN), |(d, day)| {
            (written(d.as_str()).into_owned(), day.0)
        });
        let sql = format!(
            "SELECT {DRIVER_DAY} FROM driver_days
             WHERE (driver, day) > ($1, $2) ORDER BY driver, day LIMIT $3"
        );
        let found = self.rows(&sql, &[&driver, &day, &rows(limit)]).await?;
        all(&found, |r| facts::driver_day(r))
    }

    async fn filed_after(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<Filed>> {
        let Some(id) = self.source_id(Who::Person, source).await? else {
            return Ok(Vec::new());
        };
        let (time, hash) = behind(after);
        let sql = format!(
            "SELECT time, hash, {} FROM positions
             WHERE source = $1 AND (time, hash) > ($2, $3) AND time >= $2
             ORDER BY time, hash LIMIT $4",
            facts::verdict_shown("positions")
        );
        let found = self.rows(&sql, &[&id, &time, &hash, &rows(limit)]).await?;
        all(&found, |r| {
            let (time, hash) = (r.time()?, r.number::<i64>()?.cast_unsigned());
            Ok((time, hash, facts::verdict(r)?))
        })
    }
}
