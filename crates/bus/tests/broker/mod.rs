//! The brokers that tests talk to, and topics that are one test's own.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part of it

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use waywarden_bus::KafkaOptions;

/// An address that `deploy/services.sh env` gives.
pub fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: deploy/services.sh start && eval \"$(deploy/services.sh env)\""
        )
    })
}

/// A topic that no other test and no earlier run has.
pub fn fresh(name: &str) -> KafkaOptions {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (stamp, n) = (now.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed));
    KafkaOptions {
        brokers: address("WAYWARDEN_TEST_KAFKA"),
        topic: format!("{name}-{stamp}-{n}"),
        group: format!("{name}-{stamp}-{n}"),
        partitions: super::contract::PARTITIONS,
        replication: 1,
        min_in_sync: 1,
        ..KafkaOptions::default()
    }
}
