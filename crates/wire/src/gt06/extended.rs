//! The 7979 form: information by sub-type, diagnostics, modules, text.

use super::date::date;
use super::decode::{Context, Fault, Meaning, short_answer};
use super::frame::{Frame, build_long};
use super::text;
use super::{location, tail};
use crate::{Cursor, Short};
use waywarden_model::{Alarm, Record, Speed, Timestamp};

/// Reads a frame of the long form.
pub(super) fn decode(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    match frame.kind {
        0x21 => text::result(frame, context),
        0x32 | 0x33 => alarm_station(frame, context),
        0x38 => uploaded_location(frame, context),
        0x70 => modules(frame, context),
        0x8c => text::diagnostics(frame, context),
        0x94 => information(frame, context),
        0x9b => Ok(Meaning::report(Record::status(context.now), None, None)),
        0xf2 => peripheral(frame),
        0x41 => Ok(Meaning::Unknown("gt06_photo")),
        0x65 | 0x66 => Ok(Meaning::Unknown("gt06_diagnostics")),
        _ => Ok(Meaning::Unknown("gt06_long")),
    }
}

/// Kind 94: sub-type (1), then by sub-type. Not acknowledged.
fn information(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let mut record = Record::status(context.now);
    let mut time = None;
    match (r.u8()?, r.left()) {
        (0x05, left @ (1 | 7)) => {
            if left == 7 {
                time = date(&mut r, context.offset_s)?;
            }
            record.door = Some(r.u8()? & 1 != 0);
        }
        // A single byte tells the generation of the network.
        (0x0b, 2) => record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10),
        (0x0d, _) => {
            if !r.rest().starts_with(b"!") {
                time = date(&mut r, context.offset_s)?;
            }
            record.details.fuel_centi = text::fuel_centi(r.rest());
        }
        _ => {}
    }
    Ok(Meaning::report(record, time, None))
}

/// Kinds 32 and 33 of the AZ735: date, length of the position and the position, cell with signal,
/// neighbours, access points, status. Answered in the long form.
fn alarm_station(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let answer = Some(build_long(frame.kind, &[], frame.serial()));
    let time = date(&mut r, context.offset_s)?;
    let has_position = r.u8()? != 0;
    if !has_position {
        let mut record = Record::status(context.now);
        // What is missing behind the instant is not an error.
        let _ = alarm_station_rest(&mut r, frame.kind, &mut record);
        return Ok(Meaning::report(record, time, answer));
    }
    let mut record = location::measured(&mut r, time.unwrap_or(context.now))?;
    let _ = alarm_station_rest(&mut r, frame.kind, &mut record);
    Ok(Meaning::report(record, time, answer))
}

fn alarm_station_rest(r: &mut Cursor<'_>, kind: u8, record: &mut Record) -> Result<(), Short> {
    match usize::from(r.u8()?) {
        0 => {}
        // The length counts itself; the signal follows.
        n => r.skip((n - 1).max(8) + 1)?,
    }
    for _ in ["neighbours", "access points"] {
        let n = usize::from(r.u8()?);
        r.skip(n)?;
    }
    let status = r.u8()?;
    if kind == 0x33 {
        match status {
            0xa2 | 0xa3 => record.alarms.insert(Alarm::LowBattery),
            0xa4 => record.alarms.insert(Alarm::General),
            0xa5 => record.alarms.insert(Alarm::Door),
            _ => {}
        }
    }
    Ok(())
}

/// Kind 38: the common block, mode, sent from memory, cell behind the generation of its network,
/// modules. Not acknowledged.
fn uploaded_location(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let (mut record, time) = location::block(&mut r, context)?;
    // What is missing behind the block is not an error.
    let _ = (|| -> Result<(), Short> {
        r.u8()?; // mode
        record.stored = r.u8()? > 0;
        let wide = r.u8()? >= 3;
        let network = 3 + usize::from(matches!(r.rest().first(), Some(b) if b & 0x80 != 0));
        r.skip(network + if wide { 14 } else { 6 })?;
        tail::modules(&mut r, &mut record)
    })();
    Ok(Meaning::report(record, time, None))
}

