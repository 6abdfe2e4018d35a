//! A topic that is deleted, and another one of its name, while a reader stands in it.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod broker;
mod contract;

use broker::fresh;
use contract::{append, read_all};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use std::time::{Duration, Instant};
use waywarden_bus::{Append, BusError, ClientSettings, KafkaLog, KafkaOptions, Log};

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

/// The reader's library looks away for so long that the new topic has grown past its place: it would
/// go on in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_does_not_go_on_in_the_middle_of_another_topic() {
    let quick = fresh("recreated");
    let slow = "fetch.error.backoff.ms=4000\ntopic.metadata.refresh.fast.interval.ms=4000";
    let log = KafkaLog::open(KafkaOptions {
        more: ClientSettings::read(slow).unwrap(),
        ..quick.clone()
    })
    .await
    .unwrap();
    for n in 0..5 {
        append(&log, 0, &format!("old {n}")).await;
    }
    assert_eq!(read_all(&log, 0).await.len(), 5);
    delete(&quick).await;
    let anew = KafkaLog::open(quick).await.unwrap();
    for n in 0..10 {
        append(&anew, 0, &format!("new {n}")).await;
    }
    let until = Instant::now() + Duration::from_secs(60);
    let error = loop {
        assert!(Instant::now() < until, "it sees nothing of it");
        match log.read(0, 5, 10, 1000).await {
            Ok(read) => assert!(read.is_empty(), "{read:?}"),
            Err(error) => break error,
        }
    };
    let BusError::MadeAnew {
        partition: 0,
        offset: 4,
    } = error
    else {
        panic!("{error:?}");
    };
    log.close().await;
    anew.close().await;
}

/// Nobody wrote for a while, and nothing else happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_silence_it_goes_on_where_it_was() {
    let log = KafkaLog::open(fresh("silence")).await.unwrap();
    let mut next = 0;
    for round in 0..3 {
        append(&log, 0, &format!("{round} a")).await;
        append(&log, 0, &format!("{round} b")).await;
        while next < 2 * (round + 1) {
            let read = log.read(0, next, 10, 1000).await.unwrap();
            for entry in read {
                let letter = if next % 2 == 0 { 'a' } else { 'b' };
                assert_eq!(entry.payload, format!("{} {letter}", next / 2));
                assert_eq!(entry.offset, next);
                next += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(1200)).await;
        if round == 1 {
            // Also where what was read last is not kept any more.
            log.release(0, next).await.unwrap();
            log.trim(waywarden_model::Timestamp::MAX).await.unwrap();
            assert_eq!(log.range(0).await.unwrap(), (next, next));
        }
    }
    log.close().await;
}
