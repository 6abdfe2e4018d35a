//! Live data does not wait behind late data: between two batches at most one source of a backlog is
//! judged again.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use support::{clock, open_log};
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, Log};
use waywarden_model::{
    Frame, Message, Position, Protocol, Record, SourceId, Speed, Subject, Timestamp,
};
use waywarden_rules::Profiles;
use waywarden_rules::evaluate::input;
use waywarden_store::{AdminStore, ReadStore, RegisterChange, SqliteStore, WorkerStore};
use waywarden_worker::{Late, Options, Partition};

/// Sources that are to be judged again.
const BEHIND: usize = 60;
/// Frames of the vehicle that is live meanwhile, a record each.
const LIVE: usize = 10;
const NOW_S: i64 = 1_773_300_000;

fn plate(n: usize) -> String {
    format!("14C{n:05}")
}

/// So many records, ten seconds apart, at 70 km/h, and behind them two that stand.
fn journey(moving: usize) -> Vec<Record> {
    let record = |n: usize| {
        let along = n.min(moving) as f64 * 70.0 / 360.0 / 111.195;
        let time = Timestamp::from_secs(1_773_104_400 + 10 * n as i64);
        let mut record = Record::fix(time, Position::new(20.95 + along, 107.0).unwrap());
        record.speed = Some(Speed::from_kmh(if n < moving { 70 } else { 0 }));
        record
    };
    (0..moving + 2).map(record).collect()
}

async fn append(log: &EmbeddedLog, message: Message) {
    use waywarden_bus::Append;
    let payload = waywarden_bus::encode(&message);
    let receipt = log.append(0, payload).await.unwrap();
    receipt.await.unwrap().unwrap();
}

async fn append_frame(log: &EmbeddedLog, source: &str, records: Vec<Record>) {
    let received = records.last().unwrap().time.plus_millis(700);
    let frame = Frame {
        source: source.into(),
        protocol: Protocol::Teltonika,
        received,
        held: false,
        records,
        told_offset_s: None,
        raw: vec![7; 40],
    };
    append(log, Message::Frame(frame)).await;
}

/// One message a batch, until the log is judged and nothing is marked.
async fn work(log: &Arc<EmbeddedLog>, store: &Arc<SqliteStore>) {
    let options = Options {
        batch_messages: 1,
        late: Late {
            quiet_ms: -1,
            longest_ms: 0,
            share_percent: 100,
        },
        ..Options::default()
    };
    let (on, to) = (Arc::clone(log) as Arc<dyn Log>, Arc::clone(store));
    let to = to as Arc<dyn WorkerStore>;
    let profiles = Arc::new(Profiles::vietnam());
    let worker = Partition::claim(0, on, to, profiles, options, clock());
    let stop = CancellationToken::new();
    let working = tokio::spawn(worker.await.unwrap().run(stop.clone()));
    let done = async {
        loop {
            let status = store.status().await.unwrap();
            let at = status.partitions.first().map_or(0, |p| p.position);
            let end = log.range(0).await.unwrap().1;
            if at == end && status.marks == 0 && status.dirty_subjects == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done)
        .await
        .unwrap();
    stop.cancel();
    working.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_data_is_judged_while_a_backlog_stands() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_log(dir.path(), 1);
    let store = SqliteStore::open(&dir.path().join("store.db"), Default::default());
    let store = Arc::new(store.unwrap());
    for n in 0..BEHIND {
        append_frame(&log, &plate(n), journey(30)).await;
    }
    work(&log, &store).await;
    assert_eq!(store.last_change().await.unwrap(), 0, "nobody has a limit");

    // A limit for all: whoever has driven is judged again, whoever comes now is judged by it.
    let rows = (0..=BEHIND).map(|n| format!("{},50\n", plate(n)));
    let text = "plate,speed_limit_kmh\n".to_owned() + &rows.collect::<String>();
    let change = RegisterChange {
        expected_head: 0,
        registers: input::vehicles(&text).unwrap(),
        author: "test".into(),
        note: String::new(),
        now: Timestamp::from_secs(NOW_S),
        partitions: 1,
    };
    let version = store.save_registers(change).await.unwrap();
    append(&log, Message::Registry(version)).await;
    let live: SourceId = plate(BEHIND).as_str().into();
    for record in journey(LIVE - 2) {
        append_frame(&log, live.as_str(), vec![record]).await;
    }
    work(&log, &store).await;

    let seqs = store.changes_after(0, 10_000).await.unwrap();
    let changes = store.changes(&seqs).await.unwrap();
    let mut again: BTreeSet<&Subject> = BTreeSet::new();
    // The last change of the live one is that it was closed.
    let mut before_closed = None;
    for (_, filed) in &changes {
        if filed.violation.subject == Subject::Source(live.clone()) {
            before_closed = Some(again.len());
        } else {
            again.insert(&filed.violation.subject);
        }
    }
    assert_eq!(
        again.len(),
        BEHIND,
        "all of the backlog is judged in the end"
    );
    // One behind each batch: the version's, those of the live frames, and the commit on its way.
    let before_closed = before_closed.expect("the live one is closed");
    assert!(
        before_closed <= LIVE + 2,
        "{before_closed} were judged before"
    );
}
