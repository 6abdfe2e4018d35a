//! Messages: every field comes back bit for bit, and what was once written is read for ever.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;
use waywarden_bus::{decode, encode};
use waywarden_model::{
    Alarm, Alarms, Course, Details, DriverSaid, Frame, Message, Position, Protocol, Record,
    RecordKind, Speed, Tick, Timestamp,
};

// What the generator made of the description, to hold what is written by hand against it.
#[allow(clippy::all, missing_debug_implementations, dead_code)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/waywarden.v1.rs"));
}

/// As devices write them, in ten-millionths of a degree, and any other.
fn position() -> impl Strategy<Value = Position> {
    let written = |n: i64| n as f64 / 1e7;
    let whole = (
        -900_000_000..=900_000_000i64,
        -1_800_000_000..=1_800_000_000i64,
    )
        .prop_map(move |(lat, lon)| (written(lat), written(lon)));
    let few = (-2..=2i64, -2..=2i64).prop_map(move |(lat, lon)| (written(lat), written(lon)));
    let any = (-90.0..=90.0f64, -180.0..=180.0f64);
    prop_oneof![whole, few, any]
        .prop_map(|(lat, lon)| Position::new(lat, lon).expect("on the globe"))
}

fn driver() -> impl Strategy<Value = DriverSaid> {
    prop_oneof![
        Just(DriverSaid::NotSaid),
        Just(DriverSaid::Nobody),
        ".{0,20}".prop_map(|s| DriverSaid::Card(s.as_str().into())),
        ".{0,20}".prop_map(|s| DriverSaid::Licence(s.as_str().into())),
    ]
}

fn details() -> impl Strategy<Value = Details> {
    (
        of(any::<u32>()),
        of(any::<i32>()),
        of(any::<u64>()),
        of(any::<u32>()),
        of(".{0,20}".prop_map(String::into_boxed_str)),
    )
        .prop_map(
            |(external_voltage_mv, fuel_centi, engine_ms, event, vin)| Details {
                external_voltage_mv,
                fuel_centi,
                engine_ms,
                event,
                vin,
            },
        )
}

fn record() -> impl Strategy<Value = Record> {
    let motion = (
        any::<bool>(),
        of(any::<i32>()),
        of(any::<i32>().prop_map(Speed::from_centi)),
        of((0..36_000u16).prop_map(Course::from_centi)),
        of(any::<u8>()),
        of(any::<u64>()),
    );
    let flags = (of(any::<bool>()), of(any::<bool>()), of(any::<bool>()));
    let said = (driver(), any::<u64>(), any::<bool>(), details());
    (any::<i64>(), 0..4u8, of(position()), motion, flags, said).prop_map(
        |(
            time,
            kind,
            position,
            motion,
            (ignition, moving, door),
            (driver, alarms, stored, details),
        )| {
            let (valid, altitude_dm, speed, course, satellites, odometer_m) = motion;
            Record {
                time: Timestamp::from_millis(time),
                kind: RecordKind::from_u8(kind).expect("one of four"),
                position,
                valid,
                altitude_dm,
                speed,
                course,
                satellites,
                ignition,
                motion: moving,
                door,
                odometer_m,
                driver,
                alarms: Alarms::from_bits(alarms),
                stored,
                details,
            }
        },
    )
}

/// Records of which each says some things as the one before.
fn records() -> impl Strategy<Value = Vec<Record>> {
    proptest::collection::vec((record(), any::<u16>()), 0..8).prop_map(|all| {
        let mut records: Vec<Record> = Vec::new();
        for (mut r, same) in all {
            if let Some(before) = records.last() {
                let keep = |bit: u16| same & 1 << bit != 0;
                let before = before.clone();
                if keep(9) {
                    let earlier = records.iter().rev().nth(1).map_or(0, |r| r.time.millis());
                    let passed = before.time.millis().wrapping_sub(earlier);
                    let time = before.time.millis().wrapping_add(passed);
                    r.time = Timestamp::from_millis(time);
                }
                if keep(0) {
                    (r.time, r.kind, r.valid) = (before.time, before.kind, before.valid);
                }
                if keep(1) {
                    r.position = before.position;
                }
                if keep(2) {
                    (r.altitude_dm, r.speed) = (before.altitude_dm, before.speed);
                }
                if keep(3) {
                    (r.course, r.satellites) = (before.course, before.satellites);
                }
                if keep(4) {
                    (r.ignition, r.motion, r.door) = (before.ignition, before.motion, before.door);
                }
                if keep(5) {
                    r.odometer_m = before.odometer_m;
                }
                if keep(6) {
                    r.driver = before.driver;
                }
                if keep(7) {
                    (r.alarms, r.stored) = (before.alarms, before.stored);
                }
                if keep(8) {
                    r.details = before.details;
                }
            }
            records.push(r);
        }
        records
    })
}

