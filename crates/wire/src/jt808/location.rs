//! The basic part of a location report (clause 8.18, tables 23 to 25 of the edition of 2013).

use super::frame::Wrong;
use super::parameters;
use crate::cursor::Cursor;
use crate::session::FrameErrorKind;
use waywarden_model::{Alarm, Alarms, Course, Position, Record, RecordKind, Speed, Timestamp};

/// Clocks of devices run in this zone unless the register says otherwise.
pub const DEFAULT_OFFSET_S: i32 = 8 * 3600;

/// What decoding depends on besides the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    pub now: Timestamp,
    /// Seconds east of UTC of the device's clock.
    pub offset_s: i32,
    /// The device reports its doors, so that a door bit of 0 means closed.
    pub doors: bool,
}

impl Context {
    /// Reads YYMMDDhhmmss in packed decimal.
    pub fn time(&self, c: &mut Cursor<'_>) -> Result<Timestamp, Wrong> {
        let at = c.at();
        let [year, month, day, hour, minute, second] = c.array()?;
        self.instant([year, month, day], [hour, minute, second])
            .ok_or(Wrong::new(FrameErrorKind::BadValue, "date and time", at))
    }

    fn instant(&self, date: [u8; 3], time: [u8; 3]) -> Option<Timestamp> {
        let local = seconds(date, time)?;
        Some(Timestamp::from_secs(local - i64::from(self.offset_s)))
    }
}

