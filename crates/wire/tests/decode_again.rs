//! Kept frames decoded again by other settings of their device.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use support::driver::{Driver, Everybody, NOW};
use waywarden_model::{DeviceProfile, Position, Protocol, Record, Speed, Standing, Timestamp};
use waywarden_wire::jt808::Jt808Device;
use waywarden_wire::{
    DecodedFrame, DeviceSide, Event, Kept, Transport, decode_again, device_side, session, teltonika,
};

const HOUR_S: i32 = 3600;

/// As the register has it now; that it is refused today takes nothing back.
fn registered(utc_offset_s: Option<i32>) -> DeviceProfile {
    DeviceProfile {
        source: "352093081429150".into(),
        standing: Standing::Refused,
        utc_offset_s,
        dialect: None,
    }
}

fn record() -> Record {
    Record {
        speed: Some(Speed::from_kmh(40)),
        ..Record::fix(NOW, Position::new(21.0, 107.0).unwrap())
    }
}

/// The frame of one record, as a gateway takes it that does not know the device.
fn sent(protocol: Protocol, transport: Transport, bytes: &[u8]) -> DecodedFrame {
    let mut gateway = Driver::new(session(protocol, transport).unwrap()).with(Everybody::known());
    let events = gateway.events(bytes);
    let mut frames = events.into_iter().filter_map(|event| match event {
        Event::Frame(frame) => Some(frame),
        _ => None,
    });
    frames.next().expect("a frame")
}

fn from_device(protocol: Protocol, side: &mut dyn DeviceSide) -> DecodedFrame {
    let mut bytes = side.connect();
    bytes.extend(side.data(&[record()]).1);
    sent(protocol, Transport::Tcp, &bytes)
}

fn kept<'a>(protocol: Protocol, told_offset_s: Option<i32>, raw: &'a [u8]) -> Kept<'a> {
    Kept {
        protocol,
        received: NOW,
        told_offset_s,
        raw,
    }
}

fn times(kept: &Kept<'_>, registered: &DeviceProfile) -> Vec<Timestamp> {
    let records = decode_again(kept, registered).unwrap();
    records.iter().map(|r| r.time).collect()
}

fn earlier(hours: i64) -> Timestamp {
    NOW.plus_millis(-hours * 3_600_000)
}

#[test]
fn a_zone_that_the_register_had_wrong_is_put_right() {
    let mut side = Jt808Device::new("13912345678").with_utc_offset(7 * HOUR_S);
    let frame = from_device(Protocol::Jt808, &mut side);
    assert_eq!(
        frame.readings.timed()[0].time,
        earlier(1),
        "taken for UTC+8"
    );
    let kept = kept(Protocol::Jt808, frame.told_offset_s, &frame.raw);
    assert_eq!(times(&kept, &registered(None)), [earlier(1)]);
    assert_eq!(times(&kept, &registered(Some(7 * HOUR_S))), [NOW]);
}

#[test]
fn what_a_device_said_of_its_zone_at_log_in_outweighs_the_register() {
    let mut side = device_side(Protocol::Gt06, "352093081429150");
    let frame = from_device(Protocol::Gt06, side.as_mut());
    assert_eq!(frame.told_offset_s, Some(0));
    let told = kept(Protocol::Gt06, Some(0), &frame.raw);
    assert_eq!(times(&told, &registered(Some(7 * HOUR_S))), [NOW]);
    let untold = kept(Protocol::Gt06, None, &frame.raw);
    assert_eq!(times(&untold, &registered(Some(7 * HOUR_S))), [earlier(7)]);
    assert_eq!(times(&untold, &registered(None)), [NOW]);
}

#[test]
fn a_datagram_is_read_as_one() {
    let bytes = teltonika::datagram("352093081429150", 7, 1, &[record()]);
    let frame = sent(Protocol::Teltonika, Transport::Udp, &bytes);
    let kept = kept(Protocol::Teltonika, None, &frame.raw);
    assert_eq!(times(&kept, &registered(None)), [NOW]);
}

#[test]
fn bytes_that_hold_no_record_are_refused_with_a_label() {
    let mut side = device_side(Protocol::Teltonika, "352093081429150");
    let frame = from_device(Protocol::Teltonika, side.as_mut());
    let cut = &frame.raw[..frame.raw.len() - 1];
    let of = |protocol, raw| decode_again(&kept(protocol, None, raw), &registered(None));
    assert_eq!(of(Protocol::Teltonika, cut), Err("no_records"));
    let mut counted_wrong = frame.raw.clone();
    counted_wrong[9] += 1;
    assert_eq!(of(Protocol::Teltonika, &counted_wrong), Err("truncated"));
    for protocol in Protocol::ALL {
        assert!(of(protocol, &[]).is_err());
    }
}
