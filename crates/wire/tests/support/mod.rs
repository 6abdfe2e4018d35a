//! Replays recorded frames through a session and compares what it read with what was recorded.

#![allow(dead_code)] // every test file compiles this for itself and uses a part of it

mod compare;
pub mod driver;
pub mod properties;

use driver::{Driver, NOW};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use waywarden_model::Protocol;
use waywarden_wire::{
    Event, FrameErrorKind, Kept, Progress, Session, Transport, decode_again, json,
};

/// A difference on purpose: session, frame index within it, reason. One that no longer differs
/// fails the test, so that the list never outlives its reasons.
pub type Difference = (&'static str, usize, &'static str);

/// A file of recorded frames and what is known about it.
pub struct Recorded {
    pub protocol: Protocol,
    pub new_session: fn(Transport) -> Box<dyn Session>,
    pub differences: &'static [Difference],
    /// Frames whose checksum is wrong because somebody made an identifier anonymous; they are
    /// read with lenient checksums, and refused without.
    pub bad_checksums: usize,
    /// Frames of which only the message behind the framing was recorded: they cannot be sent.
    pub without_wire: usize,
}

/// Replays all sessions of the corpus, and of the project's own fixtures.
pub fn replay(recorded: &Recorded) {
    let name = recorded.protocol.name();
    let own = folder("tests/fixtures").join(format!("{name}.jsonl"));
    let mut own_tally = Tally::default();
    read(&own)
        .iter()
        .for_each(|s| own_tally.session(recorded, s));
    own_tally.hold(&[], 0, 0);

    let corpus = folder("../../../shared/frames").join(format!("{name}.jsonl"));
    if !corpus.exists() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "the recorded frames are missing: {}",
            corpus.display()
        );
        eprintln!("GAP: no recorded frames for {name}; only the project's own were replayed");
        return;
    }
    let mut tally = Tally::default();
    read(&corpus)
        .iter()
        .for_each(|s| tally.session(recorded, s));
    eprintln!("{name}: {} frames replayed", tally.frames);
    tally.hold(
        recorded.differences,
        recorded.bad_checksums,
        recorded.without_wire,
    );
}

#[derive(Default)]
struct Tally {
    frames: usize,
    bad_checksums: usize,
    without_wire: usize,
    differences: BTreeMap<(String, usize), Vec<String>>,
}

impl Tally {
    fn session(&mut self, recorded: &Recorded, session: &Value) {
        let name = session["session"].as_str().expect("a session has a name");
        let frames = session["frames"].as_array().expect("a session has frames");
        let mut lenient = Connection::new(recorded, true);
        let mut strict = Connection::new(recorded, false);
        for (index, frame) in frames.iter().enumerate() {
            let Some(bytes) = frame["wire_hex"].as_str() else {
                self.without_wire += 1;
                continue;
            };
            let bytes = hex::decode(bytes).expect("recorded frames are hex");
            let transport = match frame["transport"].as_str() {
                Some("udp") => Transport::Udp,
                _ => Transport::Tcp,
            };
            self.frames += 1;
            let (events, _) = strict.feed(transport, &bytes);
            if events.iter().any(is_bad_checksum) {
                self.bad_checksums += 1;
            }
            let (events, progress) = lenient.feed(transport, &bytes);
            decoded_again(recorded.protocol, &events);
            let found = compare::frame(frame, &json::line(&events, &progress));
            if !found.is_empty() {
                self.differences.insert((name.to_owned(), index), found);
            }
        }
    }

    fn hold(&self, expected: &[Difference], bad_checksums: usize, without_wire: usize) {
        let mut wrong = Vec::new();
        for ((session, index), found) in &self.differences {
            if !expected.iter().any(|(s, i, _)| s == session && i == index) {
                wrong.push(format!("{session} frame {index}: {}", found.join("; ")));
            }
        }
        for (session, index, reason) in expected {
            let key = ((*session).to_owned(), *index);
            if !self.differences.contains_key(&key) {
                wrong.push(format!(
                    "{session} frame {index} does not differ any more (listed: {reason})"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(
            self.bad_checksums, bad_checksums,
            "frames with bad checksums"
        );
        assert_eq!(self.without_wire, without_wire, "frames without wire bytes");
    }
}

/// One recorded session: a connection, and a session of its own for each datagram.
struct Connection<'a> {
    recorded: &'a Recorded,
    lenient: bool,
    tcp: Driver,
}

impl<'a> Connection<'a> {
    fn new(recorded: &'a Recorded, lenient: bool) -> Self {
        let tcp = Driver::new((recorded.new_session)(Transport::Tcp)).lenient(lenient);
        Self {
            recorded,
            lenient,
            tcp,
        }
    }

    fn feed(&mut self, transport: Transport, bytes: &[u8]) -> (Vec<Event>, Progress) {
        match transport {
            Transport::Tcp => self.tcp.feed(bytes),
            Transport::Udp => Driver::new((self.recorded.new_session)(transport))
                .lenient(self.lenient)
                .feed(bytes),
        }
    }
}

/// A frame decoded again from what is kept of it says what it said on its connection.
fn decoded_again(protocol: Protocol, events: &[Event]) {
    for event in events {
        let Event::Frame(frame) = event else { continue };
        let timed = frame.readings.timed();
        if timed.is_empty() {
            continue; // not kept
        }
        let kept = Kept {
            protocol,
            received: NOW,
            told_offset_s: frame.told_offset_s,
            raw: &frame.raw,
        };
        let again = decode_again(&kept, &frame.device);
        assert_eq!(again.as_deref(), Ok(timed), "{}", hex::encode(&frame.raw));
    }
}

fn is_bad_checksum(event: &Event) -> bool {
    matches!(event, Event::Error(e) if e.kind == FrameErrorKind::BadChecksum)
}

fn folder(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}
