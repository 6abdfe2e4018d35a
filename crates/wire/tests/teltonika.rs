//! Teltonika where recordings and general promises do not reach: refusals, bad frames, datagrams,
//! and the device's side.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use support::driver::{Driver, Everybody, records_in};
use waywarden_model::{Alarm, Course, DriverSaid, Position, Record, Speed, Standing, Timestamp};
use waywarden_wire::teltonika::{Teltonika, TeltonikaDevice, datagram};
use waywarden_wire::{
    DeviceEvent, DeviceSide, Event, FrameErrorKind, Progress, Session, Transport,
};

const IMEI: &str = "860000000000017";

fn tcp() -> Driver {
    Driver::new(Box::new(Teltonika::new()))
}

fn udp() -> Driver {
    Driver::new(Box::new(Teltonika::on(Transport::Udp)))
}

/// A driver and a device that are logged in.
fn logged_in() -> (Driver, TeltonikaDevice) {
    let (mut server, mut device) = (tcp(), TeltonikaDevice::new(IMEI));
    let events = server.events(&device.connect());
    assert!(matches!(&events[..], [Event::Identified { .. }, Event::Reply(r)] if r == &[1]));
    let mut heard = Vec::new();
    assert_eq!(device.receive(&[1], &mut heard), 1);
    assert_eq!(heard, [DeviceEvent::Accepted]);
    (server, device)
}

/// Everything that the protocol carries.
fn full() -> Record {
    let place = Position::new(20.951_234_5, 107.071_234_5).expect("on the globe");
    let mut r = Record::fix(Timestamp::from_millis(1_773_104_405_250), place);
    r.altitude_dm = Some(-30);
    r.speed = Some(Speed::from_kmh(57));
    r.course = Course::from_degrees(271.0);
    r.satellites = Some(11);
    r.ignition = Some(true);
    r.motion = Some(false);
    r.odometer_m = Some(1_234_567);
    r.driver = DriverSaid::Card("0807060504030201".into());
    r.alarms.insert(Alarm::HardBraking);
    r.details.external_voltage_mv = Some(24_510);
    r.details.event = Some(253);
    r.details.vin = Some("WAYWARDENTESTVIN1".into());
    r
}

fn errors(events: &[Event]) -> Vec<FrameErrorKind> {
    let kind = |e: &Event| match e {
        Event::Error(e) => Some(e.kind),
        _ => None,
    };
    events.iter().filter_map(kind).collect()
}

#[test]
fn what_a_device_encodes_is_read_back() {
    let (mut server, mut device) = logged_in();
    let mut nobody = full();
    nobody.driver = DriverSaid::Nobody;
    nobody.valid = false;
    nobody.satellites = Some(0);
    nobody.alarms = waywarden_model::Alarms::NONE;
    let sent = [full(), nobody];
    let (tag, bytes) = device.data(&sent);
    let events = server.events(&bytes);
    let [Event::Frame(frame)] = &events[..] else {
        panic!("one frame, not {events:?}");
    };
    let read: Vec<&Record> = frame.readings.iter().map(|(r, _)| r).collect();
    assert_eq!(read, [&sent[0], &sent[1]]);
    assert_eq!(frame.raw, bytes);
    assert!(!frame.reply_is_tagged);
    let mut heard = Vec::new();
    let reply = frame.durable_reply.as_deref().unwrap();
    assert_eq!(device.receive(reply, &mut heard), 4);
    assert_eq!(heard, [DeviceEvent::Acknowledged { tag }]);
}

#[test]
fn a_smaller_count_rejects_the_oldest_packet() {
    let (_, mut device) = logged_in();
    let (first, _) = device.data(&[full(), full()]);
    let (second, _) = device.data(&[full()]);
    let mut heard = Vec::new();
    // The second count is not whole yet.
    assert_eq!(device.receive(&[0, 0, 0, 1, 0, 0], &mut heard), 4);
    assert_eq!(heard, [DeviceEvent::Rejected { tag: first }]);
    heard.clear();
    assert_eq!(device.receive(&[0, 0, 0, 1], &mut heard), 4);
    assert_eq!(heard, [DeviceEvent::Acknowledged { tag: second }]);
}

