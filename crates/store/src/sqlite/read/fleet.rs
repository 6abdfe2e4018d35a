//! Last fixes, tracks, driving periods and the rows of days.

use super::violations::{get, text};
use super::{corrupt, failed, rows};
use crate::batch::Result;
use crate::read::{DayFilter, FiledPosition, Latest, PositionPage};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use waywarden_model::{
    Alarms, Course, DayRow, Details, Distance, DriverDay, DriverId, DriverSaid, InvalidReason,
    LocalDay, Period, Plate, Position, Record, RecordKind, SourceId, Speed, Timestamp, VehicleId,
    Verdict,
};

pub(super) fn latest(c: &Connection, limit: usize) -> Result<Vec<Latest>> {
    let mut q = c
        .prepare_cached(
            "SELECT s.name, l.time, l.received, l.verdict, l.lat, l.lon, l.speed, l.course, \
             l.ignition, l.said, l.driver FROM latest l JOIN sources s ON s.id = l.source LIMIT ?",
        )
        .map_err(failed)?;
    let mut found = q.query([rows(limit)]).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        out.push(Latest {
            source: text(row, 0)?.as_str().into(),
            time: Timestamp::from_millis(get(row, 1)?),
            received: Timestamp::from_millis(get(row, 2)?),
            verdict: verdict(get(row, 3)?)?,
            lat: get(row, 4)?,
            lon: get(row, 5)?,
            speed_centi: get(row, 6)?,
            course_centi: get(row, 7)?,
            ignition: get(row, 8)?,
            said: said(get(row, 9)?, get(row, 10)?)?,
        });
    }
    Ok(out)
}

pub(super) fn sources(
    c: &Connection,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<SourceId>> {
    let mut q = c
        .prepare_cached("SELECT name FROM sources WHERE name > ? ORDER BY name LIMIT ?")
        .map_err(failed)?;
    let found = q
        .query_map((after.unwrap_or(""), rows(limit)), |r| {
            r.get::<_, String>(0)
        })
        .map_err(failed)?;
    found
        .map(|n| n.map(|n| SourceId::from(n.as_str())).map_err(failed))
        .collect()
}

pub(super) fn positions(c: &Connection, page: &PositionPage) -> Result<Vec<FiledPosition>> {
    let source: Option<i64> = c
        .prepare_cached("SELECT id FROM sources WHERE name = ?")
        .map_err(failed)?
        .query_row([page.source.as_str()], |r| r.get(0))
        .optional()
        .map_err(failed)?;
    let Some(source) = source else {
        return Ok(Vec::new());
    };
    let (time, hash) = page
        .after
        .map_or((page.from.millis(), i64::MIN), |(t, h)| {
            (t.millis(), h.cast_signed())
        });
    // The first page takes its first key too.
    let comparison = if page.after.is_some() { ">" } else { ">=" };
    let sql = format!(
        "SELECT time, hash, received, verdict, kind, lat, lon, valid, altitude, speed, course, \
         satellites, ignition, motion, door, odometer, said, driver, alarms, stored, voltage, \
         fuel, engine, event, vin FROM positions WHERE source = ? \
         AND (time, hash) {comparison} (?, ?) AND time < ? ORDER BY time, hash LIMIT ?"
    );
    let mut q = c.prepare_cached(&sql).map_err(failed)?;
    let mut found = q
        .query((source, time, hash, page.to.millis(), rows(page.limit)))
        .map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        out.push(FiledPosition {
            source: page.source.clone(),
            record: record(row)?,
            received: Timestamp::from_millis(get(row, 2)?),
            hash: get::<i64>(row, 1)?.cast_unsigned(),
            verdict: verdict(get(row, 3)?)?,
        });
    }
    Ok(out)
}

fn record(row: &Row<'_>) -> Result<Record> {
    let (lat, lon): (Option<f64>, Option<f64>) = (get(row, 5)?, get(row, 6)?);
    let unsigned = |i: usize| -> Result<Option<u64>> {
        Ok(get::<Option<i64>>(row, i)?.map(i64::cast_unsigned))
    };
    Ok(Record {
        time: Timestamp::from_millis(get(row, 0)?),
        kind: RecordKind::from_u8(get(row, 4)?).ok_or_else(|| corrupt("record kind"))?,
        position: lat.zip(lon).and_then(|(a, b)| Position::new(a, b)),
        valid: get(row, 7)?,
        altitude_dm: get(row, 8)?,
        speed: get::<Option<i32>>(row, 9)?.map(Speed::from_centi),
        course: get::<Option<u16>>(row, 10)?.map(Course::from_centi),
        satellites: get(row, 11)?,
        ignition: get(row, 12)?,
        motion: get(row, 13)?,
        door: get(row, 14)?,
        odometer_m: unsigned(15)?,
        driver: said(get(row, 16)?, get(row, 17)?)?,
        alarms: Alarms::from_bits(get::<i64>(row, 18)?.cast_unsigned()),
        stored: get(row, 19)?,
        details: Details {
            external_voltage_mv: get(row, 20)?,
            fuel_centi: get(row, 21)?,
            engine_ms: unsigned(22)?,
            event: get(row, 23)?,
            vin: get::<Option<String>>(row, 24)?.map(Into::into),
        },
    })
}

