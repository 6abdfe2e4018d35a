//! Last fixes, tracks, driving periods and the rows of days.

use crate::batch::Result;
use crate::filed::{LATEST, limit as rows, position_columns};
use crate::read::{DayFilter, FiledDay, FiledPosition, Latest, PositionPage};
use crate::rows::{self as facts, Columns, DAY_ROW, DRIVER_DAY, PERIOD, RECORD};
use crate::sqlite::rows::all;
use crate::sqlite::source_id;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use waywarden_model::{
    DayRow, DriverDay, DriverId, LocalDay, Period, Plate, SourceId, TimeZone, Timestamp, VehicleId,
};

pub(super) fn latest(c: &Connection, limit: usize) -> Result<Vec<Latest>> {
    let sql = format!("SELECT {LATEST} FROM latest l JOIN sources s ON s.id = l.source LIMIT ?");
    all(c, &sql, [rows(limit)], |r| crate::filed::latest(r))
}

pub(super) fn sources(c: &Connection, after: Option<&str>, limit: usize) -> Result<Vec<SourceId>> {
    let sql = "SELECT name FROM sources WHERE name > ? ORDER BY name LIMIT ?";
    all(c, sql, (after.unwrap_or(""), rows(limit)), |r| {
        Ok(SourceId::new(r.string()?))
    })
}

pub(in crate::sqlite) fn newest_records(
    c: &Connection,
    after: Option<&SourceId>,
    limit: usize,
) -> Result<Vec<(SourceId, Timestamp)>> {
    let sql = "SELECT name, newest FROM (
                   SELECT name, (SELECT max(time) FROM positions WHERE source = s.id) AS newest
                   FROM sources s WHERE name > ?)
               WHERE newest IS NOT NULL ORDER BY name LIMIT ?";
    let after = after.map_or("", SourceId::as_str);
    all(c, sql, (after, rows(limit)), |r| {
        Ok((SourceId::new(r.string()?), r.time()?))
    })
}

pub(super) fn positions(c: &Connection, page: &PositionPage) -> Result<Vec<FiledPosition>> {
    let Some(source) = source_id(c, page.source.as_str())? else {
        return Ok(Vec::new());
    };
    let (time, hash) = page.after.map_or((page.from.millis(), i64::MIN), |(t, h)| {
        (t.millis(), h.cast_signed())
    });
    // The first page takes its first key too.
    let comparison = if page.after.is_some() { ">" } else { ">=" };
    let sql = format!(
        "SELECT {}, {RECORD} FROM positions WHERE source = ? \
         AND (time, hash) {comparison} (?, ?) AND time < ? ORDER BY time, hash LIMIT ?",
        position_columns()
    );
    let key = (source, time, hash, page.to.millis(), rows(page.limit));
    all(c, &sql, key, |r| crate::filed::position(r, &page.source))
}

pub(super) fn day_rows(
    c: &Connection,
    zone: &TimeZone,
    f: &DayFilter,
    after: Option<&(LocalDay, SourceId)>,
    limit: usize,
) -> Result<Vec<FiledDay>> {
    let mut clause = String::from("d.day BETWEEN ? AND ?");
    let mut values: Vec<Value> = vec![i64::from(f.from.0).into(), i64::from(f.to.0).into()];
    if let Some(v) = &f.vehicle {
        clause.push_str(" AND (d.vehicle = ? OR d.plate = ?)");
        values.push(v.clone().into());
        values.push(Plate::new(v).as_str().to_owned().into());
    }
    if let Some(o) = &f.operator {
        clause.push_str(" AND d.operator = ?");
        values.push(o.as_str().to_owned().into());
    }
    if let Some((day, source)) = after {
        clause.push_str(" AND (d.day, s.name) > (?, ?)");
        values.push(i64::from(day.0).into());
        values.push(source.as_str().to_owned().into());
    }
    values.push(rows(limit).into());
    let sql = format!(
        "SELECT {DAY_ROW} FROM day_rows d JOIN sources s ON s.id = d.source WHERE {clause} \
         ORDER BY d.day, s.name LIMIT ?"
    );
    all(c, &sql, params_from_iter(values), |r| {
        let row = facts::day_row(r)?;
        let driving_ms = driving_ms(c, zone, &row)?;
        Ok(FiledDay { row, driving_ms })
    })
}

fn driving_ms(c: &Connection, zone: &TimeZone, row: &DayRow) -> Result<i64> {
    let mut q = c.prepare_cached(
        "SELECT coalesce(sum(p.\"end\" - p.start), 0)
         FROM sources s JOIN periods p ON p.source = s.id
         WHERE s.name = ?1 AND p.start >= ?2 AND p.start < ?3",
    )?;
    let begins = zone.start_of(row.day).millis();
    let ends = zone.start_of(row.day.plus(1)).millis();
    Ok(q.query_row((row.source.as_str(), begins, ends), |r| r.get(0))?)
}

pub(super) fn driver_days(
    c: &Connection,
    f: &DayFilter,
    after: Option<&(LocalDay, DriverId)>,
    limit: usize,
) -> Result<Vec<DriverDay>> {
    let mut clause = String::from("day BETWEEN ? AND ?");
    let mut values: Vec<Value> = vec![i64::from(f.from.0).into(), i64::from(f.to.0).into()];
    if let Some(d) = &f.driver {
        clause.push_str(" AND driver = ?");
        values.push(d.as_str().to_owned().into());
    }
    if let Some((day, driver)) = after {
        clause.push_str(" AND (day, driver) > (?, ?)");
        values.push(i64::from(day.0).into());
        values.push(driver.as_str().to_owned().into());
    }
    values.push(rows(limit).into());
    let sql = format!(
        "SELECT {DRIVER_DAY} FROM driver_days WHERE {clause} \
         ORDER BY day, driver LIMIT ?"
    );
    all(c, &sql, params_from_iter(values), |r| facts::driver_day(r))
}

pub(super) fn periods(
    c: &Connection,
    vehicle: &VehicleId,
    from: Timestamp,
    to: Timestamp,
    limit: usize,
) -> Result<Vec<Period>> {
    let sql = format!(
        "SELECT {PERIOD} FROM periods p JOIN sources s ON s.id = p.source \
             WHERE p.vehicle = ? AND p.start <= ? AND p.\"end\" >= ? ORDER BY p.start LIMIT ?"
    );
    let key = (vehicle.as_str(), to.millis(), from.millis(), rows(limit));
    all(c, &sql, key, |r| facts::period(r))
}
