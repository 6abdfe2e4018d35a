//! A topic of Kafka that is deleted under the workers, and another one that has its name: the
//! workers stand still and say why, nothing of the new one is filed into the history of the old
//! one, and they go on with it when somebody says so.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, KafkaLog, KafkaOptions, Log};
use waywarden_model::{Record, SourceId};
use waywarden_rules::Profiles;
use waywarden_store::{Counters, FactStore, ReadStore, SqliteStore, WorkerStore};
use waywarden_worker::{Crew, CrewView, Work, WorkerError};

type Fleet = BTreeMap<SourceId, Vec<Record>>;

fn options() -> KafkaOptions {
    let brokers = std::env::var("WAYWARDEN_TEST_KAFKA").unwrap_or_else(|_| {
        panic!(
            "WAYWARDEN_TEST_KAFKA is not set: deploy/services.sh start && \
             eval \"$(deploy/services.sh env)\""
        )
    });
    let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let stamp = stamp.as_nanos();
    KafkaOptions {
        brokers,
        topic: format!("recreated-{stamp}"),
        group: format!("recreated-{stamp}"),
        partitions: PARTITIONS,
        replication: 1,
        min_in_sync: 1,
        ..KafkaOptions::default()
    }
}

/// The workers of one process.
struct Workers {
    view: CrewView,
    stop: CancellationToken,
    working: JoinHandle<Result<(), WorkerError>>,
}

async fn work(log: &KafkaLog, store: &Arc<SqliteStore>, accept_gap: bool) -> Workers {
    let share = log.join().await.unwrap();
    let (log, store) = (log.clone(), Arc::clone(store));
    let profiles = Arc::new(Profiles::vietnam());
    let crew = Crew::new(
        share,
        Box::new(move |partition| Work {
            partition,
            log: Arc::new(log.clone()),
            store: Arc::clone(&store) as Arc<dyn WorkerStore>,
            profiles: Arc::clone(&profiles),
            options: support::options(accept_gap),
            clock: clock(),
        }),
    );
    let (view, stop) = (crew.view(), CancellationToken::new());
    let working = tokio::spawn(crew.run(stop.clone()));
    Workers {
        view,
        stop,
        working,
    }
}

impl Workers {
    async fn end(self) -> Result<(), WorkerError> {
        self.stop.cancel();
        self.working.await.unwrap()
    }
}

async fn within<T>(what: &str, done: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(120), done).await;
    waited.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

async fn filed_up_to(store: &SqliteStore, ends: &[u64]) {
    loop {
        let status = store.status().await.unwrap();
        let all: Vec<u64> = status.partitions.iter().map(|p| p.position).collect();
        if all == ends {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ends(log: &KafkaLog) -> Vec<u64> {
    let mut ends = Vec::new();
    for partition in 0..PARTITIONS {
        ends.push(log.range(partition).await.unwrap().1);
    }
    ends
}

/// Deletes the topic, and comes back when no broker knows it any more.
async fn delete(options: &KafkaOptions) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .create()
        .unwrap();
    let soon = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    let deleted = admin.delete_topics(&[&options.topic], &soon).await.unwrap();
    assert!(deleted[0].is_ok(), "{deleted:?}");
    let known = || {
        let told = admin.inner().fetch_metadata(None, Duration::from_secs(5));
        let topics = told.unwrap();
        topics.topics().iter().any(|t| t.name() == options.topic)
    };
    while known() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Vehicles of which nobody has heard yet.
fn others() -> Fleet {
    let renamed = |(source, records): (SourceId, Vec<Record>)| {
        (SourceId::new(format!("other-{}", source.as_str())), records)
    };
    fleet().into_iter().map(renamed).collect()
}

/// Sources, and how far each partition is with what it counted.
async fn on_file(store: &SqliteStore) -> (Vec<SourceId>, Vec<(u64, Counters)>) {
    let sources = store.sources(None, 1000).await.unwrap();
    let partitions = store.status().await.unwrap().partitions.into_iter();
    (
        sources,
        partitions.map(|p| (p.position, p.counters)).collect(),
    )
}

/// The new topic gets so many records of each vehicle.
async fn a_topic_is_made_anew(records: usize) {
    let options = options();
    let dir = tempfile::tempdir().unwrap();
    let (_, store) = open(dir.path());
    let log = KafkaLog::open(options.clone()).await.unwrap();
    append(&log, &fleet(), 0..400).await;
    let workers = work(&log, &store, false).await;
    within(
        "the first topic filed",
        filed_up_to(&store, &ends(&log).await),
    )
    .await;
    let before = on_file(&store).await;

    delete(&options).await;
    // Without a silence of a second nobody looks whether the topic is the same; to make it anew and
    // fill it past the position takes longer where it is not a test.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let anew = KafkaLog::open(options.clone()).await.unwrap();
    append(&anew, &others(), 0..records).await;
    let all: BTreeSet<u32> = (0..PARTITIONS).collect();
    let stopped = async {
        loop {
            let stopped = workers.view.now().stopped;
            if stopped.keys().copied().collect::<BTreeSet<_>>() == all {
                return stopped;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    for (partition, why) in within("standing still", stopped).await {
        assert!(why.contains("--accept-gap"), "{partition}: {why}");
    }
    let error = workers.end().await.unwrap_err();
    assert!(!error.may_pass(), "{error}");
    assert_eq!(on_file(&store).await, before, "nothing of the new topic");
    log.close().await;

    let workers = work(&anew, &store, true).await;
    within(
        "the new topic filed",
        filed_up_to(&store, &ends(&anew).await),
    )
    .await;
    workers.end().await.unwrap();
    for (source, sent) in others() {
        let filed = store.filed_after(&source, None, 100_000).await.unwrap();
        assert_eq!(filed.len(), records.min(sent.len()), "{source:?}");
    }
    for source in fleet().keys() {
        let filed = store.filed_after(source, None, 100_000).await.unwrap();
        assert_eq!(filed.len(), 400, "what was on file stays: {source:?}");
    }
    anew.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shorter_than_the_one_that_was_read() {
    a_topic_is_made_anew(60).await;
}

/// What comes next in the old one has its place in the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn longer_than_the_one_that_was_read() {
    a_topic_is_made_anew(1200).await;
}