#[test]
fn a_refused_device_is_told_and_closed() {
    let mut server = tcp().with(Everybody {
        standing: Standing::Refused,
        ..Everybody::known()
    });
    let mut device = TeltonikaDevice::new(IMEI);
    let (events, progress) = server.feed(&device.connect());
    assert!(matches!(&events[..], [Event::Identified { .. }, Event::Reply(r)] if r == &[0]));
    let reason = FrameErrorKind::Refused;
    assert_eq!(
        progress,
        Progress::Close {
            consumed: 17,
            reason
        }
    );
    let mut heard = Vec::new();
    device.receive(&[0], &mut heard);
    assert_eq!(heard, [DeviceEvent::Refused]);
}

#[test]
fn data_before_the_log_in_are_not_taken() {
    let (_, bytes) = TeltonikaDevice::new(IMEI).data(&[full()]);
    let events = tcp().events(&bytes);
    assert_eq!(errors(&events), [FrameErrorKind::NotLoggedIn]);
    assert_eq!(events.len(), 1);
}

#[test]
fn after_each_kind_of_bad_frame_the_next_is_taken() {
    let (_, mut device) = logged_in();
    let (_, good) = device.data(&[full()]);
    let with = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        edit(&mut bytes);
        bytes
    };
    let cases = [
        (
            FrameErrorKind::Garbage,
            b"GET / HTTP/1.1\r\n\xFF\xFF".to_vec(),
        ),
        (
            FrameErrorKind::BadChecksum,
            with(&|b| *b.last_mut().unwrap() ^= 1),
        ),
        (
            FrameErrorKind::BadLength,
            vec![0, 0, 0, 0, 0, 0, 0, 2, 8, 0],
        ),
        (
            FrameErrorKind::TooLong,
            vec![0, 0, 0, 0, 0x7F, 0, 0, 0, 8, 1],
        ),
        (FrameErrorKind::BadLength, repaired(good.clone(), 2)),
        (FrameErrorKind::Truncated, repaired(good.clone(), 200)),
    ];
    for (kind, bad) in cases {
        let (mut server, _) = logged_in();
        let mut events = server.events(&bad);
        events.extend(server.events(&good));
        assert_eq!(errors(&events), [kind], "{}", hex::encode(&bad));
        assert_eq!(records_in(&events), 1, "{}", hex::encode(&bad));
    }
}

/// The packet with another first count (2: the last byte is no second record; 200: far too many)
/// and a right checksum.
fn repaired(mut bytes: Vec<u8>, count: u8) -> Vec<u8> {
    let end = bytes.len() - 4;
    if count == 2 {
        bytes[end - 1] = 2;
    } else {
        bytes[9] = count;
    }
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_ARC).checksum(&bytes[8..end]);
    bytes[end..].copy_from_slice(&u32::from(crc).to_be_bytes());
    bytes
}

#[test]
fn a_stream_of_garbage_is_closed_at_the_frame_limit() {
    let mut server = tcp();
    let mut fed = 0;
    while !server.closed {
        let events = server.events(&[b'x'; 1000]);
        assert_eq!(events.len(), usize::from(fed == 0));
        fed += 1000;
    }
    assert!(fed <= server.settings.max_frame + 1000);
}

#[test]
fn a_packet_without_records_is_acknowledged() {
    let (mut server, mut device) = logged_in();
    let (_, bytes) = device.data(&[]);
    let events = server.events(&bytes);
    let [Event::Frame(frame)] = &events[..] else {
        panic!("one frame, not {events:?}");
    };
    assert_eq!(frame.durable_reply.as_deref(), Some(&[0, 0, 0, 0][..]));
}

#[test]
fn a_place_outside_the_globe_leaves_a_record_without_one() {
    let (mut server, mut device) = logged_in();
    let (_, mut bytes) = device.data(&[full()]);
    // Latitude: behind preamble, codec, count, time, priority and longitude.
    bytes[23..27].copy_from_slice(&910_000_000_i32.to_be_bytes());
    server.settings.lenient_checksums = true;
    let events = server.events(&bytes);
    let [Event::Frame(frame)] = &events[..] else {
        panic!("one frame, not {events:?}");
    };
    let r = &frame.readings.timed()[0];
    assert_eq!((r.position, r.valid, r.time), (None, false, full().time));
}

