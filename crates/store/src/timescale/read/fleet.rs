//! Last fixes, tracks, driving periods and the rows of days.

use super::filter::Filter;
use crate::batch::Result;
use crate::filed::{LATEST, behind, limit as rows, position_columns};
use crate::read::{DayFilter, FiledDay, FiledPosition, Latest, PositionPage};
use crate::rows::{self as facts, Columns, DAY_ROW, DRIVER_DAY, PERIOD, RECORD};
use crate::timescale::cells::{all, written};
use crate::timescale::{TimescaleStore, Who};
use std::collections::BTreeMap;
use waywarden_model::{DriverDay, DriverId, LocalDay, Period, SourceId, Timestamp, VehicleId};

pub(super) async fn latest(store: &TimescaleStore, limit: usize) -> Result<Vec<Latest>> {
    let sql = format!("SELECT {LATEST} FROM latest l JOIN sources s ON s.id = l.source LIMIT $1");
    let found = store.rows(&sql, &[&rows(limit)]).await?;
    all(&found, |r| crate::filed::latest(r))
}

pub(super) async fn sources(
    store: &TimescaleStore,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<SourceId>> {
    let sql = "SELECT name FROM sources WHERE name > $1 ORDER BY name LIMIT $2";
    let after = written(after.unwrap_or(""));
    let found = store.rows(sql, &[&after, &rows(limit)]).await?;
    all(&found, |r| Ok(SourceId::new(r.string()?)))
}

pub(in crate::timescale) async fn newest_records(
    store: &TimescaleStore,
    after: Option<&SourceId>,
    limit: usize,
) -> Result<Vec<(SourceId, Timestamp)>> {
    let sql = "SELECT s.name, n.time FROM sources s CROSS JOIN LATERAL
                   (SELECT time FROM positions WHERE source = s.id ORDER BY time DESC LIMIT 1) n
               WHERE s.name > $1 ORDER BY s.name LIMIT $2";
    let after = written(after.map_or("", SourceId::as_str));
    let found = store.rows(sql, &[&after, &rows(limit)]).await?;
    all(&found, |r| Ok((SourceId::new(r.string()?), r.time()?)))
}

pub(super) async fn positions(
    store: &TimescaleStore,
    page: &PositionPage,
) -> Result<Vec<FiledPosition>> {
    let Some(source) = store.source_id(Who::Person, &page.source).await? else {
        return Ok(Vec::new());
    };
    let (from, to) = (page.from.millis(), page.to.millis());
    let (time, hash) = behind(page.after);
    // The bounds of the time alone are for the choice of chunks.
    let least = from.max(time);
    let sql = format!(
        "SELECT {}, {RECORD} FROM positions
         WHERE source = $1 AND time >= $2 AND time < $3 AND (time, hash) > ($4, $5)
         ORDER BY time, hash LIMIT $6",
        position_columns()
    );
    let key = (rows(page.limit), hash);
    let found = store
        .rows(&sql, &[&source, &least, &to, &time, &key.1, &key.0])
        .await?;
    all(&found, |r| crate::filed::position(r, &page.source))
}

pub(super) async fn day_rows(
    store: &TimescaleStore,
    f: &DayFilter,
    after: Option<&(LocalDay, SourceId)>,
    limit: usize,
) -> Result<Vec<FiledDay>> {
    let mut filter = Filter::new();
    filter.narrow("d.day >=", Some(f.from.0));
    filter.narrow("d.day <=", Some(f.to.0));
    filter.vehicle("d", f.vehicle.as_deref());
    let operator = f
        .operator
        .as_ref()
        .map(|o| written(o.as_str()).into_owned());
    filter.narrow("d.operator =", operator);
    if let Some((day, source)) = after {
        let (day, source) = (
            filter.put(day.0),
            filter.put(written(source.as_str()).into_owned()),
        );
        filter.and(&format!("(d.day, s.name) > ({day}, {source})"));
    }
    let limit = filter.put(rows(limit));
    let sql = format!(
        "SELECT {DAY_ROW} FROM day_rows d JOIN sources s ON s.id = d.source WHERE {}
         ORDER BY d.day, s.name LIMIT {limit}",
        filter.clause()
    );
    let found = store.rows(&sql, &filter.params()).await?;
    with_driving(store, all(&found, |r| facts::day_row(r))?).await
}

/// The driving of all the days by one statement.
async fn with_driving(
    store: &TimescaleStore,
    days: Vec<waywarden_model::DayRow>,
) -> Result<Vec<FiledDay>> {
    let zone = store.zone();
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    let mut sources = Vec::with_capacity(days.len());
    for d in &days {
        sources.push(written(d.source.as_str()).into_owned());
        begins.push(zone.start_of(d.day).millis());
        ends.push(zone.start_of(d.day.plus(1)).millis());
    }
    let sql = "SELECT n.place, sum(p.\"end\" - p.start)::int8
         FROM unnest($1::text[], $2::int8[], $3::int8[]) WITH ORDINALITY
                  AS n(name, begins, ends, place)
             JOIN sources s ON s.name = n.name COLLATE \"C\"
             JOIN periods p ON p.source = s.id AND p.start >= n.begins AND p.start < n.ends
         GROUP BY n.place";
    let found = store.rows(sql, &[&sources, &begins, &ends]).await?;
    let driving = all(&found, |r| Ok((r.number::<usize>()?, r.number::<i64>()?)))?;
    let driving: BTreeMap<usize, i64> = driving.into_iter().collect();
    let with = |(row, place)| FiledDay {
        row,
        driving_ms: driving.get(&place).copied().unwrap_or(0),
    };
    Ok(days.into_iter().zip(1..).map(with).collect())
}

pub(super) async fn driver_days(
    store: &TimescaleStore,
    f: &DayFilter,
    after: Option<&(LocalDay, DriverId)>,
    limit: usize,
) -> Result<Vec<DriverDay>> {
    let mut filter = Filter::new();
    filter.narrow("day >=", Some(f.from.0));
    filter.narrow("day <=", Some(f.to.0));
    filter.narrow(
        "driver =",
        f.driver.as_ref().map(|d| written(d.as_str()).into_owned()),
    );
    if let Some((day, driver)) = after {
        let (day, driver) = (
            filter.put(day.0),
            filter.put(written(driver.as_str()).into_owned()),
        );
        filter.and(&format!("(day, driver) > ({day}, {driver})"));
    }
    let limit = filter.put(rows(limit));
    let sql = format!(
        "SELECT {DRIVER_DAY} FROM driver_days WHERE {} ORDER BY day, driver LIMIT {limit}",
        filter.clause()
    );
    all(&store.rows(&sql, &filter.params()).await?, |r| {
        facts::driver_day(r)
    })
}

pub(super) async fn periods(
    store: &TimescaleStore,
    vehicle: &VehicleId,
    (from, to): (Timestamp, Timestamp),
    limit: usize,
) -> Result<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source
         WHERE p.vehicle = $1 AND p.start <= $2 AND p.\"end\" >= $3 ORDER BY p.start LIMIT $4"
    );
    let key = (
        written(vehicle.as_str()),
        to.millis(),
        from.millis(),
        rows(limit),
    );
    all(
        &store.rows(&sql, &[&key.0, &key.1, &key.2, &key.3]).await?,
        |r| facts::period(r),
    )
}
