//! The promise about facts: whatever the order of arrival, however often a record is sent, however
//! it is split into frames, whenever the worker is lost and whenever the registers come, the facts on
//! file at the end are those of the same records judged once, in order, by the last registers.

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
use waywarden_model::registry::{
    Ban, Class, Driver, Fitting, Operator, Permit, Registers, Registry, Route, Stop, Transport,
    Validity, Vehicle, Zone,
};
use waywarden_model::{
    Alarm, DriverSaid, Frame, Message, Period, Plate, Position, Protocol, Record, SourceId, Speed,
    Timestamp, Verdict, Violation, ViolationId,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate};
use waywarden_rules::{Context, Profiles};
use waywarden_store::{AdminStore, FactStore, ReadStore, RegisterChange, SqliteStore, WorkerStore};
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
            // It runs at a standstill too, and now and then the power is cut.
            fix.odometer_m = Some(10_000 + 40 * records.len() as u64);
            if records.len() % 61 < 2 {
                fix.alarms.insert(Alarm::PowerCut);
            }
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

/// Two versions of the registers: a device that is fitted to nothing, a coach on its route, a lorry
/// in zones with bans, permits that lapse; in the second the dates are others, the driver's class
/// too, and one ban is lifted from the second local day on: a zone reaches every source.
fn registers(second: bool) -> Registers {
    let (validity, name) = (Validity::ALWAYS, "A".to_owned());
    let place = |lat: f64, lon: f64| Position::new(lat, lon).unwrap();
    let until = |s: i64| Permit {
        expires: Some(Timestamp::from_secs(START_S + s)),
        withdrawn: None,
    };
    let later = i64::from(second) * 1800;
    let vehicle = |n: usize, class, transport| Vehicle {
        id: format!("V{n}").as_str().into(),
        plate: Plate::new(&format!("14C{n}")),
        class: Some(class),
        transport: Some(transport),
        operator: Some("57".into()),
        route: (n == 1).then(|| "R".into()),
        speed_limit: None,
        break_ms: None,
        inspection: until(3600 + later),
        badge: Permit::default(),
        validity,
    };
    let fitting = |n: usize| Fitting {
        source: format!("device-{n}").as_str().into(),
        vehicle: format!("V{n}").as_str().into(),
        primary: true,
        validity,
    };
    let lifted = Timestamp::from_secs(START_S + 12_000);
    let zone = |n: i32, ban: Option<Ban>, validity: Validity| {
        let (south, north) = (20.5 + 0.1 * f64::from(n), 20.58 + 0.1 * f64::from(n));
        let corners = [
            (south, 106.9),
            (south, 107.3),
            (north, 107.3),
            (north, 106.9),
        ];
        let ring = corners.iter().chain(&corners[..1]);
        Zone {
            id: format!("Z{n}").into(),
            name: name.clone(),
            polygons: vec![vec![ring.map(|(lat, lon)| place(*lat, *lon)).collect()]],
            limit: Some(Speed::from_kmh(90)),
            setting: None,
            ban,
            validity,
        }
    };
    let lorries = Ban {
        classes: vec![Class::TruckOver3_5t],
        ..Ban::default()
    };
    let (before, behind) = (
        Validity {
            until: if second { lifted } else { Timestamp::MAX },
            ..validity
        },
        Validity {
            from: lifted,
            ..validity
        },
    );
    let mut zones = vec![
        zone(0, Some(lorries.clone()), validity),
        zone(2, Some(Ban::default()), validity),
        zone(4, Some(lorries), before),
    ];
    zones.extend(second.then(|| zone(4, None, behind)));
    Registers {
        vehicles: vec![
            vehicle(1, Class::CarOver28Seats, Transport::FixedRoute),
            vehicle(2, Class::TruckOver3_5t, Transport::Goods),
        ],
        fittings: vec![fitting(1), fitting(2)],
        drivers: vec![Driver {
            id: "220000000001".into(),
            name: name.clone(),
            licence_class: Some(if second { "D" } else { "B2" }.to_owned()),
            licence: until(600 + later),
            operator: None,
            validity,
        }],
        operators: vec![Operator {
            id: "57".into(),
            name: name.clone(),
            address: None,
            phone: None,
            licence: until(10_800 - later),
            validity,
        }],
        routes: vec![Route {
            id: "R".into(),
            name: name.clone(),
            line: vec![place(20.5, 107.1), place(22.0, 107.1)],
            half_width_m: 100.0,
            stops: vec![Stop {
                name: name.clone(),
                position: place(20.5, 107.1),
                radius_m: 300.0,
                terminal: true,
            }],
            validity,
        }],
        zones,
        ..Registers::default()
    }
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
    /// The life in the middle of which the second version of the registers comes, if it comes.
    second: Option<usize>,
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
                received: Timestamp::from_secs(START_S + 2_000_000 + n as i64),
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

fn judged_at_once(all: &[(SourceId, Vec<Record>)], second: bool) -> Evaluation {
    let registry = Registry::new(1 + u32::from(second), registers(second));
    let (network, profiles) = (Network::build(&registry), Profiles::vietnam());
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
            clock_ms: Arc::new(AtomicI64::new((START_S + 2_100_000) * 1000)),
            partitions,
        }
    }

    async fn save_registers(&self) {
        for head in 0..2 {
            let change = RegisterChange {
                expected_head: head,
                registers: registers(head == 1),
                author: "test".to_owned(),
                note: String::new(),
                now: Timestamp::from_secs(START_S),
                partitions: self.partitions,
            };
            self.store.save_registers(change).await.unwrap();
        }
    }

    /// Tells every partition of a version of the registers.
    async fn announce(&self, version: u32) {
        for partition in 0..self.partitions {
            let payload = waywarden_bus::encode(&Message::Registry(version));
            let receipt = self.log.append(partition, payload).await.unwrap();
            receipt.await.unwrap().unwrap();
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

/// Last records on a day behind everything end what is open in both ways of judging.
fn end_of(records: &mut Vec<Record>) {
    let last = records.iter().map(|r| r.time).max().unwrap();
    let place = Position::new(20.4, 107.5).unwrap();
    for n in 0..2 {
        let mut fix = Record::fix(last.plus_millis(90_000_000 + n * 10_000), place);
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
    let expected = judged_at_once(&all, arrival.second.is_some());
    let dir = tempfile::tempdir().unwrap();
    let place = Place::open(dir.path(), arrival.partitions);
    let frames = frames(&all, &arrival);
    place.save_registers().await;
    place.announce(1).await;
    let mut appended = 0;
    let parts = frames.chunks(frames.len().div_ceil(arrival.lives));
    for (life, part) in parts.enumerate() {
        let (before, after) = part.split_at(part.len() / 2);
        appended += place.append(before).await;
        if arrival.second == Some(life) {
            place.announce(2).await;
        }
        appended += place.append(after).await;
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
    // What a new version of the registers does not touch keeps the number of the one before.
    let unnumbered = |periods: &[Period]| -> Vec<Period> {
        let plain = |p: &Period| Period {
            registry: 0,
            ..p.clone()
        };
        periods.iter().map(plain).collect()
    };
    let periods = store.periods_after(None, 10_000).await.unwrap();
    assert_eq!(unnumbered(&periods), unnumbered(&expected.periods));
    let violations = store.violations_after(None, 10_000).await.unwrap();
    let by_id = |vs: &[Violation]| -> BTreeMap<ViolationId, Violation> {
        let plain = |v: &Violation| Violation {
            registry: 0,
            ..v.clone()
        };
        vs.iter().map(|v| (v.id(), plain(v))).collect()
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

/// Nothing comes late here, so that only the registers' own reach judges again what was filed.
#[test]
fn facts_follow_registers_that_reach_back() {
    let leg = |kmh, driver| Leg {
        kmh,
        every_s: 10,
        records: 120,
        driver,
    };
    let legs = vec![vec![leg(50, 2), leg(0, 2), leg(50, 2), leg(97, 1)]; SOURCES];
    for (lives, second) in [(1, 0), (2, 1), (3, 1)] {
        let arrival = Arrival {
            pieces: 10_000,
            shuffle: vec![],
            frame: 12,
            repeat_every: 1000,
            lives,
            partitions: 2,
            second: Some(second),
        };
        runtime().block_on(check(legs.clone(), arrival));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn facts_do_not_depend_on_the_order_of_arrival(
        legs in prop::collection::vec(prop::collection::vec(leg(), 1..14), 1..=SOURCES),
        arrival in arrival(),
    ) {
        runtime().block_on(check(legs, arrival));
    }
}
