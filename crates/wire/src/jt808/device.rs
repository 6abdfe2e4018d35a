//! The device's side: registration or authentication, reports, and what is acknowledged.

use super::encode::{self, Header};
use super::frame::{self, STANDARD, Step};
use super::location::{DEFAULT_OFFSET_S, alarm_word};
use crate::device::{DeviceEvent, DeviceSide};
use waywarden_model::{DriverSaid, Position, Record, RecordKind, TimeZone};

/// Records that [`DeviceSide::data`] takes at once.
const MAX_RECORDS: usize = 20;
/// Most bytes of a body.
const MAX_BODY: usize = 1023;
/// Frames that may wait for their acknowledgement; older ones are forgotten.
const MAX_IN_FLIGHT: usize = 4096;

/// A device of the edition of 2013, or of 2019 where its number has more than 12 digits.
///
/// It registers once and authenticates with the code it got; on later connections it only
/// authenticates. Records that are no fixes and no card events are sent as locations without a
/// fix at 0, 0; a driver in a fix is sent only if it is a card.
#[derive(Debug)]
pub struct Jt808Device {
    phone: Vec<u8>,
    version: Option<u8>,
    zone: TimeZone,
    code: Option<String>,
    /// An authentication that goes out with the next frame.
    pending: Vec<u8>,
    serial: u16,
    authentication: Option<u16>,
    next_tag: u64,
    in_flight: Vec<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    serial: u16,
    id: u16,
    tag: u64,
}

impl Jt808Device {
    /// A device with the clock of the protocol's default zone; of `phone` the digits count.
    pub fn new(phone: &str) -> Self {
        let digits: Vec<u8> = phone.bytes().filter(u8::is_ascii_digit).collect();
        let (len, version) = if digits.len() > 12 {
            (20, Some(1))
        } else {
            (12, None)
        };
        let padding = std::iter::repeat_n(b'0', len - digits.len().min(len));
        let kept = digits[digits.len().saturating_sub(len)..].iter().copied();
        let padded: Vec<u8> = padding.chain(kept).map(|d| d - b'0').collect();
        Self {
            phone: padded.chunks(2).map(|d| d[0] << 4 | d[1]).collect(),
            version,
            zone: TimeZone::fixed("device", DEFAULT_OFFSET_S),
            code: None,
            pending: Vec::new(),
            serial: 0,
            authentication: None,
            next_tag: 0,
            in_flight: Vec::new(),
        }
    }

    /// With the clock set to another zone, in seconds east of UTC.
    #[must_use]
    pub fn with_utc_offset(mut self, offset_s: i32) -> Self {
        self.zone = TimeZone::fixed("device", offset_s);
        self
    }

    /// With the authentication code of an earlier registration.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// A frame and its serial.
    fn frame(&mut self, id: u16, body: &[u8]) -> (u16, Vec<u8>) {
        let serial = self.serial;
        self.serial = self.serial.wrapping_add(1);
        let header = Header {
            delimiter: STANDARD,
            id,
            version: self.version,
            phone: &self.phone,
            serial,
        };
        (serial, encode::frame(&header, body))
    }

    fn authenticate(&mut self, code: &str) -> Vec<u8> {
        let mut body = Vec::new();
        if self.version.is_some() {
            body.push(u8::try_from(code.len()).unwrap_or(u8::MAX));
            body.extend(code.bytes().take(255));
            // IMEI and version of the software.
            body.extend([b'0'; 15]);
            body.extend([0; 20]);
        } else {
            body.extend(code.bytes().take(MAX_BODY));
        }
        let (serial, frame) = self.frame(0x0102, &body);
        self.authentication = Some(serial);
        frame
    }

    fn registration(&mut self) -> Vec<u8> {
        // Province, city; maker, model, terminal; colour of the plate (none), no plate.
        let (maker, model, terminal) = match self.version {
            Some(_) => (11, 30, 30),
            None => (5, 20, 7),
        };
        let body = vec![0; 4 + maker + model + terminal + 1];
        self.frame(0x0100, &body).1
    }

    fn send(&mut self, id: u16, body: &[u8], tag: u64, out: &mut Vec<u8>) {
        let (serial, frame) = self.frame(id, body);
        if self.in_flight.len() == MAX_IN_FLIGHT {
            self.in_flight.remove(0);
        }
        self.in_flight.push(InFlight { serial, id, tag });
        out.extend(frame);
    }

