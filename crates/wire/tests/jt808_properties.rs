//! The promises of JT/T 808 sessions: those of every session, those of split packets, and that
//! what the device's side writes is read back.

mod support;

use proptest::prelude::*;
use std::ops::Range;
use support::driver::{Driver, records_in};
use support::properties::Stream;
use waywarden_model::{
    Alarm, Course, DriverSaid, Position, Record, RecordKind, Speed, Standing, Timestamp,
};
use waywarden_wire::jt808::{Jt808, Jt808Device};
use waywarden_wire::{DeviceEvent, DeviceSide, Event, FrameErrorKind, Progress, Session};

fn session() -> Box<dyn Session> {
    Box::new(Jt808::new())
}

/// 2026-03-10T00:00:00Z and so many seconds.
fn fix(second: i64) -> Record {
    let place = Position::new(20.95, 107.08).expect("on the globe");
    let mut record = Record::fix(Timestamp::from_secs(1_773_100_800 + second), place);
    record.speed = Some(Speed::from_kmh(52));
    record.course = Some(Course::from_centi(9000));
    record.altitude_dm = Some(120);
    record.ignition = Some(true);
    record.odometer_m = Some(1_234_500);
    record
}

fn card(kind: RecordKind, driver: DriverSaid) -> Record {
    let mut record = Record::status(Timestamp::from_secs(1_773_100_860)).of_kind(kind);
    record.driver = driver;
    record
}

fn stream() -> Stream {
    let mut device = Jt808Device::new("013800000001");
    let licence = DriverSaid::Licence("014098000123".into());
    Stream {
        new_session: session,
        prelude: vec![device.connect()],
        frames: vec![
            device.data(&[fix(0)]).1,
            device.data(&[fix(30), fix(60), fix(90)]).1,
            device.data(&[card(RecordKind::CardIn, licence)]).1,
            Jt808Device::new("00000000013800000002").data(&[fix(5)]).1,
        ],
        checksum: |frame: &[u8]| -> Range<usize> { frame.len() - 2..frame.len() - 1 },
    }
}

session_properties!(stream);

/// A frame with a part of a packet, written independently of the crate.
fn part(serial: u16, total: u16, index: u16, body: &[u8]) -> Vec<u8> {
    let mut plain = vec![0x07, 0x04];
    let properties = 0x2000 | u16::try_from(body.len()).expect("short");
    plain.extend(properties.to_be_bytes());
    plain.extend([0x01, 0x38, 0, 0, 0, 0x01]);
    for number in [serial, total, index] {
        plain.extend(number.to_be_bytes());
    }
    plain.extend(body);
    plain.push(plain.iter().fold(0, |x, b| x ^ b));
    let mut out = vec![0x7E];
    for b in plain {
        match b {
            0x7D => out.extend([0x7D, 1]),
            0x7E => out.extend([0x7D, 2]),
            b => out.push(b),
        }
    }
    out.push(0x7E);
    out
}

/// Body of a batch with `count` items.
fn batch(count: u8) -> Vec<u8> {
    let mut body = vec![0, count, 0];
    for n in 0..count {
        body.extend([0, 28]);
        body.extend([0, 0, 0, 0, 0, 0, 0, 3]);
        body.extend([0x01, 0x3F, 0xAB, 0xF0, 0x06, 0x61, 0xE9, 0x40]);
        body.extend([0, 12, 2, 11, 0, 90]);
        body.extend([0x26, 0x03, 0x10, 0x08, ((n / 10) << 4) | (n % 10), 0x05]);
    }
    body
}

fn parts(total: usize) -> Vec<Vec<u8>> {
    let body = batch(20);
    let count = u16::try_from(total).expect("few");
    body.chunks(body.len().div_ceil(total))
        .zip(1..)
        .map(|(chunk, index)| part(100 + index, count, index, chunk))
        .collect()
}

