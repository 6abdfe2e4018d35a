//! Rows to the model's values and back, for every database: which columns there are, in which
//! order, and what they mean is said here once.

use crate::batch::{Result, StoreError};
use waywarden_model::{
    Alarms, Band, Course, DayRow, Details, Distance, DriverDay, DriverId, DriverSaid, Kind,
    LimitSource, LocalDay, Period, Plate, Position, ProfileId, Record, RecordKind, Rule, SourceId,
    Speed, Subject, Timestamp, Verdict, Violation,
};

/// Columns of a record behind its key, in the order of [`put_record`] and [`record`].
pub(crate) const RECORD: &str = "kind, lat, lon, valid, altitude, speed, course, satellites, \
     ignition, motion, door, odometer, said, driver, alarms, stored, voltage, fuel, engine, \
     event, vin";

/// Columns of [`put_violation`] and [`violation`].
pub(crate) const VIOLATION: &str = "kind, rule, subject, vehicle, plate, driver, operator, start, \
     \"end\", open, band, \"limit\", limit_source, max_excess, distance, duration_ms, limit_ms, \
     profile, profile_version, registry, figures, spans";
pub(crate) const VIOLATION_COLUMNS: usize = 22;

/// Columns that [`period`] reads, of `periods p JOIN sources s ON s.id = p.source`.
pub(crate) const PERIOD: &str = "s.name, p.start, p.\"end\", p.open, p.vehicle, p.plate, \
     p.driver, p.operator, p.break_ms, p.distance, p.registry";

/// Columns that [`day_row`] reads, of `day_rows d JOIN sources s ON s.id = d.source`.
pub(crate) const DAY_ROW: &str = "s.name, d.day, d.vehicle, d.plate, d.operator, d.records, \
     d.valid, d.invalid, d.distance, d.stops, d.gaps, d.max_speed";

/// Columns that [`driver_day`] reads, of `driver_days`.
pub(crate) const DRIVER_DAY: &str = "driver, day, driving_ms, distance, periods";

/// Takes the values of a row, one column after the other; each database writes them in its way.
/// The widths are those of the columns of PostgreSQL.
pub(crate) trait Cells {
    type Error;

    fn short(&mut self, v: Option<i16>) -> std::result::Result<(), Self::Error>;
    fn int(&mut self, v: Option<i32>) -> std::result::Result<(), Self::Error>;
    fn long(&mut self, v: Option<i64>) -> std::result::Result<(), Self::Error>;
    fn real(&mut self, v: Option<f64>) -> std::result::Result<(), Self::Error>;
    fn flag(&mut self, v: Option<bool>) -> std::result::Result<(), Self::Error>;
    fn text(&mut self, v: Option<&str>) -> std::result::Result<(), Self::Error>;
    fn bytes(&mut self, v: Option<&[u8]>) -> std::result::Result<(), Self::Error>;
}

/// Gives the values of a row, one column after the other.
pub(crate) trait Columns {
    /// An integer of any width.
    fn integer(&mut self) -> Result<Option<i64>>;
    fn real(&mut self) -> Result<Option<f64>>;
    fn flag(&mut self) -> Result<Option<bool>>;
    fn text(&mut self) -> Result<Option<String>>;
    fn bytes(&mut self) -> Result<Option<Vec<u8>>>;

    fn opt<T: TryFrom<i64>>(&mut self) -> Result<Option<T>> {
        let number = |n| T::try_from(n).map_err(|_| corrupt("a number out of its range"));
        self.integer()?.map(number).transpose()
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Result<T> {
        self.opt()?.ok_or_else(missing)
    }

    fn yes(&mut self) -> Result<bool> {
        self.flag()?.ok_or_else(missing)
    }

    fn string(&mut self) -> Result<String> {
        self.text()?.ok_or_else(missing)
    }

    fn blob(&mut self) -> Result<Vec<u8>> {
        self.bytes()?.ok_or_else(missing)
    }

    fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.number()?))
    }

    fn time_opt(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.integer()?.map(Timestamp::from_millis))
    }

    /// An optional text that becomes an identifier.
    fn id<T: for<'t> From<&'t str>>(&mut self) -> Result<Option<T>> {
        Ok(self.text()?.map(|t| T::from(&t)))
    }

    fn plate(&mut self) -> Result<Option<Plate>> {
        Ok(self.text()?.map(|t| Plate::new(&t)))
    }

    /// A name of a closed list; one that is not in it means that the database is damaged.
    fn named<T>(&mut self, what: &str, of: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        self.text()?
            .map(|t| of(&t).ok_or_else(|| corrupt(what)))
            .transpose()
    }

    fn must<T>(&mut self, what: &str, of: impl Fn(&str) -> Option<T>) -> Result<T> {
        self.named(what, of)?.ok_or_else(|| corrupt(what))
    }
}

