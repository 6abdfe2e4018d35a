//! Rows to the model's values and back; every query reads through these.

use crate::batch::{Result, StoreError};
use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Row, Statement};
use waywarden_model::{
    Alarms, Course, DayRow, Details, Distance, DriverDay, DriverId, DriverSaid, Kind, LimitSource,
    LocalDay, Period, Plate, Position, ProfileId, Record, RecordKind, Rule, SourceId, Speed,
    Subject, Timestamp, Verdict, Violation,
};

/// Columns of a record behind its key, in the order of [`bind_record`] and [`record`].
pub(crate) const RECORD: &str = "kind, lat, lon, valid, altitude, speed, course, satellites, \
     ignition, motion, door, odometer, said, driver, alarms, stored, voltage, fuel, engine, \
     event, vin";
pub(crate) const RECORD_COLUMNS: usize = 21;

/// Columns that [`violation`] reads.
pub(crate) const VIOLATION: &str = "kind, rule, subject, vehicle, plate, driver, operator, start, \
     \"end\", open, band, \"limit\", limit_source, max_excess, distance, duration_ms, limit_ms, \
     profile, profile_version, registry, figures, spans";
#[allow(dead_code)] // for queries that select more behind it
pub(crate) const VIOLATION_COLUMNS: usize = 22;

/// Columns that [`period`] reads, of `periods p JOIN sources s ON s.id = p.source`.
pub(crate) const PERIOD: &str = "s.name, p.start, p.\"end\", p.open, p.vehicle, p.plate, \
     p.driver, p.operator, p.break_ms, p.distance, p.registry";

/// Columns that [`day_row`] reads, of `day_rows d JOIN sources s ON s.id = d.source`.
pub(crate) const DAY_ROW: &str = "s.name, d.day, d.vehicle, d.plate, d.operator, d.records, \
     d.valid, d.invalid, d.distance, d.stops, d.gaps, d.max_speed";

/// Columns that [`driver_day`] reads, of `driver_days`.
pub(crate) const DRIVER_DAY: &str = "driver, day, driving_ms, distance, periods";

/// Writes values to parameters one after the other.
pub(crate) struct Binder<'s, 'c> {
    pub stmt: &'s mut Statement<'c>,
    next: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub fn new(stmt: &'s mut Statement<'c>) -> Self {
        Self { stmt, next: 1 }
    }

    pub fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.stmt.raw_bind_parameter(self.next, value)?;
        self.next += 1;
        Ok(())
    }

    pub fn execute(self) -> rusqlite::Result<usize> {
        self.stmt.raw_execute()
    }
}

pub(crate) fn bind_record(b: &mut Binder<'_, '_>, r: &Record) -> rusqlite::Result<()> {
    b.put(r.kind as u8)?;
    b.put(r.position.map(Position::lat))?;
    b.put(r.position.map(Position::lon))?;
    b.put(r.valid)?;
    b.put(r.altitude_dm)?;
    b.put(r.speed.map(Speed::centi))?;
    b.put(r.course.map(Course::centi))?;
    b.put(r.satellites)?;
    b.put(r.ignition)?;
    b.put(r.motion)?;
    b.put(r.door)?;
    b.put(r.odometer_m.map(u64::cast_signed))?;
    let (said, driver) = said_columns(&r.driver);
    b.put(said)?;
    b.put(driver)?;
    b.put(r.alarms.bits().cast_signed())?;
    b.put(r.stored)?;
    b.put(r.details.external_voltage_mv)?;
    b.put(r.details.fuel_centi)?;
    b.put(r.details.engine_ms.map(u64::cast_signed))?;
    b.put(r.details.event)?;
    b.put(r.details.vin.as_deref())
}

pub(crate) fn said_columns(said: &DriverSaid) -> (u8, Option<&str>) {
    match said {
        DriverSaid::NotSaid => (0, None),
        DriverSaid::Nobody => (1, None),
        DriverSaid::Card(c) => (2, Some(c.as_str())),
        DriverSaid::Licence(d) => (3, Some(d.as_str())),
    }
}

pub(crate) fn said(code: u8, driver: Option<&str>) -> Result<DriverSaid> {
    match (code, driver) {
        (0, _) => Ok(DriverSaid::NotSaid),
        (1, _) => Ok(DriverSaid::Nobody),
        (2, Some(card)) => Ok(DriverSaid::Card(card.into())),
        (3, Some(licence)) => Ok(DriverSaid::Licence(licence.into())),
        _ => Err(corrupt("driver")),
    }
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// Reads columns one after the other.
pub(crate) struct Reader<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Reader<'r, 's> {
    pub fn new(row: &'r Row<'s>, first: usize) -> Self {
        Self { row, next: first }
    }

    pub fn take<T: FromSql>(&mut self) -> Result<T> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    pub fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.take()?))
    }

    /// An optional text that becomes an identifier.
    pub fn id<T: for<'t> From<&'t str>>(&mut self) -> Result<Option<T>> {
        let text = self.row.get_ref(self.next)?.as_str_or_null();
        self.next += 1;
        Ok(text.map_err(|_| corrupt("identifier"))?.map(T::from))
    }

    fn plate(&mut self) -> Result<Option<Plate>> {
        Ok(self.take::<Option<String>>()?.map(|t| Plate::new(&t)))
    }

    /// A name of a closed list; one that is not in it means that the file is damaged.
    fn named<T>(&mut self, what: &str, of: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        self.take::<Option<String>>()?
            .map(|t| of(&t).ok_or_else(|| corrupt(what)))
            .transpose()
    }
}

