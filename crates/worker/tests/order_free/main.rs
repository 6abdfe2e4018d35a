//! The promise about facts: whatever the order of arrival, however often a record is sent, however
//! it is split into frames, whenever the worker is lost and whenever the registers come, the facts on
//! file at the end are those of the same records judged once, in order, by the last registers. On
//! both logs and both stores.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod arrival;
mod journey;
mod place;
mod registers;

use arrival::{Arrival, arrival, frames};
use journey::{Leg, end_of, journey, leg};
use place::{On, Place};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use registers::registers;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use waywarden_model::hash::content_hash;
use waywarden_model::registry::Registry;
use waywarden_model::{Period, Record, SourceId, Timestamp, Verdict, Violation, ViolationId};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate};
use waywarden_rules::{Context, Profiles};

/// 2026-03-09T14:00:00Z: three hours before a local midnight.
const START_S: i64 = 1_773_064_800;
const SOURCES: usize = 3;

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

async fn check(on: On, legs: Vec<Vec<Leg>>, arrival: Arrival) {
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
    let place = Place::open(dir.path(), on, arrival.partitions).await;
    let frames = frames(&all, &arrival);
    place.import(1).await;
    let mut appended = 0;
    let parts = frames.chunks(frames.len().div_ceil(arrival.lives));
    for (life, part) in parts.enumerate() {
        let (before, after) = part.split_at(part.len() / 2);
        appended += place.append(before).await;
        if arrival.second == Some(life) {
            place.import(2).await;
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
    place.close().await;
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

const ON_DISK: On = On {
    kafka: false,
    timescale: false,
};

/// Nothing comes late here, so that only the registers' own reach judges again what was filed.
#[test]
fn facts_follow_registers_that_reach_back() {
    for (lives, second) in [(1, 0), (2, 1), (3, 1)] {
        check_reaching_back(ON_DISK, lives, second);
    }
}

fn check_reaching_back(on: On, lives: usize, second: usize) {
    let leg = |kmh, driver| Leg {
        kmh,
        every_s: 10,
        records: 120,
        driver,
    };
    let legs = vec![vec![leg(50, 2), leg(0, 2), leg(50, 2), leg(97, 1)]; SOURCES];
    let arrival = Arrival {
        pieces: 10_000,
        shuffle: vec![],
        frame: 12,
        repeat_every: 1000,
        lives,
        partitions: 2,
        second: Some(second),
    };
    runtime().block_on(check(on, legs, arrival));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn journeys() -> impl Strategy<Value = Vec<Vec<Leg>>> {
    prop::collection::vec(prop::collection::vec(leg(), 1..14), 1..=SOURCES)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn facts_do_not_depend_on_the_order_of_arrival(legs in journeys(), arrival in arrival()) {
        runtime().block_on(check(ON_DISK, legs, arrival));
    }
}

/// Cases on the real services: as many as begin within [`WITHIN`], at least [`AT_LEAST`].
const CASES: u32 = 12;
const AT_LEAST: u32 = 3;
const WITHIN: Duration = Duration::from_secs(20);

/// The registers' reach back, and then cases of the same kind as on disk.
fn check_on_services(on: On) {
    let (begun, done) = (Instant::now(), Cell::new(0));
    check_reaching_back(on, 2, 1);
    let config = ProptestConfig {
        cases: CASES,
        // Each try takes seconds.
        max_shrink_iters: 30,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new(config).run(&(journeys(), arrival()), |(legs, arrival)| {
        if done.get() < AT_LEAST || begun.elapsed() < WITHIN {
            runtime().block_on(check(on, legs, arrival));
            done.set(done.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
    eprintln!("{} cases in {} s", done.get(), begun.elapsed().as_secs());
}

#[test]
fn on_kafka_they_do_not_depend_on_it_either() {
    check_on_services(On {
        kafka: true,
        timescale: false,
    });
}

#[test]
fn on_timescale_they_do_not_depend_on_it_either() {
    check_on_services(On {
        kafka: false,
        timescale: true,
    });
}

#[test]
fn on_both_they_do_not_depend_on_it_either() {
    check_on_services(On {
        kafka: true,
        timescale: true,
    });
}