#[test]
fn sixteen_byte_parameters_are_recognised() {
    let mut body = vec![0x08, 1];
    body.extend(1_773_104_405_250_u64.to_be_bytes());
    body.extend([0; 9]); // priority and place
    body.extend([0, 5, 0, 90, 7, 0, 44, 0, 1]); // altitude 5, course 90, 7 satellites, 44 km/h
    body.extend([0, 0, 0, 0, 1, 200]);
    body.extend([0xAB; 16]);
    body.push(1);
    let mut bytes = vec![0, 0, 0, 0];
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(&body);
    bytes.extend([0; 4]);
    let end = bytes.len() - 4;
    let crc = crc::Crc::<u16>::new(&crc::CRC_16_ARC).checksum(&body);
    bytes[end..].copy_from_slice(&u32::from(crc).to_be_bytes());
    for dialect in [None, Some("extended")] {
        let (mut server, _) = logged_in();
        server.directory.dialect = dialect.map(str::to_owned);
        server.events(&TeltonikaDevice::new(IMEI).connect());
        let events = server.events(&bytes);
        let [Event::Frame(frame)] = &events[..] else {
            panic!("one frame, not {events:?}");
        };
        let speed = frame.readings.timed()[0].speed;
        assert_eq!(speed, Some(Speed::from_kmh(44)));
    }
}

#[test]
fn parameters_of_a_family_need_its_name() {
    let (_, mut device) = logged_in();
    let mut r = full();
    r.alarms.insert(Alarm::General);
    let (_, bytes) = device.data(&[r]);
    // Parameter 236 becomes 252, which means a cut supply on one family only.
    let at = bytes.windows(3).position(|w| w == [0, 236, 1]).unwrap();
    let mut bytes = bytes;
    bytes[at + 1] = 252;
    for (dialect, expected) in [(None, false), (Some("fmb"), true)] {
        let mut server = tcp().lenient(true).with(Everybody {
            dialect: dialect.map(str::to_owned),
            ..Everybody::known()
        });
        server.events(&TeltonikaDevice::new(IMEI).connect());
        let events = server.events(&bytes);
        let [Event::Frame(frame)] = &events[..] else {
            panic!("one frame, not {events:?}");
        };
        let alarms = frame.readings.timed()[0].alarms;
        assert_eq!(alarms.contains(Alarm::PowerCut), expected);
    }
}

#[test]
fn datagrams_are_acknowledged_by_their_own_id() {
    let mut bytes = datagram(IMEI, 0xCAFE, 7, &[full(), full()]);
    let one = bytes.clone();
    bytes.extend(datagram(IMEI, 0xCAFF, 8, &[full()]));
    let (events, progress) = udp().feed(&bytes);
    let replies: Vec<&[u8]> = events
        .iter()
        .filter_map(|e| match e {
            Event::Frame(f) => {
                assert!(f.reply_is_tagged);
                f.durable_reply.as_deref()
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        replies,
        [&[0, 5, 0xCA, 0xFE, 1, 7, 2], &[0, 5, 0xCA, 0xFF, 1, 8, 1]]
    );
    let consumed = bytes.len();
    assert_eq!(progress, Progress::NeedMore { consumed });

    for cut in 1..one.len() {
        let events = udp().events(&one[..cut]);
        assert_eq!(records_in(&events), 0, "cut at {cut}");
        assert_eq!(errors(&events).len(), 1, "cut at {cut}");
    }
    assert!(udp().events(&[0xFF]).is_empty());
}

#[test]
fn a_refused_device_gets_no_datagram_back() {
    let mut server = udp().with(Everybody {
        standing: Standing::Refused,
        ..Everybody::known()
    });
    let events = server.events(&datagram(IMEI, 1, 1, &[full()]));
    assert_eq!(errors(&events), [FrameErrorKind::Refused]);
    assert_eq!(records_in(&events), 0);
}

#[test]
fn an_unknown_codec_is_kept_raw_and_the_stream_goes_on() {
    let (mut server, mut device) = logged_in();
    let (_, good) = device.data(&[full()]);
    let mut strange = good.clone();
    strange[8] = 0x42;
    server.settings.lenient_checksums = true;
    let events = server.events(&[strange.clone(), good].concat());
    assert!(
        matches!(&events[0], Event::Unknown { label: "codec_unknown", raw } if raw == &strange)
    );
    assert_eq!(records_in(&events), 1);
    assert_eq!(Teltonika::new().protocol().name(), "teltonika");
}
