//! Recorded JT/T 808 sessions, compared with what the reference read from them.

mod support;

use support::Recorded;
use support::properties::Stream;
use waywarden_model::{Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::DeviceSide;
use waywarden_wire::jt808::{Jt808, Jt808Device};

const DOOR: &str = "the standard's bit of the first door; the reference reads it for two models";
const CODE: &str = "our authentication codes are an HMAC of the phone number";
const NOT_OURS: &str = "an authentication code that is not ours is refused";
const TO_COME: &str = "an item of this dialect that is not read yet";

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Jt808,
        new_session: |_| Box::new(Jt808::new()),
        differences: &[
            ("Jt808.testDecode.1.10", 1, DOOR),
            (
                "Jt808.testDecode.1.11",
                3,
                "the vehicle's number, which the reference leaves",
            ),
            ("Jt808.testDecode.1.13", 3, CODE),
            ("Jt808.testDecode.1.18", 2, TO_COME),
            ("Jt808.testDecode.1.22", 0, NOT_OURS),
            ("Jt808.testDecode.1.22", 1, CODE),
            ("Jt808.testDecode.1.22", 2, TO_COME),
            ("Jt808.testDecode.1.22", 3, DOOR),
            (
                "Jt808.testDecode.1.4",
                1,
                "the standard asks for a general answer to a photo's event",
            ),
            ("Jt808.testDecode.1.4", 3, TO_COME),
            ("Jt808.testDecode.1.5", 0, DOOR),
            ("Jt808.testDecode.1.9", 1, NOT_OURS),
        ],
        bad_checksums: 0,
        without_wire: 0,
    });
}

session_properties!(stream);

fn stream() -> Stream {
    let mut device = Jt808Device::new("90000000017");
    let prelude = vec![device.connect()];
    let place = Position::new(20.95, 107.08).expect("on the globe");
    let frames = (0..3).map(|n| {
        let mut r = Record::fix(Timestamp::from_secs(1_773_104_000 + n), place);
        r.speed = Some(Speed::from_kmh(61));
        r.ignition = Some(true);
        device.data(&[r]).1
    });
    Stream {
        new_session: || Box::new(Jt808::new()),
        prelude,
        frames: frames.collect(),
        checksum: |frame| frame.len() - 2..frame.len() - 1,
    }
}
