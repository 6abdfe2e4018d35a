//! Reports 0x5501 and 0x5502 of a dialect: date of day, month, year in UTC, degrees and minutes.

use super::frame::Wrong;
use super::location::seconds;
use crate::cursor::Cursor;
use crate::session::FrameErrorKind;
use waywarden_model::{Alarm, Course, Position, Record, Speed, Timestamp};

/// A report sent from where there was no fix.
pub const BLIND: u16 = 0x5502;

pub fn read(id: u16, body: &[u8]) -> Result<Record, Wrong> {
    let mut c = Cursor::new(body);
    let [day, month, year] = c.array()?;
    let time = seconds([year, month, day], c.array()?)
        .map(Timestamp::from_secs)
        .ok_or(bad("date and time", 0))?;
    let position = position(c.array()?, c.array()?).ok_or(bad("coordinates", 6))?;
    let mut record = Record::fix(time, position);
    record.valid = id != BLIND;
    let (knots, course) = (c.u8()?, c.u8()?);
    record.speed = Some(Speed::from_kmh_f64(f64::from(knots) * 1.852));
    record.course = Some(Course::from_centi(u16::from(course) % 180 * 200));
    c.skip(1)?;
    record.satellites = Some(c.u8()?);
    record.odometer_m = Some(u64::from(c.u32()?) * 1000);
    // Battery, cell and area.
    c.skip(7)?;
    let (product, _status, alarms) = (c.u8()?, c.u16()?, c.u16()?);
    for (bit, alarm) in product_alarms(product) {
        if alarms & (1 << bit) != 0 {
            record.alarms.insert(*alarm);
        }
    }
    items(c.rest(), &mut record);
    Ok(record)
}

const fn bad(what: &'static str, at: usize) -> Wrong {
    Wrong::new(FrameErrorKind::BadValue, what, at)
}

fn product_alarms(product: u8) -> &'static [(u8, Alarm)] {
    match product {
        1 | 2 => &[(0, Alarm::LowPower)],
        3 => &[
            (0, Alarm::Overspeed),
            (1, Alarm::LowPower),
            (2, Alarm::Vibration),
            (3, Alarm::LowBattery),
            (5, Alarm::GeofenceEnter),
            (6, Alarm::GeofenceExit),
        ],
        _ => &[],
    }
}

/// Latitude ddmm.mmmm and longitude dddmm.mmmm, packed decimal; the last half byte has the signs:
/// bit 1 north, bit 2 east.
fn position(lat: [u8; 4], lon: [u8; 5]) -> Option<Position> {
    let flags = lon[4] & 15;
    let lat = decimal(lat.iter().flat_map(|b| [b >> 4, b & 15]))?;
    let lon = decimal(lon.iter().flat_map(|b| [b >> 4, b & 15]).take(9))?;
    let degrees = |v: u32, positive: bool| {
        let v = f64::from(v / 1_000_000) + f64::from(v % 1_000_000) / 600_000.0;
        if positive { v } else { -v }
    };
    Position::new(degrees(lat, flags & 2 != 0), degrees(lon, flags & 4 != 0))
}

fn decimal(mut digits: impl Iterator<Item = u8>) -> Option<u32> {
    digits.try_fold(0_u32, |sum, d| (d < 10).then(|| sum * 10 + u32::from(d)))
}

fn items(mut rest: &[u8], record: &mut Record) {
    while let [kind, len, after @ ..] = rest {
        let Some((value, next)) = after.split_at_checked(usize::from(*len)) else {
            return;
        };
        if let (2, [a, b]) = (*kind, value) {
            record.altitude_dm = Some(i32::from(i16::from_be_bytes([*a, *b])) * 10);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_worked_out_by_hand() {
        // 2026-03-10 01:00:05; 20 deg 57.0000' N, 107 deg 04.8000' E; 50 knots; 2 * 45 degrees;
        // 9 satellites; 123 km; low power of product 1; altitude 12 m.
        let body = "100326010005 20570000 107048000 6 32 2d 1f 09 0000007b 64 00000000 0000 01 0000 0001 0202000c";
        let body = hex::decode(body.replace(' ', "")).unwrap();
        let r = read(0x5501, &body).unwrap();
        assert_eq!(r.time.to_string(), "2026-03-10T01:00:05Z");
        assert_eq!(r.position, Position::new(20.95, 107.08));
        assert_eq!(r.speed, Some(Speed::from_centi(9260)));
        assert_eq!(r.course, Some(Course::from_centi(9000)));
        assert_eq!((r.satellites, r.odometer_m), (Some(9), Some(123_000)));
        assert_eq!(r.altitude_dm, Some(120));
        assert!(r.valid && r.alarms.contains(Alarm::LowPower));
        assert!(!read(BLIND, &body).unwrap().valid);
        assert_eq!(
            read(0x5501, &body[..30]).unwrap_err().kind,
            FrameErrorKind::Truncated
        );
        let mut wrong = body.clone();
        wrong[7] = 0xA0;
        assert_eq!(
            read(0x5501, &wrong).unwrap_err().kind,
            FrameErrorKind::BadValue
        );
    }
}
