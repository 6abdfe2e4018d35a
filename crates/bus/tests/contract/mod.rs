//! What every backend of the log promises. A backend passes by giving a factory.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part of it

use bytes::Bytes;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use waywarden_bus::{BusError, Entry, Log, Messages, Offset};
use waywarden_model::Timestamp;

/// Partitions of every log that the factory makes.
pub const PARTITIONS: u32 = 3;

/// Makes new, empty logs, and opens one again after it was closed.
pub trait Factory {
    type Place: Send;
    fn make(&self) -> impl Future<Output = Self::Place>;
    fn open(&self, place: &Self::Place) -> impl Future<Output = Arc<dyn Log>>;
}

/// Runs the whole suite.
pub async fn run(factory: &impl Factory) {
    let fresh = Fresh::make(factory).await;
    order_and_offsets(&*fresh.log).await;
    let fresh = Fresh::make(factory).await;
    as_one_and_at_once(&*fresh.log).await;
    let fresh = Fresh::make(factory).await;
    reading_in_pieces(&*fresh.log).await;
    let fresh = Fresh::make(factory).await;
    positions_outside(&*fresh.log).await;
    let fresh = Fresh::make(factory).await;
    following(fresh.log).await;
    let fresh = Fresh::make(factory).await;
    steady_traffic(fresh.log).await;
    let fresh = Fresh::make(factory).await;
    many_writers(fresh.log).await;
    let fresh = Fresh::make(factory).await;
    retention(&*fresh.log).await;
    let fresh = Fresh::make(factory).await;
    closing(fresh.log).await;
    opening_again(factory).await;
}

/// A new log, and the place that must outlive it.
struct Fresh<P> {
    log: Arc<dyn Log>,
    _place: P,
}

impl<P: Send> Fresh<P> {
    async fn make(factory: &impl Factory<Place = P>) -> Self {
        let place = factory.make().await;
        Self {
            log: factory.open(&place).await,
            _place: place,
        }
    }
}

pub async fn append(log: &dyn Log, partition: u32, text: &str) -> Offset {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    let receipt = log.append(partition, payload).await.expect("taken");
    receipt.await.expect("answered").expect("durable")
}

pub async fn read_all(log: &dyn Log, partition: u32) -> Vec<Entry> {
    let (mut from, end) = log.range(partition).await.expect("range");
    let mut all = Vec::new();
    while from < end {
        let some = log.read(partition, from, 100, 10_000).await.expect("read");
        assert!(!some.is_empty(), "nothing at {from} below the end {end}");
        from += some.len() as u64;
        all.extend(some);
    }
    all
}

fn texts(entries: &[Entry]) -> Vec<(Offset, &str)> {
    entries
        .iter()
        .map(|e| (e.offset, std::str::from_utf8(&e.payload).expect("text")))
        .collect()
}

async fn order_and_offsets(log: &dyn Log) {
    assert_eq!(log.identity().partitions, PARTITIONS);
    assert_eq!(log.identity(), log.identity());
    assert!(!log.identity().id.is_empty());
    for n in 0..5 {
        assert_eq!(append(log, 1, &format!("one {n}")).await, n);
    }
    assert_eq!(append(log, 2, "two").await, 0);
    let got = log.read(1, 0, 100, 10_000).await.unwrap();
    let expected = ["one 0", "one 1", "one 2", "one 3", "one 4"];
    assert_eq!(
        texts(&got),
        (0..).zip(expected).collect::<Vec<(Offset, &str)>>()
    );
    assert_eq!(texts(&read_all(log, 2).await), [(0, "two")]);
    assert_eq!(log.range(0).await.unwrap(), (0, 0));
    assert_eq!(log.range(1).await.unwrap(), (0, 5));
}

