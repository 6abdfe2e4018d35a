//! Messages to bytes and back: the versioned Protobuf form of `proto/waywarden/v1/log.proto`.

mod differences;
mod packed;
mod varint;
mod write;

use bytes::Bytes;
use prost::Message as _;
use proto::{envelope::Body, record::Driver};
use std::cell::RefCell;
use waywarden_model::{
    Alarms, Course, Details, DriverSaid, Frame, Message, Position, Protocol, Record, RecordKind,
    Speed, Tick, Timestamp,
};

// Generated code keeps the generator's style.
#[allow(clippy::all, missing_debug_implementations)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/waywarden.v1.rs"));
}

/// Of messages without records, and of frames whose records stand each for itself, which are read.
const PLAIN: u32 = 1;
/// The newest version, as which frames are written: their records are packed. Those of version 2,
/// whose records are differences, are read.
pub const VERSION: u32 = 3;

/// Why bytes are not a message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// No Protobuf, or cut short.
    #[error("not a message of the log")]
    Malformed,
    /// Written by another version of the program.
    #[error("message of version {found}, this program reads up to {VERSION}")]
    Version { found: u32 },
    /// Neither frame nor tick nor registry version.
    #[error("a message without content")]
    Empty,
    /// A value that the named field cannot have.
    #[error("a value that `{0}` cannot have")]
    Value(&'static str),
}

impl DecodeError {
    /// Bounded label for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version { .. } => "version",
            Self::Empty => "empty",
            Self::Value(_) => "value",
        }
    }
}

thread_local! {
    // Frames are decoded by the million: the generated structures are filled again and again, so
    // that their vectors and strings keep their memory.
    static SCRATCH: RefCell<proto::Envelope> = RefCell::new(proto::Envelope::default());
}

/// A scratch frame with more than this is not kept for the next message.
const KEEP_RECORDS: usize = 1024;
const KEEP_RAW: usize = 256 * 1024;

/// Encodes a message into its versioned Protobuf form.
pub fn encode(message: &Message) -> Bytes {
    let body = match message {
        Message::Frame(frame) => return Bytes::from(write::frame(VERSION, frame)),
        Message::Tick(tick) => Body::Tick(proto::Tick {
            gateway: tick.gateway.clone(),
            listening_since_ms: tick.listening_since.millis(),
            now_ms: tick.now.millis(),
        }),
        Message::Registry(number) => Body::Registry(*number),
    };
    let envelope = proto::Envelope {
        version: PLAIN,
        body: Some(body),
    };
    Bytes::from(envelope.encode_to_vec())
}

/// Reads a message.
///
/// # Errors
/// [`DecodeError`] when the bytes are cut, of another version, or hold a value that the
/// vocabulary does not have.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    // The header alone first: a message of another version may not be readable as this one.
    let header = proto::Header::decode(bytes).map_err(|_| DecodeError::Malformed)?;
    if !(PLAIN..=VERSION).contains(&header.version) {
        return Err(DecodeError::Version {
            found: header.version,
        });
    }
    SCRATCH.with_borrow_mut(|scratch| {
        // Merging into a frame that is there keeps its memory; any other content is replaced.
        clear_frame(scratch_frame(scratch));
        let merged = scratch.merge(bytes).map_err(|_| DecodeError::Malformed);
        let message = merged.and_then(|()| match &mut scratch.body {
            // Every frame has a protocol: none at all is the scratch frame that nothing replaced.
            Some(Body::Frame(frame)) if frame.protocol == 0 => Err(DecodeError::Empty),
            Some(Body::Frame(frame)) => take_frame(frame).map(Message::Frame),
            Some(Body::Tick(tick)) => Ok(Message::Tick(take_tick(tick))),
            Some(Body::Registry(number)) => Ok(Message::Registry(*number)),
            None => Err(DecodeError::Empty),
        });
        shrink(scratch);
        message
    })
}