/// A record whose columns [`RECORD`] begin at `first`.
pub(crate) fn record(row: &Row<'_>, time: Timestamp, first: usize) -> Result<Record> {
    let mut r = Reader::new(row, first);
    let kind = RecordKind::from_u8(r.take()?).ok_or_else(|| corrupt("kind of record"))?;
    let position = match (r.take()?, r.take()?) {
        (Some(lat), Some(lon)) => {
            Some(Position::new(lat, lon).ok_or_else(|| corrupt("coordinates"))?)
        }
        _ => None,
    };
    Ok(Record {
        time,
        kind,
        position,
        valid: r.take()?,
        altitude_dm: r.take()?,
        speed: r.take::<Option<i32>>()?.map(Speed::from_centi),
        course: r.take::<Option<u16>>()?.map(Course::from_centi),
        satellites: r.take()?,
        ignition: r.take()?,
        motion: r.take()?,
        door: r.take()?,
        odometer_m: r.take::<Option<i64>>()?.map(i64::cast_unsigned),
        driver: said(r.take()?, r.take::<Option<String>>()?.as_deref())?,
        alarms: Alarms::from_bits(r.take::<i64>()?.cast_unsigned()),
        stored: r.take()?,
        details: Details {
            external_voltage_mv: r.take()?,
            fuel_centi: r.take()?,
            engine_ms: r.take::<Option<i64>>()?.map(i64::cast_unsigned),
            event: r.take()?,
            vin: r.take::<Option<String>>()?.map(Into::into),
        },
    })
}

pub(crate) fn verdict(code: u8) -> Result<Verdict> {
    Verdict::from_code(code).ok_or_else(|| corrupt("verdict"))
}

/// A violation whose columns [`VIOLATION`] begin at `first`.
pub(crate) fn violation(row: &Row<'_>, first: usize) -> Result<Violation> {
    let mut r = Reader::new(row, first);
    Ok(Violation {
        kind: r
            .named("kind", Kind::from_name)?
            .ok_or_else(|| corrupt("kind"))?,
        rule: r.named("rule", Rule::from_name)?,
        subject: r
            .named("subject", Subject::from_key)?
            .ok_or_else(|| corrupt("subject"))?,
        vehicle: r.id()?,
        plate: r.plate()?,
        driver: r.id()?,
        operator: r.id()?,
        start: r.time()?,
        end: r.time()?,
        open: r.take()?,
        band: r.named("band", waywarden_model::Band::from_name)?,
        limit: r.take::<Option<i32>>()?.map(Speed::from_centi),
        limit_source: r.named("limit_source", LimitSource::from_name)?,
        max_excess: r.take::<Option<i32>>()?.map(Speed::from_centi),
        distance: r.take::<Option<i64>>()?.map(Distance::from_decimetres),
        duration_ms: r.take()?,
        limit_ms: r.take()?,
        profile: ProfileId {
            name: r.take::<String>()?.into(),
            version: r.take()?,
        },
        registry: r.take()?,
        figures: json(&r.take::<String>()?)?,
        spans: json(&r.take::<String>()?)?,
    })
}

pub(crate) fn period(row: &Row<'_>) -> Result<Period> {
    let mut r = Reader::new(row, 0);
    Ok(Period {
        source: SourceId::new(r.take::<String>()?),
        start: r.time()?,
        end: r.time()?,
        open: r.take()?,
        vehicle: r.id()?,
        plate: r.plate()?,
        driver: r.id()?,
        operator: r.id()?,
        break_ms: r.take()?,
        distance: Distance::from_decimetres(r.take()?),
        registry: r.take()?,
    })
}

pub(crate) fn day_row(row: &Row<'_>) -> Result<DayRow> {
    let mut r = Reader::new(row, 0);
    Ok(DayRow {
        source: SourceId::new(r.take::<String>()?),
        day: LocalDay(r.take()?),
        vehicle: r.id()?,
        plate: r.plate()?,
        operator: r.id()?,
        records: r.take()?,
        valid: r.take()?,
        invalid: json(&r.take::<String>()?)?,
        distance: Distance::from_decimetres(r.take()?),
        stops: r.take()?,
        gaps_over_60_s: r.take()?,
        max_speed: Speed::from_centi(r.take()?),
    })
}

pub(crate) fn driver_day(row: &Row<'_>) -> Result<DriverDay> {
    let mut r = Reader::new(row, 0);
    Ok(DriverDay {
        driver: DriverId::new(r.take::<String>()?),
        day: LocalDay(r.take()?),
        driving_ms: r.take()?,
        distance: Distance::from_decimetres(r.take()?),
        periods: r.take()?,
    })
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt(format!("json: {e}")))
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Failed(format!("json: {e}")))
}
