//! A log that is not the one that was read, or lacks what comes next: the worker stops and says why,
//! and goes on without what is missing when somebody says so.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::*;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog};
use waywarden_model::Violation;
use waywarden_store::{FactStore, ReadStore, SqliteStore};
use waywarden_worker::WorkerError;

/// Works both partitions until everything read is on file and no source waits, then leaves them in
/// the middle: states are older than what is on file.
async fn work_and_be_lost(log: &Arc<EmbeddedLog>, store: &Arc<SqliteStore>, gap: bool) {
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for partition in 0..PARTITIONS {
        let claimed = claim(partition, log, store, gap).await.unwrap();
        workers.push(tokio::spawn(claimed.run(stop.clone())));
    }
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        use waywarden_bus::Log;
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
    let expected = judged_at_once(&fleet);
    let on_file = all_violations(&store).await;
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
    for (source, records) in &fleet {
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
