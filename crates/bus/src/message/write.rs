//! A frame written in one pass: byte for byte what the generated code writes (a property test
//! holds them against each other), without the copy of every record that it wants and without
//! measuring each of them before it is written. A gateway does little else with a frame.

use super::differences::{At, field, nothing};
use std::cell::RefCell;
use waywarden_model::{Course, DriverSaid, Frame, Record, Speed};

/// Wire types of Protobuf.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;

/// What the vector of a thread keeps between frames.
const KEEP: usize = 256 * 1024;

thread_local! {
    /// The parts of the frame being written, but for its raw bytes.
    static PARTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An envelope of this version around the frame.
pub(super) fn frame(version: u32, frame: &Frame) -> Vec<u8> {
    PARTS.with_borrow_mut(|parts| {
        parts.clear();
        put_differences(parts, &frame.records);
        let differences = parts.len();
        put_head(parts, frame);
        let head = parts.len();
        said_signed(parts, 7, frame.told_offset_s);
        let inner = parts.len() + frame.raw.len();
        let mut out = Vec::with_capacity(inner + 16);
        number(&mut out, 1, version.into());
        key(&mut out, 2, LENGTH);
        varint(&mut out, inner as u64);
        out.extend_from_slice(&parts[differences..head]);
        out.extend_from_slice(&frame.raw);
        out.extend_from_slice(&parts[head..]);
        out.extend_from_slice(&parts[..differences]);
        if parts.capacity() > KEEP {
            *parts = Vec::new();
        }
        out
    })
}

/// What stands before the raw bytes.
fn put_head(out: &mut Vec<u8>, frame: &Frame) {
    if !frame.source.as_str().is_empty() {
        text(out, 1, frame.source.as_str());
    }
    number(out, 2, u64::from(frame.protocol as u8));
    if frame.received.millis() != 0 {
        signed(out, 3, frame.received.millis());
    }
    flag(out, 4, frame.held);
    if !frame.raw.is_empty() {
        key(out, 6, LENGTH);
        varint(out, frame.raw.len() as u64);
    }
}

/// Where bytes go.
trait Out {
    fn byte(&mut self, byte: u8);
}

impl Out for Vec<u8> {
    fn byte(&mut self, byte: u8) {
        self.push(byte);
    }
}

/// Room for all numbers of a difference: a vector would be asked for its room at every byte.
struct Numbers {
    bytes: [u8; NUMBERS],
    len: usize,
}

/// 25 fields of at most 12 bytes.
const NUMBERS: usize = 300;

impl Numbers {
    const fn new() -> Self {
        Self {
            bytes: [0; NUMBERS],
            len: 0,
        }
    }

    fn take(&mut self) -> &[u8] {
        let len = std::mem::take(&mut self.len);
        &self.bytes[..len]
    }
}

impl Out for Numbers {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

fn put_differences(out: &mut Vec<u8>, records: &[Record]) {
    let first = nothing();
    let (mut before, mut place) = (&first, At::NOWHERE);
    let mut numbers = Numbers::new();
    // Texts seldom differ, and what stands behind one is put behind it.
    let mut texts = Vec::new();
    for r in records {
        place = put_difference(&mut numbers, &mut texts, before, place, r);
        before = r;
        key(out, 8, LENGTH);
        varint(out, (texts.len() + numbers.len) as u64);
        out.append(&mut texts);
        out.extend_from_slice(numbers.take());
    }
}

/// What is said otherwise than before; notes what is not said any more.
fn new<T: PartialEq + Copy>(
    unsaid: &mut u32,
    field: u8,
    was: Option<T>,
    is: Option<T>,
) -> Option<T> {
    if was == is {
        return None;
    }
    if is.is_none() {
        *unsaid |= 1 << field;
    }
    is
}

/// Gives where the record is. With a text what stands before it goes in front of it.
#[inline]
fn put_difference(
    out: &mut Numbers,
    texts: &mut Vec<u8>,
    was: &Record,
    from: At,
    r: &Record,
) -> At {
    let mut unsaid = 0;
    let u = &mut unsaid;
    let speed = new(u, field::SPEED, was.speed, r.speed);
    let course = new(u, field::COURSE, was.course, r.course);
    let altitude = new(u, field::ALTITUDE, was.altitude_dm, r.altitude_dm);
    let odometer = new(u, field::ODOMETER, was.odometer_m, r.odometer_m);
    let satellites = new(u, field::SATELLITES, was.satellites, r.satellites);
    let ignition = new(u, field::IGNITION, was.ignition, r.ignition);
    let motion = new(u, field::MOTION, was.motion, r.motion);
    let door = new(u, field::DOOR, was.door, r.door);
    let (d0, d) = (&was.details, &r.details);
    let voltage = new(
        u,
        field::VOLTAGE,
        d0.external_voltage_mv,
        d.external_voltage_mv,
    );
    let event = new(u, field::EVENT, d0.event, d.event);
    let fuel = new(u, field::FUEL, d0.fuel_centi, d.fuel_centi);
    let engine = new(u, field::ENGINE, d0.engine_ms, d.engine_ms);
    let vin = new(u, field::VIN, d0.vin.as_deref(), d.vin.as_deref());
    let position = new(u, field::PLACE, was.position, r.position);

    let passed = r.time.millis().wrapping_sub(was.time.millis());
    if passed != 0 {
        signed(out, 1, passed);
    }
    let (mut at, mut exact) = (from, None);
    if let Some(place) = position {
        at = At::of(place);
        match (from, at) {
            (At::E7(lat0, lon0), At::E7(lat, lon)) if from != at => {
                for (field, moved) in [(2, lat - lat0), (3, lon - lon0)] {
                    if moved != 0 {
                        signed(out, field, moved);
                    }
                }
            }
            _ => exact = Some(place),
        }
    } else if r.position.is_none() {
        at = At::NOWHERE;
    }
    said_signed(out, field::SPEED, speed.map(Speed::centi));
    said(
        out,
        field::COURSE,
        course.map(Course::centi).map(Into::into),
    );
    said_signed(out, field::ALTITUDE, altitude);
    if let Some(odometer) = odometer {
        let more = odometer.wrapping_sub(was.odometer_m.unwrap_or(0));
        signed(out, field::ODOMETER, more.cast_signed());
    }
    said(out, field::SATELLITES, satellites.map(Into::into));
    said(out, field::VOLTAGE, voltage.map(Into::into));
    said(out, field::IGNITION, ignition.map(Into::into));
    said(out, field::MOTION, motion.map(Into::into));
    said(out, field::EVENT, event.map(Into::into));
    if r.valid != was.valid {
        number(out, 13, r.valid.into());
    }
    if unsaid != 0 {
        number(out, 14, unsaid.into());
    }
    if let Some(place) = exact {
        for (field, degrees) in [(15, place.lat()), (16, place.lon())] {
            key(out, field, FIXED_64);
            degrees.to_le_bytes().into_iter().for_each(|b| out.byte(b));
        }
    }
    if r.kind != was.kind {
        number(out, 17, u64::from(r.kind as u8));
    }
    if r.stored != was.stored {
        number(out, 18, r.stored.into());
    }
    said(out, field::DOOR, door.map(Into::into));
    if r.alarms != was.alarms {
        number(out, 20, r.alarms.bits());
    }
    if r.driver != was.driver {
        match &r.driver {
            DriverSaid::NotSaid => number(out, 21, 1),
            DriverSaid::Nobody => number(out, 22, 1),
            DriverSaid::Card(card) => put_text(texts, out, 23, card.as_str()),
            DriverSaid::Licence(id) => put_text(texts, out, 24, id.as_str()),
        }
    }
    said_signed(out, field::FUEL, fuel);
    said(out, field::ENGINE, engine);
    if let Some(vin) = vin {
        put_text(texts, out, field::VIN, vin);
    }
    at
}

fn put_text(texts: &mut Vec<u8>, before: &mut Numbers, field: u8, value: &str) {
    texts.extend_from_slice(before.take());
    text(texts, field, value);
}

#[inline]
fn varint(out: &mut impl Out, mut value: u64) {
    while value >= 0x80 {
        out.byte(value as u8 | 0x80);
        value >>= 7;
    }
    out.byte(value as u8);
}

#[inline]
fn key(out: &mut impl Out, field: u8, wire: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire));
}

#[inline]
fn number(out: &mut impl Out, field: u8, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

/// `sint32` and `sint64` have the same bytes for the same number.
#[inline]
fn signed(out: &mut impl Out, field: u8, value: i64) {
    number(
        out,
        field,
        (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned(),
    );
}

/// A field of `proto3` without `optional`: not written when it is false.
fn flag(out: &mut Vec<u8>, field: u8, value: bool) {
    if value {
        number(out, field, 1);
    }
}

#[inline]
fn said(out: &mut impl Out, field: u8, value: Option<u64>) {
    if let Some(value) = value {
        number(out, field, value);
    }
}

#[inline]
fn said_signed(out: &mut impl Out, field: u8, value: Option<i32>) {
    if let Some(value) = value {
        signed(out, field, value.into());
    }
}

fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    key(out, field, LENGTH);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}
