//! A fleet's day, a log and a store for tests of the worker.

#![allow(clippy::unwrap_used, dead_code)] // each test file uses a part of it

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use waywarden_bus::{Append, EmbeddedLog, Log};
use waywarden_model::hash::partition_of;
use waywarden_model::registry::Registry;
use waywarden_model::{Frame, Message, Protocol, Record, SourceId, Timestamp, Violation};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate};
use waywarden_rules::{Context, Profiles};
use waywarden_simulator::{Habit, Road, Span, Vehicle, imei};
use waywarden_store::{FactStore, SqliteStore, WorkerStore};
use waywarden_worker::{AcceptGap, Clock, Late, Options, Partition, WorkerError};

pub const PARTITIONS: u32 = 2;

/// A day of vehicles that send in order; late records are judged when their source is rebuilt.
pub fn fleet() -> BTreeMap<SourceId, Vec<Record>> {
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

pub fn judged_at_once(fleet: &BTreeMap<SourceId, Vec<Record>>) -> Evaluation {
    judged_by(fleet, &Registry::default())
}

pub fn judged_by(fleet: &BTreeMap<SourceId, Vec<Record>>, registry: &Registry) -> Evaluation {
    let (network, profiles) = (Network::empty(), Profiles::vietnam());
    let ctx = Context {
        registry,
        network: &network,
        profiles: &profiles,
    };
    let each = |(s, rs): (&SourceId, &Vec<Record>)| -> Vec<_> {
        rs.iter().map(|r| (s.clone(), r.clone())).collect()
    };
    evaluate(fleet.iter().flat_map(each), &ctx, Timestamp::MAX)
}

pub async fn append<L: Append>(
    log: &L,
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
                told_offset_s: None,
                raw: vec![n as u8; 40],
            });
            let payload = waywarden_bus::encode(&message);
            let partition = partition_of(source, log.partitions());
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

pub async fn worker(partition: u32, log: &Arc<EmbeddedLog>, store: &Arc<SqliteStore>) -> Partition {
    claim(partition, log, store, false).await.unwrap()
}

/// Small batches, and late data judged at once.
pub fn options(accept_gap: bool) -> Options {
    Options {
        batch_messages: 97,
        checkpoint_records: 9_000,
        accept_gap: match accept_gap {
            true => AcceptGap::once(),
            false => AcceptGap::default(),
        },
        late: Late {
            quiet_ms: 0,
            ..Late::default()
        },
        ..Options::default()
    }
}

/// It moves on at every look: what is due a moment later becomes due.
pub fn clock() -> Clock {
    static NOW: AtomicI64 = AtomicI64::new(1_773_300_000_000);
    Arc::new(|| Timestamp::from_millis(NOW.fetch_add(1, Ordering::Relaxed)))
}

/// Claims a partition; going on without what the log lacks only where told.
pub async fn claim(
    partition: u32,
    log: &Arc<EmbeddedLog>,
    store: &Arc<SqliteStore>,
    accept_gap: bool,
) -> Result<Partition, WorkerError> {
    let profiles = Arc::new(Profiles::vietnam());
    let (log, store) = (
        Arc::clone(log) as Arc<dyn Log>,
        Arc::clone(store) as Arc<dyn WorkerStore>,
    );
    let options = options(accept_gap);
    Partition::claim(partition, log, store, profiles, options, clock()).await
}

/// Waits until the partition's position has reached the end of the log.
pub async fn caught_up(log: &EmbeddedLog, store: &SqliteStore, appended: u64) {
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

pub async fn all_violations(store: &SqliteStore) -> Vec<Violation> {
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
pub fn closed(violations: &[Violation]) -> BTreeMap<String, Violation> {
    let closed = violations.iter().filter(|v| !v.open);
    closed.map(|v| (v.id().to_string(), v.clone())).collect()
}

pub fn open(dir: &Path) -> (Arc<EmbeddedLog>, Arc<SqliteStore>) {
    let store = SqliteStore::open(&dir.join("store.db"), waywarden_store::Options::default());
    (open_log(dir, PARTITIONS), Arc::new(store.unwrap()))
}

pub fn open_log(dir: &Path, partitions: u32) -> Arc<EmbeddedLog> {
    let options = waywarden_bus::Options {
        partitions,
        ..Default::default()
    };
    Arc::new(EmbeddedLog::open(&dir.join("log"), options).unwrap())
}
