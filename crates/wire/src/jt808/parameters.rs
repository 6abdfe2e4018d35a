//! Additional items of a location (clause 8.18, table 26) and those that makers added.
//!
//! Items are type, length, value. One that is unknown, or too short for what it should hold, is
//! skipped and the rest is read; makers use one type for several things, told apart by length.

use encoding_rs::GBK;
use waywarden_model::{Alarm, Alarms, DriverSaid, Record};

/// How the items ended, and what they said about the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail {
    /// The last item ends where the bytes end.
    pub whole: bool,
    /// The device names itself as one whose alarm word differs.
    pub aovx: bool,
}

pub fn read(mut rest: &[u8], record: &mut Record) -> Tail {
    let mut aovx = false;
    while let [kind, len, after @ ..] = rest {
        if *kind == 0x80 {
            // The item's length says nothing: a list of other items follows to the end.
            let whole = items(after.get(1..).unwrap_or_default(), &mut |kind, value| {
                extended(kind, value, record);
            });
            return Tail { whole, aovx };
        }
        let Some((value, next)) = after.split_at_checked(usize::from(*len)) else {
            return Tail { whole: false, aovx };
        };
        aovx |= *kind == 0xF2 && value.starts_with(b"AOVX");
        item(*kind, value, aovx, record);
        rest = next;
    }
    Tail {
        whole: rest.is_empty(),
        aovx,
    }
}

/// Calls `each` for all whole items; whether the last one ends where the bytes end.
fn items(mut rest: &[u8], each: &mut impl FnMut(u8, &[u8])) -> bool {
    while let [kind, len, after @ ..] = rest {
        let Some((value, next)) = after.split_at_checked(usize::from(*len)) else {
            return false;
        };
        each(*kind, value);
        rest = next;
    }
    rest.is_empty()
}

/// The big-endian number in `n` bytes (at most 8) at `at`.
fn number(value: &[u8], at: usize, n: usize) -> Option<u64> {
    let bytes = value.get(at..at.checked_add(n)?)?;
    Some(bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))
}

fn narrow(value: &[u8], at: usize, n: usize) -> Option<u32> {
    number(value, at, n).and_then(|v| u32::try_from(v).ok())
}

/// Text in GBK without the padding.
pub fn text(bytes: &[u8]) -> String {
    let (text, _) = GBK.decode_without_bom_handling(bytes);
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .to_owned()
}

fn item(kind: u8, v: &[u8], aovx: bool, r: &mut Record) {
    match kind {
        0x01 => set(&mut r.odometer_m, number(v, 0, 4).map(|n| n * 100)),
        0x02 => set(&mut r.details.fuel_centi, narrow(v, 0, 2).map(fuel)),
        0x31 => set(&mut r.satellites, v.first().copied()),
        0xAC => set(&mut r.odometer_m, number(v, 0, 4)),
        0xDA => set(&mut r.motion, lock_status(v).map(|s| s & 4 != 0)),
        0xE2 => set(&mut r.details.fuel_centi, narrow(v, 0, 4).map(tenths)),
        0xE5 if v.len() == 1 => r.motion = Some(v[0] == 1),
        0x94 => vin(v, r),
        0xEB => nested(v, r),
        0xF3 if !aovx => obd(v, r),
        0xF6 if aovx || !matches!(v.len(), 2 | 8) => event(v, r),
        0xFE => private(v, r),
        0xE8 if v.len() > 3 => maker_event(v, r),
        0x60 | 0xBD | 0xD4 | 0xE1 | 0xE9 => driver(kind, v, r),
        0x57 | 0x64 | 0x65 | 0x70 | 0xD0 | 0xE7 => alarm(kind, v, &mut r.alarms),
        0x82 | 0xD3 | 0xE6 | 0xEE | 0xF1 => supply(kind, v, r),
        _ => {}
    }
    if kind == 0xE1 && v.len() == 2 {
        set(
            &mut r.details.external_voltage_mv,
            narrow(v, 0, 2).map(|n| n * 100),
        );
    }
}

fn set<T>(field: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *field = value;
    }
}

/// Behind the number of times that the string of the lock was cut, where that is there.
fn lock_status(v: &[u8]) -> Option<u8> {
    match *v {
        [status] | [_, _, status, ..] => Some(status),
        _ => None,
    }
}

/// Bit 15 set: percent; else tenths of a litre.
fn fuel(v: u32) -> i32 {
    if v & 0x8000 == 0 {
        return tenths(v);
    }
    (v & 0x7FFF).saturating_mul(100).cast_signed()
}

