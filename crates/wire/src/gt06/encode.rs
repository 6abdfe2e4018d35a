//! A GT06 device without its socket: what the simulator drives and the tests answer.

use super::frame::{self, Step, build_short};
use super::location::{FIXED, IGNITION_ON, NORTH, PER_DEGREE, TELLS_IGNITION, WEST};
use crate::{DeviceEvent, DeviceSide};
use std::collections::VecDeque;
use waywarden_model::{DriverSaid, LocalDay, Position, Record, Speed, Timestamp};

const LOGIN: u8 = 0x01;
const HEARTBEAT: u8 = 0x13;
const LOCATION: u8 = 0x12;
const LOCATION_WITH_KEY: u8 = 0x17;
const LOCATION_WITH_IGNITION: u8 = 0x22;
const CELLS: u8 = 0x28;

/// Country 452, network 1, area and cell unknown.
const CELL: [u8; 8] = [0x01, 0xc4, 1, 0, 0, 0, 0, 0];

/// A device of the common dialect: log-in, one record a frame, heartbeats, acknowledgements by
/// serial.
///
/// Carried: time to the second, place to 1/1,800,000 degree, speed in whole km/h up to 255, course
/// in whole degrees, satellites up to 15, ignition; `stored` and the odometer with ignition; a key
/// of 16 hexadecimal digits, or nobody. A record without a position is sent as a scan of cells,
/// which carries the time alone.
#[derive(Debug)]
pub struct Gt06Device {
    imei: [u8; 8],
    /// Tags given so far; the low 16 bits are the serial on the wire.
    last_tag: u64,
    in_flight: VecDeque<(u16, u64)>,
    ignition: bool,
}

/// Serials are two bytes: more frames in flight could not be told apart.
const MAX_IN_FLIGHT: usize = 32_768;

impl Gt06Device {
    /// `imei` is 15 decimal digits; fewer are filled with zeros in front, of more the last 15
    /// count, and what is no digit is left out.
    pub fn new(imei: &str) -> Self {
        let digits: Vec<u8> = imei.bytes().filter(u8::is_ascii_digit).collect();
        let mut coded = [0_u8; 8];
        for (n, digit) in digits.iter().rev().take(15).enumerate() {
            coded[7 - n / 2] |= (digit - b'0') << (4 * (n % 2));
        }
        Self {
            imei: coded,
            last_tag: 0,
            in_flight: VecDeque::new(),
            ignition: false,
        }
    }

    fn next_tag(&mut self) -> (u64, u16) {
        self.last_tag += 1;
        (self.last_tag, serial(self.last_tag))
    }
}

const fn serial(tag: u64) -> u16 {
    (tag & 0xffff) as u16
}

impl DeviceSide for Gt06Device {
    fn connect(&mut self) -> Vec<u8> {
        self.in_flight.clear();
        let (_, serial) = self.next_tag();
        let mut content = [0; 12];
        content[..8].copy_from_slice(&self.imei);
        // Sort of unit 0; the zone behind it stays 0, so the clock is UTC.
        build_short(LOGIN, &content, serial.to_be_bytes())
    }

    fn waits_for_acceptance(&self) -> bool {
        true
    }

    fn max_records(&self) -> usize {
        1
    }