    /// Sends the items as one report, or as one batch.
    fn flush(&mut self, items: &mut Vec<Vec<u8>>, stored: bool, tag: u64, out: &mut Vec<u8>) {
        match (items.as_slice(), stored) {
            ([], _) => {}
            ([item], false) => self.send(0x0200, item, tag, out),
            (several, _) => {
                let count = u16::try_from(several.len()).unwrap_or(u16::MAX);
                let mut body = count.to_be_bytes().to_vec();
                body.push(u8::from(stored));
                for item in several {
                    let len = u16::try_from(item.len()).unwrap_or(u16::MAX);
                    body.extend(len.to_be_bytes());
                    body.extend(item);
                }
                self.send(0x0704, &body, tag, out);
            }
        }
        items.clear();
    }

    fn answer(&mut self, body: &[u8], out: &mut Vec<DeviceEvent>) {
        let [s0, s1, i0, i1, result] = *body else {
            return;
        };
        let (serial, id) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([i0, i1]));
        if id == 0x0102 && self.authentication == Some(serial) {
            self.authentication = None;
            if result == encode::DONE {
                out.push(DeviceEvent::Accepted);
            } else {
                // The next connection registers.
                self.code = None;
                out.push(DeviceEvent::Refused);
            }
            return;
        }
        let found = |f: &InFlight| f.serial == serial && f.id == id;
        let Some(at) = self.in_flight.iter().position(found) else {
            return;
        };
        let tag = self.in_flight.remove(at).tag;
        if result != encode::DONE {
            self.in_flight.retain(|f| f.tag != tag);
            out.push(DeviceEvent::Rejected { tag });
        } else if self.in_flight.iter().all(|f| f.tag != tag) {
            out.push(DeviceEvent::Acknowledged { tag });
        }
    }

    fn registered(&mut self, body: &[u8], out: &mut Vec<DeviceEvent>) {
        match body {
            [_, _, encode::DONE, code @ ..] => {
                let code = String::from_utf8_lossy(code).into_owned();
                self.pending = self.authenticate(&code);
                // Accepted is said now; the answer to the authentication need not say it again.
                self.authentication = None;
                self.code = Some(code);
                out.push(DeviceEvent::Accepted);
            }
            _ => out.push(DeviceEvent::Refused),
        }
    }
}

impl DeviceSide for Jt808Device {
    fn connect(&mut self) -> Vec<u8> {
        self.in_flight.clear();
        self.pending.clear();
        self.authentication = None;
        match self.code.clone() {
            Some(code) => self.authenticate(&code),
            None => self.registration(),
        }
    }

    fn waits_for_acceptance(&self) -> bool {
        true
    }

    fn max_records(&self) -> usize {
        MAX_RECORDS
    }

    fn data(&mut self, records: &[Record]) -> (u64, Vec<u8>) {
        let tag = self.next_tag;
        self.next_tag += 1;
        let mut out = std::mem::take(&mut self.pending);
        let (mut items, mut size, mut stored) = (Vec::new(), 3, false);
        for record in records.iter().take(MAX_RECORDS) {
            if matches!(record.kind, RecordKind::CardIn | RecordKind::CardOut) {
                self.flush(&mut items, stored, tag, &mut out);
                size = 3;
                self.send(0x0702, &card(record, &self.zone), tag, &mut out);
                continue;
            }
            let item = item(record, &self.zone);
            if size + 2 + item.len() > MAX_BODY || record.stored != stored {
                self.flush(&mut items, stored, tag, &mut out);
                size = 3;
                stored = record.stored;
            }
            size += 2 + item.len();
            items.push(item);
        }
        self.flush(&mut items, stored, tag, &mut out);
        (tag, out)
    }

    fn heartbeat(&mut self) -> Option<Vec<u8>> {
        let mut out = std::mem::take(&mut self.pending);
        out.extend(self.frame(0x0002, &[]).1);
        Some(out)
    }

    fn receive(&mut self, input: &[u8], out: &mut Vec<DeviceEvent>) -> usize {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            consumed += match frame::next(rest, 32 * 1024) {
                Step::NeedMore => return consumed,
                Step::Frame(raw) => {
                    let plain = frame::unescape(raw).unwrap_or_default();
                    if let Ok(m) = frame::message(&plain, raw[0], false) {
                        match m.id {
                            0x8001 => self.answer(m.body, out),
                            0x8100 => self.registered(m.body, out),
                            _ => {}
                        }
                    }
                    raw.len()
                }
                Step::Text(skipped) | Step::Garbage(skipped) => skipped.len(),
                Step::Stray | Step::TooLong => 1,
            };
        }
    }
}

