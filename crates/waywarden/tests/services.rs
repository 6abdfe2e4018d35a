//! The program with its log on a real Kafka, and with its store on a real TimescaleDB too: killed
//! again and again, it files what it files undisturbed on its own disk.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use support::installation::{Installation, Setup};
use support::server::{address, on_kafka, on_timescale, variables};
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

/// Where servers ask who one is, and are asked.
#[test]
fn on_secured_servers_it_files_what_it_files_on_its_own_disk() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (own, first, second) = (of("own"), of("first.jsonl"), of("second.jsonl"));
    let expected = to_the_end(Running::start(&own), &own, &[], &first);
    let settings = of("kafka.properties");
    let login = "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\n\
                 sasl.username=waywarden\nsasl.password=only-for-tests\n";
    std::fs::write(&settings, login).unwrap();
    let authority = Path::new(&address("WAYWARDEN_TEST_SERVICES")).join("run/tls/ca.pem");
    let told = |path: &Path| path.display().to_string();
    let environment = [
        on_kafka("WAYWARDEN_TEST_KAFKA_SASL", 1),
        variables("LOG", &[("CLIENT_FILE", told(&settings))]),
        on_timescale(),
        variables("STORE", &[("CA_FILE", told(&authority))]),
    ]
    .concat();
    let data = of("secured");
    let running = Running::start_under(&data, &environment);
    assert_eq!(to_the_end(running, &data, &environment, &second), expected);
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
    check(&on_timescale());
}

#[test]
fn killed_on_both_it_files_what_it_files_undisturbed_on_disk() {
    check(&[on_kafka("WAYWARDEN_TEST_KAFKA", 1), on_timescale()].concat());
}

/// One worker goes and another comes while the fleet drives; then what is on file is looked at.
fn shared_by(workers: usize, partitions: u32, vehicles: u32) -> (u64, BTreeSet<String>, String) {
    let setup = Setup {
        wired: false,
        partitions,
        gateways: 1,
        workers,
    };
    let dir = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
    let mut place = Installation::start(dir.path(), setup, &example);
    let key = token_under(dir.path(), &place.environment);
    let ledger = dir.path().join("ledger.jsonl");
    let fleet = place.drive(&ledger, vehicles, UNTIL, 6000);
    std::thread::sleep(Duration::from_millis(2500));
    place.workers.push(place.worker(workers));
    std::thread::sleep(Duration::from_millis(1500));
    place.workers.remove(0).stop();
    fleet.finish();
    let api = place.finish();
    let (filed, _, aside) = settled(&api, &key);
    assert_eq!(aside, 0);
    (
        filed,
        violations(&api, &key),
        format!("{:?}", days(&api, &key)),
    )
}

#[test]
fn however_many_workers_share_however_many_partitions_the_result_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("one-disk");
    let ledger = dir.path().join("ledger.jsonl");
    let expected = to_the_end(Running::start(&data), &data, &[], &ledger);
    for partitions in [1, 8, 32] {
        for workers in [1, 2, 4] {
            let found = shared_by(workers, partitions, VEHICLES);
            assert!(
                found == expected,
                "{workers} workers, {partitions} partitions: {} filed, {} violations",
                found.0,
                found.1.len()
            );
        }
    }
}
