//! The promise about facts: whatever the order of arrival, however often a record is sent, however
//! it is split into frames and whenever the worker is lost, the facts on file at the end are those
//! of the same records judged once, in order.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, Log};
use waywarden_model::hash::{content_hash, partition_of};
use waywarden_model::registry::Registry;
use waywarden_model::{
    DriverSaid, Frame, Message, Position, Protocol, Record, SourceId, Speed, Timestamp, Verdict,
    Violation, ViolationId,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate};
use waywarden_rules::{Context, Profiles};
use waywarden_store::{FactStore, ReadStore, SqliteStore, WorkerStore};
use waywarden_worker::{Late, Options, Partition};

/// 2026-03-09T14:00:00Z: three hours before a local midnight.
const START_S: i64 = 1_773_064_800;
const SOURCES: usize = 3;

/// A journey over midnight in pieces: speed, driver, and how many records of it.
#[derive(Debug, Clone)]
struct Leg {
    kmh: i32,
    every_s: i64,
    records: usize,
    driver: u8,
}

fn leg() -> impl Strategy<Value = Leg> {
    let kmh = prop_oneof![Just(0), Just(50), Just(85), Just(97), Just(130)];
    let every = prop_oneof![8 => Just(10i64), 4 => Just(30), 1 => Just(200), 1 => Just(1200)];
    (kmh, every, 1usize..60, 0u8..3).prop_map(|(kmh, every_s, records, driver)| Leg {
        kmh,
        every_s,
        records,
        driver,
    })
}

/// Records of a source; at some instants two that differ.
fn journey(source: usize, legs: &[Leg]) -> Vec<Record> {
    let (mut t, mut lat) = (START_S + source as i64, 20.5);
    let mut records = Vec::new();
    for leg in legs {
        for n in 0..leg.records {
            t += leg.every_s;
            lat += f64::from(leg.kmh) / 3600.0 * leg.every_s as f64 / 111.195;
            if lat > 23.0 {
                lat = 20.5;
            }
            let place = Position::new(lat, 107.0 + source as f64 * 0.1).unwrap();
            let mut fix = Record::fix(Timestamp::from_secs(t), place);
            fix.speed = Some(Speed::from_centi(leg.kmh * 100 + (n % 5) as i32));
            fix.driver = match leg.driver {
                0 => DriverSaid::NotSaid,
                1 => DriverSaid::Nobody,
                _ => DriverSaid::Licence("220000000001".into()),
            };
            if n % 17 == 3 {
                let mut twin = fix.clone();
                twin.speed = Some(Speed::from_kmh(leg.kmh + 20));
                records.push(twin);
            }
            records.push(fix);
        }
    }
    records
}

/// How the records arrive.
#[derive(Debug, Clone)]
struct Arrival {
    /// Swaps of pieces of this many records.
    pieces: usize,
    shuffle: Vec<prop::sample::Index>,
    frame: usize,
    repeat_every: usize,
    lives: usize,
    partitions: u32,
}

fn arrival() -> impl Strategy<Value = Arrival> {
    let shuffle = prop::collection::vec(any::<prop::sample::Index>(), 0..24);
    (
        1usize..80,
        shuffle,
        1usize..25,
        2usize..9,
        1usize..4,
        1u32..4,
    )
        .prop_map(
            |(pieces, shuffle, frame, repeat_every, lives, partitions)| Arrival {
                pieces,
                shuffle,
                frame,
                repeat_every,
                lives,
                partitions,
            },
        )
}

