//! The table of I/O parameters: what their numbers mean. Parameters that are not in it are left
//! in the raw frame.

use waywarden_model::{Alarm, CardId, DriverSaid, Record};

pub const ODOMETER: u16 = 16;
pub const EXTERNAL_VOLTAGE: u16 = 66;
pub const IBUTTON: u16 = 78;
pub const GENERAL_ALARM: u16 = 236;
pub const IGNITION: u16 = 239;
pub const MOTION: u16 = 240;
pub const ECO_DRIVING: u16 = 253;
pub const VIN: u16 = 256;
const VIN_OBD: u16 = 325;

/// Which devices the one that sent may be: many numbers mean something else on another family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Models {
    /// Not known: only what all families agree on is read.
    Any,
    /// FMB, FMC, FMM and FMU.
    Fmb,
}

/// Takes a parameter of `size` bytes (1, 2, 4 or 8) into the record.
#[inline(always)]
pub fn apply(r: &mut Record, id: u16, value: u64, size: usize, models: Models) {
    match (id, size) {
        (ODOMETER, 4) => r.odometer_m = Some(value),
        (EXTERNAL_VOLTAGE, 2) => r.details.external_voltage_mv = u32::try_from(value).ok(),
        (IGNITION, 1) => r.ignition = Some(value != 0),
        (MOTION, 1) => r.motion = Some(value != 0),
        (GENERAL_ALARM, 1) if value == 1 => r.alarms.insert(Alarm::General),
        (ECO_DRIVING, 1) => alarm(r, eco_driving(value)),
        _ if models == Models::Fmb => apply_fmb(r, id, value, size),
        _ => {}
    }
}

fn apply_fmb(r: &mut Record, id: u16, value: u64, size: usize) {
    match (id, size) {
        // Tenths of a litre, from the CAN adapter.
        (84, 2) => r.details.fuel_centi = i32::try_from(value * 10).ok(),
        // Per cent of the tank.
        (89, 1) => r.details.fuel_centi = i32::try_from(value * 100).ok(),
        (90, 2) => r.door = Some(value & 0x3F00 != 0),
        (246, 1) if value == 1 => r.alarms.insert(Alarm::Tow),
        (247, 1) if value != 0 => r.alarms.insert(Alarm::Accident),
        (249, 1) if value == 1 => r.alarms.insert(Alarm::Jamming),
        (251, 1) if value == 1 => r.alarms.insert(Alarm::Idle),
        (252, 1) if value == 1 => r.alarms.insert(Alarm::PowerCut),
        _ => {}
    }
}

/// Takes a parameter of the variable block into the record.
pub fn apply_text(r: &mut Record, id: u16, value: &[u8]) {
    if !matches!(id, VIN | VIN_OBD) {
        return;
    }
    let text = std::str::from_utf8(value).unwrap_or_default();
    let text = text.trim_matches(['\0', ' ']);
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_graphic()) {
        r.details.vin = Some(text.into());
    }
}

/// Codec 7 has numbers of its own.
pub fn apply_codec_7(r: &mut Record, id: u8, value: u64) {
    match id {
        222 if value == 1 => r.alarms.insert(Alarm::Sos),
        240 => r.motion = Some(value == 1),
        _ => {}
    }
}

/// The key in the reader. Its number stands little-endian on the wire and is known by its
/// big-endian spelling, as 16 digits; 0: none.
pub fn driver(value: u64, last: &mut Option<(u64, CardId)>) -> DriverSaid {
    if value == 0 {
        return DriverSaid::Nobody;
    }
    match last {
        Some((number, card)) if *number == value => DriverSaid::Card(card.clone()),
        _ => {
            let card = CardId::new(format!("{:016X}", value.swap_bytes()));
            *last = Some((value, card.clone()));
            DriverSaid::Card(card)
        }
    }
}

/// The wire value of a card that [`driver`] would read as `card`; None for another spelling.
pub fn ibutton(card: &CardId) -> Option<u64> {
    let text = card.as_str();
    if text.len() != 16 {
        return None;
    }
    let value = u64::from_str_radix(text, 16).ok()?.swap_bytes();
    (driver(value, &mut None) == DriverSaid::Card(card.clone())).then_some(value)
}

const fn eco_driving(value: u64) -> Option<Alarm> {
    match value {
        1 => Some(Alarm::HardAcceleration),
        2 => Some(Alarm::HardBraking),
        3 => Some(Alarm::HardCornering),
        _ => None,
    }
}

fn alarm(r: &mut Record, alarm: Option<Alarm>) {
    if let Some(alarm) = alarm {
        r.alarms.insert(alarm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ibuttons_are_spelt_from_their_last_byte() {
        let wire = 0x0102_0304_0506_0708;
        let DriverSaid::Card(card) = driver(wire, &mut None) else {
            panic!("a key is a card");
        };
        assert_eq!(card.as_str(), "0807060504030201");
        assert_eq!(ibutton(&card), Some(wire));
        for other in [
            "",
            "0",
            "080706050403020G",
            "ABCDEFABCDEFABCd",
            "+807060504030201",
        ] {
            assert_eq!(ibutton(&other.into()), None, "{other}");
        }
        assert_eq!(driver(0, &mut None), DriverSaid::Nobody);
    }
}
