//! Alarm bytes. The same byte means different things by maker and by kind of frame.

use super::decode::Dialect;
use waywarden_model::{Alarm, Alarms};

/// The alarm in bits 3 to 5 of the status byte.
pub(super) const fn of_status(status: u8, means_overspeed: bool) -> Option<Alarm> {
    match status >> 3 & 7 {
        1 => Some(Alarm::Vibration),
        2 => Some(Alarm::PowerCut),
        3 => Some(Alarm::LowBattery),
        4 => Some(Alarm::Sos),
        6 => Some(Alarm::Geofence),
        7 if means_overspeed => Some(Alarm::Overspeed),
        7 => Some(Alarm::Removing),
        _ => None,
    }
}

/// The alarm byte of location and status frames.
pub(super) const fn of_byte(byte: u8, kind: u8, dialect: Dialect) -> Option<Alarm> {
    Some(match (byte, dialect) {
        (0x09, Dialect::Vl) => Alarm::Tow,
        (0x18, Dialect::Lw) => Alarm::Accident,
        (0x19, Dialect::Lw) => Alarm::HardAcceleration,
        (0x28, Dialect::Seeworld) => Alarm::HardCornering,
        (0x29, Dialect::Seeworld) => Alarm::Accident,
        // The internal battery's alarm came with the later kinds of frame; units that still send
        // the first kind use its number for what the accelerometer found.
        (0x19, _) if kind == 0x16 => Alarm::HardAcceleration,
        (0x01, _) => Alarm::Sos,
        (0x02, _) => Alarm::PowerCut,
        (0x03 | 0x09, _) => Alarm::Vibration,
        (0x04, _) => Alarm::GeofenceEnter,
        (0x05, _) => Alarm::GeofenceExit,
        (0x06, _) => Alarm::Overspeed,
        (0x0e | 0x0f | 0x19, _) => Alarm::LowBattery,
        (0x11, _) => Alarm::PowerOff,
        (0x0c | 0x13 | 0x25, _) => Alarm::Tampering,
        (0x14, _) => Alarm::Door,
        (0x18, _) => Alarm::Removing,
        (0x1a | 0x27 | 0x28 | 0x30, _) => Alarm::HardBraking,
        (0x1b | 0x2a | 0x2b | 0x2e, _) => Alarm::HardCornering,
        (0x23, _) => Alarm::FallDown,
        (0x26 | 0x29, _) => Alarm::HardAcceleration,
        (0x2c, _) => Alarm::Accident,
        _ => return None,
    })
}

/// The event number of the dash cameras' alarm frames.
pub(super) const fn of_camera(event: u8, has_position: bool) -> Option<Alarm> {
    Some(match event {
        0x01 if has_position => Alarm::Sos,
        0x01 => Alarm::General,
        0x0e => Alarm::LowPower,
        0x76 => Alarm::Temperature,
        0x80 => Alarm::Vibration,
        0x87 => Alarm::Overspeed,
        0x88 => Alarm::PowerCut,
        0x90 => Alarm::HardAcceleration,
        0x91 => Alarm::HardBraking,
        0x92 => Alarm::HardCornering,
        0x93 => Alarm::Accident,
        _ => return None,
    })
}

pub(super) const fn add(alarms: &mut Alarms, alarm: Option<Alarm>) {
    if let Some(alarm) = alarm {
        alarms.insert(alarm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_by_maker_and_kind() {
        let of = |kind, dialect| of_byte(0x19, kind, dialect);
        assert_eq!(of(0x26, Dialect::Recognised), Some(Alarm::LowBattery));
        assert_eq!(of(0x16, Dialect::Recognised), Some(Alarm::HardAcceleration));
        assert_eq!(of(0x26, Dialect::Lw), Some(Alarm::HardAcceleration));
        assert_eq!(of_byte(0x00, 0x16, Dialect::Recognised), None);
        assert_eq!(of_status(0b0111_1000, false), Some(Alarm::Removing));
        assert_eq!(of_status(0b0111_1000, true), Some(Alarm::Overspeed));
    }
}
