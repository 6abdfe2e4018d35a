//! Frames with a position: one block that all share, and what each dialect puts behind it.
//!
//! Dialects are told by kind and length. Behind the block everything is optional: a frame whose
//! rest is shorter than its dialect's keeps its fix.

use super::date::date;
use super::decode::{Context, Fault, Meaning, short_answer};
use super::frame::Frame;
use super::tail::{self, Layout, numbered};
use crate::{Cursor, Short};
use waywarden_model::{Course, Position, Record, Speed, Timestamp};

/// Units of coordinates in a degree.
pub(super) const PER_DEGREE: f64 = 1_800_000.0;

/// Bits of the course word.
pub(super) const NORTH: u16 = 1 << 10;
pub(super) const WEST: u16 = 1 << 11;
pub(super) const FIXED: u16 = 1 << 12;
pub(super) const TELLS_IGNITION: u16 = 1 << 14;
pub(super) const IGNITION_ON: u16 = 1 << 15;

/// Reads a frame of any kind that carries the common position block.
pub(super) fn decode(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let layout = Layout::of(frame, context.dialect);
    let mut r = Cursor::new(frame.content);
    let before = match layout {
        Layout::Nt20 => 15, // source, IMEI, instant of sending
        Layout::Ibutton => 8,
        _ => 0,
    };
    r.skip(before)?;
    let (mut record, time) = block(&mut r, context)?;
    // Fields that are not there are not an error, see above.
    let _ = tail::read(&mut r, frame, layout, context, &mut record);
    let answer = (layout != Layout::Sr411).then(|| short_answer(frame));
    Ok(Meaning::report(record, time, answer))
}

/// The block that all kinds share: date (6), then what was measured.
pub(super) fn block(
    r: &mut Cursor<'_>,
    context: &Context,
) -> Result<(Record, Option<Timestamp>), Fault> {
    let time = date(r, context.offset_s)?;
    let record = measured(r, time.unwrap_or(context.now))?;
    Ok((record, time))
}

/// Satellites (1), latitude (4), longitude (4), speed (1), course word (2).
pub(super) fn measured(r: &mut Cursor<'_>, time: Timestamp) -> Result<Record, Fault> {
    let at = r.at();
    let (satellites, lat, lon, speed, word) = (r.u8()?, r.u32()?, r.u32()?, r.u8()?, r.u16()?);
    let mut record = placed(time, lat, lon, word, at + 1)?;
    record.satellites = Some(satellites & 15);
    record.speed = Some(Speed::from_kmh(i32::from(speed)));
    Ok(record)
}

/// A fix from the coordinates as sent and the course word. `at` is where they stand.
pub(super) fn placed(
    time: Timestamp,
    lat: u32,
    lon: u32,
    word: u16,
    at: usize,
) -> Result<Record, Fault> {
    let degrees = |n: u32, positive: bool| {
        let v = f64::from(n) / PER_DEGREE;
        if positive { v } else { -v }
    };
    let position = Position::new(
        degrees(lat, word & NORTH != 0),
        degrees(lon, word & WEST == 0),
    )
    .ok_or(Fault::bad_value("no such place", at))?;
    let mut record = Record::fix(time, position);
    record.valid = word & FIXED != 0;
    record.course = course(word);
    if word & TELLS_IGNITION != 0 {
        record.ignition = Some(word & IGNITION_ON != 0);
    }
    Ok(record)
}

fn course(word: u16) -> Option<Course> {
    // Ten bits reach 1023 degrees; beyond the circle nothing was measured.
    let degrees = word & 0x3ff;
    (degrees <= 360).then(|| Course::from_centi(degrees * 100))
}

/// Kind 34: alarm bits (4), the block, terminal (2), odometer (4), cell (9), driver (4), battery
/// and supply in 0.01 V. Not acknowledged.
pub(super) fn with_driver(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    r.skip(4)?;
    let (mut record, time) = block(&mut r, context)?;
    // As above: what is missing behind the block is not an error.
    let _ = (|| -> Result<(), Short> {
        r.skip(2)?;
        record.odometer_m = Some(r.u32()?.into());
        r.skip(9)?;
        record.driver = numbered(r.u32()?.into());
        r.skip(2)?;
        record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
        Ok(())
    })();
    Ok(Meaning::report(record, time, None))
}