/// YYMMDDhhmmss in packed decimal in the device's zone.
fn time(record: &Record, zone: &TimeZone) -> [u8; 6] {
    let (year, month, day) = zone.day_of(record.time).civil();
    let second = zone.second_of_day(record.time);
    let year = u32::try_from(year.rem_euclid(100)).unwrap_or(0);
    [
        year,
        month,
        day,
        second / 3600,
        second / 60 % 60,
        second % 60,
    ]
    .map(|v| u8::try_from(((v / 10) << 4) | (v % 10)).unwrap_or(0))
}

fn card(record: &Record, zone: &TimeZone) -> Vec<u8> {
    let is_in = record.kind == RecordKind::CardIn;
    let mut body = vec![if is_in { 1 } else { 2 }];
    body.extend(time(record, zone));
    if !is_in {
        return body;
    }
    let licence = match &record.driver {
        DriverSaid::Licence(id) => id.as_str(),
        _ => "",
    };
    // Read; no name; the number padded with zeros; no agency; valid until.
    body.extend([0, 0]);
    let padded = licence.bytes().chain(std::iter::repeat(0)).take(20);
    body.extend(padded);
    body.extend([0, 0x20, 0x99, 0x12, 0x31]);
    body
}

fn item(record: &Record, zone: &TimeZone) -> Vec<u8> {
    let (lat, lon) = record
        .position
        .map_or((0.0, 0.0), |p: Position| (p.lat(), p.lon()));
    let mut body = Vec::with_capacity(48);
    body.extend(alarm_word(record.alarms).to_be_bytes());
    body.extend(status(record, lat, lon).to_be_bytes());
    for degrees in [lat, lon] {
        // A position is within 180 degrees, so that the number fits.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let micro = (degrees.abs() * 1e6).round() as u32;
        body.extend(micro.to_be_bytes());
    }
    let metres = record.altitude_dm.unwrap_or(0) / 10;
    body.extend(i16::try_from(metres).unwrap_or(0).to_be_bytes());
    let tenths = (record.speed.map_or(0, |s| s.centi()) + 5) / 10;
    body.extend(u16::try_from(tenths).unwrap_or(0).to_be_bytes());
    let degrees = (record.course.map_or(0, |c| c.centi()) + 50) / 100 % 360;
    body.extend(degrees.to_be_bytes());
    body.extend(time(record, zone));
    additional(record, &mut body);
    body
}

fn status(record: &Record, lat: f64, lon: f64) -> u32 {
    let valid = record.valid && record.position.is_some();
    u32::from(record.ignition == Some(true))
        | u32::from(valid) << 1
        | u32::from(lat < 0.0) << 2
        | u32::from(lon < 0.0) << 3
        | u32::from(record.door == Some(true)) << 13
}

fn additional(record: &Record, body: &mut Vec<u8>) {
    if let Some(odometer) = record.odometer_m {
        let hectometres = u32::try_from(odometer / 100).unwrap_or(u32::MAX);
        body.extend([0x01, 4]);
        body.extend(hectometres.to_be_bytes());
    }
    if let Some(fuel) = record.details.fuel_centi {
        body.extend([0x02, 2]);
        let tenths = (fuel / 10).clamp(0, 0x7FFF);
        body.extend(u16::try_from(tenths).unwrap_or(0).to_be_bytes());
    }
    if let Some(satellites) = record.satellites {
        body.extend([0x31, 1, satellites]);
    }
    if let Some(mv) = record.details.external_voltage_mv {
        body.extend([0x82, 2]);
        body.extend(u16::try_from(mv / 100).unwrap_or(u16::MAX).to_be_bytes());
    }
    if let Some(motion) = record.motion {
        body.extend([0xE5, 1, u8::from(motion)]);
    }
    if let DriverSaid::Card(card) = &record.driver {
        let card: Vec<u8> = card.as_str().bytes().take(32).collect();
        body.extend([0xBD, u8::try_from(card.len()).unwrap_or(0)]);
        body.extend(card);
    }
}
