//! Message 0x0900, in which makers put what the standard has no place for.

use super::frame::Wrong;
use super::location::{Context, Motion, Place};
use super::parameters::{obd_text_mv, text};
use crate::cursor::{Cursor, Short};
use crate::session::{FrameErrorKind, Reading};
use waywarden_model::{Alarm, DriverSaid, Position, Record, Timestamp};

/// None when the kind of content is not known.
pub fn read(body: &[u8], ctx: &Context) -> Result<Option<Reading>, Wrong> {
    let mut c = Cursor::new(body);
    let timed = |r: Record| Some(Reading::Timed(r));
    Ok(match c.u8()? {
        0x40 => Some(serial_line(c.rest(), ctx)),
        0x41 => {
            let mut record = Record::status(ctx.now);
            record.details.external_voltage_mv = obd_text_mv(c.rest());
            Some(Reading::Untimed(record))
        }
        0x53 | 0x54 => timed(location(&mut c, ctx)?),
        0xF0 => vehicle(&mut c, ctx)?.and_then(timed),
        0xF3 => Some(collision(&mut c, ctx)?),
        0xFF => timed(accident(&mut c, ctx)?),
        _ => None,
    })
}

/// A length and `GTSL|6|1|0|<card>|...` of a card reader on the serial line; other text says
/// nothing.
fn serial_line(bytes: &[u8], ctx: &Context) -> Reading {
    let mut record = Record::status(ctx.now);
    let line = text(bytes.get(2..).unwrap_or_default());
    let card = line.strip_prefix("GTSL|").and_then(|t| t.split('|').nth(3));
    if let Some(card) = card.filter(|c| !c.is_empty()) {
        record.driver = DriverSaid::Card(card.into());
    }
    Reading::Untimed(record)
}

/// Status, place, motion and time in another order than in 0x0200; what follows is of sensors.
fn location(c: &mut Cursor<'_>, ctx: &Context) -> Result<Record, Wrong> {
    let (place, motion) = (Place::read(c)?, Motion::read(c)?);
    let mut record = place.record(ctx.time(c)?, ctx);
    motion.put(&mut record);
    Ok(record)
}

/// First position of the record of an accident; coordinates carry their sign.
fn accident(c: &mut Cursor<'_>, ctx: &Context) -> Result<Record, Wrong> {
    let time = ctx.time(c)?;
    let at = c.at();
    let (lat, lon) = (f64::from(c.i32()?) / 1e6, f64::from(c.i32()?) / 1e6);
    let what = "coordinates";
    let position = Position::new(lat, lon).ok_or(Wrong::new(FrameErrorKind::BadValue, what, at))?;
    let mut record = Record::fix(time, position);
    Motion::read(c)?.put(&mut record);
    Ok(record)
}

fn collision(c: &mut Cursor<'_>, ctx: &Context) -> Result<Reading, Wrong> {
    let mut time: Option<Timestamp> = None;
    while c.left() >= 4 {
        let kind = c.u16()?;
        let len = usize::from(c.u16()?);
        let mut value = c.sub(len)?;
        if kind == 6 {
            time = Some(ctx.time(&mut value)?);
        }
    }
    Ok(time.map_or(Reading::Untimed(Record::status(ctx.now)), |t| {
        Reading::Timed(Record::status(t))
    }))
}

/// Content F0: a time, whether it was stored, and a group of values, trouble codes or alarms with
/// the status at that time. The place in it is of the last fix, not of the report.
fn vehicle(c: &mut Cursor<'_>, ctx: &Context) -> Result<Option<Record>, Wrong> {
    let mut record = Record::status(ctx.time(c)?);
    record.stored = c.u8()? > 0;
    c.skip(1)?;
    match c.u8()? {
        1 => values(c, &mut record)?,
        2 => trouble_codes(c)?,
        3 => alarms(c, &mut record)?,
        4 => return Ok(Some(record)),
        0x0B => {
            if c.u8()? > 0 {
                record.details.vin = Some(text(c.take(17)?).into());
            }
            return Ok(Some(record));
        }
        0x15 => {
            event(c.u32()?, &mut record);
            return Ok(Some(record));
        }
        _ => return Ok(None),
    }
    record.ignition = Some(Place::read(c)?.ignition());
    Ok(Some(record))
}

