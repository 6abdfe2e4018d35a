//! What each dialect puts behind the position: cell, status, supply, odometer, driver's key.

use super::alarm;
use super::decode::{Context, Dialect};
use super::frame::Frame;
use crate::{Cursor, Short};
use waywarden_model::{CardId, DriverSaid, Record};

/// What stands behind the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Layout {
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

impl Layout {
    pub(super) fn of(frame: &Frame<'_>, dialect: Dialect) -> Self {
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
}

/// Reads as far as the fields reach.
pub(super) fn read(
    r: &mut Cursor<'_>,
    frame: &Frame<'_>,
    layout: Layout,
    context: &Context,
    record: &mut Record,
) -> Result<(), Short> {
    cell(r, frame.kind, layout)?;
    match layout {
        Layout::Common => common(r, frame.kind, context, record)?,
        Layout::Vxt01 => vxt01(r, frame.kind, record)?,
        Layout::S5 => s5(r, frame.kind, context, record)?,
        Layout::Benway => record.ignition = Some(r.u16()? & 0x8000 != 0),
        Layout::Card => card(r, record)?,
        Layout::Nt20 => nt20(r, frame.kind, context, record)?,
        Layout::Seeworld if frame.kind == 0x22 => {
            record.ignition = Some(r.u8()? > 0);
            r.u8()?; // mode
            record.stored = r.u8()? > 0;
            record.odometer_m = Some(r.u32()?.into());
        }
        Layout::Seeworld => supplied(r, frame.kind, context, record)?,
        Layout::Sl4x => sl4x(r, frame.kind, context, record)?,
        Layout::Sr411 => {
            record.ignition = Some(r.u8()? > 0);
            record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
        }
        Layout::Rfid => record.driver = key(r.take(8)?),
        Layout::Ibutton => {
            let n = u64::from(r.u32()?) << 16 | u64::from(r.u16()?);
            record.driver = numbered(n);
        }
        Layout::Lw4g => lw4g(r, frame.kind, context, record)?,
    }
    if matches!(layout, Layout::Common | Layout::Rfid) {
        uploaded(r, record)?;
    }
    Ok(())
}

/// Skips the serving cell: country, network, area, cell, in widths that differ by dialect.
fn cell(r: &mut Cursor<'_>, kind: u8, layout: Layout) -> Result<(), Short> {
    let has_length = match kind {
        0x10 | 0x1a | 0x1e => return Ok(()),
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
fn counted_cell(r: &mut Cursor<'_>, kind: u8, layout: Layout) -> Result<(), Short> {
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
            Ok(())
        }
        _ => r.skip((length - 1).max(8)),
    }
}

fn common(
    r: &mut Cursor<'_>,
    kind: u8,
    context: &Context,
    record: &mut Record,
) -> Result<(), Short> {
    match kind {
        0x16 | 0x26 | 0x27 | 0x32 | 0xa3 | 0xa4 => supplied(r, kind, context, record),
        0x22 | 0x2d | 0x31 | 0x37 if r.left() >= 3 => {
            reported(r, record)?;
            if kind == 0x37 {
                modules(r, record)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Status, battery, signal, alarm, language.
fn supplied(
    r: &mut Cursor<'_>,
    kind: u8,
    context: &Context,
    record: &mut Record,
) -> Result<(), Short> {
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
fn reported(r: &mut Cursor<'_>, record: &mut Record) -> Result<(), Short> {
    record.ignition = Some(r.u8()? > 0);
    record.details.event = Some(r.u8()?.into());
    record.stored = r.u8()? > 0;
    Ok(())
}

/// What may close any frame: ignition, mode, sent from memory; odometer.
fn uploaded(r: &mut Cursor<'_>, record: &mut Record) -> Result<(), Short> {
    if matches!(r.left(), 3 | 7) {
        record.ignition = Some(r.u8()? > 0);
        r.u8()?;
        record.stored = r.u8()? > 0;
    }
    if r.left() == 4 {
        record.odometer_m = Some(r.u32()?.into());
    }
    Ok(())
}

/// Number (2), length (1), value.
pub(super) fn modules(r: &mut Cursor<'_>, record: &mut Record) -> Result<(), Short> {
    while r.left() > 3 {
        let number = r.u16()?;
        let length = usize::from(r.u8()?);
        let mut value = Cursor::new(r.take(length)?);
        match number {
            0x0027 => record.details.external_voltage_mv = Some(u32::from(value.u16()?) * 10),
            0x002e => record.odometer_m = Some(value.u32()?.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Status, voltage, signal.
fn powered(r: &mut Cursor<'_>, means_overspeed: bool, record: &mut Record) -> Result<(), Short> {
    state(r.u8()?, means_overspeed, record);
    record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
    Ok(())
}

fn vxt01(r: &mut Cursor<'_>, kind: u8, record: &mut Record) -> Result<(), Short> {
    if kind == 0x12 {
        return powered(r, true, record);
    }
    state(r.u8()?, true, record);
    Ok(())
}

fn s5(r: &mut Cursor<'_>, kind: u8, context: &Context, record: &mut Record) -> Result<(), Short> {
    powered(r, false, record)?;
    r.u8()?; // signal
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, kind, context.dialect),
    );
    r.skip(3)?; // fuel sensor, temperature
    record.odometer_m = Some(u64::from(r.u32()?) * 10);
    Ok(())
}

/// Odometer, length and text of the card, alarm, card state. The text `0` is no card.
fn card(r: &mut Cursor<'_>, record: &mut Record) -> Result<(), Short> {
    record.odometer_m = Some(r.u32()?.into());
    let length = usize::from(r.u8()?);
    let text = r.take(length)?.trim_ascii();
    let printable = text.iter().all(u8::is_ascii_graphic);
    if printable && !text.is_empty() && text != b"0" {
        // All bytes are ASCII, so nothing is replaced.
        record.driver = DriverSaid::Card(CardId::new(String::from_utf8_lossy(text).as_ref()));
    }
    if r.u8()? > 0 {
        record.alarms.insert(waywarden_model::Alarm::General);
    }
    Ok(())
}

fn nt20(r: &mut Cursor<'_>, kind: u8, context: &Context, record: &mut Record) -> Result<(), Short> {
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
    record.odometer_m = Some(r.uint(3)?);
    record.details.engine_ms = Some(r.uint(3)? * 60_000);
    if r.left() > 0 {
        let length = usize::from(r.u8()?);
        let mut reader = Cursor::new(r.take(length)?);
        reader.u8()?; // sort of the reader
        record.driver = key(reader.rest());
    }
    Ok(())
}

fn sl4x(r: &mut Cursor<'_>, kind: u8, context: &Context, record: &mut Record) -> Result<(), Short> {
    if kind == 0x32 {
        supplied(r, kind, context, record)?;
    } else {
        reported(r, record)?;
        if r.left() > 2 {
            record.odometer_m = Some(r.u32()?.into());
        }
    }
    record.altitude_dm = Some(i32::from(r.i16()?) * 10);
    Ok(())
}

fn lw4g(r: &mut Cursor<'_>, kind: u8, context: &Context, record: &mut Record) -> Result<(), Short> {
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
    Ok(())
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
pub(super) fn numbered(n: u64) -> DriverSaid {
    if n == 0 {
        DriverSaid::NotSaid
    } else {
        DriverSaid::Card(CardId::new(n.to_string()))
    }
}
