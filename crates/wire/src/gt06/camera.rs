//! Kind 95: alarms of dash cameras.

use super::alarm;
use super::date::date;
use super::decode::{Context, Fault, Meaning, short_answer};
use super::frame::Frame;
use super::location::placed;
use crate::Cursor;
use waywarden_model::{Record, Speed, Timestamp};

/// Reads one of three: the instant alone; with a position without speed; or, behind the marker
/// FFFF, with everything.
pub(super) fn alarm(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let answer = Some(short_answer(frame));
    if r.rest().starts_with(&[0xff, 0xff]) {
        r.skip(3)?; // marker, version
        let (mut record, time) = full(&mut r, context)?;
        event(&mut r, true, &mut record);
        return Ok(Meaning::report(record, time, answer));
    }
    if r.left() > 7 {
        let time = date(&mut r, context.offset_s)?;
        let at = r.at();
        let (lat, lon, word) = (r.u32()?, r.u32()?, r.u16()?);
        let mut record = placed(time.unwrap_or(context.now), lat, lon, word, at)?;
        event(&mut r, true, &mut record);
        return Ok(Meaning::report(record, time, answer));
    }
    let time = date(&mut r, context.offset_s)?;
    let mut record = Record::status(context.now);
    event(&mut r, false, &mut record);
    Ok(Meaning::report(record, time, answer))
}

/// Date (6), satellites (1), latitude (4), longitude (4), course word (2), speed (2), supply in
/// 0.1 V (2).
fn full(r: &mut Cursor<'_>, context: &Context) -> Result<(Record, Option<Timestamp>), Fault> {
    let time = date(r, context.offset_s)?;
    let at = r.at();
    let (satellites, lat, lon, word, speed) = (r.u8()?, r.u32()?, r.u32()?, r.u16()?, r.u16()?);
    let mut record = placed(time.unwrap_or(context.now), lat, lon, word, at + 1)?;
    record.satellites = Some(satellites & 15);
    record.speed = Some(Speed::from_kmh(i32::from(speed)));
    record.details.external_voltage_mv = r.u16().ok().map(|v| u32::from(v) * 100);
    Ok((record, time))
}

fn event(r: &mut Cursor<'_>, has_position: bool, record: &mut Record) {
    let Ok(event) = r.u8() else { return };
    record.details.event = Some(event.into());
    alarm::add(&mut record.alarms, alarm::of_camera(event, has_position));
}