pub(crate) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

fn missing() -> StoreError {
    corrupt("a value is missing")
}

pub(crate) fn put_record<C: Cells>(c: &mut C, r: &Record) -> std::result::Result<(), C::Error> {
    c.short(Some(r.kind as i16))?;
    c.real(r.position.map(Position::lat))?;
    c.real(r.position.map(Position::lon))?;
    c.flag(Some(r.valid))?;
    c.int(r.altitude_dm)?;
    c.int(r.speed.map(Speed::centi))?;
    c.int(r.course.map(|x| i32::from(x.centi())))?;
    c.short(r.satellites.map(i16::from))?;
    c.flag(r.ignition)?;
    c.flag(r.motion)?;
    c.flag(r.door)?;
    c.long(r.odometer_m.map(u64::cast_signed))?;
    put_said(c, &r.driver)?;
    c.long(Some(r.alarms.bits().cast_signed()))?;
    c.flag(Some(r.stored))?;
    c.long(r.details.external_voltage_mv.map(i64::from))?;
    c.int(r.details.fuel_centi)?;
    c.long(r.details.engine_ms.map(u64::cast_signed))?;
    c.long(r.details.event.map(i64::from))?;
    c.text(r.details.vin.as_deref())
}

/// Columns `said` and `driver`.
pub(crate) fn put_said<C: Cells>(
    c: &mut C,
    said: &DriverSaid,
) -> std::result::Result<(), C::Error> {
    let (code, text) = match said {
        DriverSaid::NotSaid => (0, None),
        DriverSaid::Nobody => (1, None),
        DriverSaid::Card(c) => (2, Some(c.as_str())),
        DriverSaid::Licence(d) => (3, Some(d.as_str())),
    };
    c.short(Some(code))?;
    c.text(text)
}

pub(crate) fn said(c: &mut impl Columns) -> Result<DriverSaid> {
    let code: u8 = c.number()?;
    match (code, c.text()?) {
        (0, _) => Ok(DriverSaid::NotSaid),
        (1, _) => Ok(DriverSaid::Nobody),
        (2, Some(card)) => Ok(DriverSaid::Card(card.as_str().into())),
        (3, Some(licence)) => Ok(DriverSaid::Licence(licence.as_str().into())),
        _ => Err(corrupt("driver")),
    }
}

/// A record of the columns [`RECORD`], which come next.
pub(crate) fn record(c: &mut impl Columns, time: Timestamp) -> Result<Record> {
    let kind = RecordKind::from_u8(c.number()?).ok_or_else(|| corrupt("kind of record"))?;
    let position = match (c.real()?, c.real()?) {
        (Some(lat), Some(lon)) => {
            Some(Position::new(lat, lon).ok_or_else(|| corrupt("coordinates"))?)
        }
        _ => None,
    };
    Ok(Record {
        time,
        kind,
        position,
        valid: c.yes()?,
        altitude_dm: c.opt()?,
        speed: c.opt()?.map(Speed::from_centi),
        course: c.opt()?.map(Course::from_centi),
        satellites: c.opt()?,
        ignition: c.flag()?,
        motion: c.flag()?,
        door: c.flag()?,
        odometer_m: c.integer()?.map(i64::cast_unsigned),
        driver: said(c)?,
        alarms: Alarms::from_bits(c.number::<i64>()?.cast_unsigned()),
        stored: c.yes()?,
        details: Details {
            external_voltage_mv: c.opt()?,
            fuel_centi: c.opt()?,
            engine_ms: c.integer()?.map(i64::cast_unsigned),
            event: c.opt()?,
            vin: c.text()?.map(Into::into),
        },
    })
}

