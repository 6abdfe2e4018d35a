//! The promises of every session, held by GT06; and that what its device sends is read.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use proptest::prelude::*;
use support::driver::{Driver, Everybody, NOW, records_in};
use support::properties::Stream;
use waywarden_model::{CardId, Course, DriverSaid, Position, Record, Speed, Standing, Timestamp};
use waywarden_wire::gt06::{Gt06, Gt06Device};
use waywarden_wire::{DeviceEvent, DeviceSide, Event, FrameErrorKind, Progress, Session, Settings};

const IMEI: &str = "359339075005244";

fn device() -> Gt06Device {
    Gt06Device::new(IMEI)
}

fn record() -> Record {
    let mut r = Record::fix(NOW, Position::new(20.95, 107.08).expect("on the globe"));
    r.speed = Some(Speed::from_kmh(61));
    r.course = Some(Course::from_centi(19_700));
    r.satellites = Some(9);
    r
}

fn stream() -> Stream {
    let mut device = device();
    let prelude = vec![device.connect()];
    let ignition = Record {
        ignition: Some(true),
        stored: true,
        odometer_m: Some(123_456),
        ..record()
    };
    let key = Record {
        driver: DriverSaid::Card(CardId::new("0a1b2c3d4e5f6071")),
        ..record()
    };
    let frames = [record(), ignition, key, Record::status(NOW)].map(|r| device.data(&[r]).1);
    Stream {
        new_session: || Box::new(Gt06::new()),
        prelude,
        frames: frames.to_vec(),
        checksum: |frame| frame.len() - 4..frame.len() - 2,
    }
}

session_properties!(stream);

fn known() -> Driver {
    let mut driver = Driver::new(Box::new(Gt06::new()));
    let events = driver.events(&device().connect());
    assert!(matches!(
        events[..],
        [Event::Identified { .. }, Event::Reply(_)]
    ));
    driver
}

