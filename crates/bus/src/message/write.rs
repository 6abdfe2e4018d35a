//! A frame written in one pass: byte for byte what the generated code writes (a property test
//! holds them against each other), without the copy of every record that it wants and without
//! measuring each of them before it is written. A gateway does little else with a frame.

use std::cell::RefCell;
use waywarden_model::{DriverSaid, Frame, Position, Record, Speed};

/// Wire types of Protobuf.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const LENGTH: u8 = 2;

/// What the vector of a thread keeps between frames.
const KEEP: usize = 256 * 1024;

thread_local! {
    /// Fields 1 to 5 of the frame being written.
    static FIELDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An envelope of this version around the frame.
pub(super) fn frame(version: u32, frame: &Frame) -> Vec<u8> {
    FIELDS.with_borrow_mut(|fields| {
        fields.clear();
        put_fields(fields, frame);
        // `raw` goes straight into the message: it is as long as all else together.
        let (mut head, mut around) = (Vec::with_capacity(16), Vec::with_capacity(16));
        if !frame.raw.is_empty() {
            key(&mut head, 6, LENGTH);
            varint(&mut head, frame.raw.len() as u64);
        }
        let mut tail = Vec::new();
        said_signed(&mut tail, 7, frame.told_offset_s);
        number(&mut around, 1, version.into());
        key(&mut around, 2, LENGTH);
        let inner = fields.len() + head.len() + frame.raw.len() + tail.len();
        varint(&mut around, inner as u64);
        let mut out = Vec::with_capacity(around.len() + inner);
        for part in [&around, &*fields, &head, &frame.raw, &tail] {
            out.extend_from_slice(part);
        }
        if fields.capacity() > KEEP {
            *fields = Vec::new();
        }
        out
    })
}

fn put_fields(out: &mut Vec<u8>, frame: &Frame) {
    if !frame.source.as_str().is_empty() {
        text(out, 1, frame.source.as_str());
    }
    number(out, 2, u64::from(frame.protocol as u8));
    if frame.received.millis() != 0 {
        signed(out, 3, frame.received.millis());
    }
    flag(out, 4, frame.held);
    for r in &frame.records {
        key(out, 5, LENGTH);
        let at = out.len();
        // Most records are shorter than 128 bytes, whose length is one byte.
        out.push(0);
        put_record(out, r);
        let length = out.len() - at - 1;
        if let Ok(short @ ..0x80) = u8::try_from(length) {
            out[at] = short;
        } else {
            let mut wide = Vec::with_capacity(10);
            varint(&mut wide, length as u64);
            out.splice(at..=at, wide);
        }
    }
}

fn put_record(out: &mut Vec<u8>, r: &Record) {
    if r.time.millis() != 0 {
        signed(out, 1, r.time.millis());
    }
    if r.kind as u8 != 0 {
        number(out, 2, u64::from(r.kind as u8));
    }
    for (field, degrees) in [
        (3, r.position.map(Position::lat)),
        (4, r.position.map(Position::lon)),
    ] {
        if let Some(degrees) = degrees {
            key(out, field, FIXED_64);
            out.extend_from_slice(&degrees.to_le_bytes());
        }
    }
    flag(out, 5, r.valid);
    said_signed(out, 6, r.altitude_dm);
    said_signed(out, 7, r.speed.map(Speed::centi));
    said(out, 8, r.course.map(|c| c.centi().into()));
    said(out, 9, r.satellites.map(Into::into));
    said(out, 10, r.ignition.map(Into::into));
    said(out, 11, r.motion.map(Into::into));
    said(out, 12, r.door.map(Into::into));
    said(out, 13, r.odometer_m);
    match &r.driver {
        DriverSaid::NotSaid => {}
        DriverSaid::Nobody => number(out, 14, 1),
        DriverSaid::Card(card) => text(out, 15, card.as_str()),
        DriverSaid::Licence(id) => text(out, 16, id.as_str()),
    }
    if !r.alarms.is_empty() {
        number(out, 17, r.alarms.bits());
    }
    flag(out, 18, r.stored);
    let d = &r.details;
    said(out, 19, d.external_voltage_mv.map(Into::into));
    said_signed(out, 20, d.fuel_centi);
    said(out, 21, d.engine_ms);
    said(out, 22, d.event.map(Into::into));
    if let Some(vin) = &d.vin {
        text(out, 23, vin);
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

/// `sint32` and `sint64` have the same bytes for the same number.
fn signed(out: &mut Vec<u8>, field: u8, value: i64) {
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