/// Added to the number of a verdict that a record was filed with ahead of its judging. It is the
/// record's verdict as soon as the mark of its source does not say that it waits, so that judging what
/// came late writes those rows again alone that turn out otherwise.
const AHEAD: u8 = 128;

/// What a reader sees as the verdict of a row of `positions`, under the name that it has in the query:
/// `late` for a record that waits for being judged.
pub(crate) fn verdict_shown(positions: &str) -> String {
    let late = Verdict::Late.code();
    format!(
        "CAST(CASE WHEN {positions}.verdict >= {AHEAD} AND EXISTS (SELECT 1 FROM marks m
             WHERE m.source = {positions}.source
                 AND {positions}.time BETWEEN m.waits_from AND m.waits_upto)
         THEN {late} ELSE {positions}.verdict % {AHEAD} END AS SMALLINT)"
    )
}

/// The verdict of a row of `positions`, whether it waits or not.
pub(crate) fn verdict_judged() -> String {
    format!("CAST(verdict % {AHEAD} AS SMALLINT)")
}

/// The number under which a verdict is filed in `positions`; `ahead` of its judging or not.
pub(crate) fn verdict_code(verdict: Verdict, ahead: bool) -> u8 {
    if ahead {
        verdict.code() + AHEAD
    } else {
        verdict.code()
    }
}

pub(crate) fn verdict(c: &mut impl Columns) -> Result<Verdict> {
    verdict_of(c.number()?)
}

pub(crate) fn verdict_of(code: u8) -> Result<Verdict> {
    Verdict::from_code(code).ok_or_else(|| corrupt("verdict"))
}

/// As it is filed in `positions`: the verdict, and whether it was given ahead.
pub(crate) fn verdict_filed(c: &mut impl Columns) -> Result<(Verdict, bool)> {
    let code: u8 = c.number()?;
    Ok((verdict_of(code % AHEAD)?, code >= AHEAD))
}

pub(crate) fn put_violation<C: Cells>(c: &mut C, v: &Violation) -> Result<()>
where
    StoreError: From<C::Error>,
{
    c.text(Some(v.kind.name()))?;
    c.text(v.rule.map(Rule::name))?;
    c.text(Some(&v.subject.key()))?;
    c.text(v.vehicle.as_ref().map(|x| x.as_str()))?;
    c.text(v.plate.as_ref().map(Plate::as_str))?;
    c.text(v.driver.as_ref().map(DriverId::as_str))?;
    c.text(v.operator.as_ref().map(|x| x.as_str()))?;
    c.long(Some(v.start.millis()))?;
    c.long(Some(v.end.millis()))?;
    c.flag(Some(v.open))?;
    c.text(v.band.map(Band::name))?;
    c.int(v.limit.map(Speed::centi))?;
    c.text(v.limit_source.map(LimitSource::name))?;
    c.int(v.max_excess.map(Speed::centi))?;
    c.long(v.distance.map(Distance::decimetres))?;
    c.long(Some(v.duration_ms))?;
    c.long(v.limit_ms)?;
    c.text(Some(&v.profile.name))?;
    c.long(Some(v.profile.version.into()))?;
    c.long(Some(v.registry.into()))?;
    c.text(Some(&to_json(&v.figures)?))?;
    c.text(Some(&to_json(&v.spans)?))?;
    Ok(())
}

/// A violation of the columns [`VIOLATION`], which come next.
pub(crate) fn violation(c: &mut impl Columns) -> Result<Violation> {
    Ok(Violation {
        kind: c.must("kind", Kind::from_name)?,
        rule: c.named("rule", Rule::from_name)?,
        subject: c.must("subject", Subject::from_key)?,
        vehicle: c.id()?,
        plate: c.plate()?,
        driver: c.id()?,
        operator: c.id()?,
        start: c.time()?,
        end: c.time()?,
        open: c.yes()?,
        band: c.named("band", Band::from_name)?,
        limit: c.opt()?.map(Speed::from_centi),
        limit_source: c.named("limit_source", LimitSource::from_name)?,
        max_excess: c.opt()?.map(Speed::from_centi),
        distance: c.opt()?.map(Distance::from_decimetres),
        duration_ms: c.number()?,
        limit_ms: c.opt()?,
        profile: ProfileId {
            name: c.string()?.into(),
            version: c.number()?,
        },
        registry: c.number()?,
        figures: json(&c.string()?)?,
        spans: json(&c.string()?)?,
    })
}