/// Frames in the order in which they are appended.
fn frames(all: &[(SourceId, Vec<Record>)], a: &Arrival) -> Vec<Frame> {
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
                received: Timestamp::from_secs(START_S + 400_000 + n as i64),
                held: false,
                records: chunk.to_vec(),
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

fn judged_at_once(all: &[(SourceId, Vec<Record>)]) -> Evaluation {
    let registry = Registry::default();
    let (network, profiles) = (Network::empty(), Profiles::vietnam());
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let each = |(s, rs): &(SourceId, Vec<Record>)| -> Vec<_> {
        rs.iter().map(|r| (s.clone(), r.clone())).collect()
    };
    evaluate(all.iter().flat_map(each), &ctx, Timestamp::MAX)
}

struct Place {
    log: Arc<EmbeddedLog>,
    store: Arc<SqliteStore>,
    clock_ms: Arc<AtomicI64>,
    partitions: u32,
}

impl Place {
    fn open(dir: &Path, partitions: u32) -> Self {
        let options = waywarden_bus::Options {
            partitions,
            ..Default::default()
        };
        let store = SqliteStore::open(&dir.join("store.db"), waywarden_store::Options::default());
        Self {
            log: Arc::new(EmbeddedLog::open(&dir.join("log"), options).unwrap()),
            store: Arc::new(store.unwrap()),
            clock_ms: Arc::new(AtomicI64::new((START_S + 500_000) * 1000)),
            partitions,
        }
    }

    async fn append(&self, frames: &[Frame]) -> u64 {
        let (mut receipts, mut records) = (Vec::new(), 0);
        for frame in frames {
            records += frame.records.len() as u64;
            let partition = partition_of(&frame.source, self.partitions);
            let payload = waywarden_bus::encode(&Message::Frame(frame.clone()));
            receipts.push(self.log.append(partition, payload).await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        records
    }

    async fn workers(&self, stop: &CancellationToken) -> Vec<tokio::task::JoinHandle<()>> {
        let mut workers = Vec::new();
        for partition in 0..self.partitions {
            let options = Options {
                batch_messages: 5,
                checkpoint_records: 70,
                late: Late {
                    quiet_ms: 1000,
                    ..Late::default()
                },
                ..Options::default()
            };
            // Each look is 400 ms later: marks become quiet without anybody waiting.
            let now = Arc::clone(&self.clock_ms);
            let clock = move || Timestamp::from_millis(now.fetch_add(400, Ordering::Relaxed));
            let worker = Partition::claim(
                partition,
                Arc::clone(&self.log) as Arc<dyn Log>,
                Arc::clone(&self.store) as Arc<dyn WorkerStore>,
                Arc::new(Profiles::vietnam()),
                options,
                Arc::new(clock),
            );
            let (worker, stop) = (worker.await.unwrap(), stop.clone());
            workers.push(tokio::spawn(async move { worker.run(stop).await.unwrap() }));
        }
        workers
    }

    /// Waits until everything appended is judged, late data too.
    async fn settled(&self, records: u64, marks_too: bool) {
        let done = async {
            loop {
                let status = self.store.status().await.unwrap();
                let read: u64 = status.partitions.iter().map(|p| p.counters.read).sum();
                let rest = status.marks + status.dirty_subjects;
                if read >= records && (rest == 0 || !marks_too) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), done)
            .await
            .expect("everything is judged in the end");
    }
}

/// A last record far behind everything ends what is open in both ways of judging.
fn end_of(records: &mut Vec<Record>) {
    let last = records.iter().map(|r| r.time).max().unwrap();
    let place = Position::new(20.4, 107.5).unwrap();
    for n in 0..2 {
        let mut fix = Record::fix(last.plus_millis(7_200_000 + n * 10_000), place);
        fix.speed = Some(Speed::ZERO);
        records.push(fix);
    }
}

async fn check(legs: Vec<Vec<Leg>>, arrival: Arrival) {
    let all: Vec<(SourceId, Vec<Record>)> = legs
        .iter()
        .enumerate()
        .map(|(n, legs)| {
            let mut records = journey(n, legs);
            end_of(&mut records);
            (SourceId::new(format!("device-{n}")), records)
        })
        .collect();
    let expected = judged_at_once(&all);
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path(), arrival.partitions);
    let frames = frames(&all, &arrival);
    let mut appended = 0;
    for part in frames.chunks(frames.len().div_ceil(arrival.lives)) {
        appended += place.append(part).await;
        let stop = CancellationToken::new();
        let workers = place.workers(&stop).await;
        place.settled(appended, false).await;
        // Lost: nothing is saved that was not saved before.
        for worker in workers {
            worker.abort();
            let _ = worker.await;
        }
    }
    let stop = CancellationToken::new();
    let workers = place.workers(&stop).await;
    place.settled(appended, true).await;
    stop.cancel();
    for worker in workers {
        worker.await.unwrap();
    }
    compare(&place, &all, &expected).await;
}

async fn compare(place: &Place, all: &[(SourceId, Vec<Record>)], expected: &Evaluation) {
    let store = &place.store;
    let periods = store.periods_after(None, 10_000).await.unwrap();
    assert_eq!(periods, expected.periods);
    let violations = store.violations_after(None, 10_000).await.unwrap();
    let by_id = |vs: &[Violation]| -> BTreeMap<ViolationId, Violation> {
        vs.iter().map(|v| (v.id(), v.clone())).collect()
    };
    let (got, want) = (by_id(&violations), by_id(&expected.violations));
    for (id, v) in got.iter().chain(&want) {
        assert_eq!(
            got.get(id),
            want.get(id),
            "on file, and judged at once: {:?}",
            v.kind
        );
    }
    let days = store.day_rows_after(None, 1000).await.unwrap();
    assert_eq!(days, expected.day_rows);
    let driver_days = store.driver_days_after(None, 1000).await.unwrap();
    assert_eq!(driver_days, expected.driver_days);
    for (source, records) in all {
        let filed = store.filed_after(source, None, 100_000).await.unwrap();
        let unjudged = |v: &Verdict| matches!(v, Verdict::Late | Verdict::Held);
        assert!(filed.iter().all(|(_, _, v)| !unjudged(v)), "{source}");
        let got: Vec<_> = filed.iter().map(|(t, h, _)| (*t, *h)).collect();
        let mut want: Vec<_> = records.iter().map(|r| (r.time, content_hash(r))).collect();
        want.sort_by_key(|(t, h)| (*t, h.cast_signed()));
        want.dedup();
        assert_eq!(got, want, "every record once");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn facts_do_not_depend_on_the_order_of_arrival(
        legs in prop::collection::vec(prop::collection::vec(leg(), 1..14), 1..=SOURCES),
        arrival in arrival(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(check(legs, arrival));
    }
}
