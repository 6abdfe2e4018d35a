//! Log to store, with the real ones: what is filed at the end is what judging the same records in
//! one go gives, however often the worker was stopped or lost in between.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, Log};
use waywarden_model::hash::{content_hash, partition_of};
use waywarden_model::registry::Registry;
use waywarden_model::{Frame, Message, Protocol, Record, SourceId, Timestamp, Violation};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate};
use waywarden_rules::{Context, Profiles};
use waywarden_simulator::{Habit, Road, Span, Vehicle, imei};
use waywarden_store::{FactStore, SqliteStore, WorkerStore};
use waywarden_worker::{Options, Partition};

const PARTITIONS: u32 = 2;

/// A day of vehicles that send in order; late records are judged when their source is rebuilt.
fn fleet() -> BTreeMap<SourceId, Vec<Record>> {
    let from = Timestamp::parse_rfc3339("2026-03-10T00:00:00+07:00").unwrap();
    let span = Span {
        from,
        until: from.plus_millis(86_400_000),
        every_ms: 10_000,
    };
    let numbers = (0..8).filter(|n| Habit::of(*n) != Habit::Shadowed);
    numbers
        .map(|n| {
            (
                SourceId::new(imei(n)),
                Vehicle::new(5, n, Road::coast(), span).collect(),
            )
        })
        .collect()
}

fn judged_at_once(fleet: &BTreeMap<SourceId, Vec<Record>>) -> Evaluation {
    let registry = Registry::default();
    let (network, profiles) = (Network::empty(), Profiles::vietnam());
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let each = |(s, rs): (&SourceId, &Vec<Record>)| -> Vec<_> {
        rs.iter().map(|r| (s.clone(), r.clone())).collect()
    };
    evaluate(fleet.iter().flat_map(each), &ctx, Timestamp::MAX)
}

async fn append(
    log: &EmbeddedLog,
    fleet: &BTreeMap<SourceId, Vec<Record>>,
    part: std::ops::Range<usize>,
) {
    let mut receipts = Vec::new();
    for (source, records) in fleet {
        let until = part.end.min(records.len());
        for (n, chunk) in records[part.start..until].chunks(20).enumerate() {
            let last = chunk.last().unwrap().time;
            let message = Message::Frame(Frame {
                source: source.clone(),
                protocol: Protocol::Teltonika,
                received: last.plus_millis(700),
                held: false,
                records: chunk.to_vec(),
                raw: vec![n as u8; 40],
            });
            let payload = waywarden_bus::encode(&message);
            let partition = partition_of(source, PARTITIONS);
            receipts.push(log.append(partition, payload.clone()).await.unwrap());
            if n % 7 == 0 {
                receipts.push(log.append(partition, payload).await.unwrap());
            }
        }
    }
    for receipt in receipts {
        receipt.await.unwrap().unwrap();
    }
}

async fn worker(partition: u32, log: &Arc<EmbeddedLog>, store: &Arc<SqliteStore>) -> Partition {
    let options = Options {
        batch_messages: 97,
        checkpoint_records: 9_000,
        ..Options::default()
    };
    let clock = Arc::new(|| Timestamp::from_secs(1_773_300_000));
    let profiles = Arc::new(Profiles::vietnam());
    let (log, store) = (
        Arc::clone(log) as Arc<dyn Log>,
        Arc::clone(store) as Arc<dyn WorkerStore>,
    );
    Partition::claim(partition, log, store, profiles, options, clock)
        .await
        .unwrap()
}