/// Seconds since 1970 of a date (year of this century, month, day) and time in packed decimal,
/// as if the clock were UTC.
pub fn seconds(date: [u8; 3], time: [u8; 3]) -> Option<i64> {
    let [y, m, d] = date.map(bcd);
    let [hour, minute, second] = time.map(bcd);
    let (y, m, d) = (2000 + y?, m?, d?);
    let (hour, minute, second) = (hour?, minute?, second?);
    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let days_in_month = match m {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if d == 0 || d > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days(y, m, d) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01. Years begin in March, so that the leap day is the last of its year.
const fn days(y: i64, m: i64, d: i64) -> i64 {
    let (y, m) = if m > 2 { (y, m - 3) } else { (y - 1, m + 9) };
    y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + d - 1 - 719_468
}

const fn bcd(byte: u8) -> Option<i64> {
    let (tens, ones) = (byte >> 4, byte & 15);
    if tens > 9 || ones > 9 {
        return None;
    }
    Some((tens * 10 + ones) as i64)
}

/// A location with its additional items, as 0x0200 and the items of 0x0704 have it.
pub fn read(item: &[u8], ctx: &Context) -> Result<Record, Wrong> {
    let mut c = Cursor::new(item);
    let alarms = c.u32()?;
    let place = Place::read(&mut c)?;
    let motion = Motion::read(&mut c)?;
    let time = ctx.time(&mut c)?;
    let mut record = place.record(time, ctx);
    motion.put(&mut record);
    let tail = parameters::read(c.rest(), &mut record);
    if !tail.whole && c.left() == SHORT_TAIL {
        short_tail(c.rest(), &mut record);
    }
    let word = if tail.aovx {
        aovx_alarms(alarms)
    } else {
        standard_alarms(alarms)
    };
    record.alarms = Alarms::from_bits(record.alarms.bits() | word.bits());
    Ok(record)
}

/// Status word and coordinates.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    status: u32,
    lat: u32,
    lon: u32,
}

impl Place {
    pub fn read(c: &mut Cursor<'_>) -> Result<Self, Wrong> {
        Ok(Self {
            status: c.u32()?,
            lat: c.u32()?,
            lon: c.u32()?,
        })
    }

    const fn bit(self, n: u8) -> bool {
        self.status & (1 << n) != 0
    }

    pub const fn ignition(self) -> bool {
        self.bit(0)
    }

    fn position(self) -> Option<Position> {
        let degrees = |v: u32, negative: bool| {
            let v = f64::from(v) / 1e6;
            if negative { -v } else { v }
        };
        Position::new(
            degrees(self.lat, self.bit(2)),
            degrees(self.lon, self.bit(3)),
        )
    }

    /// A fix; a report without a position where the coordinates are outside the globe.
    pub fn record(self, time: Timestamp, ctx: &Context) -> Record {
        let mut record = Record::status(time);
        if let Some(position) = self.position() {
            record.kind = RecordKind::Fix;
            record.position = Some(position);
            record.valid = self.bit(1);
        }
        record.ignition = Some(self.ignition());
        // Bits 13 to 16 are set while a door is open. Devices without doors use 13 to 15 for other
        // things and leave 16 at 0 for ever.
        let open = self.status & if ctx.doors { 0x1_E000 } else { 0x1_0000 } != 0;
        record.door = (open || ctx.doors).then_some(open);
        record
    }
}

/// Altitude, speed and course.
#[derive(Clone, Copy, Debug)]
pub struct Motion {
    /// Metres.
    altitude: i16,
    /// Tenths of a km/h.
    speed: u16,
    /// Degrees.
    course: u16,
}

impl Motion {
    pub fn read(c: &mut Cursor<'_>) -> Result<Self, Wrong> {
        Ok(Self {
            altitude: c.i16()?,
            speed: c.u16()?,
            course: c.u16()?,
        })
    }

    pub fn put(self, record: &mut Record) {
        if record.kind != RecordKind::Fix {
            return;
        }
        record.altitude_dm = Some(i32::from(self.altitude) * 10);
        record.speed = Some(Speed::from_centi(i32::from(self.speed) * 10));
        record.course = Some(Course::from_centi(self.course % 360 * 100));
    }
}

/// Length of the tail of a dialect that has no additional items.
const SHORT_TAIL: usize = 18;

/// Battery and trip (4 bytes), odometer in km, supply in 0.1 V, area (4), signal, reserved (3).
fn short_tail(tail: &[u8], record: &mut Record) {
    let mut c = Cursor::new(tail);
    if let (Ok(_), Ok(km)) = (c.u32(), c.u32()) {
        record.odometer_m = Some(u64::from(km) * 1000);
    }
}

/// Table 24; bits 15 to 17 as devices in the field use them.
const STANDARD_ALARMS: [(u32, Alarm); 17] = [
    (1, Alarm::Sos),
    (1 << 1, Alarm::Overspeed),
    // 18: the day's driving time is exceeded.
    (1 << 2 | 1 << 18, Alarm::FatigueDriving),
    (1 << 4 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 24, Alarm::Fault),
    (1 << 5 | 1 << 6, Alarm::GpsAntennaCut),
    (1 << 7, Alarm::LowPower),
    (1 << 8, Alarm::PowerOff),
    (1 << 15, Alarm::Vibration),
    (1 << 16 | 1 << 17, Alarm::Tampering),
    (1 << 19, Alarm::Parking),
    (1 << 20 | 1 << 21 | 1 << 23, Alarm::Geofence),
    (1 << 25, Alarm::FuelLeak),
    // 26: stolen, 27: ignition without leave.
    (1 << 26 | 1 << 27, Alarm::General),
    (1 << 28, Alarm::Movement),
    (1 << 29, Alarm::Accident),
    (1 << 30, Alarm::FallDown),
    (1 << 31, Alarm::Door),
];

fn standard_alarms(word: u32) -> Alarms {
    if word == 0 {
        return Alarms::NONE;
    }
    STANDARD_ALARMS
        .iter()
        .filter(|(bits, _)| word & bits != 0)
        .fold(Alarms::NONE, |set, (_, alarm)| set.with(*alarm))
}

/// The word that raises `alarms`, as far as the standard has a bit for them.
pub fn alarm_word(alarms: Alarms) -> u32 {
    STANDARD_ALARMS
        .iter()
        .filter(|(_, alarm)| alarms.contains(*alarm))
        .fold(0, |word, (bits, _)| word | 1 << bits.trailing_zeros())
}

/// A maker that names itself in item F2 uses one bit, for movement.
fn aovx_alarms(word: u32) -> Alarms {
    if word & 1 << 16 == 0 {
        return Alarms::NONE;
    }
    Alarms::NONE.with(Alarm::Movement)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const CTX: Context = Context {
        now: Timestamp::from_secs(0),
        offset_s: DEFAULT_OFFSET_S,
        doors: false,
    };

    #[test]
    fn dates_that_cannot_be_are_refused() {
        let of = |hex: &str| {
            let bytes = hex::decode(hex).unwrap();
            CTX.time(&mut Cursor::new(&bytes)).map(|t| t.to_string())
        };
        assert_eq!(of("260310080005").unwrap(), "2026-03-10T00:00:05Z");
        assert_eq!(of("240229235959").unwrap(), "2024-02-29T15:59:59Z");
        assert_eq!(of("000101000000").unwrap(), "1999-12-31T16:00:00Z");
        for bad in [
            "261310080005",
            "260010080005",
            "260300080005",
            "250229080005",
            "260431080005",
            "260310240005",
            "260310086005",
            "260310080060",
            "26031008000a",
            "a60310080005",
            "000000000000",
            "ffffffffffff",
        ] {
            assert_eq!(of(bad).unwrap_err().kind, FrameErrorKind::BadValue, "{bad}");
        }
        assert_eq!(of("2603").unwrap_err().kind, FrameErrorKind::Truncated);
    }

    #[test]
    fn a_report_worked_out_by_hand() {
        // Overspeed; ACC, fix, south, west, front door open; 20.95 and 107.08 degrees; -5 m;
        // 52.3 km/h; 270 degrees; 2026-03-10 08:00:05; odometer 1234.5 km, 14 satellites, an
        // unknown item, and one that is cut off.
        let item = hex::decode(
            "000000020000200f013fabf00661e940fffb020b010e2603100800050104000030393101 0e990201020505aa"
                .replace(' ', ""),
        )
        .unwrap();
        let ctx = Context { doors: true, ..CTX };
        let r = read(&item, &ctx).unwrap();
        assert_eq!(read(&item, &CTX).unwrap().door, None);
        assert_eq!(r.time.to_string(), "2026-03-10T00:00:05Z");
        assert_eq!(r.position, Position::new(-20.95, -107.08));
        assert!(r.valid && r.alarms == Alarms::NONE.with(Alarm::Overspeed));
        assert_eq!((r.ignition, r.door), (Some(true), Some(true)));
        assert_eq!(r.altitude_dm, Some(-50));
        assert_eq!(r.speed, Some(Speed::from_centi(5230)));
        assert_eq!(r.course, Some(Course::from_centi(27_000)));
        assert_eq!((r.odometer_m, r.satellites), (Some(1_234_500), Some(14)));
    }

    #[test]
    fn coordinates_outside_the_globe_leave_a_report_without_position() {
        let mut item = vec![0; 28];
        item[8..12].copy_from_slice(&100_000_000_u32.to_be_bytes());
        item[22..28].copy_from_slice(&[0x26, 3, 0x10, 8, 0, 5]);
        let r = read(&item, &CTX).unwrap();
        assert_eq!(
            (r.kind, r.position, r.speed),
            (RecordKind::Status, None, None)
        );
        assert_eq!(
            read(&item[..27], &CTX).unwrap_err().kind,
            FrameErrorKind::Truncated
        );
    }

    #[test]
    fn alarm_words_come_back() {
        for (_, alarm) in STANDARD_ALARMS {
            let set = Alarms::NONE.with(alarm);
            assert_eq!(standard_alarms(alarm_word(set)), set);
        }
    }
}
