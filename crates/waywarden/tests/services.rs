//! The program with its log on a real Kafka, and with its store on a real TimescaleDB too: killed
//! again and again, it files what it files undisturbed on its own disk.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use support::server::{on_kafka, on_timescale};
use support::{
    Running, acknowledged, addresses, days, settled, simulate_until, token_under, violations,
};

const VEHICLES: u32 = 6;
const UNTIL: &str = "2026-03-10T12:00:00+07:00";

/// Records, violations and day rows at the end of the fleet's half day.
fn to_the_end(
    running: Running,
    data: &Path,
    environment: &[(String, String)],
    ledger: &Path,
) -> (u64, BTreeSet<String>, String) {
    let key = token_under(data, environment);
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

/// Kills the program again and again, and holds the end against a run on its own disk.
fn check(environment: &[(String, String)]) {
    const LIVES: u64 = 6;
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (undisturbed, first) = (of("undisturbed"), of("first.jsonl"));
    let expected = to_the_end(Running::start(&undisturbed), &undisturbed, &[], &first);
    let data = of("killed");
    let ledger = |life: u64| of(&format!("life-{life}.jsonl"));
    for life in 0..LIVES {
        let running = Running::start_under(&data, environment);
        let fleet = simulate_until(&addresses(&running), &ledger(life), VEHICLES, UNTIL);
        std::thread::sleep(Duration::from_millis(150 + life * 977 % 900));
        running.kill();
        drop(fleet);
    }
    let last = Running::start_under(&data, environment);
    let found = to_the_end(last, &data, environment, &ledger(LIVES));
    let each = (0..=LIVES).flat_map(|life| acknowledged(&ledger(life)));
    let all: BTreeSet<_> = each.collect();
    assert_eq!(
        all.len() as u64,
        found.0,
        "acknowledged, ever, is on file once"
    );
    assert_eq!(found, expected);
}

#[test]
fn killed_on_kafka_it_files_what_it_files_undisturbed_on_disk() {
    check(&on_kafka("WAYWARDEN_TEST_KAFKA", 1));
}

#[test]
fn killed_on_timescale_it_files_what_it_files_undisturbed_on_disk() {
    check(&on_timescale(None));
}

#[test]
fn killed_on_both_it_files_what_it_files_undisturbed_on_disk() {
    check(&[on_kafka("WAYWARDEN_TEST_KAFKA", 1), on_timescale(None)].concat());
}