/// Waits until the partition's position has reached the end of the log.
async fn caught_up(log: &EmbeddedLog, store: &SqliteStore, appended: u64) {
    let done = async {
        loop {
            let mut read = 0;
            for partition in 0..PARTITIONS {
                read += store.counters(partition).await.unwrap().read;
            }
            if read >= appended {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), done)
        .await
        .unwrap();
    assert!(log.range(0).await.unwrap().1 > 0);
}

async fn all_violations(store: &SqliteStore) -> Vec<Violation> {
    let mut found: Vec<Violation> = Vec::new();
    loop {
        let after = found.last().map(|v| (v.start, v.id()));
        let page = store.violations_after(after, 7).await.unwrap();
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

/// Identity and figures of what is closed; an episode that the data leaves open has no end yet.
fn closed(violations: &[Violation]) -> BTreeMap<String, Violation> {
    let closed = violations.iter().filter(|v| !v.open);
    closed.map(|v| (v.id().to_string(), v.clone())).collect()
}

fn open(dir: &Path) -> (Arc<EmbeddedLog>, Arc<SqliteStore>) {
    let options = waywarden_bus::Options {
        partitions: PARTITIONS,
        ..Default::default()
    };
    let log = EmbeddedLog::open(&dir.join("log"), options).unwrap();
    let store = SqliteStore::open(&dir.join("store.db"), waywarden_store::Options::default());
    (Arc::new(log), Arc::new(store.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_facts_on_file_are_those_of_judging_in_one_go() {
    let dir = tempfile::tempdir().unwrap();
    let (log, store) = open(dir.path());
    let fleet = fleet();
    let expected = judged_at_once(&fleet);
    let mut appended = 0;
    let parts = [0..2000, 2000..4500, 4500..4520, 4520..7000, 7000..8640];
    for (n, part) in parts.into_iter().enumerate() {
        append(&log, &fleet, part.clone()).await;
        let chunks = part.len().div_ceil(20) as u64;
        // Every seventh frame is sent twice; the last one of a part may be short.
        let again = chunks.div_ceil(7) * 20;
        appended += fleet.len() as u64 * (part.len() as u64 + again);
        let stop = CancellationToken::new();
        let mut workers = Vec::new();
        for partition in 0..PARTITIONS {
            let worker = worker(partition, &log, &store).await;
            workers.push(tokio::spawn(worker.run(stop.clone())));
        }
        caught_up(&log, &store, appended).await;
        if n % 2 == 0 {
            // Lost: nothing is saved that was not saved before.
            for worker in workers {
                worker.abort();
                let _ = worker.await;
            }
        } else {
            stop.cancel();
            for worker in workers {
                worker.await.unwrap().unwrap();
            }
        }
    }
    let stop = CancellationToken::new();
    stop.cancel();
    for partition in 0..PARTITIONS {
        worker(partition, &log, &store)
            .await
            .run(stop.clone())
            .await
            .unwrap();
    }

    let on_file = all_violations(&store).await;
    let wanted: Vec<Violation> = expected.violations.clone();
    for (id, got) in closed(&on_file) {
        let want = wanted.iter().find(|v| v.id().to_string() == id);
        assert_eq!(Some(&got), want, "{:?}", got.kind);
    }
    assert_eq!(on_file.len(), wanted.len());
    let kinds: std::collections::BTreeSet<_> = on_file.iter().map(|v| v.kind.name()).collect();
    assert!(
        kinds.contains("overspeed") && kinds.contains("continuous_driving"),
        "{kinds:?}"
    );
    let periods = store.periods_after(None, 100_000).await.unwrap();
    assert_eq!(periods, expected.periods);
    assert_eq!(
        store.day_rows_after(None, 1000).await.unwrap(),
        expected.day_rows
    );
    let driver_days = store.driver_days_after(None, 1000).await.unwrap();
    assert_eq!(driver_days, expected.driver_days);
    assert!(
        driver_days.iter().any(|d| d.driving_ms > 10 * 3_600_000),
        "somebody drove long"
    );
    for (source, records) in &fleet {
        let filed = store.filed_after(source, None, 100_000).await.unwrap();
        let got: Vec<_> = filed.iter().map(|(t, h, _)| (*t, *h)).collect();
        let mut want: Vec<_> = records.iter().map(|r| (r.time, content_hash(r))).collect();
        want.sort_by_key(|(t, _)| *t);
        assert_eq!(got, want, "every record once");
    }
    for partition in 0..PARTITIONS {
        let c = store.counters(partition).await.unwrap();
        assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused, "{c:?}");
        assert!(c.repeated > 0 && c.late == 0, "{c:?}");
    }
}
