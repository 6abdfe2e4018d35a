//! The embedded log: the contract of every log, and what is its own.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod contract;

use bytes::Bytes;
use contract::{Factory, PARTITIONS, append, read_all};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use waywarden_bus::{Append, BusError, EmbeddedLog, Log, Messages, OpenError, Options};
use waywarden_model::Timestamp;

fn options() -> Options {
    Options {
        partitions: PARTITIONS,
        ..Options::default()
    }
}

/// Small enough that every test crosses segments and leaves the memory.
fn small() -> Options {
    Options {
        segment_bytes: 200,
        tail_bytes: 60,
        ..options()
    }
}

fn open(dir: &Path, options: Options) -> EmbeddedLog {
    EmbeddedLog::open(dir, options).expect("opens")
}

struct Embedded(Options);

impl Factory for Embedded {
    type Place = TempDir;

    async fn make(&self) -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    async fn open(&self, place: &TempDir) -> Arc<dyn Log> {
        Arc::new(open(place.path(), self.0.clone()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_in_one_segment() {
    contract::run(&Embedded(options())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_over_many_segments() {
    contract::run(&Embedded(small())).await;
}

fn segments(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("segment-"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn segments_are_dropped_whole_and_only_when_released() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    for n in 0..100 {
        append(&log, n % PARTITIONS, &format!("{n:>20}")).await;
    }
    let before = segments(dir.path()).len();
    assert!(before > 5, "{before} files");
    log.release(0, 34).await.unwrap();
    log.release(1, 33).await.unwrap();
    // Partition 2 holds everything back.
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 0);
    log.release(2, 20).await.unwrap();
    assert!(log.trim(Timestamp::MAX).await.unwrap() > 0);
    let (begin, end) = log.range(2).await.unwrap();
    assert!(begin <= 20 && end == 33);
    assert!(segments(dir.path()).len() < before);
    let left = read_all(&log, 2).await;
    assert_eq!(left.first().unwrap().offset, begin);
    assert_eq!(left.last().unwrap().offset, 32);
}

#[tokio::test]
async fn released_segments_above_the_size_go_whatever_their_age() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(
        dir.path(),
        Options {
            max_bytes: 1000,
            ..small()
        },
    );
    for n in 0..200 {
        append(&log, 0, &format!("{n:>20}")).await;
    }
    assert_eq!(log.trim(Timestamp::MIN).await.unwrap(), 0, "not released");
    log.release(0, 200).await.unwrap();
    assert!(log.trim(Timestamp::MIN).await.unwrap() > 100);
    let (begin, _) = log.range(0).await.unwrap();
    assert!(begin < 200, "what fits the bound stays");
}

#[tokio::test]
async fn a_full_queue_makes_append_wait_and_drops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (queue_messages, queue_bytes) in [(4, 1 << 20), (1 << 20, 40)] {
        let log = Arc::new(open(
            &dir.path().join(queue_messages.to_string()),
            Options {
                queue_messages,
                queue_bytes,
                ..options()
            },
        ));
        // The writer is held up by another transaction, as by a slow disk.
        let blocker = block(&dir.path().join(queue_messages.to_string()));
        let mut waiting = Box::pin(async {
            let mut receipts = Vec::new();
            for n in 0..50u8 {
                receipts.push(log.append(0, Bytes::from(vec![n; 10])).await.unwrap());
            }
            receipts
        });
        // SQLite waits five seconds for the other before it gives up.
        let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
        assert!(early.is_err(), "50 messages passed a queue of 4");
        let another = Messages::from_elem(Bytes::from(vec![0; 10]), 1);
        assert!(log.try_append_all(0, &another).is_none(), "it would wait");
        drop(blocker);
        for (n, receipt) in (0..).zip(waiting.await) {
            assert_eq!(receipt.await.unwrap().unwrap(), n);
        }
        assert_eq!(read_all(&*log, 0).await.len(), 50);
    }
}

/// A transaction of somebody else in the newest segment: nobody can write to it.
fn block(dir: &Path) -> rusqlite::Connection {
    let newest = segments(dir)
        .into_iter()
        .rfind(|name| name.ends_with(".db"))
        .expect("a segment");
    let connection = rusqlite::Connection::open(dir.join(newest)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[tokio::test]
async fn a_failed_write_fails_the_receipt_and_the_next_append_tries_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), options());
    append(&log, 0, "before").await;
    let blocker = block(dir.path());
    let receipts = [
        log.append(0, Bytes::from_static(b"lost")).await.unwrap(),
        log.append(1, Bytes::from_static(b"lost")).await.unwrap(),
    ];
    for receipt in receipts {
        match receipt.await.unwrap() {
            Err(error @ BusError::Write(_)) => assert_eq!(error.label(), "write"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(log.range(0).await.unwrap(), (0, 1));
    drop(blocker);
    assert_eq!(append(&log, 0, "after").await, 1);
    assert_eq!(append(&log, 1, "after").await, 0);
    let all = read_all(&log, 0).await;
    assert_eq!(all[0].payload, "before");
    assert_eq!(all[1].payload, "after");
}

#[tokio::test]
async fn what_is_larger_than_the_queue_passes_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(
        dir.path(),
        Options {
            queue_messages: 2,
            queue_bytes: 100,
            ..options()
        },
    );
    let receipt = log.append(0, Bytes::from(vec![7; 5000])).await.unwrap();
    assert_eq!(receipt.await.unwrap().unwrap(), 0);
    let many = Messages::from_elem(Bytes::from(vec![8; 50]), 7);
    for _ in 0..3 {
        let receipt = log.append_all(0, many.clone()).await.unwrap();
        receipt.await.unwrap().unwrap();
    }
    let all = read_all(&log, 0).await;
    assert_eq!((all[0].payload.len(), all.len()), (5000, 22));
}

#[test]
fn another_number_of_partitions_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), options()));
    let error = EmbeddedLog::open(
        dir.path(),
        Options {
            partitions: 4,
            ..options()
        },
    )
    .unwrap_err();
    assert!(matches!(
        error,
        OpenError::Partitions {
            found: PARTITIONS,
            wanted: 4
        }
    ));
    assert!(error.to_string().contains("made with 3 partitions"));
    drop(open(dir.path(), options()));
}

#[test]
fn folders_that_are_not_a_log_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), options());
    assert!(matches!(
        EmbeddedLog::open(dir.path(), options()),
        Err(OpenError::InUse(_))
    ));
    drop(log);
    let meta = rusqlite::Connection::open(dir.path().join("meta.db")).unwrap();
    meta.execute("UPDATE log SET format = 9", []).unwrap();
    assert!(matches!(
        EmbeddedLog::open(dir.path(), options()),
        Err(OpenError::Newer { found: 9, known: 1 })
    ));
    meta.execute("UPDATE log SET format = 1", []).unwrap();
    for name in segments(dir.path()) {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(
        EmbeddedLog::open(dir.path(), options()),
        Err(OpenError::Damaged { .. })
    ));
    let zero = Options {
        partitions: 0,
        ..options()
    };
    assert!(matches!(
        EmbeddedLog::open(dir.path(), zero),
        Err(OpenError::Options)
    ));
}