fn tenths(v: u32) -> i32 {
    i32::try_from(v).unwrap_or(i32::MAX).saturating_mul(10)
}

fn supply(kind: u8, v: &[u8], r: &mut Record) {
    let mv = match kind {
        0x82 | 0xD3 => narrow(v, 0, 2).map(|n| n * 100),
        0xEE if v.len() == 6 => {
            set(&mut r.satellites, v.get(5).copied());
            narrow(v, 1, 2)
        }
        0xF1 => narrow(v, 0, 4),
        0xE6 => obd_text_mv(v),
        _ => None,
    };
    set(&mut r.details.external_voltage_mv, mv);
}

/// Supply in `$OBD-RT,12.3,...`, in millivolts.
pub fn obd_text_mv(v: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(v).ok()?.strip_prefix("$OBD-RT,")?;
    let volts = text.split(',').next()?;
    let (whole, fraction) = volts.split_once('.').unwrap_or((volts, ""));
    let mut thousandths = fraction.bytes().chain([b'0'; 3]).take(3);
    let fraction = thousandths.try_fold(0_u32, |sum, digit| {
        digit
            .is_ascii_digit()
            .then(|| sum * 10 + u32::from(digit - b'0'))
    })?;
    whole
        .parse::<u32>()
        .ok()?
        .checked_mul(1000)?
        .checked_add(fraction)
}

fn driver(kind: u8, v: &[u8], r: &mut Record) {
    let card = match kind {
        0x60 => {
            set(&mut r.details.event, narrow(v, 0, 2));
            // Events of a lock: 6 bytes of its id, then the card.
            match r.details.event {
                Some(0x61..=0x66) => v.get(8..16).map(text),
                _ => None,
            }
        }
        0xBD => Some(text(v)),
        // Shorter ones are a battery or a voltage, longer ones are cell towers.
        _ if v.len() >= 4 && !(kind == 0xE1 && v.len() >= 12) => {
            narrow(v, 0, 4).map(|n| n.to_string())
        }
        _ => None,
    };
    if let Some(card) = card.filter(|c| !c.is_empty()) {
        r.driver = DriverSaid::Card(card.as_str().into());
    }
}

fn raise(alarms: &mut Alarms, word: u64, bits: &[(u64, Alarm)]) {
    for (mask, alarm) in bits {
        if word & mask != 0 {
            alarms.insert(*alarm);
        }
    }
}

fn alarm(kind: u8, v: &[u8], alarms: &mut Alarms) {
    let at = |at, n| number(v, at, n).unwrap_or(0);
    match kind {
        0x57 => {
            let behaviour = [
                (1 << 8, Alarm::HardAcceleration),
                (1 << 9, Alarm::HardBraking),
                (1 << 10, Alarm::HardCornering),
            ];
            raise(alarms, at(0, 2), &behaviour);
            raise(alarms, at(4, 4), &[(1 << 16, Alarm::Door)]);
        }
        0x64 if matches!(at(5, 1), 2 | 5) => alarms.insert(Alarm::LaneChange),
        0x65 if at(5, 1) == 1 => alarms.insert(Alarm::FatigueDriving),
        0x70 => match at(5, 1) {
            0x01 => alarms.insert(Alarm::HardAcceleration),
            0x02 => alarms.insert(Alarm::HardBraking),
            0x03 => alarms.insert(Alarm::HardCornering),
            0x16 => alarms.insert(Alarm::Accident),
            _ => {}
        },
        0xD0 => raise(alarms, at(0, 4), &[(1 << 3, Alarm::Vibration)]),
        0xE7 if v.len() == 8 => {
            raise(
                alarms,
                at(0, 2),
                &[(1, Alarm::Vibration), (0b1110, Alarm::Sos)],
            );
        }
        _ => {}
    }
}

fn vin(v: &[u8], r: &mut Record) {
    let vin = text(v);
    if !vin.is_empty() {
        r.details.vin = Some(vin.into());
    }
}

fn event(v: &[u8], r: &mut Record) {
    if let Some(event) = v.first() {
        r.details.event = Some(u32::from(*event));
        if *event == 2 {
            r.motion = Some(true);
        }
    }
}

