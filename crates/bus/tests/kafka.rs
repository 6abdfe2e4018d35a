//! The log on a real Kafka: the contract of every log, and what is its own.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod broker;
mod contract;

use broker::{address, fresh};
use bytes::Bytes;
use contract::{Factory, PARTITIONS, append, read_all};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::sync::Arc;
use std::time::Duration;
use waywarden_bus::{
    Append, BusError, KafkaLog, KafkaOptions, Log, MOST_AS_ONE, Messages, TopicError,
};
use waywarden_model::Timestamp;

struct Kafka;

impl Factory for Kafka {
    type Place = KafkaOptions;

    async fn make(&self) -> KafkaOptions {
        fresh("contract")
    }

    async fn open(&self, place: &KafkaOptions) -> Arc<dyn Log> {
        Arc::new(KafkaLog::open(place.clone()).await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract() {
    contract::run(&Kafka).await;
}

/// Sets one setting of a topic beside those that it must have.
async fn set(admin: &AdminClient<DefaultClientContext>, topic: &str, name: &str, value: &str) {
    let mut config = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (must, have) in [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "false"),
        ("max.message.bytes", "4000000"),
    ] {
        config = config.set(must, if must == name { value } else { have });
    }
    let done = admin.alter_configs([&config], &AdminOptions::new()).await;
    done.unwrap().into_iter().for_each(|one| drop(one.unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_would_forget_is_refused_with_what_mends_it() {
    let options = fresh("settings");
    KafkaLog::open(options.clone()).await.unwrap().close().await;
    let more = KafkaOptions {
        partitions: PARTITIONS + 1,
        ..options.clone()
    };
    match KafkaLog::open(more).await {
        Err(TopicError::Partitions {
            found: 3,
            wanted: 4,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    let safer = KafkaOptions {
        min_in_sync: 2,
        ..options.clone()
    };
    let error = KafkaLog::open(safer).await.unwrap_err().to_string();
    let mends = format!(
        "--entity-name {} --add-config min.insync.replicas=2",
        options.topic
    );
    assert!(error.contains(&mends), "{error}");
    // Settings of a topic that somebody else made.
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .create()
        .unwrap();
    for (name, bad, good) in [
        ("unclean.leader.election.enable", "true", "false"),
        ("max.message.bytes", "1048588", "4000000"),
        ("retention.ms", "604800000", "-1"),
    ] {
        set(&admin, &options.topic, name, bad).await;
        let error = KafkaLog::open(options.clone()).await.unwrap_err();
        assert!(!error.may_pass(), "nothing mends it by itself");
        let mends = format!("--add-config {name}={good}");
        assert!(error.to_string().contains(&mends), "{error}");
        set(&admin, &options.topic, name, good).await;
    }
    let copied = KafkaOptions {
        replication: 2,
        ..options
    };
    assert!(matches!(
        KafkaLog::open(copied).await,
        Err(TopicError::Replication {
            found: 1,
            wanted: 2,
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_home_is_an_error_within_a_bound() {
    let options = KafkaOptions {
        brokers: "127.0.0.1:1".to_owned(),
        patience: Duration::from_secs(1),
        ..fresh("nobody")
    };
    let opened = tokio::time::timeout(Duration::from_secs(30), KafkaLog::open(options));
    assert!(opened.await.expect("within the bound").is_err());
}

/// What a group has committed for a topic outlives the topic: in one of the same name that is shorter
/// it lies beyond the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_trimmed_by_offsets_of_an_earlier_topic() {
    let options = fresh("stale");
    let log = KafkaLog::open(options.clone()).await.unwrap();
    for n in 0..5 {
        append(&log, 0, &format!("{n}")).await;
    }
    let commit = |offset: i64| {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &options.brokers)
            .set("group.id", &options.group)
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS.cast_signed() {
            list.add_partition_offset(&options.topic, partition, Offset::Offset(offset))
                .unwrap();
        }
        consumer.commit(&list, CommitMode::Sync).unwrap();
    };
    let begin = async || log.range(0).await.unwrap().0;
    commit(100);
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 0);
    assert_eq!(begin().await, 0, "all of it is there");
    // Nor do they keep what is really released from being remembered, and trimmed.
    log.release(0, 3).await.unwrap();
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 3);
    assert_eq!(begin().await, 3);
    // An offset at the end is one of this topic; the other partitions are empty, and it is none.
    commit(5);
    assert_eq!(log.trim(Timestamp::MAX).await.unwrap(), 2);
    assert_eq!(log.range(0).await.unwrap(), (5, 5));
}

/// Two processes: what one appends the other follows; positions are its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_follows() {
    let options = fresh("follow");
    let (one, two) = (
        KafkaLog::open(options.clone()).await.unwrap(),
        KafkaLog::open(options).await.unwrap(),
    );
    assert_eq!(one.identity(), two.identity());
    assert!(two.read(1, 0, 10, 1000).await.unwrap().is_empty());
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.wait_beyond(1, 0).await }
    });
    append(&one, 1, "from the other").await;
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let got = two.read(1, 0, 10, 1000).await.unwrap();
    assert_eq!(got[0].payload, "from the other");
}

/// What is given up fails its receipts; what comes afterwards is taken, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_tells_every_receipt_and_the_log_goes_on() {
    let log = KafkaLog::open(KafkaOptions {
        linger: Duration::from_secs(5),
        ..fresh("purge")
    })
    .await
    .unwrap();
    let mut receipts = Vec::new();
    for n in 0..100 {
        receipts.push(log.append(0, Bytes::from(format!("{n}"))).await.unwrap());
    }
    log.purge();
    let mut failed = 0;
    for receipt in receipts {
        match receipt.await.unwrap() {
            Err(BusError::Write(_)) => failed += 1,
            Ok(_) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(
        failed > 0,
        "everything was confirmed before it could be given up"
    );
    append(&log, 0, "afterwards").await;
    let all = read_all(&log, 0).await;
    assert_eq!(all.last().unwrap().payload, "afterwards");
    assert_eq!(all.len(), 101 - failed);
}

/// However small the queue: one large message, and many as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_larger_than_the_queue_passes_alone() {
    let log = KafkaLog::open(KafkaOptions {
        queue_messages: 2,
        queue_bytes: 100,
        ..fresh("small")
    })
    .await
    .unwrap();
    let large = log.append(0, Bytes::from(vec![7; 3_000_000])).await;
    assert_eq!(large.unwrap().await.unwrap().unwrap(), 0);
    let many = Messages::from_elem(Bytes::from(vec![8; 4_000]), MOST_AS_ONE);
    for round in 1..=3 {
        let receipt = log.append_all(0, many.clone()).await.unwrap();
        let last = (round * MOST_AS_ONE) as u64;
        assert_eq!(receipt.await.unwrap().unwrap(), last);
    }
}

/// Kills and starts nodes of the cluster.
fn services(command: &str, node: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/services.sh");
    let done = std::process::Command::new(script)
        .args([command, node])
        .env("WAYWARDEN_SERVICES", address("WAYWARDEN_TEST_SERVICES"))
        .status();
    assert!(done.unwrap().success(), "{command} {node}");
}

/// Three brokers, two copies in sync: one of them is killed under load and comes back. Everything
/// confirmed is there once, in the order in which it was appended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_killed_and_nothing_confirmed_is_lost_or_repeated() {
    const MESSAGES: u32 = 6000;
    let log = KafkaLog::open(KafkaOptions {
        brokers: address("WAYWARDEN_TEST_KAFKA_CLUSTER"),
        replication: 3,
        min_in_sync: 2,
        give_up: Duration::from_secs(90),
        ..fresh("killed")
    })
    .await
    .unwrap();
    let mut receipts = Vec::new();
    for n in 0..MESSAGES {
        let partition = n % PARTITIONS;
        let payload = Bytes::from(format!("{n}"));
        receipts.push((partition, n, log.append(partition, payload).await.unwrap()));
        match n {
            2000 => services("kill", "kafka-2"),
            4000 => services("again", "kafka-2"),
            _ => tokio::time::sleep(Duration::from_micros(300)).await,
        }
    }
    let mut confirmed = vec![Vec::new(); PARTITIONS as usize];
    for (partition, n, receipt) in receipts {
        let offset = receipt.await.unwrap().expect("two brokers are enough");
        confirmed[partition as usize].push((offset, format!("{n}")));
    }
    for partition in 0..PARTITIONS {
        let all = read_all(&log, partition).await;
        let text = |e: &waywarden_bus::Entry| String::from_utf8(e.payload.to_vec()).unwrap();
        let found: Vec<_> = all.iter().map(|e| (e.offset, text(e))).collect();
        assert_eq!(found, confirmed[partition as usize]);
    }
    log.close().await;
}
