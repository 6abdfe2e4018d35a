//! A log that is not the one that was read, or lacks what comes next: the worker stops and says why,
//! and goes on without what is missing when somebody says so.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::*;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, Log};
use waywarden_model::registry::{Registers, Registry};
use waywarden_model::{Message, Record, SourceId, Timestamp, Violation};
use waywarden_rules::evaluate::{Evaluation, input};
use waywarden_store::{AdminStore, FactStore, ReadStore, RegisterChange, SqliteStore};
use waywarden_worker::WorkerError;

/// Works both partitions until everything read is on file and no source waits, then leaves them in
/// the middle: states are older than what is on file.
async fn work_and_be_lost(log: &Arc<EmbeddedLog>, store: &Arc<SqliteStore>, gap: bool) {
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    // The last ones first: those are the new ones where a log is divided into more.
    for partition in (0..log.partitions()).rev() {
        let claimed = claim(partition, log, store, gap).await.unwrap();
        workers.push(tokio::spawn(claimed.run(stop.clone())));
    }
    let mut ends = Vec::new();
    for partition in 0..log.partitions() {
        ends.push(log.range(partition).await.unwrap().1);
    }
    let done = async {
        loop {
            let status = store.status().await.unwrap();
            let there = status
                .partitions
                .iter()
                .all(|p| p.position == ends[p.partition as usize]);
            if there && status.marks == 0 && status.dirty_subjects == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), done).await;
    waited.unwrap();
    for worker in workers {
        worker.abort();
        let _ = worker.await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_log_the_facts_go_on_from_what_is_on_file() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, store) = open(first.path());
    let fleet = fleet();
    append(log.as_ref(), &fleet, 0..4500).await;
    work_and_be_lost(&log, &store, false).await;

    let (other, _) = open(second.path());
    match claim(0, &other, &store, false).await {
        Err(error @ WorkerError::OtherLog { partition: 0, .. }) => {
            assert!(error.to_string().contains("--accept-gap"), "{error}");
            assert!(!error.may_pass(), "nothing mends it by itself");
        }
        refused => panic!("{refused:?}"),
    }
    // What the devices send again overlaps with what is on file.
    append(other.as_ref(), &fleet, 4400..8640).await;
    work_and_be_lost(&other, &store, true).await;
    // From here on it is the log of the partition like any other.
    let stop = CancellationToken::new();
    stop.cancel();
    for partition in 0..PARTITIONS {
        let claimed = claim(partition, &other, &store, false).await.unwrap();
        claimed.run(stop.clone()).await.unwrap();
    }
    check(&store, &fleet, &judged_at_once(&fleet)).await;
}

/// A version of the registers in which all vehicles but the first may drive 50 km/h.
fn slow(fleet: &BTreeMap<SourceId, Vec<Record>>) -> Registers {
    let mut text = "plate,speed_limit_kmh\n".to_owned();
    let plate = |n: usize| format!("14C{n:05}");
    (1..fleet.len()).for_each(|n| text += &format!("{},50\n", plate(n)));
    let mut registers = input::vehicles(&text).unwrap();
    let sources: Vec<&SourceId> = fleet.keys().collect();
    for fitting in &mut registers.fittings {
        let n = (1..fleet.len()).find(|n| fitting.source.as_str() == plate(*n));
        fitting.source = sources[n.unwrap()].clone();
    }
    registers
}

/// The documented way to another number of partitions: a new topic, and the word that nothing is
/// missing. Sources come to other partitions, some of which were never worked, and go on there by
/// the registers that were announced in the old log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_another_number_of_partitions_sources_go_on_where_they_were() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (log, store) = open(first.path());
    let fleet = fleet();
    let change = RegisterChange {
        expected_head: 0,
        registers: slow(&fleet),
        author: "test".into(),
        note: String::new(),
        now: Timestamp::from_secs(1_773_000_000),
        partitions: PARTITIONS,
    };
    let version = store.save_registers(change).await.unwrap();
    for partition in 0..PARTITIONS {
        let announced = waywarden_bus::encode(&Message::Registry(version));
        let receipt = log.append(partition, announced).await.unwrap();
        receipt.await.unwrap().unwrap();
    }
    append(&*log, &fleet, 0..4500).await;
    work_and_be_lost(&log, &store, false).await;

    let other = open_log(second.path(), 5);
    append(&*other, &fleet, 4500..6000).await;
    work_and_be_lost(&other, &store, true).await;
    append(&*other, &fleet, 6000..8640).await;
    work_and_be_lost(&other, &store, false).await;
    let status = store.status().await.unwrap();
    for partition in status.partitions {
        assert_eq!(partition.registry, version, "also where no source is yet");
    }
    let registry = Registry::new(version, slow(&fleet));
    check(&store, &fleet, &judged_by(&fleet, &registry)).await;
}

/// What is on file is what is expected, and every record of the fleet is there once.
async fn check(
    store: &SqliteStore,
    fleet: &BTreeMap<SourceId, Vec<Record>>,
    expected: &Evaluation,
) {
    let on_file = all_violations(store).await;
    let ids = |all: &[Violation]| -> BTreeSet<_> { all.iter().map(Violation::id).collect() };
    let (standing, wanted) = (ids(&on_file), ids(&expected.violations));
    assert_eq!(standing, wanted);
    let wanted = closed(&expected.violations);
    for (id, got) in closed(&on_file) {
        assert_eq!(Some(&got), wanted.get(&id), "{:?}", got.kind);
    }
    assert_eq!(
        store.periods_after(None, 100_000).await.unwrap(),
        expected.periods
    );
    for (source, records) in fleet {
        let filed = store.filed_after(source, None, 100_000).await.unwrap();
        assert_eq!(filed.len(), records.len(), "every record once");
    }
}

/// The files of a log as they are now.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_made_anew_under_the_same_name_is_found_out() {
    let (dir, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fleet = fleet();
    let (log, store) = open(dir.path());
    append(log.as_ref(), &fleet, 0..400).await;
    log.close().await;
    copy(&dir.path().join("log"), &older.path().join("log"));
    drop((log, store));
    let (log, store) = open(dir.path());
    append(log.as_ref(), &fleet, 400..800).await;
    work_and_be_lost(&log, &store, false).await;

    // The same log as it was, so that what comes next is not there.
    let (restored, _) = open(older.path());
    match claim(0, &restored, &store, false).await {
        Err(WorkerError::Gone { wanted, end, .. }) => assert!(wanted > end),
        found => panic!("{found:?}"),
    }
    // And grown past the position, with other messages.
    for n in 0..2000_u32 {
        let other = n.to_be_bytes().to_vec();
        let receipt = restored.append(0, other.into()).await.unwrap();
        if n == 1999 {
            receipt.await.unwrap().unwrap();
        }
    }
    match claim(0, &restored, &store, false).await {
        Err(WorkerError::MadeAnew { partition: 0, .. }) => {}
        found => panic!("{found:?}"),
    }
    // The one that was read is taken as ever.
    claim(0, &log, &store, false).await.unwrap();
}