/// Item EB: cell towers, the name of a time zone, or a list of length, type, value in which the
/// length counts the type.
fn nested(v: &[u8], r: &mut Record) {
    let towers = number(v, 0, 2).is_some_and(|mcc| mcc > 200) && v.len() % 5 == 3;
    if towers || v.iter().all(|b| (b' '..=b'~').contains(b)) {
        return;
    }
    let mut rest = v;
    while let [a, b, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*a, *b]));
        let Some((entry, next)) = after.split_at_checked(len) else {
            return;
        };
        if let [a, b, value @ ..] = entry {
            nested_entry(u16::from_be_bytes([*a, *b]), value, r);
        }
        rest = next;
    }
}

fn nested_entry(kind: u16, v: &[u8], r: &mut Record) {
    match kind {
        0x2D if v.len() == 4 => {
            set(&mut r.details.external_voltage_mv, narrow(v, 0, 4));
        }
        0xCE => set(
            &mut r.details.external_voltage_mv,
            narrow(v, 0, 2).map(|n| n * 10),
        ),
        // These bits are 0 while the alarm lasts.
        0x89 => {
            let clear = !number(v, 0, 4).unwrap_or(u64::MAX);
            let bits = [(1, Alarm::PowerOff), (1 << 12, Alarm::Removing)];
            raise(&mut r.alarms, clear, &bits);
        }
        0xC5 => {
            let Some(word) = number(v, 0, 4) else { return };
            raise(&mut r.alarms, !word, &[(1 << 6, Alarm::Vibration)]);
            match word >> 23 & 3 {
                0 => r.motion = Some(true),
                1 => r.motion = Some(false),
                _ => {}
            }
        }
        0xC6 if matches!(v.first(), Some(3 | 4)) => r.alarms.insert(Alarm::LowBattery),
        _ => {}
    }
}

/// Item F3: values of the on-board diagnosis, with types of two bytes.
fn obd(mut rest: &[u8], r: &mut Record) {
    while let [a, b, len, after @ ..] = rest {
        let Some((v, next)) = after.split_at_checked(usize::from(*len)) else {
            return;
        };
        match u16::from_be_bytes([*a, *b]) {
            0x0004 => set(&mut r.details.external_voltage_mv, narrow(v, 0, 2)),
            0x0050 => vin(v.get(..17).unwrap_or(v), r),
            _ => {}
        }
        rest = next;
    }
}

/// Item FE: supply or odometer by length, else a list with alarms.
fn private(v: &[u8], r: &mut Record) {
    match (v.len(), v) {
        (2, _) => set(
            &mut r.details.external_voltage_mv,
            narrow(v, 0, 2).map(|n| n * 100),
        ),
        (4, _) => set(&mut r.odometer_m, number(v, 0, 4)),
        (_, [0x7C, list @ ..]) => {
            items(list, &mut |kind, value| {
                if kind == 1 {
                    let bits = [
                        (1, Alarm::HardAcceleration),
                        (1 << 1, Alarm::HardBraking),
                        (1 << 2, Alarm::HardCornering),
                        (1 << 3, Alarm::Accident),
                        (1 << 4, Alarm::Tampering),
                    ];
                    raise(&mut r.alarms, number(value, 0, 4).unwrap_or(0), &bits);
                }
            });
        }
        _ => {}
    }
}

/// Item E8: the number of an event or a group of values (of 3 bytes it is the state of a lock).
fn maker_event(v: &[u8], r: &mut Record) {
    let Some(kind) = number(v, 0, 2) else { return };
    let alarm = match kind {
        0x2003 => {
            set(
                &mut r.details.external_voltage_mv,
                narrow(v, 8, 2).map(|n| n * 10),
            );
            return;
        }
        0x2005 => return values(v.get(3..).unwrap_or_default(), r),
        0x0C03 | 0x0C04 => {
            r.ignition = Some(kind == 0x0C03);
            return;
        }
        0x0001 => Alarm::Fault,
        0x0400 | 0x0412 => Alarm::HardAcceleration,
        0x0401 | 0x0413 => Alarm::HardBraking,
        0x0402 | 0x0414 => Alarm::HardCornering,
        0x0403 => Alarm::Overspeed,
        0x0405 | 0x0416 | 0x0417 => Alarm::Accident,
        0x0406 => Alarm::Vibration,
        0x0407 => Alarm::Tow,
        0x0408 => Alarm::GeofenceEnter,
        0x0409 => Alarm::GeofenceExit,
        0x040C => Alarm::Door,
        0x0415 => Alarm::LaneChange,
        0x0C01 => Alarm::Sos,
        0x0C02 => Alarm::LowPower,
        0x0C05 => Alarm::General,
        0x0C0E => Alarm::PowerCut,
        0x0C0F => Alarm::LowBattery,
        0x0C10 => Alarm::PowerOff,
        0x0C12 => Alarm::Tampering,
        _ => return,
    };
    r.alarms.insert(alarm);
}

