//! Frames with a position: one block that all share, and what each dialect puts behind it.
//!
//! Dialects are told by kind and length. Behind the block everything is optional: a frame whose
//! rest is shorter than its dialect's keeps its fix.

use super::alarm;
use super::decode::{Context, Dialect, Fault, Meaning, short_answer};
use super::frame::Frame;
use super::reader::Reader;
use crate::Reading;
use waywarden_model::{CardId, Course, DriverSaid, Position, Record, Speed, Timestamp};

/// Units of coordinates in a degree.
pub(super) const PER_DEGREE: f64 = 1_800_000.0;

/// Bits of the course word.
pub(super) const NORTH: u16 = 1 << 10;
pub(super) const WEST: u16 = 1 << 11;
pub(super) const FIXED: u16 = 1 << 12;
pub(super) const TELLS_IGNITION: u16 = 1 << 14;
pub(super) const IGNITION_ON: u16 = 1 << 15;

/// What stands behind the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Layout {
    /// Cell, then what the kind has.
    Common,
    /// Status, voltage and signal behind the cell.
    Vxt01,
    /// The same with fuel, temperature and odometer.
    S5,
    /// A word of inputs.
    Benway,
    /// Odometer and the text of a driver's card.
    Card,
    /// Two instants, voltage, odometer and engine minutes; length of the cell in front.
    Nt20,
    /// Cell of 9 bytes, odometer, temperature.
    Seeworld,
    /// Cells with wide numbers and the altitude.
    Sl4x,
    /// Ignition and two voltages.
    Sr411,
    /// Key number of 8 bytes.
    Rfid,
    /// Key number of 6 bytes, IMEI in front.
    Ibutton,
    /// Fourth-generation units: wide cell, voltage, odometer, engine seconds.
    Lw4g,
}

fn layout(frame: &Frame<'_>, dialect: Dialect) -> Layout {
    if dialect == Dialect::Standard {
        return Layout::Common;
    }
    match (frame.kind, frame.length) {
        (0x12 | 0x16, 0x24) => Layout::Vxt01,
        (0x12, 0x21) => Layout::Benway,
        (0x12, 0x2b) => Layout::S5,
        (0x12, 0x29 | 0x71..) => Layout::Card,
        (0x22, 0x3c) | (0x25, _) => Layout::Nt20,
        (0x22, 0x2f) | (0x16, 0x26) => Layout::Seeworld,
        (0x31, 0x2a) | (0x32, 0x27 | 0x29) => Layout::Sl4x,
        (0x24, _) => Layout::Sr411,
        (0x17, _) => Layout::Rfid,
        (0x61, _) => Layout::Ibutton,
        (0xa2, _) => Layout::Lw4g,
        _ => Layout::Common,
    }
}

/// Reads a frame of any kind that carries the common position block.
pub(super) fn decode(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let layout = layout(frame, context.dialect);
    let mut r = Reader::new(frame.content);
    let before = match layout {
        Layout::Nt20 => 15, // source, IMEI, instant of sending
        Layout::Ibutton => 8,
        _ => 0,
    };
    r.skip(before).ok_or(Fault::truncated(0))?;
    let (mut record, time) = block(&mut r, context)?;
    // Fields that are not there are not an error, see above.
    let _ = behind(&mut r, frame, layout, context, &mut record);
    let answer = (layout != Layout::Sr411).then(|| short_answer(frame));
    Ok(fix(record, time, answer))
}

/// A fix whose clock was never set has no event time.
pub(super) fn fix(record: Record, time: Option<Timestamp>, answer: Option<Vec<u8>>) -> Meaning {
    match time {
        Some(_) => Meaning::Said(Reading::Timed(record), answer),
        None => Meaning::Said(Reading::Untimed(record), answer),
    }
}

/// The block that all kinds share: date (6), then what was measured.
pub(super) fn block(
    r: &mut Reader<'_>,
    context: &Context,
) -> Result<(Record, Option<Timestamp>), Fault> {
    let time = r.date(context.offset_s)?;
    let record = measured(r, time.unwrap_or(context.now))?;
    Ok((record, time))
}

