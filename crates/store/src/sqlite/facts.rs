//! Pages of facts for [`FactStore`].

use super::SqliteStore;
use super::rows::all;
use crate::batch::Result;
use crate::facts::{FactStore, Filed};
use crate::filed::behind;
use crate::rows::{self, Columns, DAY_ROW, DRIVER_DAY, PERIOD, VIOLATION};
use async_trait::async_trait;
use waywarden_model::{
    DayRow, DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, Violation, ViolationId,
};

#[async_trait]
impl FactStore for SqliteStore {
    async fn violations_after(
        &self,
        after: Option<(Timestamp, ViolationId)>,
        limit: usize,
    ) -> Result<Vec<Violation>> {
        let (start, id) = after.unwrap_or((
            Timestamp::from_millis(i64::MIN),
            ViolationId::from_bytes([0; 16]),
        ));
        let sql = format!(
            "SELECT {VIOLATION} FROM violations WHERE status <> 'withdrawn'
             AND (start, id) > (?1, ?2) ORDER BY start, id LIMIT ?3"
        );
        let key = (start.millis(), id.bytes(), limit);
        self.read(move |conn| all(conn, &sql, key, |r| rows::violation(r)))
            .await
    }

    async fn periods_after(
        &self,
        after: Option<(SourceId, Timestamp)>,
        limit: usize,
    ) -> Result<Vec<Period>> {
        let (source, start) = after.map_or((String::new(), i64::MIN), |(s, t)| {
            (s.to_string(), t.millis())
        });
        let sql = format!(
            "SELECT {PERIOD} FROM sources s JOIN periods p ON p.source = s.id
             WHERE (s.name, p.start) > (?1, ?2) ORDER BY s.name, p.start LIMIT ?3"
        );
        self.read(move |conn| all(conn, &sql, (source, start, limit), |r| rows::period(r)))
            .await
    }

    async fn day_rows_after(
        &self,
        after: Option<(SourceId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DayRow>> {
        let (source, day) = after.map_or((String::new(), i32::MIN), |(s, d)| (s.to_string(), d.0));
        let sql = format!(
            "SELECT {DAY_ROW} FROM sources s JOIN day_rows d ON d.source = s.id
             WHERE (s.name, d.day) > (?1, ?2) ORDER BY s.name, d.day LIMIT ?3"
        );
        self.read(move |conn| all(conn, &sql, (source, day, limit), |r| rows::day_row(r)))
            .await
    }

    async fn driver_days_after(
        &self,
        after: Option<(DriverId, LocalDay)>,
        limit: usize,
    ) -> Result<Vec<DriverDay>> {
        let key = after.map_or((String::new(), i32::MIN), |(d, day)| (d.to_string(), day.0));
        let sql = format!(
            "SELECT {DRIVER_DAY} FROM driver_days
             WHERE (driver, day) > (?1, ?2) ORDER BY driver, day LIMIT ?3"
        );
        self.read(move |conn| all(conn, &sql, (key.0, key.1, limit), |r| rows::driver_day(r)))
            .await
    }

    async fn filed_after(
        &self,
        source: &SourceId,
        after: Option<(Timestamp, u64)>,
        limit: usize,
    ) -> Result<Vec<Filed>> {
        let source = source.to_string();
        let (time, hash) = behind(after);
        let sql = format!(
            "SELECT p.time, p.hash, {} FROM sources s JOIN positions p ON p.source = s.id
             WHERE s.name = ?1 AND (p.time, p.hash) > (?2, ?3) ORDER BY p.time, p.hash LIMIT ?4",
            rows::verdict_shown("p")
        );
        self.read(move |conn| {
            all(conn, &sql, (source, time, hash, limit), |r| {
                let (time, hash) = (r.time()?, r.number::<i64>()?.cast_unsigned());
                Ok((time, hash, rows::verdict(r)?))
            })
        })
        .await
    }
}
