//! Record by record, in one pass.

use crate::message::differences::{At, field, nothing};
use crate::message::varint::{SLACK, four_groups, varint, zigzag};
use waywarden_model::{Course, DriverSaid, Position, Record, Speed};

/// A difference up to its tenth field, of which most have no more; it is written where there is room
/// for all of that.
struct Beginning<'a> {
    line: &'a mut [u8; BEGINNING + SLACK],
    len: usize,
    /// Bits of the fields that stand there.
    said: u32,
    /// Bits of the fields that the record does not say any more.
    unsaid: u32,
}

/// Bytes of a difference up to its tenth field: one of its bits, and nine fields of at most ten.
const BEGINNING: usize = 1 + 9 * 10;

const fn bit(field: u8) -> u32 {
    1 << (field - 1)
}

impl Beginning<'_> {
    #[inline]
    fn number(&mut self, field: u8, value: u64) {
        self.said |= bit(field);
        let mut rest = value;
        while rest >= 1 << 28 {
            self.line[self.len] = rest as u8 | 0x80;
            self.len += 1;
            rest >>= 7;
        }
        // What is left has a length that nobody could guess: it is written as if it were the
        // longest.
        let (groups, used) = four_groups(rest as u32);
        self.line[self.len..self.len + 4].copy_from_slice(&groups);
        self.len += used;
    }

    #[inline]
    fn signed(&mut self, field: u8, value: i64) {
        self.number(field, zigzag(value));
    }

    #[inline]
    fn number_or_not(&mut self, field: u8, value: Option<impl Into<u64>>) {
        match value {
            Some(value) => self.number(field, value.into()),
            None => self.unsaid |= 1 << field,
        }
    }

    #[inline]
    fn signed_or_not(&mut self, field: u8, value: Option<impl Into<i64>>) {
        match value {
            Some(value) => self.signed(field, value.into()),
            None => self.unsaid |= 1 << field,
        }
    }
}

/// Writes the records behind what is in `out`.
pub(in crate::message) fn write(out: &mut Vec<u8>, records: &[Record]) {
    let first = nothing();
    let (mut before, mut place, mut passed) = (&first, At::NOWHERE, 0);
    for r in records {
        let now = r.time.millis().wrapping_sub(before.time.millis());
        place = put_record(out, before, place, r, (now != passed).then_some(now));
        (before, passed) = (r, now);
    }
}

/// Gives where the record is. `passed`: since the one before, where it is another time than before
/// that.
#[inline]
fn put_record(out: &mut Vec<u8>, was: &Record, from: At, r: &Record, passed: Option<i64>) -> At {
    let before = out.len();
    // Room for all at once: a vector has its length looked at and written at every byte.
    out.resize(before + BEGINNING + SLACK, 0);
    let line = out[before..].first_chunk_mut().expect("made above");
    let mut d = Beginning {
        line,
        len: 1,
        said: 0,
        unsaid: 0,
    };
    if let Some(passed) = passed {
        d.signed(1, passed);
    }
    let (mut at, mut exact) = (from, None);
    match r.position {
        None => {
            d.unsaid |= u32::from(was.position.is_some()) << field::PLACE;
            at = At::NOWHERE;
        }
        Some(place) if was.position != Some(place) => {
            at = At::of(place);
            match (from, at) {
                (At::E7(lat0, lon0), At::E7(lat, lon)) if from != at => {
                    for (field, moved) in [(2, lat - lat0), (3, lon - lon0)] {
                        if moved != 0 {
                            d.signed(field, moved);
                        }
                    }
                }
                _ => exact = Some(place),
            }
        }
        Some(_) => {}
    }
    if was.speed != r.speed {
        d.signed_or_not(field::SPEED, r.speed.map(Speed::centi));
    }
    if was.course != r.course {
        d.number_or_not(field::COURSE, r.course.map(Course::centi));
    }
    if was.altitude_dm != r.altitude_dm {
        d.signed_or_not(field::ALTITUDE, r.altitude_dm);
    }
    if was.odometer_m != r.odometer_m {
        let more = |is: u64| is.wrapping_sub(was.odometer_m.unwrap_or(0)).cast_signed();
        d.signed_or_not(field::ODOMETER, r.odometer_m.map(more));
    }
    if was.satellites != r.satellites {
        d.number_or_not(field::SATELLITES, r.satellites);
    }
    let voltage = r.details.external_voltage_mv;
    if was.details.external_voltage_mv != voltage {
        d.number_or_not(field::VOLTAGE, voltage);
    }
    let Beginning {
        len, said, unsaid, ..
    } = d;
    out.truncate(before + len);
    let mut rest = 0;
    if unsaid != 0 || exact.is_some() || !rest_is_alike(was, r) {
        rest = put_rest(out, was, r, unsaid, exact);
    }
    put_bits(out, before, said | rest);
    at
}