/// Kind 70: number (2), length (2), value. Answered in the short form.
fn modules(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let mut said = Modules {
        record: Record::status(context.now),
        time: None,
    };
    while r.left() > 0 {
        let number = r.u16()?;
        let length = usize::from(r.u16()?);
        let at = r.at();
        said.take(number, r.sub(length)?).map_err(|fault| Fault {
            at: at + fault.at,
            ..fault
        })?;
    }
    Ok(Meaning::report(
        said.record,
        said.time,
        Some(short_answer(frame)),
    ))
}

struct Modules {
    record: Record,
    time: Option<Timestamp>,
}

impl Modules {
    fn take(&mut self, number: u16, mut r: Cursor<'_>) -> Result<(), Fault> {
        let record = &mut self.record;
        match number {
            0x09 => record.satellites = Some(r.u8()?),
            0x2a => record.door = Some(r.u8()? & 15 != 0),
            0x2b => {
                let event = r.u8()?;
                record.details.event = Some(event.into());
                match event {
                    0x11 => record.alarms.insert(Alarm::LowBattery),
                    0x12 => record.alarms.insert(Alarm::LowPower),
                    0x13 => record.alarms.insert(Alarm::PowerCut),
                    0x14 => record.alarms.insert(Alarm::Removing),
                    _ => {}
                }
            }
            0x2c => self.time = self.time.or(Some(seconds(r.u32()?))),
            // The odometer alone is little-endian.
            0x2e => record.odometer_m = Some(r.u32_le()?.into()),
            0x33 => self.position(r)?,
            _ => {}
        }
        Ok(())
    }

    /// Seconds since 1970 (4), satellites (1), metres above the sea (2), latitude (4), longitude
    /// (4), speed (1), course word (2).
    fn position(&mut self, mut r: Cursor<'_>) -> Result<(), Fault> {
        let time = r.u32()?;
        let satellites = r.u8()?;
        let altitude = r.i16()?;
        let at = r.at();
        let (lat, lon, speed, word) = (r.u32()?, r.u32()?, r.u8()?, r.u16()?);
        let fix = location::placed(seconds(time), lat, lon, word, at)?;
        self.time = Some(fix.time);
        let record = &mut self.record;
        record.kind = fix.kind;
        record.position = fix.position;
        record.valid = fix.valid;
        record.course = fix.course;
        record.ignition = fix.ignition.or(record.ignition);
        record.satellites = Some(satellites);
        record.altitude_dm = Some(i32::from(altitude) * 10);
        record.speed = Some(Speed::from_kmh(i32::from(speed)));
        Ok(())
    }
}

fn seconds(n: u32) -> Timestamp {
    Timestamp::from_secs(i64::from(n))
}

/// Kind F2, what accessories said: seconds since 1970 (4), then their statuses. Answered in the
/// short form.
fn peripheral(frame: &Frame<'_>) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let time = seconds(r.u32()?);
    let mut record = Record::status(time);
    record.details.event = accessory_event(&mut r).ok().flatten();
    Ok(Meaning::report(
        record,
        Some(time),
        Some(short_answer(frame)),
    ))
}

/// The event of the first accessory (000A): sort of address (1), address (6), event (1).
fn accessory_event(r: &mut Cursor<'_>) -> Result<Option<u32>, Short> {
    while r.left() > 0 {
        if r.u16()? == 0x000a {
            r.skip(9)?; // length, address
            return r.u8().map(|event| Some(event.into()));
        }
        let mut length = usize::from(r.u8()?);
        if length == 0 {
            length = usize::from(r.u8()?);
        }
        r.skip(length)?;
    }
    Ok(None)
}
