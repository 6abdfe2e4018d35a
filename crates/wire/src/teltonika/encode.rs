//! Records to codec data (Codec 8 Extended) and packets, for the device's side.

use super::crc;
use super::decode::CODEC_8_EXTENDED;
use super::parameters;
use waywarden_model::{Alarm, DriverSaid, Record};

/// Most records in a packet: the count is one byte, and devices keep below 1,280 bytes or so;
/// this stays within the frame limit of every server that we know.
pub const MAX_RECORDS: usize = 255;

/// Log-in: length and IMEI.
pub fn log_in(imei: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + imei.len());
    text(&mut out, imei);
    out
}

/// A data packet for TCP with 1 to [`MAX_RECORDS`] records; what is above is left out.
pub fn packet(records: &[Record]) -> Vec<u8> {
    let mut out = vec![0; 8];
    codec_8_extended(records, &mut out);
    let len = narrow_u32(out.len() - 8);
    out[4..8].copy_from_slice(&len.to_be_bytes());
    let crc = u32::from(crc::of(&out[8..]));
    out.extend(crc.to_be_bytes());
    out
}

/// The same as a UDP datagram with its packet id and AVL packet id.
pub fn datagram(imei: &str, id: u16, avl_id: u8, records: &[Record]) -> Vec<u8> {
    let mut out = vec![0; 2];
    out.extend(id.to_be_bytes());
    out.extend([1, avl_id]);
    text(&mut out, imei);
    codec_8_extended(records, &mut out);
    let len = narrow_u16(out.len() - 2);
    out[..2].copy_from_slice(&len.to_be_bytes());
    out
}

fn codec_8_extended(records: &[Record], out: &mut Vec<u8>) {
    let records = &records[..records.len().min(MAX_RECORDS)];
    #[allow(clippy::cast_possible_truncation)] // cut to 255 on the line above
    let count = records.len() as u8;
    out.extend([CODEC_8_EXTENDED, count]);
    for record in records {
        avl_data(record, out);
    }
    out.push(count);
}

fn avl_data(r: &Record, out: &mut Vec<u8>) {
    out.extend(r.time.millis().to_be_bytes());
    out.push(u8::from(!r.alarms.is_empty()));
    let (lat, lon) = r.position.map_or((0.0, 0.0), |p| (p.lat(), p.lon()));
    out.extend(ten_millionths(lon).to_be_bytes());
    out.extend(ten_millionths(lat).to_be_bytes());
    let altitude = r.altitude_dm.unwrap_or(0) / 10;
    out.extend((altitude.clamp(i16::MIN.into(), i16::MAX.into()) as i16).to_be_bytes());
    out.extend((r.course.map_or(0, |c| (c.centi() + 50) / 100) % 360).to_be_bytes());
    out.push(satellites(r));
    let kmh = r.speed.map_or(0, |s| (s.centi().max(0) + 50) / 100);
    out.extend(narrow_u16(kmh.unsigned_abs() as usize).to_be_bytes());
    let event = r.details.event.unwrap_or(0);
    out.extend(narrow_u16(event as usize).to_be_bytes());
    Parameters::of(r).put(out);
}

/// 0 tells the server that the fix is not valid, so a valid fix never says 0.
fn satellites(r: &Record) -> u8 {
    match (r.valid, r.satellites) {
        (false, _) => 0,
        (true, None | Some(0)) => 4,
        (true, Some(n)) => n,
    }
}

/// The parameters of a record by their size in bytes.
#[derive(Default)]
struct Parameters<'a> {
    ones: Vec<(u16, u8)>,
    twos: Vec<(u16, u16)>,
    fours: Vec<(u16, u32)>,
    eights: Vec<(u16, u64)>,
    texts: Vec<(u16, &'a str)>,
}

impl<'a> Parameters<'a> {
    fn of(r: &'a Record) -> Self {
        let mut p = Self::default();
        let flag = |id, value: Option<bool>| value.map(|v| (id, u8::from(v)));
        p.ones.extend(flag(parameters::IGNITION, r.ignition));
        p.ones.extend(flag(parameters::MOTION, r.motion));
        if r.alarms.contains(Alarm::General) {
            p.ones.push((parameters::GENERAL_ALARM, 1));
        }
        let eco = [
            Alarm::HardAcceleration,
            Alarm::HardBraking,
            Alarm::HardCornering,
        ];
        for (alarm, value) in eco.into_iter().zip(1..) {
            if r.alarms.contains(alarm) {
                p.ones.push((parameters::ECO_DRIVING, value));
            }
        }
        if let Some(mv) = r.details.external_voltage_mv {
            p.twos
                .push((parameters::EXTERNAL_VOLTAGE, narrow_u16(mv as usize)));
        }
        if let Some(m) = r.odometer_m {
            let m = u32::try_from(m).unwrap_or(u32::MAX);
            p.fours.push((parameters::ODOMETER, m));
        }
        let key = match &r.driver {
            DriverSaid::NotSaid => None,
            DriverSaid::Nobody | DriverSaid::Licence(_) => Some(0),
            DriverSaid::Card(card) => Some(parameters::ibutton(card).unwrap_or(0)),
        };
        p.eights.extend(key.map(|v| (parameters::IBUTTON, v)));
        p.texts
            .extend(r.details.vin.as_deref().map(|v| (parameters::VIN, v)));
        p
    }

    fn put(&self, out: &mut Vec<u8>) {
        let total = self.ones.len()
            + self.twos.len()
            + self.fours.len()
            + self.eights.len()
            + self.texts.len();
        out.extend(narrow_u16(total).to_be_bytes());
        block(out, &self.ones, |v| v.to_be_bytes());
        block(out, &self.twos, |v| v.to_be_bytes());
        block(out, &self.fours, |v| v.to_be_bytes());
        block(out, &self.eights, |v| v.to_be_bytes());
        out.extend(narrow_u16(self.texts.len()).to_be_bytes());
        for (id, value) in &self.texts {
            out.extend(id.to_be_bytes());
            text(out, value);
        }
    }
}

fn block<T: Copy, const N: usize>(
    out: &mut Vec<u8>,
    values: &[(u16, T)],
    bytes: impl Fn(T) -> [u8; N],
) {
    out.extend(narrow_u16(values.len()).to_be_bytes());
    for (id, value) in values {
        out.extend(id.to_be_bytes());
        out.extend(bytes(*value));
    }
}

fn text(out: &mut Vec<u8>, value: &str) {
    let len = narrow_u16(value.len());
    out.extend(len.to_be_bytes());
    out.extend(&value.as_bytes()[..len.into()]);
}

#[allow(clippy::cast_possible_truncation)] // within 1.8e9: a position lies on the globe
fn ten_millionths(degrees: f64) -> i32 {
    (degrees * 1e7).round() as i32
}

/// Lengths and values here fit; a larger one would be cut to the field's largest.
fn narrow_u16(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

fn narrow_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