fn message() -> impl Strategy<Value = Message> {
    let frame = (
        ".{0,20}",
        0..3usize,
        any::<i64>(),
        (any::<bool>(), of(any::<i32>())),
        records(),
        proptest::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(
            |(source, protocol, received, (held, told_offset_s), records, raw)| {
                Message::Frame(Frame {
                    source: source.as_str().into(),
                    protocol: Protocol::ALL[protocol],
                    received: Timestamp::from_millis(received),
                    held,
                    told_offset_s,
                    records,
                    raw,
                })
            },
        );
    prop_oneof![
        8 => frame,
        1 => (".{0,20}", any::<i64>(), any::<i64>()).prop_map(|(gateway, since, now)| {
            Message::Tick(Tick {
                gateway,
                listening_since: Timestamp::from_millis(since),
                now: Timestamp::from_millis(now),
            })
        }),
        1 => any::<u32>().prop_map(Message::Registry),
    ]
}

fn bits(m: &Message) -> Vec<[u64; 2]> {
    let Message::Frame(frame) = m else {
        return Vec::new();
    };
    let places = frame.records.iter().filter_map(|r| r.position);
    places
        .map(|p| [p.lat().to_bits(), p.lon().to_bits()])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn messages_round_trip(m in message()) {
        let back = decode(&encode(&m)).unwrap();
        prop_assert_eq!(bits(&m), bits(&back));
        prop_assert_eq!(m, back);
    }

    #[test]
    fn frames_are_written_as_the_generated_code_writes_them(m in message()) {
        let bytes = encode(&m);
        let read = generated::Envelope::decode(&*bytes).unwrap();
        prop_assert_eq!(read.encode_to_vec(), bytes.to_vec());
    }

    /// Cut anywhere or changed anywhere, it is a message or an error, and never a panic.
    #[test]
    fn damaged_messages_are_no_panic(m in message(), at in any::<usize>(), with in any::<u8>()) {
        let mut bytes = encode(&m).to_vec();
        let at = at % bytes.len();
        bytes[at] = with;
        let _ = decode(&bytes);
        let _ = decode(&bytes[..at]);
    }
}

/// One message with every field set, one with as little as there can be, a tick, a version.
fn frozen() -> Vec<Message> {
    let time = Timestamp::parse_rfc3339("2026-03-10T08:00:00+07:00").unwrap();
    let full = Record {
        time,
        kind: RecordKind::Fix,
        position: Position::new(20.959_902_9, 107.045_678_1),
        valid: true,
        altitude_dm: Some(-125),
        speed: Some(Speed::from_centi(-1)),
        course: Some(Course::from_centi(35_999)),
        satellites: Some(17),
        ignition: Some(true),
        motion: Some(false),
        door: Some(true),
        odometer_m: Some(123_456_789_012),
        driver: DriverSaid::Card("0A1B2C3D4E5F6071".into()),
        alarms: Alarms::NONE.with(Alarm::Sos).with(Alarm::Removing),
        stored: true,
        details: Details {
            external_voltage_mv: Some(12_700),
            fuel_centi: Some(-5),
            engine_ms: Some(u64::MAX),
            event: Some(253),
            vin: Some("WVWZZZ1JZXW000001".into()),
        },
    };
    let driven_by = |driver| Record {
        driver,
        ..Record::status(time).of_kind(RecordKind::CardIn)
    };
    let frame = |protocol, held, records, raw| {
        Message::Frame(Frame {
            source: "352093081429150".into(),
            protocol,
            received: time.plus_millis(1234),
            held,
            told_offset_s: None,
            records,
            raw,
        })
    };
    let later = Record {
        time: time.plus_millis(10_000),
        position: Position::new(20.959_901_1, 107.045_679),
        speed: Some(Speed::from_centi(4_200)),
        odometer_m: Some(123_456_789_345),
        ..full.clone()
    };
    let between = Record {
        position: Position::new(20.959_901_112_5, 107.045_679),
        driver: DriverSaid::NotSaid,
        ..later.clone()
    };
    let journey = vec![
        full.clone(),
        later,
        between.clone(),
        between,
        Record::status(time.plus_millis(30_000)),
    ];
    vec![
        frame(Protocol::Teltonika, true, vec![full], vec![0, 0xff, 0x7e]),
        frame(
            Protocol::Jt808,
            false,
            vec![
                driven_by(DriverSaid::Licence("790123456789".into())),
                driven_by(DriverSaid::Nobody),
                Record::status(Timestamp::from_millis(-1)),
            ],
            vec![],
        ),
        frame(Protocol::Gt06, false, vec![], vec![]),
        Message::Tick(Tick {
            gateway: "gateway-1".into(),
            listening_since: time,
            now: time.plus_millis(10_000),
        }),
        Message::Registry(42),
        Message::Frame(Frame {
            source: "352093081429150".into(),
            protocol: Protocol::Gt06,
            received: time,
            held: false,
            told_offset_s: Some(-25_200),
            records: vec![Record::status(time)],
            raw: vec![0x78, 0x78],
        }),
        frame(Protocol::Teltonika, false, journey, vec![]),
    ]
}

/// What any version wrote must be read by every later program; the files are never made again.
#[test]
fn the_frozen_messages_are_read_for_ever() {
    let messages = frozen();
    let lines = |text: &'static str| -> Vec<&str> {
        text.lines().filter(|l| !l.starts_with('#')).collect()
    };
    let of_1 = lines(include_str!("fixtures/messages-v1.hex"));
    let of_2 = lines(include_str!("fixtures/messages-v2.hex"));
    let of_3 = lines(include_str!("fixtures/messages-v3.hex"));
    assert_eq!(of_1.len(), 6);
    assert_eq!((of_2.len(), of_3.len()), (7, messages.len()));
    for of in [&of_1, &of_2, &of_3] {
        for (written, message) in of.iter().zip(&messages) {
            assert_eq!(&decode(&hex::decode(written).unwrap()).unwrap(), message);
        }
    }
    for (written, message) in of_3.iter().zip(&messages) {
        let now = hex::encode(encode(message));
        assert_eq!(&now, written, "what is written changed");
    }
}

/// Frames and records a second through encoding and decoding, on one thread.
#[test]
#[ignore = "a measurement: cargo test --release -p waywarden-bus --test message -- --ignored --nocapture"]
fn measure_encoding() {
    let messages = frozen();
    let Message::Frame(frame) = &messages[0] else {
        unreachable!("a frame stands first");
    };
    let mut frame = frame.clone();
    let mut plain = frame.records[0].clone();
    plain.driver = DriverSaid::NotSaid;
    plain.details.vin = None;
    for records in [1usize, 20] {
        frame.records = vec![plain.clone(); records];
        frame.raw = vec![0x55; 45 * records];
        let message = Message::Frame(frame.clone());
        let rounds = 400_000 / records;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(encode(std::hint::black_box(&message)));
        }
        let encoded = start.elapsed();
        let bytes = encode(&message);
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            std::hint::black_box(decode(std::hint::black_box(&bytes)).unwrap());
        }
        let total = (rounds * records) as f64;
        println!(
            "{records} records a frame: encode {:.2} M records/s, decode {:.2} M records/s, {} bytes",
            total / encoded.as_secs_f64() / 1e6,
            total / start.elapsed().as_secs_f64() / 1e6,
            bytes.len()
        );
    }
}
