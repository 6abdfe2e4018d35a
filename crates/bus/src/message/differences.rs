//! The records of a frame by what each says otherwise than the one before. A device says much the
//! same again: the message has half the bytes of records that stand for themselves or fewer, and all
//! that it goes through has as much less to do.

use super::proto::{Difference, difference::Driver};
use super::{DecodeError, course_in, kind_in, position_in, satellites_in};
use waywarden_model::{Alarms, DriverSaid, Position, Record, RecordKind, Speed, Timestamp};

/// Numbers of the fields that a record may not say any more, which are bits of `unsaid`.
pub(super) mod field {
    pub const PLACE: u8 = 2;
    pub const SPEED: u8 = 4;
    pub const COURSE: u8 = 5;
    pub const ALTITUDE: u8 = 6;
    pub const ODOMETER: u8 = 7;
    pub const SATELLITES: u8 = 8;
    pub const VOLTAGE: u8 = 9;
    pub const IGNITION: u8 = 10;
    pub const MOTION: u8 = 11;
    pub const EVENT: u8 = 12;
    pub const DOOR: u8 = 19;
    pub const FUEL: u8 = 25;
    pub const ENGINE: u8 = 26;
    pub const VIN: u8 = 27;

    pub const ALL: [u8; 14] = [
        PLACE, SPEED, COURSE, ALTITUDE, ODOMETER, SATELLITES, VOLTAGE, IGNITION, MOTION, EVENT,
        DOOR, FUEL, ENGINE, VIN,
    ];
}

/// What stands before the first record.
pub(super) fn nothing() -> Record {
    Record {
        valid: true,
        ..Record::status(Timestamp::from_millis(0)).of_kind(RecordKind::Fix)
    }
}

/// Where a record is, as differences of places count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// Ten-millionths of a degree of latitude and longitude; 0, 0 of a record without a place.
    E7(i64, i64),
    /// A place that is not written so.
    Between,
}

impl At {
    pub const NOWHERE: Self = Self::E7(0, 0);

    pub fn of(place: Position) -> Self {
        match (e7(place.lat()), e7(place.lon())) {
            (Some(lat), Some(lon)) => Self::E7(lat, lon),
            _ => Self::Between,
        }
    }
}

/// The number whose quotient by ten millions is this one, bit for bit.
#[inline]
fn e7(degrees: f64) -> Option<i64> {
    // The bits behind the point are gone from a number of this size: the last ones are those of the
    // nearest whole number.
    const ROUNDS: f64 = 1.5 * (1_u64 << 52) as f64;
    let number = i64::from((degrees * 1e7 + ROUNDS).to_bits() as u32 as i32);
    (from_e7(number).to_bits() == degrees.to_bits()).then_some(number)
}

fn from_e7(number: i64) -> f64 {
    number as f64 / 1e7
}

/// Reads the differences, which are used up, behind what is among the records.
pub(super) fn read(
    differences: &mut Vec<Difference>,
    records: &mut Vec<Record>,
) -> Result<(), DecodeError> {
    let (mut said, mut at) = (nothing(), At::NOWHERE);
    for d in differences.drain(..) {
        at = change(&mut said, at, d)?;
        records.push(said.clone());
    }
    Ok(())
}

