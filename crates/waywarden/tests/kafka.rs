//! The program with its log on a real Kafka: killed again and again, it files what it files
//! undisturbed on its own disk.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{Running, acknowledged, addresses, days, settled, simulate_until, token, violations};

const VEHICLES: u32 = 6;
const UNTIL: &str = "2026-03-10T12:00:00+07:00";

/// A topic that no earlier run has.
fn on_kafka() -> Vec<(String, String)> {
    let brokers = std::env::var("WAYWARDEN_TEST_KAFKA").unwrap_or_else(|_| {
        panic!(
            "WAYWARDEN_TEST_KAFKA is not set: deploy/services.sh start && \
             eval \"$(deploy/services.sh env)\""
        )
    });
    let stamp = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    [
        ("KIND", "kafka".to_owned()),
        ("BROKERS", brokers),
        ("TOPIC", format!("records-{stamp}")),
        ("GROUP", format!("workers-{stamp}")),
        ("REPLICATION", "1".to_owned()),
        ("MIN_IN_SYNC", "1".to_owned()),
    ]
    .map(|(name, value)| (format!("WAYWARDEN__LOG__{name}"), value))
    .to_vec()
}

/// Records, violations and day rows at the end of the fleet's half day.
fn to_the_end(running: Running, data: &Path, ledger: &Path) -> (u64, BTreeSet<String>, String) {
    let key = token(data);
    simulate_until(&addresses(&running), ledger, VEHICLES, UNTIL).finish();
    let (filed, _, aside) = settled(&running, &key);
    assert_eq!(aside, 0);
    let found = (
        filed,
        violations(&running, &key),
        format!("{:?}", days(&running, &key)),
    );
    running.stop();
    found
}

#[test]
fn killed_on_kafka_it_files_what_it_files_undisturbed_on_disk() {
    const LIVES: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let undisturbed = of("undisturbed");
    let expected = to_the_end(
        Running::start(&undisturbed),
        &undisturbed,
        &of("first.jsonl"),
    );
    let (data, environment) = (of("killed"), on_kafka());
    let ledger = |life: u64| of(&format!("life-{life}.jsonl"));
    for life in 0..LIVES {
        let running = Running::start_under(&data, &environment);
        let fleet = simulate_until(&addresses(&running), &ledger(life), VEHICLES, UNTIL);
        std::thread::sleep(Duration::from_millis(150 + life * 977 % 900));
        running.kill();
        drop(fleet);
    }
    let last = Running::start_under(&data, &environment);
    let found = to_the_end(last, &data, &ledger(LIVES));
    let each = (0..=LIVES).flat_map(|life| acknowledged(&ledger(life)));
    let all: BTreeSet<_> = each.collect();
    assert_eq!(
        all.len() as u64,
        found.0,
        "acknowledged, ever, is on file once"
    );
    assert_eq!(found, expected);
}