/// What is appended as one, and what is taken at once, stands among the others in the order of the
/// calls, and is durable as they are; its receipt has the offset of the last.
async fn as_one_and_at_once(log: &dyn Log) {
    let (mut receipts, mut appended) = (Vec::new(), 0);
    for call in 0..20 {
        let next = appended + 1 + call % 4;
        let messages: Messages = (appended..next)
            .map(|n| Bytes::from(n.to_string()))
            .collect();
        let receipt = match call % 3 {
            0 => log.append_all(1, messages).await.expect("taken"),
            _ => {
                let taken = log.try_append_all(1, &messages).expect("there is room");
                taken.expect("taken")
            }
        };
        appended = next;
        receipts.push((appended - 1, receipt));
    }
    for (last, receipt) in receipts {
        assert_eq!(receipt.await.expect("answered").expect("durable"), last);
    }
    let all = read_all(log, 1).await;
    let in_order: Vec<(Offset, String)> = (0..appended).map(|n| (n, n.to_string())).collect();
    let in_order: Vec<(Offset, &str)> = in_order.iter().map(|(n, t)| (*n, t.as_str())).collect();
    assert_eq!(texts(&all), in_order);
    let one = Messages::from_elem(Bytes::from_static(b"x"), 1);
    let nowhere = log.try_append_all(PARTITIONS, &one);
    assert!(matches!(nowhere, Some(Err(_))));
    let nothing = log.try_append_all(1, &Messages::new());
    assert!(matches!(nothing, Some(Err(BusError::Write(_)))));
    assert!(log.append_all(1, Messages::new()).await.is_err());
    log.close().await;
    let late = log.try_append_all(1, &one);
    assert!(matches!(late, Some(Err(BusError::Closed))));
}

async fn reading_in_pieces(log: &dyn Log) {
    for n in 0..10 {
        append(log, 0, &format!("message {n}")).await;
    }
    let some = log.read(0, 4, 3, 10_000).await.unwrap();
    assert_eq!(
        texts(&some),
        [(4, "message 4"), (5, "message 5"), (6, "message 6")]
    );
    // About `max_bytes`, and always one: a reader must get past a message above its bound.
    assert_eq!(log.read(0, 4, 100, 1).await.unwrap().len(), 1);
    let about = log.read(0, 0, 100, 27).await.unwrap().len();
    assert!((1..=4).contains(&about), "{about} messages of 9 bytes");
    assert!(log.read(0, 10, 100, 10_000).await.unwrap().is_empty());
}

async fn positions_outside(log: &dyn Log) {
    append(log, 0, "only").await;
    match log.read(0, 2, 1, 1).await {
        Err(BusError::OutOfRange {
            partition: 0,
            wanted: 2,
            begin: 0,
            end: 1,
        }) => {}
        other => panic!("{other:?}"),
    }
    assert!(log.append(PARTITIONS, Bytes::new()).await.is_err());
    assert!(log.range(PARTITIONS).await.is_err());
}

async fn following(log: Arc<dyn Log>) {
    append(&*log, 0, "first").await;
    // Beyond 0: the message at 0 is there.
    timeout(Duration::from_secs(10), log.wait_beyond(0, 0))
        .await
        .expect("at once")
        .unwrap();
    let waiting = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.wait_beyond(0, 1).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    append(&*log, 1, "of another partition").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    append(&*log, 0, "second").await;
    timeout(Duration::from_secs(10), waiting)
        .await
        .expect("woken")
        .unwrap()
        .unwrap();
}