/// Makes of the record before the one that differs so.
pub(super) fn change(r: &mut Record, at: At, d: Difference) -> Result<At, DecodeError> {
    unsay(r, d.unsaid)?;
    let before = r.time.millis();
    r.time = Timestamp::from_millis(before.wrapping_add(d.time_ms));
    let at = place(r, at, &d)?;
    replace(&mut r.speed, d.speed_centi.map(Speed::from_centi));
    replace(&mut r.course, d.course_centi.map(course_in).transpose()?);
    replace(&mut r.altitude_dm, d.altitude_dm);
    if let Some(more) = d.odometer_m {
        let before = r.odometer_m.unwrap_or(0);
        r.odometer_m = Some(before.wrapping_add(more.cast_unsigned()));
    }
    let satellites = d.satellites.map(satellites_in).transpose()?;
    replace(&mut r.satellites, satellites);
    replace(&mut r.ignition, d.ignition);
    replace(&mut r.motion, d.motion);
    replace(&mut r.door, d.door);
    r.valid = d.valid.unwrap_or(r.valid);
    r.stored = d.stored.unwrap_or(r.stored);
    if let Some(kind) = d.kind {
        r.kind = kind_in(kind)?;
    }
    if let Some(bits) = d.alarms {
        r.alarms = Alarms::from_bits(bits);
    }
    if let Some(driver) = d.driver {
        r.driver = driver_in(driver)?;
    }
    let details = &mut r.details;
    replace(&mut details.external_voltage_mv, d.external_voltage_mv);
    replace(&mut details.event, d.event);
    replace(&mut details.fuel_centi, d.fuel_centi);
    replace(&mut details.engine_ms, d.engine_ms);
    replace(&mut details.vin, d.vin.map(String::into_boxed_str));
    Ok(at)
}

fn replace<T>(value: &mut Option<T>, by: Option<T>) {
    if by.is_some() {
        *value = by;
    }
}

fn place(r: &mut Record, at: At, d: &Difference) -> Result<At, DecodeError> {
    let wrong = DecodeError::Value("position");
    let moved = d.lat_e7 != 0 || d.lon_e7 != 0;
    // It may not say its place any more.
    let at = if r.position.is_none() {
        At::NOWHERE
    } else {
        at
    };
    let (place, at) = match (d.lat, d.lon) {
        (None, None) if !moved => return Ok(at),
        (None, None) => {
            let At::E7(lat, lon) = at else {
                return Err(wrong);
            };
            let lat = lat.checked_add(d.lat_e7).ok_or(wrong.clone())?;
            let lon = lon.checked_add(d.lon_e7).ok_or(wrong)?;
            (position_in(from_e7(lat), from_e7(lon))?, At::E7(lat, lon))
        }
        (Some(lat), Some(lon)) if !moved => {
            let place = position_in(lat, lon)?;
            (place, At::of(place))
        }
        _ => return Err(wrong),
    };
    r.position = Some(place);
    Ok(at)
}

fn driver_in(driver: Driver) -> Result<DriverSaid, DecodeError> {
    Ok(match driver {
        Driver::NotSaid(true) => DriverSaid::NotSaid,
        Driver::Nobody(true) => DriverSaid::Nobody,
        Driver::Card(card) => DriverSaid::Card(card.as_str().into()),
        Driver::Licence(id) => DriverSaid::Licence(id.as_str().into()),
        Driver::NotSaid(false) | Driver::Nobody(false) => {
            return Err(DecodeError::Value("driver"));
        }
    })
}

fn unsay(r: &mut Record, unsaid: u32) -> Result<(), DecodeError> {
    if unsaid == 0 {
        return Ok(());
    }
    let mut left = unsaid;
    for number in field::ALL {
        if unsaid & 1 << number == 0 {
            continue;
        }
        left &= !(1 << number);
        match number {
            field::PLACE => r.position = None,
            field::SPEED => r.speed = None,
            field::COURSE => r.course = None,
            field::ALTITUDE => r.altitude_dm = None,
            field::ODOMETER => r.odometer_m = None,
            field::SATELLITES => r.satellites = None,
            field::VOLTAGE => r.details.external_voltage_mv = None,
            field::IGNITION => r.ignition = None,
            field::MOTION => r.motion = None,
            field::EVENT => r.details.event = None,
            field::DOOR => r.door = None,
            field::FUEL => r.details.fuel_centi = None,
            field::ENGINE => r.details.engine_ms = None,
            _ => r.details.vin = None,
        }
    }
    if left == 0 {
        Ok(())
    } else {
        Err(DecodeError::Value("unsaid"))
    }
}
