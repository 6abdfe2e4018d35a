//! Each protocol through the listener that recognises it, with the promises of every session.

mod support;

use support::driver::{Driver, NOW, records_in};
use support::properties::Stream;
use waywarden_model::{Position, Record, Speed};
use waywarden_wire::auto::Auto;
use waywarden_wire::gt06::Gt06Device;
use waywarden_wire::jt808::Jt808Device;
use waywarden_wire::teltonika::{self, TeltonikaDevice};
use waywarden_wire::{DeviceSide, Event, FrameErrorKind, Progress, Transport};

fn stream(mut device: impl DeviceSide, prelude: Vec<Vec<u8>>, checksum: Checksum) -> Stream {
    Stream {
        new_session: || Box::new(Auto::new(Transport::Tcp)),
        prelude,
        frames: vec![device.data(&[record()]).1],
        checksum,
    }
}

type Checksum = fn(&[u8]) -> std::ops::Range<usize>;

mod of_teltonika {
    use super::*;

    session_properties!(|| {
        let mut device = TeltonikaDevice::new("860000000000017");
        let prelude = vec![device.connect()];
        stream(device, prelude, |frame| frame.len() - 4..frame.len())
    });
}

mod of_gt06 {
    use super::*;

    session_properties!(|| {
        let mut device = Gt06Device::new("860000000000017");
        let prelude = vec![device.connect()];
        stream(device, prelude, |frame| frame.len() - 4..frame.len() - 2)
    });
}

mod of_jt808 {
    use super::*;

    session_properties!(|| {
        let mut device = Jt808Device::new("90000000017");
        let prelude = vec![device.connect()];
        stream(device, prelude, |frame| frame.len() - 2..frame.len() - 1)
    });
}

fn record() -> Record {
    let place = Position::new(20.95, 107.08).expect("on the globe");
    let mut r = Record::fix(NOW, place);
    r.speed = Some(Speed::from_kmh(50));
    r.satellites = Some(8);
    r
}

#[test]
fn what_nobody_speaks_is_closed() {
    let mut driver = Driver::new(Box::new(Auto::new(Transport::Tcp)));
    let (events, progress) = driver.feed(b"GET / HTTP/1.1\r\n\r\n");
    let [Event::Error(error)] = &events[..] else {
        panic!("one error, not {events:?}");
    };
    assert_eq!(error.kind, FrameErrorKind::Garbage);
    let reason = FrameErrorKind::Garbage;
    assert_eq!(
        progress,
        Progress::Close {
            consumed: 1,
            reason
        }
    );
}

#[test]
fn datagrams_are_recognised_one_by_one() {
    let udp = || Driver::new(Box::new(Auto::new(Transport::Udp)));
    let events = udp().events(&teltonika::datagram("860000000000017", 7, 1, &[record()]));
    assert_eq!(records_in(&events), 1);
    for bad in [&b"x"[..], b"\x78", b"\0\0"] {
        let (events, progress) = udp().feed(bad);
        assert!(matches!(&events[..], [Event::Error(_)]), "{bad:?}");
        let consumed = bad.len();
        assert_eq!(progress, Progress::NeedMore { consumed });
    }
}