fn scratch_frame(scratch: &mut proto::Envelope) -> &mut proto::Frame {
    if !matches!(scratch.body, Some(Body::Frame(_))) {
        scratch.body = Some(Body::Frame(proto::Frame::default()));
    }
    match &mut scratch.body {
        Some(Body::Frame(frame)) => frame,
        _ => unreachable!("set to a frame above"),
    }
}

fn clear_frame(frame: &mut proto::Frame) {
    frame.source.clear();
    frame.protocol = 0;
    frame.received_ms = 0;
    frame.held = false;
    frame.records.clear();
    frame.differences.clear();
    frame.packed.clear();
    frame.raw.clear();
    frame.told_offset_s = None;
}

/// One huge frame must not hold its memory in every thread for ever.
fn shrink(scratch: &mut proto::Envelope) {
    if let Some(Body::Frame(frame)) = &scratch.body
        && (frame.records.capacity() > KEEP_RECORDS
            || frame.differences.capacity() > KEEP_RECORDS
            || frame.packed.capacity() > KEEP_RAW
            || frame.raw.capacity() > KEEP_RAW)
    {
        scratch.body = None;
    }
}

fn take_frame(frame: &mut proto::Frame) -> Result<Frame, DecodeError> {
    let protocol = u8::try_from(frame.protocol)
        .ok()
        .and_then(Protocol::from_u8)
        .ok_or(DecodeError::Value("protocol"))?;
    let mut records = Vec::with_capacity(frame.records.len() + frame.differences.len());
    for r in frame.records.drain(..) {
        records.push(record_in(r)?);
    }
    differences::read(&mut frame.differences, &mut records)?;
    packed::read(&frame.packed, &mut records)?;
    Ok(Frame {
        source: frame.source.as_str().into(),
        protocol,
        received: Timestamp::from_millis(frame.received_ms),
        held: frame.held,
        told_offset_s: frame.told_offset_s,
        records,
        raw: std::mem::take(&mut frame.raw),
    })
}

fn record_in(r: proto::Record) -> Result<Record, DecodeError> {
    Ok(Record {
        time: Timestamp::from_millis(r.time_ms),
        kind: kind_in(r.kind)?,
        position: match (r.lat, r.lon) {
            (None, None) => None,
            (Some(lat), Some(lon)) => Some(position_in(lat, lon)?),
            _ => return Err(DecodeError::Value("position")),
        },
        valid: r.valid,
        altitude_dm: r.altitude_dm,
        speed: r.speed_centi.map(Speed::from_centi),
        course: r.course_centi.map(course_in).transpose()?,
        satellites: r.satellites.map(satellites_in).transpose()?,
        ignition: r.ignition,
        motion: r.motion,
        door: r.door,
        odometer_m: r.odometer_m,
        driver: match r.driver {
            None => DriverSaid::NotSaid,
            Some(Driver::Nobody(true)) => DriverSaid::Nobody,
            Some(Driver::Nobody(false)) => return Err(DecodeError::Value("driver")),
            Some(Driver::Card(card)) => DriverSaid::Card(card.as_str().into()),
            Some(Driver::Licence(id)) => DriverSaid::Licence(id.as_str().into()),
        },
        alarms: Alarms::from_bits(r.alarms),
        stored: r.stored,
        details: Details {
            external_voltage_mv: r.external_voltage_mv,
            fuel_centi: r.fuel_centi,
            engine_ms: r.engine_ms,
            event: r.event,
            vin: r.vin.map(String::into_boxed_str),
        },
    })
}

fn kind_in(number: u32) -> Result<RecordKind, DecodeError> {
    let kind = u8::try_from(number).ok().and_then(RecordKind::from_u8);
    kind.ok_or(DecodeError::Value("kind"))
}

fn position_in(lat: f64, lon: f64) -> Result<Position, DecodeError> {
    Position::new(lat, lon).ok_or(DecodeError::Value("position"))
}

fn satellites_in(count: u32) -> Result<u8, DecodeError> {
    u8::try_from(count).map_err(|_| DecodeError::Value("satellites"))
}