/// Serials that the acknowledgements in `reply` name, in their order.
fn acknowledged(reply: &[u8]) -> Vec<u8> {
    reply
        .split(|b| *b == 0x7E)
        .filter(|f| !f.is_empty())
        .map(|f| {
            assert_eq!(f[..2], [0x80, 0x01]);
            f[13]
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_in_any_order_make_one_message(
        order in Just((0..6).collect::<Vec<usize>>()).prop_shuffle(),
        again in 0..5usize,
    ) {
        let parts = parts(6);
        let mut driver = Driver::new(session());
        for at in &order[..5] {
            let events = driver.events(&parts[*at]);
            prop_assert!(only_identified(&events));
        }
        // A part that comes again changes nothing.
        let events = driver.events(&parts[order[again]]);
        prop_assert!(only_identified(&events));
        let events = driver.events(&parts[order[5]]);
        let [Event::Identified { .. }, Event::Frame(frame)] = &events[..] else {
            return Err(TestCaseError::fail(format!("{events:?}")));
        };
        prop_assert_eq!(frame.readings.len(), 20);
        prop_assert_eq!(&frame.raw, &parts.concat());
        let reply = frame.durable_reply.as_deref().unwrap_or_default();
        prop_assert_eq!(acknowledged(reply), vec![101, 102, 103, 104, 105, 106]);
        prop_assert!(frame.reply_is_tagged);
    }

    #[test]
    fn a_missing_part_is_given_up_and_nothing_is_acknowledged(missing in 0..6usize) {
        let parts = parts(6);
        let mut driver = Driver::new(session());
        let mut device = Jt808Device::new("013800000001");
        for (at, part) in parts.iter().enumerate() {
            if at != missing {
                let events = driver.events(part);
                prop_assert!(only_identified(&events));
            }
        }
        let mut given_up = 0;
        for _ in 0..300 {
            let events = driver.events(&device.data(&[fix(0)]).1);
            prop_assert_eq!(records_in(&events), 1);
            given_up += events.iter().filter(|e| is_error(e, FrameErrorKind::Unsupported)).count();
        }
        prop_assert_eq!(given_up, 1);
    }

    #[test]
    fn what_a_device_sends_is_read_back(
        records in prop::collection::vec(record(), 1..=20),
        zone in prop_oneof![Just(None), Just(Some(7 * 3600)), Just(Some(-5 * 3600 - 1800))],
        number in prop_oneof![Just("13800000001"), Just("00000000013800000002")],
    ) {
        let mut driver = Driver::new(session());
        driver.directory.utc_offset_s = zone;
        driver.directory.dialect = Some("doors".into());
        let mut device = Jt808Device::new(number).with_utc_offset(zone.unwrap_or(8 * 3600));
        let mut heard = exchange(&mut driver, &mut device, None).1;
        prop_assert_eq!(&heard, &[DeviceEvent::Accepted]);
        let (tag, bytes) = device.data(&records);
        let (read, said) = exchange(&mut driver, &mut device, Some(&bytes));
        heard = said;
        prop_assert_eq!(read, records);
        prop_assert_eq!(heard, vec![DeviceEvent::Acknowledged { tag }]);
    }
}

fn only_identified(events: &[Event]) -> bool {
    events.iter().all(|e| matches!(e, Event::Identified { .. }))
}

fn is_error(event: &Event, kind: FrameErrorKind) -> bool {
    matches!(event, Event::Error(e) if e.kind == kind)
}

/// Hands the device's bytes (of connecting, if none) to the session and the replies to the device.
fn exchange(
    driver: &mut Driver,
    device: &mut Jt808Device,
    bytes: Option<&[u8]>,
) -> (Vec<Record>, Vec<DeviceEvent>) {
    let bytes = bytes.map_or_else(|| device.connect(), <[u8]>::to_vec);
    let (mut records, mut heard) = (Vec::new(), Vec::new());
    for event in driver.events(&bytes) {
        let reply = match event {
            Event::Reply(reply) => reply,
            Event::Frame(frame) => {
                records.extend(frame.readings.iter().map(|(r, _)| r.clone()));
                frame.durable_reply.unwrap_or_default()
            }
            Event::Error(e) => panic!("{e}"),
            _ => continue,
        };
        assert_eq!(device.receive(&reply, &mut heard), reply.len());
    }
    (records, heard)
}

/// A record that the frames can say whole.
fn record() -> impl Strategy<Value = Record> {
    let card_in = (0..86_400i64).prop_map(|s| {
        let mut r = Record::status(Timestamp::from_secs(1_773_100_800 + s));
        r.driver = DriverSaid::Licence("014098000123".into());
        r.of_kind(RecordKind::CardIn)
    });
    let card_out = (0..86_400i64).prop_map(|s| {
        let mut r = Record::status(Timestamp::from_secs(1_773_100_800 + s));
        r.driver = DriverSaid::Nobody;
        r.of_kind(RecordKind::CardOut)
    });
    prop_oneof![8 => fix_record(), 1 => card_in, 1 => card_out]
}

fn fix_record() -> impl Strategy<Value = Record> {
    let place = (-90_000_000..=90_000_000i32, -180_000_000..=180_000_000i32);
    let motion = (-400..9000i32, 0..2000i32, 0..360u16);
    let bits = (any::<[bool; 5]>(), any::<bool>());
    let extra = (
        prop::option::of(0..4_000_000u64),
        prop::option::of(0..40u8),
        prop::option::of(0..300u32),
        prop::option::of(0..3000i32),
        prop::option::of("[0-9A-F]{1,20}"),
    );
    (0..86_400 * 300i64, place, motion, bits, extra).prop_map(
        |(second, (lat, lon), (altitude, speed, course), (bits, motion), extra)| {
            let place = Position::new(f64::from(lat) / 1e6, f64::from(lon) / 1e6);
            let time = Timestamp::from_secs(1_773_100_800 + second);
            let mut r = Record::fix(time, place.expect("on the globe"));
            r.altitude_dm = Some(altitude * 10);
            r.speed = Some(Speed::from_centi(speed * 10));
            r.course = Some(Course::from_centi(course * 100));
            r.valid = bits[0];
            r.ignition = Some(bits[1]);
            r.door = Some(bits[2]);
            r.stored = bits[3];
            r.motion = bits[4].then_some(motion);
            if bits[3] && motion {
                r.alarms = r.alarms.with(Alarm::Overspeed).with(Alarm::Sos);
            }
            let (odometer, satellites, volts, fuel, card) = extra;
            r.odometer_m = odometer.map(|v| v * 100);
            r.satellites = satellites;
            r.details.external_voltage_mv = volts.map(|v| v * 100);
            r.details.fuel_centi = fuel.map(|v| v * 10);
            if let Some(card) = card {
                r.driver = DriverSaid::Card(card.as_str().into());
            }
            r
        },
    )
}

#[test]
fn a_device_that_lost_its_code_registers_again() {
    let mut driver = Driver::new(session());
    let mut device = Jt808Device::new("013800000001").with_code("0123456789abcdef");
    let heard = exchange(&mut driver, &mut device, None).1;
    assert_eq!(heard, [DeviceEvent::Refused]);
    // Registration gives the code; the authentication goes out with the first data.
    assert_eq!(
        exchange(&mut driver, &mut device, None).1,
        [DeviceEvent::Accepted]
    );
    let (tag, bytes) = device.data(&[fix(0)]);
    let (records, heard) = exchange(&mut driver, &mut device, Some(&bytes));
    assert_eq!(
        (records.len(), heard),
        (1, vec![DeviceEvent::Acknowledged { tag }])
    );
    // On another connection, to another gateway with the same key, the code is enough.
    let heard = exchange(&mut Driver::new(session()), &mut device, None).1;
    assert_eq!(heard, [DeviceEvent::Accepted]);
}

#[test]
fn without_a_key_every_code_is_taken() {
    let mut driver = Driver::new(session());
    driver.settings.auth_key.clear();
    let mut device = Jt808Device::new("013800000001").with_code("whatever");
    assert_eq!(
        exchange(&mut driver, &mut device, None).1,
        [DeviceEvent::Accepted]
    );
}

#[test]
fn a_refused_device_gets_no_answer() {
    let mut driver = Driver::new(session());
    driver.directory.standing = Standing::Refused;
    let bytes = Jt808Device::new("013800000001").connect();
    let (events, progress) = driver.feed(&bytes);
    assert!(matches!(&events[..], [Event::Identified { .. }]));
    let consumed = bytes.len();
    let reason = FrameErrorKind::Refused;
    assert_eq!(progress, Progress::Close { consumed, reason });
}

#[test]
fn an_encrypted_body_is_refused_with_a_reason() {
    let mut plain = hex::decode("0200040101380000000100 07aa".replace(' ', "")).expect("hex");
    plain.push(plain.iter().fold(0, |x, b| x ^ b));
    let raw = [&[0x7E], &plain[..], &[0x7E]].concat();
    let events = Driver::new(session()).events(&raw);
    assert!(
        events
            .iter()
            .any(|e| is_error(e, FrameErrorKind::Unsupported))
    );
    let Some(Event::Reply(reply)) = events.last() else {
        panic!("{events:?}");
    };
    // Serial 7, id 0200, result 3: not supported.
    assert_eq!(reply[13..18], [0, 7, 2, 0, 3]);
}

#[test]
fn of_a_batch_only_the_impossible_record_is_lost() {
    let mut body = batch(20);
    // Month 13 in the second item.
    body[3 + 30 + 2 + 23] = 0x13;
    let events = Driver::new(session()).events(&part(9, 1, 1, &body));
    assert_eq!(records_in(&events), 19);
    assert!(events.iter().any(|e| is_error(e, FrameErrorKind::BadValue)));
}

#[test]
fn the_clock_is_told_in_utc() {
    let mut driver = Driver::new(session());
    let ask = |id: [u8; 2]| {
        let mut plain = vec![id[0], id[1], 0, 0, 1, 0x38, 0, 0, 0, 1, 0, 3];
        plain.push(plain.iter().fold(0, |x, b| x ^ b));
        [&[0x7E], &plain[..], &[0x7E]].concat()
    };
    let mut body = |id| match driver.events(&ask(id)).pop() {
        Some(Event::Reply(reply)) => hex::encode(&reply[13..reply.len() - 2]),
        other => panic!("{other:?}"),
    };
    // 2026-03-10T01:00:00Z, the receipt of everything here.
    assert_eq!(body([0x01, 0x09]), "07ea030a01000000");
    assert_eq!(body([0x00, 0x04]), "260310010000");
}
