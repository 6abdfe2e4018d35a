//! The promises of every session: a protocol states a good stream and gets all checks by one line.

use super::driver::{Driver, records_in};
use proptest::prelude::*;
use std::ops::Range;
use waywarden_wire::{Event, Progress, Session};

/// A protocol under test.
pub struct Stream {
    pub new_session: fn() -> Box<dyn Session>,
    /// What must come before data (log-in); gives no records.
    pub prelude: Vec<Vec<u8>>,
    /// Good frames with at least one record each.
    pub frames: Vec<Vec<u8>>,
    /// Where the checksum stands in a frame.
    pub checksum: fn(&[u8]) -> Range<usize>,
}

impl Stream {
    fn driver(&self) -> Driver {
        Driver::new((self.new_session)())
    }

    /// A driver that is logged in.
    fn ready(&self) -> Driver {
        let mut driver = self.driver();
        for frame in &self.prelude {
            let events = driver.events(frame);
            assert_eq!(records_in(&events), 0, "the prelude gives no records");
        }
        assert!(driver.pending.is_empty(), "the prelude is whole");
        driver
    }

    fn all(&self) -> Vec<u8> {
        self.prelude
            .iter()
            .chain(&self.frames)
            .flatten()
            .copied()
            .collect()
    }
}

/// Declares the tests of a protocol: `session_properties!(fn_that_gives_the_stream);`
#[macro_export]
macro_rules! session_properties {
    ($stream:expr) => {
        mod session_properties {
            use super::*;
            use $crate::support::properties as p;

            #[test]
            fn the_good_stream_is_taken() {
                p::good_stream_is_taken(&$stream());
            }
            #[test]
            fn any_split_gives_the_same() {
                p::any_split_gives_the_same(&$stream());
            }
            #[test]
            fn a_truncated_frame_gives_no_record() {
                p::truncation_gives_no_record(&$stream());
            }
            #[test]
            fn a_flipped_checksum_is_refused_and_the_next_frame_taken() {
                p::flipped_checksum_is_refused(&$stream());
            }
            #[test]
            fn one_flipped_bit_anywhere_gives_no_record() {
                p::flipped_bit_gives_no_record(&$stream());
            }
            #[test]
            fn random_bytes_stay_bounded() {
                p::random_bytes_stay_bounded(&$stream());
            }
        }
    };
}

/// Every frame of the stream gives records; without it the other checks would check nothing.
pub fn good_stream_is_taken(stream: &Stream) {
    let mut driver = stream.ready();
    for frame in &stream.frames {
        let (events, progress) = driver.feed(frame);
        assert!(
            records_in(&events) > 0,
            "no record from {}",
            hex::encode(frame)
        );
        assert_eq!(
            progress,
            Progress::NeedMore {
                consumed: frame.len()
            }
        );
    }
}

/// In one piece, byte by byte, and in random pieces: the same events.
pub fn any_split_gives_the_same(stream: &Stream) {
    let mut whole = stream.all();
    // Something wrong in the middle must not depend on the split either.
    whole.extend_from_slice(b"\x55garbage");
    whole.extend(stream.frames.iter().flatten());
    let in_one = stream.driver().events(&whole);
    assert!(records_in(&in_one) > 0);

    let mut driver = stream.driver();
    let by_byte: Vec<Event> = whole.iter().flat_map(|b| driver.events(&[*b])).collect();
    assert_eq!(in_one, by_byte);

    let cuts = prop::collection::vec(1..=whole.len().max(2) / 2, 1..20);
    run(64, &cuts, |cuts| {
        let mut driver = stream.driver();
        let (mut events, mut rest) = (Vec::new(), &whole[..]);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            events.extend(driver.events(piece));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&in_one, &events);
        Ok(())
    });
}

/// Cut at every byte, a frame gives no record; the rest of it then gives all.
pub fn truncation_gives_no_record(stream: &Stream) {
    for frame in &stream.frames {
        let whole = stream.ready().events(frame);
        for cut in 0..frame.len() {
            let mut driver = stream.ready();
            let mut events = driver.events(&frame[..cut]);
            assert_eq!(
                records_in(&events),
                0,
                "cut at {cut} of {}",
                hex::encode(frame)
            );
            events.extend(driver.events(&frame[cut..]));
            assert_eq!(events, whole, "cut at {cut} of {}", hex::encode(frame));
        }
    }
}

/// Each bit of the checksum matters, and the next good frame is still taken.
pub fn flipped_checksum_is_refused(stream: &Stream) {
    for frame in &stream.frames {
        let taken = records_in(&stream.ready().events(frame));
        for byte in (stream.checksum)(frame) {
            for bit in 0..8 {
                let mut bad = frame.clone();
                bad[byte] ^= 1 << bit;
                let mut driver = stream.ready();
                let events = driver.events(&bad);
                assert_eq!(records_in(&events), 0, "byte {byte} bit {bit}");
                assert!(
                    events.iter().any(|e| matches!(e, Event::Error(_)))
                        || !driver.pending.is_empty(),
                    "byte {byte} bit {bit}: neither an error nor a wait for more"
                );
                // Twice: a flipped bit may have made the delimiter of the first.
                let mut after = driver.events(frame);
                after.extend(driver.events(frame));
                assert!(
                    records_in(&after) >= taken,
                    "byte {byte} bit {bit}: no resynchronisation"
                );
            }
        }
    }
}

/// A single wrong bit in a frame never becomes a record.
pub fn flipped_bit_gives_no_record(stream: &Stream) {
    for frame in &stream.frames {
        for byte in 0..frame.len() {
            for bit in 0..8 {
                let mut bad = frame.clone();
                bad[byte] ^= 1 << bit;
                let events = stream.ready().events(&bad);
                assert_eq!(records_in(&events), 0, "byte {byte} bit {bit}");
            }
        }
    }
}

/// No input panics, and what is kept and reported stays within the bytes that came.
pub fn random_bytes_stay_bounded(stream: &Stream) {
    let frames = stream.all();
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2048),
        // Good frames with some bytes overwritten reach deeper than noise does.
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8).prop_map(
            move |edits| {
                let mut bytes = frames.clone();
                for (at, value) in edits {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
                bytes
            }
        ),
    ];
    run(256, &bytes, |bytes| {
        let mut driver = stream.ready();
        let mut reported = 0;
        for piece in bytes.chunks(97) {
            for event in driver.events(piece) {
                reported += match event {
                    Event::Frame(f) => f.raw.len() + f.readings.len(),
                    Event::Unknown { raw, .. } => raw.len(),
                    Event::Error(e) => e.raw.len(),
                    Event::Reply(_) | Event::Identified { .. } => 1,
                };
            }
            prop_assert!(driver.pending.len() <= driver.settings.max_frame + piece.len());
        }
        prop_assert!(
            reported <= 4 * bytes.len() + 64,
            "{reported} bytes of events"
        );
        Ok(())
    });
}

fn run<S: Strategy>(
    cases: u32,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    if let Err(e) = runner.run(strategy, test) {
        panic!("{e}");
    }
}
