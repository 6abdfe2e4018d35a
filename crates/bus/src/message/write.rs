//! A frame written in one pass: byte for byte what the generated code writes (a property test
//! holds them against each other), without the copy of every record that it wants and without
//! measuring each of them before it is written. A gateway does little else with a frame.

use super::differences::{At, field, nothing};
use std::cell::RefCell;
use waywarden_model::{Course, DriverSaid, Frame, Position, Record, Speed};

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

/// The numbers of a difference below its tenth field, which often differ: collected, then written
/// together.
#[derive(Default)]
struct Said {
    numbers: [(u8, u64); 9],
    count: usize,
    /// Bits of the fields that the record does not say any more.
    unsaid: u32,
}

/// Bytes of a difference up to its tenth field: two, and nine fields of at most eleven.
const BEGINNING: usize = 2 + 9 * 11;

impl Said {
    #[inline]
    fn number(&mut self, field: u8, value: u64) {
        self.numbers[self.count] = (field, value);
        self.count += 1;
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

    /// Key and length of the difference and what was collected, behind `out`; gives where the
    /// fields begin.
    fn put(&self, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        // Room for all at once: a vector has its length looked at and written at every byte.
        out.resize(before + BEGINNING + SLACK, 0);
        let line = &mut out[before..];
        line[0] = 8 << 3 | LENGTH;
        let mut len = 2;
        for (field, value) in &self.numbers[..self.count] {
            line[len] = field << 3 | VARINT;
            len += 1;
            let mut rest = *value;
            while rest >= 1 << 28 {
                line[len] = rest as u8 | 0x80;
                len += 1;
                rest >>= 7;
            }
            // What is left has a length that nobody could guess: it is written as if it were the
            // longest.
            let (groups, used) = four_groups(rest as u32);
            line[len..len + 4].copy_from_slice(&groups);
            len += used;
        }
        line[1] = (len - 2) as u8;
        out.truncate(before + len);
        before + 2
    }
}

/// What is written beyond a number.
const SLACK: usize = 3;

/// A number below 2^28 as a varint in so many bytes, and what may follow it.
#[inline]
const fn four_groups(value: u32) -> ([u8; 4], usize) {
    let groups = value & 0x7F
        | (value & 0x7F << 7) << 1
        | (value & 0x7F << 14) << 2
        | (value & 0x7F << 21) << 3;
    let len = (38 - (value | 1).leading_zeros()) / 7;
    let go_on = 0x0080_8080 & !(u32::MAX << (8 * (len - 1)));
    ((groups | go_on).to_le_bytes(), len as usize)
}

fn put_differences(out: &mut Vec<u8>, records: &[Record]) {
    let first = nothing();
    let (mut before, mut place) = (&first, At::NOWHERE);
    let mut said = Said::default();
    for r in records {
        (said.count, said.unsaid) = (0, 0);
        place = put_difference(out, &mut said, before, place, r);
        before = r;
    }
}

/// Gives where the record is.
#[inline]
fn put_difference(out: &mut Vec<u8>, said: &mut Said, was: &Record, from: At, r: &Record) -> At {
    let passed = r.time.millis().wrapping_sub(was.time.millis());
    if passed != 0 {
        said.signed(1, passed);
    }
    let (mut at, mut exact) = (from, None);
    match r.position {
        None => {
            said.unsaid |= u32::from(was.position.is_some()) << field::PLACE;
            at = At::NOWHERE;
        }
        Some(place) if was.position != Some(place) => {
            at = At::of(place);
            match (from, at) {
                (At::E7(lat0, lon0), At::E7(lat, lon)) if from != at => {
                    for (field, moved) in [(2, lat - lat0), (3, lon - lon0)] {
                        if moved != 0 {
                            said.signed(field, moved);
                        }
                    }
                }
                _ => exact = Some(place),
            }
        }
        Some(_) => {}
    }
    if was.speed != r.speed {
        said.signed_or_not(field::SPEED, r.speed.map(Speed::centi));
    }
    if was.course != r.course {
        said.number_or_not(field::COURSE, r.course.map(Course::centi));
    }
    if was.altitude_dm != r.altitude_dm {
        said.signed_or_not(field::ALTITUDE, r.altitude_dm);
    }
    if was.odometer_m != r.odometer_m {
        let more = |is: u64| is.wrapping_sub(was.odometer_m.unwrap_or(0)).cast_signed();
        said.signed_or_not(field::ODOMETER, r.odometer_m.map(more));
    }
    if was.satellites != r.satellites {
        said.number_or_not(field::SATELLITES, r.satellites);
    }
    let voltage = r.details.external_voltage_mv;
    if was.details.external_voltage_mv != voltage {
        said.number_or_not(field::VOLTAGE, voltage);
    }
    let begin = said.put(out);
    if said.unsaid != 0 || exact.is_some() || !rest_is_alike(was, r) {
        put_rest(out, was, r, said.unsaid, exact);
        put_length(out, begin);
    }
    at
}

/// The length of what begins there, before it, where one byte was left for it.
fn put_length(out: &mut Vec<u8>, begin: usize) {
    match out.len() - begin {
        len @ ..0x80 => out[begin - 1] = len as u8,
        len => {
            let mut length = Vec::new();
            varint(&mut length, len as u64);
            out.splice(begin - 1..begin, length);
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

/// The fields from the tenth on.
#[inline(never)]
fn put_rest(out: &mut Vec<u8>, was: &Record, r: &Record, unsaid: u32, exact: Option<Position>) {
    let mut unsaid = unsaid;
    let u = &mut unsaid;
    let (d0, d) = (&was.details, &r.details);
    let ignition = new(u, field::IGNITION, was.ignition, r.ignition);
    let motion = new(u, field::MOTION, was.motion, r.motion);
    let door = new(u, field::DOOR, was.door, r.door);
    let event = new(u, field::EVENT, d0.event, d.event);
    let fuel = new(u, field::FUEL, d0.fuel_centi, d.fuel_centi);
    let engine = new(u, field::ENGINE, d0.engine_ms, d.engine_ms);
    let vin = new(u, field::VIN, d0.vin.as_deref(), d.vin.as_deref());

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
            out.extend_from_slice(&degrees.to_le_bytes());
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
            DriverSaid::Card(card) => text(out, 23, card.as_str()),
            DriverSaid::Licence(id) => text(out, 24, id.as_str()),
        }
    }
    said_signed(out, field::FUEL, fuel);
    said(out, field::ENGINE, engine);
    if let Some(vin) = vin {
        text(out, field::VIN, vin);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire));
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn signed(out: &mut Vec<u8>, field: u8, value: i64) {
    number(out, field, zigzag(value));
}

/// `sint32` and `sint64` have the same bytes for the same number.
#[inline]
const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// A field of `proto3` without `optional`: not written when it is false.
fn flag(out: &mut Vec<u8>, field: u8, value: bool) {
    if value {
        number(out, field, 1);
    }
}

fn said(out: &mut Vec<u8>, field: u8, value: Option<u64>) {
    if let Some(value) = value {
        number(out, field, value);
    }
}

fn said_signed(out: &mut Vec<u8>, field: u8, value: Option<i32>) {
    if let Some(value) = value {
        signed(out, field, value.into());
    }
}

fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    key(out, field, LENGTH);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}