/// The fields that the device's side promises to carry.
fn carried() -> impl Strategy<Value = Record> {
    let driver = prop_oneof![
        Just(DriverSaid::NotSaid),
        Just(DriverSaid::Nobody),
        any::<[u8; 8]>()
            .prop_filter("zeros are nobody", |key| *key != [0; 8])
            .prop_map(|key| DriverSaid::Card(CardId::new(hex::encode(key)))),
    ];
    (
        946_684_801_i64..4_102_444_800,
        -162_000_000_i32..=162_000_000,
        -324_000_000_i32..=324_000_000,
        (0_i32..=255, 0_u16..360, 0_u8..16),
        (
            any::<bool>(),
            prop::option::of(any::<bool>()),
            any::<bool>(),
        ),
        prop::option::of(any::<u32>()),
        driver,
    )
        .prop_map(
            |(time, lat, lon, (speed, course, sats), flags, odometer, driver)| {
                let degrees = |n: i32| f64::from(n) / 1_800_000.0;
                let place = Position::new(degrees(lat), degrees(lon)).expect("on the globe");
                let keyed = driver != DriverSaid::NotSaid;
                let (valid, ignition, stored) = flags;
                Record {
                    valid,
                    speed: Some(Speed::from_kmh(speed)),
                    course: Some(Course::from_centi(course * 100)),
                    satellites: Some(sats),
                    ignition,
                    stored: stored && ignition.is_some() && !keyed,
                    odometer_m: odometer.filter(|_| !keyed).map(u64::from),
                    driver,
                    ..Record::fix(Timestamp::from_secs(time), place)
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_device_sends_is_read(sent in carried()) {
        let mut device = device();
        device.connect();
        let (tag, wire) = device.data(std::slice::from_ref(&sent));
        let events = known().events(&wire);
        let [Event::Frame(frame)] = &events[..] else {
            panic!("{events:?}");
        };
        let [read] = frame.readings.timed() else {
            panic!("{frame:?}");
        };
        // The reason of the report is the protocol's own; the device sends 0.
        let mut read = read.clone();
        read.details.event = None;
        prop_assert_eq!(&read, &sent);
        prop_assert!(frame.reply_is_tagged);
        prop_assert_eq!(&frame.raw, &wire);
        let mut heard = Vec::new();
        let reply = frame.durable_reply.as_deref().unwrap_or_default();
        prop_assert_eq!(device.receive(reply, &mut heard), reply.len());
        prop_assert_eq!(heard, [DeviceEvent::Acknowledged { tag }]);
    }

    #[test]
    fn any_frame_content_is_bounded(kind in any::<u8>(), content in prop::collection::vec(any::<u8>(), 0..120)) {
        for long in [false, true] {
            let mut driver = known();
            driver.settings = Settings { lenient_checksums: true, ..Settings::default() };
            let length = u8::try_from(content.len() + 5).unwrap();
            let mut wire = if long { vec![0x79, 0x79, 0, length, kind] } else { vec![0x78, 0x78, length, kind] };
            wire.extend_from_slice(&content);
            wire.extend_from_slice(&[0, 1, 0, 0, 0x0d, 0x0a]);
            prop_assert!(records_in(&driver.events(&wire)) <= 1);
        }
    }
}

fn kinds(events: &[Event]) -> Vec<FrameErrorKind> {
    events
        .iter()
        .filter_map(|e| match e {
            Event::Error(e) => Some(e.kind),
            _ => None,
        })
        .collect()
}

#[test]
fn data_before_log_in_is_not_acknowledged() {
    let mut driver = Driver::new(Box::new(Gt06::new()));
    let events = driver.events(&device().data(&[record()]).1);
    assert_eq!(events.len(), 1);
    assert_eq!(kinds(&events), [FrameErrorKind::NotLoggedIn]);
}

#[test]
fn a_refused_device_hears_nothing() {
    let mut driver = Driver::new(Box::new(Gt06::new())).with(Everybody {
        standing: Standing::Refused,
        ..Everybody::known()
    });
    let mut wire = device().connect();
    wire.extend(device().data(&[record()]).1);
    let consumed = wire.len();
    let (events, progress) = driver.feed(&wire);
    assert!(
        matches!(events[..], [Event::Identified { .. }]),
        "{events:?}"
    );
    let reason = FrameErrorKind::Refused;
    assert_eq!(progress, Progress::Close { consumed, reason });
}

#[test]
fn an_impossible_date_is_refused_and_the_next_frame_taken() {
    let mut driver = known();
    driver.settings.lenient_checksums = true;
    let good = device().data(&[record()]).1;
    let mut bad = good.clone();
    bad[5] = 13; // month
    let events = driver.events(&[bad, good].concat());
    assert_eq!(kinds(&events), [FrameErrorKind::BadValue]);
    assert_eq!(records_in(&events), 1);
}

#[test]
fn a_frame_that_ends_within_a_field_is_truncated() {
    // A location that ends behind the latitude.
    let content = "190310010000cb0254bbf0";
    let wire = format!("78781012{content}0001ffff0d0a");
    let mut driver = known();
    driver.settings.lenient_checksums = true;
    let events = driver.events(&hex::decode(wire).unwrap());
    assert_eq!(kinds(&events), [FrameErrorKind::Truncated]);
    let [Event::Error(e)] = &events[..] else {
        panic!("{events:?}");
    };
    // Header, length and kind, then eleven bytes of content.
    assert_eq!(e.at, 15);
}

#[test]
fn a_heartbeat_is_answered_at_once_and_not_filed() {
    let beat = device().heartbeat().unwrap();
    let events = known().events(&beat);
    let [Event::Reply(reply), Event::Frame(frame)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((reply.len(), reply[3]), (10, 0x13));
    assert!(frame.durable_reply.is_none());
    assert!(frame.readings.len() == 1 && frame.readings.timed().is_empty());
}

#[test]
fn an_unknown_kind_is_kept_and_not_acknowledged() {
    let wire = hex::decode("79790005840016bb1a0d0a").unwrap();
    let events = known().events(&wire);
    let [Event::Unknown { raw, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(raw, &wire);
}

#[test]
fn the_register_gives_the_zone_where_the_log_in_does_not() {
    // Log-in without zone, then 2017-08-25 17:02:22 on the device's clock.
    let login = hex::decode("78780d0103593390750052440001ffff0d0a").unwrap();
    let fix =
        hex::decode("78781f12110819110216d402f250340828924055d4c801944600d300c09501429c830d0a")
            .unwrap();
    let mut driver = Driver::new(Box::new(Gt06::new()))
        .lenient(true)
        .with(Everybody {
            utc_offset_s: Some(7 * 3600),
            ..Everybody::known()
        });
    driver.events(&login);
    let events = driver.events(&fix);
    let [Event::Frame(frame)] = &events[..] else {
        panic!("{events:?}");
    };
    let time = frame.readings.timed()[0].time;
    assert_eq!(time.to_string(), "2017-08-25T10:02:22Z");
}

#[test]
fn the_register_gives_the_dialect() {
    // A status whose last two bytes are volts with one maker, alarm and language with others.
    let status = hex::decode("78780a13450604060102242b850d0a").unwrap();
    for (dialect, volts) in [(None, None), (Some("seeworld"), Some(6_000))] {
        let mut driver = Driver::new(Box::new(Gt06::new()))
            .lenient(true)
            .with(Everybody {
                dialect: dialect.map(str::to_owned),
                ..Everybody::known()
            });
        driver.events(&device().connect());
        let events = driver.events(&status);
        let [_, Event::Frame(frame)] = &events[..] else {
            panic!("{events:?}");
        };
        let details = &frame.readings.iter().next().unwrap().0.details;
        assert_eq!(details.external_voltage_mv, volts);
    }
}

#[test]
fn the_device_hears_its_log_in_accepted() {
    let mut device = device();
    let login = device.connect();
    let events = Driver::new(Box::new(Gt06::new())).events(&login);
    let [Event::Identified { candidates, .. }, Event::Reply(reply)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(candidates, &[IMEI.to_owned()]);
    let mut heard = Vec::new();
    // In two pieces: what is not whole is left to the caller.
    assert_eq!(device.receive(&reply[..4], &mut heard), 0);
    assert_eq!(device.receive(reply, &mut heard), reply.len());
    assert_eq!(heard, [DeviceEvent::Accepted]);
}

#[test]
fn the_session_says_its_protocol() {
    assert_eq!(Gt06::new().protocol().name(), "gt06");
}