fn values(mut rest: &[u8], r: &mut Record) {
    while let [a, b, len, after @ ..] = rest {
        let Some((v, next)) = after.split_at_checked(usize::from(*len)) else {
            return;
        };
        if [*a, *b] == [0x20, 0x01] {
            set(
                &mut r.details.external_voltage_mv,
                narrow(v, 0, 2).map(|n| n * 100),
            );
        }
        rest = next;
    }
}

/// The other list of items, behind item 80.
fn extended(kind: u8, v: &[u8], r: &mut Record) {
    match kind {
        0x01 => set(&mut r.odometer_m, number(v, 0, 4).map(|n| n * 100)),
        0x02 => set(&mut r.details.fuel_centi, narrow(v, 0, 2).map(tenths)),
        0x61 => set(
            &mut r.details.external_voltage_mv,
            narrow(v, 0, 2).map(|n| n * 10),
        ),
        0x82 => set(
            &mut r.details.external_voltage_mv,
            narrow(v, 0, 2).map(|n| n * 100),
        ),
        0x8B => vin(v, r),
        0x8E => set(
            &mut r.details.fuel_centi,
            v.first().map(|n| i32::from(*n) * 100),
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::Timestamp;

    fn of(hex: &str) -> (Record, Tail) {
        let mut record = Record::status(Timestamp::from_secs(0));
        let tail = read(&hex::decode(hex).unwrap(), &mut record);
        (record, tail)
    }

    #[test]
    fn unknown_and_short_items_do_not_lose_the_rest() {
        let (r, tail) = of("99020102 010100 ff00 31010c".replace(' ', "").as_str());
        assert!(tail.whole);
        assert_eq!((r.odometer_m, r.satellites), (None, Some(12)));
        let (r, tail) = of("31010c0104000000");
        assert!(!tail.whole);
        assert_eq!((r.odometer_m, r.satellites), (None, Some(12)));
        assert!(!of("31010c01").1.whole);
    }

    #[test]
    fn fuel_is_litres_or_percent() {
        assert_eq!(of("02020123").0.details.fuel_centi, Some(2910));
        assert_eq!(of("02028037").0.details.fuel_centi, Some(5500));
        assert_eq!(of("e204ffffffff").0.details.fuel_centi, Some(i32::MAX));
    }

    #[test]
    fn item_e1_means_three_things_by_length() {
        let card = of("e10400000abc").0.driver;
        assert_eq!(card, DriverSaid::Card("2748".into()));
        assert_eq!(of("e1020075").0.details.external_voltage_mv, Some(11_700));
        let (battery, towers) = (of("e1012d").0, of("e10c01cc0000249900009b294130").0);
        assert_eq!(battery.driver, DriverSaid::NotSaid);
        assert_eq!(towers.driver, DriverSaid::NotSaid);
    }

    #[test]
    fn nested_lists() {
        // EB: length 6, type 0089, bit 0 clear; length 4, type 00CE, 12.34 V.
        let (r, tail) = of("eb0e00060089fffffffe000400ce04d2");
        assert!(tail.whole);
        assert_eq!(r.alarms, Alarms::NONE.with(Alarm::PowerOff));
        assert_eq!(r.details.external_voltage_mv, Some(12_340));
        // E8 2005: entry 0001 of 2 bytes, then 2001: 12.6 V.
        let (r, _) = of("e80d20050a000102019f200102007e");
        assert_eq!(r.details.external_voltage_mv, Some(12_600));
        // 80: content byte, then VIN and odometer of the other list.
        let (r, tail) = of("800f01010400000002020200 0f".replace(' ', "").as_str());
        assert!(tail.whole);
        assert_eq!((r.odometer_m, r.details.fuel_centi), (Some(200), Some(150)));
    }

    #[test]
    fn volts_in_text() {
        for (text, mv) in [
            ("$OBD-RT,12.3,0", Some(12_300)),
            ("$OBD-RT,9", Some(9000)),
            ("$OBD-RT,13.0625,1", Some(13_062)),
            ("$OBD-RT,,0", None),
            ("$OBD-RT,1.x", None),
            ("$OBD-RT,99999999999", None),
            ("OBD", None),
        ] {
            assert_eq!(obd_text_mv(text.as_bytes()), mv, "{text}");
        }
    }
}
