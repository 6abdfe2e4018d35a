//! Reports without a position and without an instant: heartbeats, supply, serving cell.

use super::alarm;
use super::decode::{Context, Dialect, Meaning, short_answer};
use super::frame::Frame;
use super::tail::state;
use crate::{Cursor, Short};
use waywarden_model::Record;

/// Reads `frame` as far as `fields` gets; a report that ends early says what it said.
fn report(
    frame: &Frame<'_>,
    context: &Context,
    fields: impl FnOnce(&mut Cursor<'_>, &mut Record) -> Result<(), Short>,
) -> Meaning {
    let mut record = Record::status(context.now);
    let _ = fields(&mut Cursor::new(frame.content), &mut record);
    Meaning::report(record, None, Some(short_answer(frame)))
}

/// Kind 23: bit 1 ignition.
pub(super) fn heartbeat(frame: &Frame<'_>, context: &Context) -> Meaning {
    report(frame, context, |r, record| {
        record.ignition = Some(r.u8()? & 2 != 0);
        Ok(())
    })
}

/// Kind 94 in the short form: supply in 0.01 V. Not acknowledged.
pub(super) fn voltage(frame: &Frame<'_>, context: &Context) -> Meaning {
    let mut record = Record::status(context.now);
    let supply = Cursor::new(frame.content).u16();
    record.details.external_voltage_mv = supply.ok().map(|v| u32::from(v) * 10);
    Meaning::report(record, None, None)
}

/// How kind 13 goes on behind the status byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Supply {
    /// Battery level, signal, alarm, language.
    Level,
    /// Battery level, signal, supply in 0.1 V (12 bits).
    Lw,
    /// Battery level, signal, supply in whole volts.
    Volts,
    /// Supply in 0.01 V, signal, alarm.
    Centivolts,
}

/// Where the register does not say, the values tell: a signal is at most 31, a level of the first
/// kind at most 6, and no alarm or language reaches F0.
fn supply(content: &[u8], dialect: Dialect) -> Supply {
    match (dialect, content) {
        (Dialect::Lw, _) => Supply::Lw,
        (Dialect::Seeworld, _) => Supply::Volts,
        (Dialect::R11, _) => Supply::Centivolts,
        (Dialect::Standard | Dialect::Vl, _) => Supply::Level,
        (_, [_, _, _, 0xf0..=0xff, _]) => Supply::Lw,
        (_, [_, 0..=6, 32..=0xff, 6..=48, _]) => Supply::Volts,
        (_, [_, 7..=40, _, 1..=4, 0]) => Supply::Centivolts,
        _ => Supply::Level,
    }
}

/// Kind 13, the heartbeat of most units.
pub(super) fn status(frame: &Frame<'_>, context: &Context) -> Meaning {
    report(frame, context, |r, record| match frame.length {
        0x13 => both_systems(r, context, record),
        // A thermometer: its status byte has other bits.
        0x15 => Ok(()),
        _ => plain_status(r, context, record),
    })
}

fn plain_status(r: &mut Cursor<'_>, context: &Context, record: &mut Record) -> Result<(), Short> {
    let supply = supply(r.rest(), context.dialect);
    state(r.u8()?, false, record);
    let millivolts = &mut record.details.external_voltage_mv;
    if supply == Supply::Centivolts {
        *millivolts = Some(u32::from(r.u16()?) * 10);
    } else {
        r.u8()?; // level
    }
    r.u8()?; // signal
    match supply {
        Supply::Lw => *millivolts = Some(u32::from(r.u16()? & 0xfff) * 100),
        Supply::Volts => *millivolts = Some(u32::from(r.u8()?) * 1000),
        Supply::Level | Supply::Centivolts => {
            alarm::add(
                &mut record.alarms,
                alarm::of_byte(r.u8()?, 0x13, context.dialect),
            );
        }
    }
    Ok(())
}

/// Status, signal word (bits 10 to 14 and 5 to 9 are the satellites of the two systems), alarm,
/// language, level, mode, supply in 0.01 V.
fn both_systems(r: &mut Cursor<'_>, context: &Context, record: &mut Record) -> Result<(), Short> {
    state(r.u8()?, false, record);
    let word = r.u16()?;
    let satellites = (word >> 10 & 31) + (word >> 5 & 31);
    record.satellites = u8::try_from(satellites).ok();
    alarm::add(
        &mut record.alarms,
        alarm::of_byte(r.u8()?, 0x13, context.dialect),
    );
    r.skip(3)?;
    record.details.external_voltage_mv = Some(u32::from(r.u16()?) * 10);
    Ok(())
}

/// Kind 36: status, level, signal, alarm, language, modules.
pub(super) fn modular_status(frame: &Frame<'_>, context: &Context) -> Meaning {
    report(frame, context, |r, record| {
        state(r.u8()?, false, record);
        r.skip(2)?;
        alarm::add(
            &mut record.alarms,
            alarm::of_byte(r.u8()?, 0x36, context.dialect),
        );
        Ok(())
    })
}

/// Kind A3 of units with a large battery: status, alarm (2), level in sixths, level in percent,
/// supply in whole volts, motion (2 moving).
pub(super) fn asset_status(frame: &Frame<'_>, context: &Context) -> Meaning {
    report(frame, context, |r, record| {
        state(r.u8()?, false, record);
        r.skip(4)?;
        record.details.external_voltage_mv = Some(u32::from(r.u8()?) * 1000);
        record.motion = Some(r.u8()? == 2);
        Ok(())
    })
}

/// Kinds 19 and A5: serving cell, status, level, signal, alarm. Kind A7 asks for an address.
pub(super) fn cell_status(frame: &Frame<'_>, context: &Context) -> Meaning {
    report(frame, context, |r, record| {
        let network = match r.rest().first() {
            Some(b) if b & 0x80 != 0 => 4,
            _ => 3,
        };
        match frame.kind {
            0x19 => r.skip(network + 5)?,
            0xa5 => r.skip(network + 12)?,
            _ => return Ok(()),
        }
        state(r.u8()?, false, record);
        r.skip(2)?;
        alarm::add(
            &mut record.alarms,
            alarm::of_byte(r.u8()?, frame.kind, context.dialect),
        );
        Ok(())
    })
}
