//! How the records of all devices arrive.

use super::START_S;
use proptest::prelude::*;
use waywarden_model::{Frame, Protocol, Record, SourceId, Timestamp};

/// How the records arrive.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Swaps of pieces of this many records.
    pub pieces: usize,
    pub shuffle: Vec<prop::sample::Index>,
    pub frame: usize,
    pub repeat_every: usize,
    pub lives: usize,
    pub partitions: u32,
    /// The life in the middle of which the second version of the registers comes, if it comes.
    pub second: Option<usize>,
}

pub fn arrival() -> impl Strategy<Value = Arrival> {
    let shuffle = prop::collection::vec(any::<prop::sample::Index>(), 0..24);
    (
        1usize..80,
        shuffle,
        1usize..25,
        2usize..9,
        1usize..4,
        1u32..4,
        prop::option::of(0usize..3),
    )
        .prop_map(
            |(pieces, shuffle, frame, repeat_every, lives, partitions, second)| Arrival {
                pieces,
                shuffle,
                frame,
                repeat_every,
                lives,
                partitions,
                second: second.map(|life| life % lives),
            },
        )
}

/// Frames in the order in which they are appended.
pub fn frames(all: &[(SourceId, Vec<Record>)], a: &Arrival) -> Vec<Frame> {
    let mut pieces: Vec<(SourceId, Vec<Record>)> = Vec::new();
    for (source, records) in all {
        let chunks = records.chunks(a.pieces);
        pieces.extend(chunks.map(|c| (source.clone(), c.to_vec())));
    }
    for (n, index) in a.shuffle.iter().enumerate() {
        let len = pieces.len();
        pieces.swap(n % len, index.index(len));
    }
    let mut frames = Vec::new();
    for (n, (source, records)) in pieces.iter().enumerate() {
        for chunk in records.chunks(a.frame) {
            let frame = Frame {
                source: source.clone(),
                protocol: Protocol::Teltonika,
                received: Timestamp::from_secs(START_S + 2_000_000 + n as i64),
                held: false,
                records: chunk.to_vec(),
                told_offset_s: None,
                raw: vec![7; 20],
            };
            frames.push(frame.clone());
            if frames.len() % a.repeat_every == 0 {
                frames.push(frame);
            }
        }
    }
    frames
}
