//! Recorded Teltonika sessions, and the promises of every session.

mod support;

use support::properties::Stream;
use support::{Difference, Recorded};
use waywarden_model::{Course, DriverSaid, Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::teltonika::{Teltonika, TeltonikaDevice};
use waywarden_wire::{DeviceSide, Transport};

const TEXT: &str =
    "an answer to a command (Codec 12 or 13) says nothing about an instant: kept raw";

const SPEED: &str =
    "the reference takes parameter 24 here, and elsewhere not; the fix has a speed of its own";

const DIFFERENCES: &[Difference] = &[
    ("Teltonika.testDecode.1.11", 2, SPEED),
    ("Teltonika.testDecode.1.3", 2, TEXT),
    ("Teltonika.testDecode.1.3", 3, TEXT),
    ("Teltonika.testDecode.1.3", 4, TEXT),
    ("Teltonika.testDecode.1.4", 1, TEXT),
    ("Teltonika.testDecode.1.9", 3, TEXT),
];

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Teltonika,
        new_session: |transport| Box::new(Teltonika::on(transport)),
        differences: DIFFERENCES,
        bad_checksums: 4,
        without_wire: 2,
    });
}

session_properties!(tcp);

fn tcp() -> Stream {
    let mut device = TeltonikaDevice::new("860000000000017");
    let records = [record(0), record(1), record(2)];
    Stream {
        new_session: || Box::new(Teltonika::on(Transport::Tcp)),
        prelude: vec![device.connect()],
        frames: vec![device.data(&records[..1]).1, device.data(&records).1],
        checksum: |frame| frame.len() - 4..frame.len(),
    }
}

fn record(n: i32) -> Record {
    let place = Position::new(20.95, 107.07 + f64::from(n) / 1000.0).expect("on the globe");
    let mut r = Record::fix(Timestamp::from_secs(1_773_104_000 + i64::from(n)), place);
    r.speed = Some(Speed::from_kmh(40 + n));
    r.course = Course::from_degrees(90.0);
    r.satellites = Some(9);
    r.ignition = Some(true);
    r.odometer_m = Some(123_456);
    r.driver = DriverSaid::Card("0807060504030201".into());
    r
}