/// Who reads while messages keep coming is given what is there, not made to wait for a full batch
/// or for a pause.
async fn steady_traffic(log: Arc<dyn Log>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, told) = (Arc::clone(&log), Arc::clone(&stop));
    let writing = tokio::spawn(async move {
        let mut receipts = Vec::new();
        while !told.load(Ordering::Relaxed) {
            let payload = Bytes::from_static(b"one of many");
            receipts.push(writer.append(0, payload).await.unwrap());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
    });
    let mut from = 0;
    for _ in 0..20 {
        log.wait_beyond(0, from).await.unwrap();
        let reading = log.read(0, from, 100_000, 1 << 20);
        let some = timeout(Duration::from_secs(2), reading).await;
        from += some.expect("given while more come").unwrap().len() as u64;
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
}

/// Order per partition is the order of the calls of each caller; nothing is lost or repeated.
async fn many_writers(log: Arc<dyn Log>) {
    const EACH: u32 = 100;
    let writers: Vec<_> = (0..8u32)
        .map(|writer| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut receipts = Vec::new();
                for n in 0..EACH {
                    let payload = Bytes::from(format!("{writer} {n}"));
                    receipts.push(log.append(writer % PARTITIONS, payload).await.unwrap());
                }
                let mut last = None;
                for receipt in receipts {
                    let offset = receipt.await.unwrap().unwrap();
                    assert!(last < Some(offset), "receipts grow");
                    last = Some(offset);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut next: HashMap<u32, u32> = HashMap::new();
    for partition in 0..PARTITIONS {
        for (expected, (offset, text)) in (0..).zip(texts(&read_all(&*log, partition).await)) {
            assert_eq!(offset, expected);
            let (writer, n) = text.split_once(' ').unwrap();
            let slot = next.entry(writer.parse().unwrap()).or_default();
            assert_eq!(n.parse::<u32>().unwrap(), *slot);
            *slot += 1;
        }
    }
    assert_eq!(next.len(), 8);
    assert!(next.values().all(|n| *n == EACH));
}

async fn retention(log: &dyn Log) {
    for n in 0..20 {
        append(log, 0, &format!("{n}")).await;
    }
    let for_ever = Timestamp::MAX;
    // Nothing was released: nothing goes, however old.
    assert_eq!(log.trim(for_ever).await.unwrap(), 0);
    assert_eq!(log.range(0).await.unwrap(), (0, 20));
    log.release(0, 10).await.unwrap();
    log.trim(for_ever).await.unwrap();
    let (begin, end) = log.range(0).await.unwrap();
    assert!(begin <= 10 && end == 20);
    assert_eq!(log.read(0, 10, 1, 100).await.unwrap()[0].payload, "10");
    // A release never goes back.
    log.release(0, 20).await.unwrap();
    log.release(0, 1).await.unwrap();
    log.trim(for_ever).await.unwrap();
    assert_eq!(log.range(0).await.unwrap(), (20, 20));
    assert!(matches!(
        log.read(0, 19, 1, 100).await,
        Err(BusError::OutOfRange { begin: 20, .. })
    ));
    assert_eq!(append(log, 0, "goes on").await, 20);
    // Too young: stays, though released.
    log.release(0, 21).await.unwrap();
    assert_eq!(log.trim(Timestamp::from_millis(0)).await.unwrap(), 0);
    assert_eq!(log.range(0).await.unwrap(), (20, 21));
    assert!(log.release(0, 1000).await.is_err());
}

async fn closing(log: Arc<dyn Log>) {
    let receipt = log.append(0, Bytes::from_static(b"last")).await.unwrap();
    let waiting = {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.wait_beyond(0, 100).await })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    log.close().await;
    assert_eq!(receipt.await.unwrap().unwrap(), 0);
    timeout(Duration::from_secs(10), waiting)
        .await
        .expect("closing wakes whoever waits")
        .unwrap()
        .unwrap_err();
    assert!(matches!(
        log.append(0, Bytes::new()).await,
        Err(BusError::Closed)
    ));
    assert!(matches!(log.read(0, 0, 1, 1).await, Err(BusError::Closed)));
    assert!(matches!(log.range(0).await, Err(BusError::Closed)));
    assert!(matches!(log.release(0, 0).await, Err(BusError::Closed)));
    log.close().await;
}

async fn opening_again(factory: &impl Factory) {
    let place = factory.make().await;
    let mut expected = Vec::new();
    let mut identity = None;
    for round in 0..4 {
        let log = factory.open(&place).await;
        assert_eq!(*identity.get_or_insert(log.identity()), log.identity());
        let got = read_all(&*log, 1).await;
        assert_eq!(
            texts(&got).iter().map(|(_, t)| *t).collect::<Vec<_>>(),
            expected
        );
        for n in 0..3 {
            let text = format!("{round} {n}");
            assert_eq!(append(&*log, 1, &text).await, expected.len() as u64);
            expected.push(text);
        }
        log.close().await;
    }
    let log = factory.open(&place).await;
    log.release(1, 12).await.unwrap();
    log.close().await;
    let log = factory.open(&place).await;
    log.trim(Timestamp::MAX).await.unwrap();
    assert_eq!(
        log.range(1).await.unwrap(),
        (12, 12),
        "the release was kept"
    );
    log.close().await;
    let log = factory.open(&place).await;
    assert_eq!(append(&*log, 1, "no offset twice").await, 12);
}
