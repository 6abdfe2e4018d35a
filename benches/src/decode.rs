//! Records decoded in a second on one core, through the sessions that the gateway drives.

use crate::table::{Goal, Row, rounds};
use crate::{Effort, devices};
use anyhow::{Result, ensure};
use crc::{CRC_16_ARC, Crc};
use std::sync::Arc;
use std::time::Instant;
use waywarden_model::registry::{Registers, Registry, RegistryDirectory, UnknownPolicy};
use waywarden_model::{Protocol, Record, Timestamp};
use waywarden_wire::{Env, Event, Progress, Settings, Transport, device_side, session};

/// The gateway's own size of a read.
const READ: usize = 16 * 1024;
const RECORDS: usize = 400_000;
const CODEC_8: u8 = 0x08;
const ARC: Crc<u16> = Crc::<u16>::new(&CRC_16_ARC);

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let cases = [
        ("Teltonika Codec 8", Protocol::Teltonika, 20, 3e6),
        ("Teltonika Codec 8", Protocol::Teltonika, 1, 3e6),
        ("GT06", Protocol::Gt06, 1, 1.5e6),
        ("JT/T 808", Protocol::Jt808, 20, 1.5e6),
        ("JT/T 808", Protocol::Jt808, 1, 1.5e6),
    ];
    let mut rows = Vec::new();
    for (name, protocol, per_frame, goal) in cases {
        let stream = Stream::new(protocol, per_frame, RECORDS / effort.shorter as usize);
        let bytes = stream.data.len() as f64 / stream.records as f64;
        rows.push(Row {
            figure: format!("decoding {name}, {per_frame} a frame"),
            unit: "records/s",
            rounds: rounds(effort.rounds, || stream.decoded_per_second())?,
            goal: Some(Goal::AtLeast(goal)),
            floor: None,
            limit: format!(
                "{bytes:.0} bytes a record in reads of 16 KiB, one core. {}",
                match per_frame {
                    1 => "The allocations of a frame: its raw copy, its records, its reply.",
                    _ => "The parameters of each record, and its checksum.",
                }
            ),
        });
    }
    Ok(rows)
}

/// What one device sends.
struct Stream {
    protocol: Protocol,
    log_in: Vec<u8>,
    data: Vec<u8>,
    records: usize,
}

impl Stream {
    fn new(protocol: Protocol, per_frame: usize, records: usize) -> Self {
        let mut side = device_side(protocol, &devices::id(1));
        let log_in = side.connect();
        let journey: Vec<Record> = (0..records).map(|n| devices::record(1, n)).collect();
        let data = journey.chunks(per_frame).flat_map(|frame| match protocol {
            Protocol::Teltonika => codec_8(frame),
            Protocol::Gt06 | Protocol::Jt808 => side.data(frame).1,
        });
        Self {
            protocol,
            log_in,
            data: data.collect(),
            records,
        }
    }

    fn decoded_per_second(&self) -> Result<f64> {
        let registry = Arc::new(Registry::new(1, Registers::default()));
        let directory = RegistryDirectory::new(registry, UnknownPolicy::Accept, 0);
        let settings = Settings {
            auth_key: vec![7; 32],
            ..Settings::default()
        };
        let env = Env {
            now: Timestamp::from_secs(1_790_000_000),
            directory: &directory,
            settings: &settings,
        };
        let mut session =
            session(self.protocol, Transport::Tcp).expect("every protocol is spoken over TCP");
        let mut events = Vec::new();
        session.receive(&self.log_in, &env, &mut events);
        let (mut at, mut decoded) = (0, 0);
        let begun = Instant::now();
        while at < self.data.len() {
            let end = (at + READ).min(self.data.len());
            events.clear();
            let progress = session.receive(&self.data[at..end], &env, &mut events);
            let Progress::NeedMore { consumed } = progress else {
                anyhow::bail!("the stream of {} was closed", self.protocol);
            };
            ensure!(consumed > 0, "a frame is larger than a read");
            at += consumed;
            for event in &events {
                if let Event::Frame(frame) = event {
                    decoded += frame.readings.len();
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(
            decoded == self.records,
            "{decoded} of {} records",
            self.records
        );
        Ok(decoded as f64 / seconds)
    }
}

/// A packet as most devices in the field send it: ignition, movement, signal, voltage, odometer.
fn codec_8(records: &[Record]) -> Vec<u8> {
    let count = u8::try_from(records.len()).expect("a few records");
    let mut out = vec![0; 8];
    out.extend([CODEC_8, count]);
    for r in records {
        out.extend(r.time.millis().to_be_bytes());
        out.push(0);
        let (lat, lon) = r.position.map_or((0.0, 0.0), |p| (p.lat(), p.lon()));
        out.extend(((lon * 1e7) as i32).to_be_bytes());
        out.extend(((lat * 1e7) as i32).to_be_bytes());
        out.extend([0, 12]);
        out.extend((r.course.map_or(0, |c| c.centi() / 100)).to_be_bytes());
        out.push(11);
        let kmh = r.speed.map_or(0, |s| s.centi() / 100);
        out.extend(u16::try_from(kmh).unwrap_or(0).to_be_bytes());
        // No event; five parameters: three of one byte, one of two, one of four.
        out.extend([0, 5, 3, 239, 1, 240, 1, 21, 4, 1, 66, 0x60, 0x10, 1, 16]);
        out.extend(
            u32::try_from(r.odometer_m.unwrap_or(0))
                .unwrap_or(0)
                .to_be_bytes(),
        );
        out.push(0);
    }
    out.push(count);
    let len = u32::try_from(out.len() - 8).expect("a packet is small");
    out[4..8].copy_from_slice(&len.to_be_bytes());
    let crc = u32::from(ARC.checksum(&out[8..]));
    out.extend(crc.to_be_bytes());
    out
}