/// Satellites (1), latitude (4), longitude (4), speed (1), course word (2).
pub(super) fn measured(r: &mut Reader<'_>, time: Timestamp) -> Result<Record, Fault> {
    let at = r.at();
    let fields = (|| Some((r.u8()?, r.u32()?, r.u32()?, r.u8()?, r.u16()?)))();
    let (satellites, lat, lon, speed, word) = fields.ok_or(Fault::truncated(at))?;
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

fn behind(
    r: &mut Reader<'_>,
    frame: &Frame<'_>,
    layout: Layout,
    context: &Context,
    record: &mut Record,
) -> Option<()> {
    cell(r, frame.kind, layout)?;
    match layout {
        Layout::Common => common(r, frame.kind, context, record)?,
        Layout::Vxt01 => vxt01(r, frame.kind, record)?,
        Layout::S5 => s5(r, frame.kind, context, record)?,
        Layout::Benway => record.ignition = Some(r.u16()? & 0x8000 != 0),
        Layout::Card => card(r, record)?,
        Layout::Nt20 => nt20(r, frame.kind, context, record)?,
        Layout::Seeworld if frame.kind == 0x22 => {
            reported(r, record)?;
            record.odometer_m = Some(r.u32()?.into());
        }
        Layout::Seeworld => supplied(r, frame.kind, context, record)?,
        Layout::Sl4x => sl4x(r, frame.kind, context, record)?,
        Layout::Sr411 => {
            record.ignition = Some(r.u8()? > 0);
            record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
        }
        Layout::Rfid => record.driver = key(r.bytes(8)?),
        Layout::Ibutton => {
            let n = u64::from(r.u32()?) << 16 | u64::from(r.u16()?);
            record.driver = numbered(n);
        }
        Layout::Lw4g => lw4g(r, frame.kind, context, record)?,
    }
    if matches!(layout, Layout::Common | Layout::Rfid) {
        uploaded(r, record)?;
    }
    Some(())
}

/// Skips the serving cell: country, network, area, cell, in widths that differ by dialect.
fn cell(r: &mut Reader<'_>, kind: u8, layout: Layout) -> Option<()> {
    let has_length = match kind {
        0x10 | 0x1a | 0x1e => return Some(()),
        0x16 => layout != Layout::Vxt01,
        0x22 | 0x25 => layout == Layout::Nt20,
        0x26 | 0x27 | 0x32 | 0xa3 | 0xa4 => true,
        _ => false,
    };
    if has_length {
        return counted_cell(r, kind, layout);
    }
    let wide_network = matches!(r.rest().first(), Some(b) if b & 0x80 != 0);
    let network = 3 + usize::from(wide_network);
    r.skip(match (kind, layout) {
        (0x11, _) => 10,
        (_, Layout::Sl4x) => 14,
        (0xa0 | 0xa2, _) => network + 12,
        (_, Layout::Seeworld | Layout::Ibutton) => network + 6,
        _ => network + 5,
    })
}

/// The cell behind its length, which counts itself, but not with every maker.
fn counted_cell(r: &mut Reader<'_>, kind: u8, layout: Layout) -> Option<()> {
    let length = usize::from(r.u8()?);
    match (kind, layout) {
        // The number in the length's place is none.
        (0xa3, _) => r.skip(15),
        (_, Layout::Sl4x) => r.skip(length),
        _ if length == 0 => {
            // Some leave room for all neighbours and fill it with zeros.
            let empty = r.rest().get(9..).unwrap_or_default();
            if empty.iter().take(36).all(|b| *b == 0) {
                r.skip(r.left().min(45))?;
            }
            Some(())
        }
        _ => r.skip((length - 1).max(8)),
    }
}

fn common(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    match kind {
        0xa4 => {
            r.u8()?; // generation of the network
            supplied(r, kind, context, record)?;
            r.u8() // number of the fence
        }
        0x27 => {
            supplied(r, kind, context, record)?;
            r.u8()
        }
        0x16 | 0x26 | 0x32 | 0xa3 => return supplied(r, kind, context, record),
        0x22 | 0x2d | 0x31 | 0x37 if r.left() >= 3 => {
            reported(r, record)?;
            if kind == 0x37 {
                modules(r, record)?;
            }
            return Some(());
        }
        _ => return Some(()),
    }
    .map(|_| ())
}

/// Status, battery, signal, alarm, language.
fn supplied(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    state(r.u8()?, false, record);
    r.skip(2)?;
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, kind, context.dialect),
    );
    r.skip(1.min(r.left()))
}

/// The status byte: bit 1 ignition, bits 3 to 5 an alarm.
pub(super) fn state(status: u8, means_overspeed: bool, record: &mut Record) {
    record.ignition = Some(status & 2 != 0);
    alarm::add(
        &mut record.alarms,
        alarm::of_status(status, means_overspeed),
    );
}

/// Ignition, reason of the report, sent from memory.
fn reported(r: &mut Reader<'_>, record: &mut Record) -> Option<()> {
    record.ignition = Some(r.u8()? > 0);
    record.details.event = Some(r.u8()?.into());
    record.stored = r.u8()? > 0;
    Some(())
}

/// What may close any frame: ignition, mode, sent from memory; odometer.
fn uploaded(r: &mut Reader<'_>, record: &mut Record) -> Option<()> {
    if matches!(r.left(), 3 | 7) {
        record.ignition = Some(r.u8()? > 0);
        r.u8()?;
        record.stored = r.u8()? > 0;
    }
    if r.left() == 4 {
        record.odometer_m = Some(r.u32()?.into());
    }
    Some(())
}