#[tokio::test]
async fn a_missing_segment_in_the_middle_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), small());
    for n in 0..50 {
        append(&log, 0, &format!("{n:>20}")).await;
    }
    log.close().await;
    drop(log);
    let victim = segments(dir.path()).remove(2);
    std::fs::remove_file(dir.path().join(victim)).unwrap();
    assert!(matches!(
        EmbeddedLog::open(dir.path(), small()),
        Err(OpenError::Damaged { .. })
    ));
}

#[tokio::test]
async fn a_segment_whose_making_was_interrupted_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), options());
    append(&log, 0, "kept").await;
    log.close().await;
    drop(log);
    // What a crash leaves: the file is there, its first transaction is not.
    std::fs::write(dir.path().join("segment-00000000000000000002.db"), b"").unwrap();
    let log = open(dir.path(), options());
    assert_eq!(append(&log, 0, "goes on").await, 1);
    assert_eq!(read_all(&log, 0).await[0].payload, "kept");
}

/// One step of a history of a log.
#[derive(Clone, Debug)]
enum Step {
    Append(u32, Vec<u8>),
    Release(u32, u64),
    Trim,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let payload = proptest::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        8 => (0..PARTITIONS, payload).prop_map(|(p, bytes)| Step::Append(p, bytes)),
        2 => (0..PARTITIONS, 0..20u64).prop_map(|(p, n)| Step::Release(p, n)),
        1 => Just(Step::Trim),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens to the log, it holds what a list of messages would hold from its begin
    /// on, and never removes what was not released.
    #[test]
    fn a_log_is_a_list(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(history(steps))?;
    }
}

async fn history(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), small());
    let mut model: Vec<Vec<Vec<u8>>> = vec![Vec::new(); PARTITIONS as usize];
    let mut released = vec![0u64; PARTITIONS as usize];
    for step in steps {
        match step {
            Step::Append(p, bytes) => {
                let receipt = log.append(p, Bytes::from(bytes.clone())).await.unwrap();
                let offset = receipt.await.unwrap().unwrap();
                prop_assert_eq!(offset, model[p as usize].len() as u64);
                model[p as usize].push(bytes);
            }
            Step::Release(p, below) => {
                let known = below <= model[p as usize].len() as u64;
                prop_assert_eq!(log.release(p, below).await.is_ok(), known);
                if known {
                    released[p as usize] = released[p as usize].max(below);
                }
            }
            Step::Trim => {
                log.trim(Timestamp::MAX).await.unwrap();
            }
            Step::Reopen => {
                drop(log);
                log = open(dir.path(), small());
            }
        }
        for p in 0..PARTITIONS {
            let (begin, end) = log.range(p).await.unwrap();
            let list = &model[p as usize];
            prop_assert_eq!(end, list.len() as u64);
            prop_assert!(begin <= released[p as usize]);
            let all = read_all(&log, p).await;
            let payloads: Vec<&[u8]> = all.iter().map(|e| e.payload.as_ref()).collect();
            let expected: Vec<&[u8]> = list[begin as usize..].iter().map(Vec::as_slice).collect();
            prop_assert_eq!(payloads, expected);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_released_is_not_divided_by_trimming() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), options());
    for n in 0..3 {
        append(&log, 0, &format!("{n}")).await;
        assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 0);
    }
    log.release(0, 2).await.unwrap();
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 0);
    let databases = segments(folder.path())
        .into_iter()
        .filter(|n| n.ends_with(".db"));
    assert_eq!(databases.count(), 1, "no file for each look");
    log.release(0, 3).await.unwrap();
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 3);
    assert_eq!(log.range(0).await.unwrap(), (3, 3));
    assert_eq!(append(&log, 0, "next").await, 3);
}