fn values(c: &mut Cursor<'_>, r: &mut Record) -> Result<(), Short> {
    for _ in 0..c.u8()? {
        let kind = c.u16()?;
        let len = usize::from(c.u8()?);
        let mut v = c.sub(len)?;
        let n = v.uint(len.min(8)).unwrap_or(0);
        let small = i32::try_from(n).unwrap_or(i32::MAX);
        match kind {
            0x0102 | 0x0528 | 0x0546 => r.odometer_m = Some(n.saturating_mul(100)),
            0x0103 | 0x052A => r.details.fuel_centi = Some(small),
            0x052B => r.details.fuel_centi = Some(small.saturating_mul(100)),
            0x0530 => r.details.external_voltage_mv = u32::try_from(n).ok(),
            _ => {}
        }
    }
    Ok(())
}

fn trouble_codes(c: &mut Cursor<'_>) -> Result<(), Short> {
    for _ in 0..c.u16()? {
        c.skip(4)?;
        for _ in 0..c.u16()? {
            c.skip(8)?;
            let len = usize::from(c.u16()?);
            c.skip(len)?;
        }
    }
    Ok(())
}

fn alarms(c: &mut Cursor<'_>, r: &mut Record) -> Result<(), Short> {
    for _ in 0..c.u8()? {
        let (kind, len) = (c.u8()?, usize::from(c.u8()?));
        c.skip(len)?;
        r.alarms.insert(match kind {
            0x01 => Alarm::PowerRestored,
            0x02 => Alarm::PowerCut,
            0x0E => Alarm::Idle,
            0x1A => Alarm::HardAcceleration,
            0x1B => Alarm::HardBraking,
            0x1C => Alarm::HardCornering,
            0x1D..=0x1F => Alarm::LaneChange,
            0x23 => Alarm::FatigueDriving,
            0x25 => Alarm::Overspeed,
            0x26..=0x28 => Alarm::Accident,
            0x31 | 0x32 => Alarm::Door,
            _ => continue,
        });
    }
    Ok(())
}

fn event(event: u32, r: &mut Record) {
    r.alarms.insert(match event {
        51 => Alarm::HardAcceleration,
        52 => Alarm::HardBraking,
        53 => Alarm::HardCornering,
        54 => Alarm::LaneChange,
        56 => Alarm::Accident,
        _ => {
            r.details.event = Some(event);
            return;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jt808::location::DEFAULT_OFFSET_S;

    const CTX: Context = Context {
        now: Timestamp::from_secs(1_773_104_400),
        offset_s: DEFAULT_OFFSET_S,
        doors: false,
    };

    fn of(hex: &str) -> Result<Option<Reading>, Wrong> {
        read(&hex::decode(hex.replace(' ', "")).unwrap(), &CTX)
    }

    #[test]
    fn a_card_on_the_serial_line() {
        let body = b"\x40\0\x18GTSL|6|1|0|10218094|1|\r\n";
        let reading = read(body, &CTX).unwrap().unwrap();
        assert!(matches!(reading, Reading::Untimed(_)));
        assert_eq!(reading.record().driver, DriverSaid::Card("10218094".into()));
        assert_eq!(reading.record().time, CTX.now);
    }

    #[test]
    fn values_and_alarms_of_the_vehicle() {
        // Stored; two values: odometer 1234.5 km, supply 12.6 V; status with ACC, place.
        let r = of(
            "f0 260310080005 01 02 01 02 0546 04 00003039 0530 02 3138 00000003 013fabf0 0661e940",
        );
        let r = r.unwrap().unwrap().record().clone();
        assert_eq!(r.time.to_string(), "2026-03-10T00:00:05Z");
        assert!(r.stored && r.position.is_none());
        assert_eq!((r.odometer_m, r.ignition), (Some(1_234_500), Some(true)));
        assert_eq!(r.details.external_voltage_mv, Some(12_600));
        // Two alarms, one with a value: braking and door.
        let r = of("f0 260310080005 00 02 03 02 1b 01 05 31 00 00000000 00000000 00000000");
        let alarms = r.unwrap().unwrap().record().alarms;
        assert_eq!(
            alarms,
            Alarm::ALL
                .into_iter()
                .filter(|a| matches!(a, Alarm::HardBraking | Alarm::Door))
                .fold(waywarden_model::Alarms::NONE, waywarden_model::Alarms::with)
        );
    }

    #[test]
    fn accident_and_unknown_content() {
        let r = of("ff 260310080005 fec05410 0661e940 0005 020b 005a")
            .unwrap()
            .unwrap();
        assert_eq!(r.record().position, Position::new(-20.95, 107.08));
        assert_eq!(of("99 0102"), Ok(None));
        assert_eq!(of("f0 260310080005 00 02 77"), Ok(None));
        assert_eq!(of("f0 2603").unwrap_err().kind, FrameErrorKind::Truncated);
    }
}
