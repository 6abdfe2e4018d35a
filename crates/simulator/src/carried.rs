//! What of a record arrives: a protocol carries whole km/h, or steps of 1/1,800,000 degree.
//!
//! The ledger is held against what the server filed, so it must name each record as the server
//! reads it. A twin of the device encodes the records and a session of the protocol decodes them.

use waywarden_model::hash::content_hash;
use waywarden_model::{
    DeviceDirectory, DeviceProfile, Protocol, Record, SourceId, Standing, Timestamp,
};
use waywarden_wire::{DeviceSide, Env, Event, Progress, Session, Settings, Transport};

/// A record as the server files it: event time and content hash, the parts of its filing key
/// beside the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    pub time: Timestamp,
    pub hash: u64,
}

/// Both ends of a device's line, without the line.
#[derive(Debug)]
pub struct Carried {
    twin: Box<dyn DeviceSide>,
    session: Box<dyn Session>,
    settings: Settings,
}

impl Carried {
    /// None where the protocol is not spoken over TCP.
    pub fn new(protocol: Protocol, id: &str) -> Option<Self> {
        let mut carried = Self {
            twin: waywarden_wire::device_side(protocol, id),
            session: waywarden_wire::session(protocol, Transport::Tcp)?,
            settings: Settings {
                auth_key: b"the twin's own".to_vec(),
                ..Settings::default()
            },
        };
        let hello = carried.twin.connect();
        carried.exchange(&hello);
        Some(carried)
    }

    /// The records of one frame as they arrive.
    pub fn entries(&mut self, records: &[Record]) -> Vec<Entry> {
        let (_, bytes) = self.twin.data(records);
        let read = self.exchange(&bytes);
        debug_assert_eq!(read.len(), records.len(), "a frame carries its records");
        read
    }

    fn exchange(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let env = Env {
            // No record of ours takes its time from the receipt.
            now: Timestamp::from_millis(0),
            directory: &Anybody,
            settings: &self.settings,
        };
        let mut events = Vec::new();
        let progress = self.session.receive(bytes, &env, &mut events);
        let whole = matches!(progress, Progress::NeedMore { consumed } if consumed == bytes.len());
        debug_assert!(whole, "{progress:?} {events:?}");
        let mut entries = Vec::new();
        let mut heard = Vec::new();
        for event in events {
            match event {
                Event::Frame(frame) => {
                    entries.extend(frame.readings.timed().iter().map(entry));
                    let reply = frame.durable_reply.unwrap_or_default();
                    self.twin.receive(&reply, &mut heard);
                }
                Event::Reply(reply) => {
                    self.twin.receive(&reply, &mut heard);
                }
                Event::Identified { .. } | Event::Unknown { .. } | Event::Error(_) => {}
            }
        }
        entries
    }
}

fn entry(record: &Record) -> Entry {
    Entry {
        time: record.time,
        hash: content_hash(record),
    }
}

struct Anybody;

impl DeviceDirectory for Anybody {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        DeviceProfile {
            source: SourceId::from(candidates.first().map_or("", String::as_str)),
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::{Position, Speed};

    #[test]
    fn a_twin_tells_what_arrives() {
        for protocol in Protocol::ALL {
            let id = crate::device_id(protocol, 7);
            let mut carried = Carried::new(protocol, &id).unwrap();
            let mut record = Record::fix(
                Timestamp::from_secs(1_773_104_400),
                Position::new(20.951_234_567_8, 107.08).unwrap(),
            );
            record.speed = Some(Speed::from_centi(5_049));
            let [entry] = carried.entries(std::slice::from_ref(&record))[..] else {
                panic!("one record of {protocol}");
            };
            assert_eq!(entry.time, record.time, "{protocol}");
            // The digits beyond the protocol's do not arrive.
            assert_ne!(entry.hash, content_hash(&record), "{protocol}");
            assert_eq!(carried.entries(&[record]), [entry], "{protocol}");
        }
    }
}