/// The bits of the difference that begins there, where one byte was left for them.
#[inline]
fn put_bits(out: &mut Vec<u8>, at: usize, said: u32) {
    match u8::try_from(said) {
        Ok(said @ ..0x80) => out[at] = said,
        _ => {
            let (groups, used) = four_groups(said);
            out.splice(at..=at, groups.into_iter().take(used));
        }
    }
}

/// Whether the fields from the tenth on say the same: they seldom differ, and are looked at
/// together.
#[inline]
fn rest_is_alike(was: &Record, r: &Record) -> bool {
    let (d0, d) = (&was.details, &r.details);
    (was.ignition == r.ignition)
        & (was.motion == r.motion)
        & (was.door == r.door)
        & (was.valid == r.valid)
        & (was.stored == r.stored)
        & (was.kind == r.kind)
        & (was.alarms == r.alarms)
        & (d0.event == d.event)
        & (d0.fuel_centi == d.fuel_centi)
        & (d0.engine_ms == d.engine_ms)
        && was.driver == r.driver
        && d0.vin == d.vin
}

/// The fields of a difference from the tenth on.
struct Rest<'a> {
    out: &'a mut Vec<u8>,
    said: u32,
    unsaid: u32,
}

impl Rest<'_> {
    fn number(&mut self, field: u8, value: u64) {
        self.said |= bit(field);
        varint(self.out, value);
    }

    fn text(&mut self, field: u8, value: &str) {
        self.number(field, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// What is said otherwise than before; notes what is not said any more.
    fn newly<T: PartialEq + Copy>(
        &mut self,
        field: u8,
        was: Option<T>,
        is: Option<T>,
    ) -> Option<T> {
        if was == is {
            return None;
        }
        if is.is_none() {
            self.unsaid |= 1 << field;
        }
        is
    }
}

/// Gives the bits of the fields that stand there.
#[inline(never)]
fn put_rest(
    out: &mut Vec<u8>,
    was: &Record,
    r: &Record,
    unsaid: u32,
    exact: Option<Position>,
) -> u32 {
    let mut d = Rest {
        out,
        said: 0,
        unsaid,
    };
    let (d0, d1) = (&was.details, &r.details);
    let ignition = d.newly(field::IGNITION, was.ignition, r.ignition);
    let motion = d.newly(field::MOTION, was.motion, r.motion);
    let door = d.newly(field::DOOR, was.door, r.door);
    let event = d.newly(field::EVENT, d0.event, d1.event);
    let fuel = d.newly(field::FUEL, d0.fuel_centi, d1.fuel_centi);
    let engine = d.newly(field::ENGINE, d0.engine_ms, d1.engine_ms);
    let vin = d.newly(field::VIN, d0.vin.as_deref(), d1.vin.as_deref());

    let number = |d: &mut Rest<'_>, field, value: Option<u64>| {
        if let Some(value) = value {
            d.number(field, value);
        }
    };
    number(&mut d, field::IGNITION, ignition.map(Into::into));
    number(&mut d, field::MOTION, motion.map(Into::into));
    number(&mut d, field::EVENT, event.map(Into::into));
    if r.valid != was.valid {
        d.number(13, r.valid.into());
    }
    if d.unsaid != 0 {
        d.number(14, d.unsaid.into());
    }
    if let Some(place) = exact {
        for (field, degrees) in [(15, place.lat()), (16, place.lon())] {
            d.said |= bit(field);
            d.out.extend_from_slice(&degrees.to_le_bytes());
        }
    }
    if r.kind != was.kind {
        d.number(17, u64::from(r.kind as u8));
    }
    if r.stored != was.stored {
        d.number(18, r.stored.into());
    }
    number(&mut d, field::DOOR, door.map(Into::into));
    if r.alarms != was.alarms {
        d.number(20, r.alarms.bits());
    }
    if r.driver != was.driver {
        match &r.driver {
            DriverSaid::NotSaid => d.number(21, 1),
            DriverSaid::Nobody => d.number(22, 1),
            DriverSaid::Card(card) => d.text(23, card.as_str()),
            DriverSaid::Licence(id) => d.text(24, id.as_str()),
        }
    }
    number(&mut d, field::FUEL, fuel.map(|fuel| zigzag(fuel.into())));
    number(&mut d, field::ENGINE, engine);
    if let Some(vin) = vin {
        d.text(field::VIN, vin);
    }
    d.said
}