fn verdict(code: u8) -> Result<Verdict> {
    Verdict::from_code(code).ok_or_else(|| corrupt("verdict"))
}

fn said(tag: u8, id: Option<String>) -> Result<DriverSaid> {
    match (tag, id) {
        (0, _) => Ok(DriverSaid::NotSaid),
        (1, _) => Ok(DriverSaid::Nobody),
        (2, Some(id)) => Ok(DriverSaid::Card(id.as_str().into())),
        (3, Some(id)) => Ok(DriverSaid::Licence(id.as_str().into())),
        _ => Err(corrupt("driver of a record")),
    }
}

pub(super) fn day_rows(
    c: &Connection,
    f: &DayFilter,
    after: Option<&(LocalDay, SourceId)>,
    limit: usize,
) -> Result<Vec<DayRow>> {
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
        "SELECT s.name, d.day, d.vehicle, d.plate, d.operator, d.records, d.valid, d.invalid, \
         d.distance, d.driving_ms, d.stops, d.gaps, d.max_speed \
         FROM day_rows d JOIN sources s ON s.id = d.source WHERE {clause} \
         ORDER BY d.day, s.name LIMIT ?"
    );
    let mut q = c.prepare_cached(&sql).map_err(failed)?;
    let mut found = q.query(params_from_iter(values)).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        out.push(day_row(row)?);
    }
    Ok(out)
}

fn day_row(row: &Row<'_>) -> Result<DayRow> {
    Ok(DayRow {
        source: text(row, 0)?.as_str().into(),
        day: LocalDay(get(row, 1)?),
        vehicle: get::<Option<String>>(row, 2)?.as_deref().map(Into::into),
        plate: get::<Option<String>>(row, 3)?.as_deref().map(Plate::new),
        operator: get::<Option<String>>(row, 4)?.as_deref().map(Into::into),
        records: get(row, 5)?,
        valid: get(row, 6)?,
        invalid: invalid(&text(row, 7)?)?,
        distance: Distance::from_decimetres(get(row, 8)?),
        driving_ms: get(row, 9)?,
        stops: get(row, 10)?,
        gaps_over_60_s: get(row, 11)?,
        max_speed: Speed::from_centi(get(row, 12)?),
    })
}

/// Counts by reason: as a list in the order of the reasons, or as an object by label.
fn invalid(text: &str) -> Result<[u32; InvalidReason::ALL.len()]> {
    let bad = || corrupt("invalid counts");
    let mut out = [0; InvalidReason::ALL.len()];
    match serde_json::from_str(text).map_err(|_| bad())? {
        serde_json::Value::Array(list) if list.len() <= out.len() => {
            for (slot, v) in out.iter_mut().zip(list) {
                *slot = v.as_u64().and_then(|v| v.try_into().ok()).ok_or_else(bad)?;
            }
        }
        serde_json::Value::Object(map) => {
            for (reason, slot) in InvalidReason::ALL.iter().zip(&mut out) {
                if let Some(v) = map.get(reason.label()) {
                    *slot = v.as_u64().and_then(|v| v.try_into().ok()).ok_or_else(bad)?;
                }
            }
        }
        _ => return Err(bad()),
    }
    Ok(out)
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
        "SELECT driver, day, driving_ms, distance, periods FROM driver_days WHERE {clause} \
         ORDER BY day, driver LIMIT ?"
    );
    let mut q = c.prepare_cached(&sql).map_err(failed)?;
    let mut found = q.query(params_from_iter(values)).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        out.push(DriverDay {
            driver: text(row, 0)?.as_str().into(),
            day: LocalDay(get(row, 1)?),
            driving_ms: get(row, 2)?,
            distance: Distance::from_decimetres(get(row, 3)?),
            periods: get(row, 4)?,
        });
    }
    Ok(out)
}

pub(super) fn periods(
    c: &Connection,
    vehicle: &VehicleId,
    from: Timestamp,
    to: Timestamp,
    limit: usize,
) -> Result<Vec<Period>> {
    let mut q = c
        .prepare_cached(
            "SELECT s.name, p.start, p.\"end\", p.open, p.vehicle, p.plate, p.driver, p.operator, \
             p.break_ms, p.distance, p.registry FROM periods p JOIN sources s ON s.id = p.source \
             WHERE p.vehicle = ? AND p.start <= ? AND p.\"end\" >= ? ORDER BY p.start LIMIT ?",
        )
        .map_err(failed)?;
    let mut found = q
        .query((vehicle.as_str(), to.millis(), from.millis(), rows(limit)))
        .map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        let optional = |i: usize| get::<Option<String>>(row, i);
        out.push(Period {
            source: text(row, 0)?.as_str().into(),
            start: Timestamp::from_millis(get(row, 1)?),
            end: Timestamp::from_millis(get(row, 2)?),
            open: get(row, 3)?,
            vehicle: optional(4)?.as_deref().map(Into::into),
            plate: optional(5)?.as_deref().map(Plate::new),
            driver: optional(6)?.as_deref().map(Into::into),
            operator: optional(7)?.as_deref().map(Into::into),
            break_ms: get(row, 8)?,
            distance: Distance::from_decimetres(get(row, 9)?),
            registry: get(row, 10)?,
        });
    }
    Ok(out)
}