/// Number (2), length (1), value.
pub(super) fn modules(r: &mut Reader<'_>, record: &mut Record) -> Option<()> {
    while r.left() > 3 {
        let number = r.u16()?;
        let length = usize::from(r.u8()?);
        let mut value = Reader::new(r.bytes(length)?);
        match number {
            0x0027 => record.details.external_voltage_mv = value.u16().map(|v| u32::from(v) * 10),
            0x002e => record.odometer_m = value.u32().map(u64::from),
            _ => {}
        }
    }
    Some(())
}

/// Status, voltage, signal.
fn powered(r: &mut Reader<'_>, means_overspeed: bool, record: &mut Record) -> Option<()> {
    state(r.u8()?, means_overspeed, record);
    record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
    Some(())
}

fn vxt01(r: &mut Reader<'_>, kind: u8, record: &mut Record) -> Option<()> {
    if kind == 0x12 {
        return powered(r, true, record);
    }
    state(r.u8()?, true, record);
    Some(())
}

fn s5(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    powered(r, false, record)?;
    r.u8()?; // signal
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, kind, context.dialect),
    );
    r.skip(3)?; // fuel sensor, temperature
    record.odometer_m = Some(u64::from(r.u32()?) * 10);
    Some(())
}

/// Odometer, length and text of the card, alarm, card state. The text `0` is no card.
fn card(r: &mut Reader<'_>, record: &mut Record) -> Option<()> {
    record.odometer_m = Some(r.u32()?.into());
    let length = usize::from(r.u8()?);
    let text = r.bytes(length)?.trim_ascii();
    let printable = text.iter().all(u8::is_ascii_graphic);
    if printable && !text.is_empty() && text != b"0" {
        // All bytes are ASCII, so nothing is replaced.
        record.driver = DriverSaid::Card(CardId::new(String::from_utf8_lossy(text).as_ref()));
    }
    if r.u8()? > 0 {
        record.alarms.insert(waywarden_model::Alarm::General);
    }
    Some(())
}

fn nt20(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    if kind == 0x25 {
        r.u8()?; // generation of the network
    }
    powered(r, false, record)?;
    r.skip(2)?; // battery, signal
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, kind, context.dialect),
    );
    r.u8()?; // language
    record.odometer_m = Some(r.u24()?.into());
    record.details.engine_ms = Some(u64::from(r.u24()?) * 60_000);
    if r.left() > 0 {
        let length = usize::from(r.u8()?);
        let mut reader = Reader::new(r.bytes(length)?);
        reader.u8()?; // sort of the reader
        record.driver = key(reader.rest());
    }
    Some(())
}

fn sl4x(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    if kind == 0x32 {
        supplied(r, kind, context, record)?;
    } else {
        reported(r, record)?;
        if r.left() > 2 {
            record.odometer_m = Some(r.u32()?.into());
        }
    }
    record.altitude_dm = Some(i32::from(r.i16()?) * 10);
    Some(())
}

fn lw4g(r: &mut Reader<'_>, kind: u8, context: &Context, record: &mut Record) -> Option<()> {
    r.u8()?; // generation of the network
    powered(r, false, record)?;
    r.skip(2)?; // battery, signal
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, kind, context.dialect),
    );
    r.u8()?; // language
    record.odometer_m = Some(r.u32()?.into());
    record.details.engine_ms = Some(u64::from(r.u32()?) * 1000);
    Some(())
}

/// A key as hexadecimal digits; nothing but zeros is nobody.
fn key(bytes: &[u8]) -> DriverSaid {
    if bytes.is_empty() {
        DriverSaid::NotSaid
    } else if bytes.iter().all(|b| *b == 0) {
        DriverSaid::Nobody
    } else {
        DriverSaid::Card(CardId::new(hex::encode(bytes)))
    }
}

/// A key as a decimal number. Units without a reader send 0, so 0 says nothing.
fn numbered(n: u64) -> DriverSaid {
    if n == 0 {
        DriverSaid::NotSaid
    } else {
        DriverSaid::Card(CardId::new(n.to_string()))
    }
}

/// Kind 34: alarm bits (4), the block, terminal (2), odometer (4), cell (9), driver (4), battery
/// and supply in 0.01 V. Not acknowledged.
pub(super) fn with_driver(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Reader::new(frame.content);
    r.skip(4).ok_or(Fault::truncated(0))?;
    let (mut record, time) = block(&mut r, context)?;
    // As above: what is missing behind the block is not an error.
    let _ = (|| {
        r.skip(2)?;
        record.odometer_m = Some(r.u32()?.into());
        r.skip(9)?;
        record.driver = numbered(r.u32()?.into());
        r.skip(2)?;
        record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
        Some(())
    })();
    Ok(fix(record, time, None))
}