fn course_in(centi: u32) -> Result<Course, DecodeError> {
    match u16::try_from(centi) {
        Ok(c) if c < 36_000 => Ok(Course::from_centi(c)),
        _ => Err(DecodeError::Value("course")),
    }
}

fn take_tick(tick: &mut proto::Tick) -> Tick {
    Tick {
        gateway: std::mem::take(&mut tick.gateway),
        listening_since: Timestamp::from_millis(tick.listening_since_ms),
        now: Timestamp::from_millis(tick.now_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(version: u32, body: Option<Body>) -> Vec<u8> {
        proto::Envelope { version, body }.encode_to_vec()
    }

    fn frame(change: impl FnOnce(&mut proto::Frame)) -> Vec<u8> {
        let mut f = proto::Frame {
            source: "352093081429150".into(),
            protocol: 1,
            records: vec![proto::Record::default()],
            ..Default::default()
        };
        change(&mut f);
        envelope(VERSION, Some(Body::Frame(f)))
    }

    /// The last of two records in a frame of version 2.
    fn differs(f: &mut proto::Frame, change: impl FnOnce(&mut proto::Difference)) {
        f.records.clear();
        f.differences = vec![proto::Difference::default(); 2];
        change(&mut f.differences[1]);
    }

    #[test]
    fn another_version_is_named() {
        let error = decode(&envelope(4, Some(Body::Registry(1)))).unwrap_err();
        assert_eq!(error, DecodeError::Version { found: 4 });
        assert_eq!(
            error.to_string(),
            "message of version 4, this program reads up to 3"
        );
        // Field 2 of a later version may be anything: the version is still what is reported.
        assert_eq!(
            decode(&[8, 7, 18, 1, 0xff]),
            Err(DecodeError::Version { found: 7 })
        );
        assert_eq!(decode(&[]), Err(DecodeError::Version { found: 0 }));
    }

    #[test]
    fn values_outside_the_vocabulary_are_refused() {
        type Change = fn(&mut proto::Frame);
        let cases: [(&str, Change); 14] = [
            ("protocol", |f| f.protocol = 99),
            ("kind", |f| f.records[0].kind = 300),
            ("position", |f| f.records[0].lat = Some(1.0)),
            ("position", |f| {
                f.records[0].lat = Some(f64::NAN);
                f.records[0].lon = Some(1.0);
            }),
            ("course", |f| f.records[0].course_centi = Some(36_000)),
            ("satellites", |f| f.records[0].satellites = Some(256)),
            ("driver", |f| {
                f.records[0].driver = Some(Driver::Nobody(false));
            }),
            ("kind", |f| differs(f, |d| d.kind = Some(300))),
            ("position", |f| differs(f, |d| d.lat = Some(1.0))),
            ("position", |f| differs(f, |d| d.lat_e7 = 900_000_001)),
            ("position", |f| differs(f, |d| d.lon_e7 = i64::MIN)),
            ("course", |f| differs(f, |d| d.course_centi = Some(36_000))),
            ("satellites", |f| differs(f, |d| d.satellites = Some(256))),
            ("driver", |f| {
                differs(f, |d| {
                    d.driver = Some(proto::difference::Driver::NotSaid(false));
                });
            }),
        ];
        for (field, change) in cases {
            assert_eq!(decode(&frame(change)), Err(DecodeError::Value(field)));
        }
        assert_eq!(decode(&envelope(VERSION, None)), Err(DecodeError::Empty));
        assert!(decode(&frame(|_| ())).is_ok());
    }

    #[test]
    fn nothing_of_the_message_before_is_left() {
        let full = frame(|f| {
            f.held = true;
            f.raw = vec![1, 2, 3];
            f.received_ms = 7;
            f.told_offset_s = Some(25_200);
        });
        decode(&full).unwrap();
        let Message::Frame(second) = decode(&frame(|f| f.records.clear())).unwrap() else {
            panic!("a frame went in");
        };
        assert!(!second.held && second.raw.is_empty() && second.records.is_empty());
        assert_eq!((second.received.millis(), second.told_offset_s), (0, None));
    }
}