    fn data(&mut self, records: &[Record]) -> (u64, Vec<u8>) {
        debug_assert_eq!(records.len(), 1);
        let (tag, serial) = self.next_tag();
        if self.in_flight.len() == MAX_IN_FLIGHT {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back((serial, tag));
        let Some(record) = records.first() else {
            return (tag, Vec::new());
        };
        self.ignition = record.ignition.unwrap_or(self.ignition);
        let (kind, content) = encode(record);
        (tag, build_short(kind, &content, serial.to_be_bytes()))
    }

    fn heartbeat(&mut self) -> Option<Vec<u8>> {
        let (_, serial) = self.next_tag();
        // Ignition and charging; full battery, strong signal, no alarm, English.
        let content = [u8::from(self.ignition) << 1 | 0x44, 6, 4, 0, 2];
        Some(build_short(HEARTBEAT, &content, serial.to_be_bytes()))
    }

    fn receive(&mut self, input: &[u8], out: &mut Vec<DeviceEvent>) -> usize {
        let mut consumed = 0;
        loop {
            match frame::next(&input[consumed..], 1024) {
                Step::NeedMore => return consumed,
                Step::Broken { skip, .. } => consumed += skip,
                Step::Frame(frame) => {
                    consumed += frame.raw.len();
                    if !frame.checksum_holds() {
                        continue;
                    }
                    if frame.kind == LOGIN {
                        out.push(DeviceEvent::Accepted);
                        continue;
                    }
                    let serial = u16::from_be_bytes(frame.serial());
                    let at = self.in_flight.iter().position(|(s, _)| *s == serial);
                    if let Some((_, tag)) = at.and_then(|at| self.in_flight.remove(at)) {
                        out.push(DeviceEvent::Acknowledged { tag });
                    }
                }
            }
        }
    }
}

fn encode(record: &Record) -> (u8, Vec<u8>) {
    let Some(position) = record.position else {
        return (CELLS, cells(record.time));
    };
    let mut content = Vec::with_capacity(40);
    if let Some(key) = key(&record.driver) {
        block(record, position, record.ignition, &mut content);
        content.extend_from_slice(&CELL);
        content.extend_from_slice(&key);
        content.push(1); // valid
        return (LOCATION_WITH_KEY, content);
    }
    block(record, position, None, &mut content);
    content.extend_from_slice(&CELL);
    let kind = match record.ignition {
        Some(on) => {
            content.extend_from_slice(&[u8::from(on), 0, u8::from(record.stored)]);
            LOCATION_WITH_IGNITION
        }
        None => LOCATION,
    };
    if let Some(metres) = record.odometer_m {
        let metres = u32::try_from(metres).unwrap_or(u32::MAX);
        content.extend_from_slice(&metres.to_be_bytes());
    }
    (kind, content)
}

fn key(driver: &DriverSaid) -> Option<[u8; 8]> {
    match driver {
        DriverSaid::Nobody => Some([0; 8]),
        DriverSaid::Card(card) => {
            let mut key = [0; 8];
            hex::decode_to_slice(card.as_str(), &mut key).ok()?;
            Some(key)
        }
        DriverSaid::NotSaid | DriverSaid::Licence(_) => None,
    }
}

/// A date and seven empty cells.
fn cells(time: Timestamp) -> Vec<u8> {
    let mut content = date(time).to_vec();
    content.extend_from_slice(&CELL[..3]);
    content.resize(content.len() + 7 * 6 + 1, 0);
    content
}

fn block(record: &Record, position: Position, ignition: Option<bool>, out: &mut Vec<u8>) {
    let coordinate = |degrees: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 324,000,000
        let units = (degrees.abs() * PER_DEGREE).round() as u32;
        units.to_be_bytes()
    };
    let speed = (record.speed.unwrap_or(Speed::ZERO).centi().max(0) + 50) / 100;
    let degrees = record.course.map_or(0, |c| (c.centi() + 50) / 100 % 360);
    let mut word = degrees;
    word |= if position.lat() >= 0.0 { NORTH } else { 0 };
    word |= if position.lon() < 0.0 { WEST } else { 0 };
    word |= if record.valid { FIXED } else { 0 };
    if let Some(on) = ignition {
        word |= TELLS_IGNITION | if on { IGNITION_ON } else { 0 };
    }
    out.extend_from_slice(&date(record.time));
    // The high half is the length of what follows, by the maker's paper.
    out.push(0xc0 | record.satellites.unwrap_or(0).min(15));
    out.extend_from_slice(&coordinate(position.lat()));
    out.extend_from_slice(&coordinate(position.lon()));
    out.push(u8::try_from(speed).unwrap_or(u8::MAX));
    out.extend_from_slice(&word.to_be_bytes());
}

/// Years outside 2000 to 2255 cannot be sent: the nearest can.
fn date(time: Timestamp) -> [u8; 6] {
    const FIRST: i64 = 946_684_800; // 2000-01-01
    const LAST: i64 = 9_025_257_599; // 2255-12-31T23:59:59
    let seconds = time.millis().div_euclid(1000).clamp(FIRST, LAST);
    // Within the range above every value fits its type.
    let day = i32::try_from(seconds / 86_400).unwrap_or(0);
    let (year, month, date) = LocalDay(day).civil();
    let of_day = seconds % 86_400;
    let byte = |n: i64| u8::try_from(n).unwrap_or(0);
    [
        byte(i64::from(year) - 2000),
        byte(month.into()),
        byte(date.into()),
        byte(of_day / 3600),
        byte(of_day / 60 % 60),
        byte(of_day % 60),
    ]
}