/// Columns of [`PERIOD`] behind the source, and the subject.
pub(crate) fn put_period<C: Cells>(c: &mut C, p: &Period) -> std::result::Result<(), C::Error> {
    c.long(Some(p.start.millis()))?;
    c.long(Some(p.end.millis()))?;
    c.flag(Some(p.open))?;
    c.text(p.vehicle.as_ref().map(|v| v.as_str()))?;
    c.text(p.plate.as_ref().map(Plate::as_str))?;
    c.text(p.driver.as_ref().map(DriverId::as_str))?;
    c.text(p.operator.as_ref().map(|v| v.as_str()))?;
    c.long(Some(p.break_ms))?;
    c.long(Some(p.distance.decimetres()))?;
    c.long(Some(p.registry.into()))?;
    c.text(Some(&p.subject().key()))
}

pub(crate) fn period(c: &mut impl Columns) -> Result<Period> {
    Ok(Period {
        source: SourceId::new(c.string()?),
        start: c.time()?,
        end: c.time()?,
        open: c.yes()?,
        vehicle: c.id()?,
        plate: c.plate()?,
        driver: c.id()?,
        operator: c.id()?,
        break_ms: c.number()?,
        distance: Distance::from_decimetres(c.number()?),
        registry: c.number()?,
    })
}

/// Columns of [`DAY_ROW`] behind the source.
pub(crate) fn put_day_row<C: Cells>(c: &mut C, d: &DayRow) -> Result<()>
where
    StoreError: From<C::Error>,
{
    c.int(Some(d.day.0))?;
    c.text(d.vehicle.as_ref().map(|v| v.as_str()))?;
    c.text(d.plate.as_ref().map(Plate::as_str))?;
    c.text(d.operator.as_ref().map(|v| v.as_str()))?;
    c.long(Some(d.records.into()))?;
    c.long(Some(d.valid.into()))?;
    c.text(Some(&to_json(&d.invalid)?))?;
    c.long(Some(d.distance.decimetres()))?;
    c.long(Some(d.stops.into()))?;
    c.long(Some(d.gaps_over_60_s.into()))?;
    c.int(Some(d.max_speed.centi()))?;
    Ok(())
}

pub(crate) fn day_row(c: &mut impl Columns) -> Result<DayRow> {
    Ok(DayRow {
        source: SourceId::new(c.string()?),
        day: LocalDay(c.number()?),
        vehicle: c.id()?,
        plate: c.plate()?,
        operator: c.id()?,
        records: c.number()?,
        valid: c.number()?,
        invalid: json(&c.string()?)?,
        distance: Distance::from_decimetres(c.number()?),
        stops: c.number()?,
        gaps_over_60_s: c.number()?,
        max_speed: Speed::from_centi(c.number()?),
    })
}

pub(crate) fn driver_day(c: &mut impl Columns) -> Result<DriverDay> {
    Ok(DriverDay {
        driver: DriverId::new(c.string()?),
        day: LocalDay(c.number()?),
        driving_ms: c.number()?,
        distance: Distance::from_decimetres(c.number()?),
        periods: c.number()?,
    })
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt(format!("json: {e}")))
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Failed(format!("json: {e}")))
}

/// Numbers in `positions` of the verdicts of records that tell where their vehicle is, for `IN (...)`.
pub(crate) fn verdicts_shown() -> String {
    let shown = |code: &u8| Verdict::from_code(code % AHEAD).is_some_and(Verdict::shows_place);
    let codes = (0..=u8::MAX).filter(shown).map(|code| code.to_string());
    codes.collect::<Vec<_>>().join(", ")
}
