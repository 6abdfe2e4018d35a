//! The whole product as processes of their own, on a Kafka of three nodes and a TimescaleDB, through
//! faults of every kind at random moments: at the end everything that was acknowledged is on file
//! once, and what was judged is what an undisturbed run on one disk judges.
//!
//! `WAYWARDEN_FAULTS` is how many faults (50), `WAYWARDEN_FAULTS_SEED` chooses them.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::installation::{Installation, Setup};
use support::roles::RoleProcess;
use support::server::service;
use support::wire::{Mood, Wire};
use support::{Api, Running, acknowledged, addresses, days, settled, token_under};

const VEHICLES: u32 = 9;
const UNTIL: &str = "2026-03-10T14:00:00+07:00";
/// From midnight on.
const DRIVEN_S: u64 = 14 * 3600;
const GATEWAYS: usize = 2;
const WORKERS: usize = 2;
const SETUP: Setup = Setup {
    brokers: "WAYWARDEN_TEST_KAFKA_CLUSTER",
    copies: 3,
    partitions: 8,
    gateways: GATEWAYS,
    workers: WORKERS,
};
/// Longer than a worker's session: what is frozen for so long has lost its partitions.
const BEYOND_SESSION: Duration = Duration::from_secs(9);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    KillGateway,
    KillWorker,
    StopWorker,
    FreezeWorker,
    KillKafkaNode,
    FreezeKafka,
    KillPostgres,
    CutDevices,
    StallDevices,
    CutStore,
    StallStore,
    StoreAway,
}

/// Each with how often it is drawn.
const FAULTS: [(Fault, u32); 12] = [
    (Fault::KillGateway, 4),
    (Fault::KillWorker, 4),
    (Fault::StopWorker, 2),
    (Fault::FreezeWorker, 2),
    (Fault::KillKafkaNode, 2),
    (Fault::FreezeKafka, 1),
    (Fault::KillPostgres, 2),
    (Fault::CutDevices, 3),
    (Fault::StallDevices, 2),
    (Fault::CutStore, 4),
    (Fault::StallStore, 2),
    (Fault::StoreAway, 1),
];

/// One fault, and what makes it pass.
fn strike(place: &mut Installation, fault: Fault, random: &mut StdRng) {
    let pause = |random: &mut StdRng, from: u64, to: u64| {
        std::thread::sleep(Duration::from_millis(random.random_range(from..to)));
    };
    match fault {
        Fault::KillGateway => {
            pause(random, 0, 100);
            let n = random.random_range(0..GATEWAYS);
            place.gateways.remove(n).kill();
            let started = place.gateway(n);
            place.gateways.insert(n, started);
            place.lead_devices();
        }
        Fault::KillWorker => {
            let n = random.random_range(0..WORKERS);
            place.workers.remove(n).kill();
            let started = place.worker(n);
            place.workers.insert(n, started);
        }
        Fault::StopWorker => {
            let n = random.random_range(0..WORKERS);
            place.workers.remove(n).stop();
            let started = place.worker(n);
            place.workers.insert(n, started);
        }
        Fault::FreezeWorker => {
            let n = random.random_range(0..WORKERS);
            place.workers[n].signal(Signal::STOP);
            std::thread::sleep(BEYOND_SESSION);
            place.workers[n].signal(Signal::CONT);
        }
        Fault::KillKafkaNode => {
            let node = format!("kafka-{}", random.random_range(1..4));
            service("kill", &node);
            std::thread::sleep(Duration::from_secs(2));
            service("again", &node);
            // The next may be another node: two of three must be in sync by then.
            std::thread::sleep(Duration::from_secs(4));
        }
        Fault::FreezeKafka => {
            let all = ["kafka-1", "kafka-2", "kafka-3"];
            all.iter().for_each(|node| service("freeze", node));
            pause(random, 5000, 9000);
            all.iter().for_each(|node| service("thaw", node));
        }
        Fault::KillPostgres => {
            service("kill", "postgres");
            pause(random, 100, 1500);
            service("again", "postgres");
        }
        Fault::CutDevices => place.devices.values().for_each(Wire::cut),
        Fault::StallDevices => {
            place.devices.values().for_each(|w| w.set(Mood::Stalled));
            pause(random, 500, 3000);
            place.devices.values().for_each(|w| w.set(Mood::Fine));
        }
        Fault::CutStore => place.store.cut(),
        Fault::StallStore => {
            place.store.set(Mood::Stalled);
            pause(random, 1000, 5000);
            place.store.set(Mood::Fine);
        }
        Fault::StoreAway => {
            place.store.set(Mood::Down);
            pause(random, 4000, 8000);
            place.store.set(Mood::Fine);
        }
    }
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example")
}

/// The example's registers with a wrong class of one vehicle, which is put right in the middle.
fn wrong_registers(folder: &Path) -> PathBuf {
    let wrong = folder.join("registers");
    std::fs::create_dir_all(&wrong).unwrap();
    for entry in std::fs::read_dir(example()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, wrong.join(path.file_name().unwrap())).unwrap();
    }
    let vehicles = wrong.join("vehicles.csv");
    let text = std::fs::read_to_string(&vehicles).unwrap();
    let changed = text.replace("V0002,truck_over_3_5t", "V0002,special_machine");
    assert_ne!(text, changed);
    std::fs::write(vehicles, changed).unwrap();
    wrong
}

/// What is compared: without the number of the registry version in force when a day was judged,
/// since a version that says the same of a source does not have it judged again.
fn facts(running: &Api, key: &str) -> (BTreeSet<String>, Vec<Value>) {
    let plain = |text: &String| {
        let mut item: Value = serde_json::from_str(text).unwrap();
        item.as_object_mut().unwrap().remove("registry");
        item.to_string()
    };
    let found = support::violations(running, key);
    let mut rows = days(running, key);
    for row in rows
        .iter_mut()
        .flat_map(|r| r["items"].as_array_mut().unwrap())
    {
        row.as_object_mut().unwrap().remove("registry");
    }
    (found.iter().map(plain).collect(), rows.to_vec())
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable);
    text.map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn through_every_fault_what_is_acknowledged_is_filed_once_and_judged_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);

    // Undisturbed, on one disk.
    let (quiet, first) = (of("undisturbed"), of("first.jsonl"));
    let running = Running::start(&quiet);
    let key = support::token(&quiet);
    support::simulate_until(&addresses(&running), &first, VEHICLES, UNTIL).finish();
    let (records, _, aside) = settled(&running, &key);
    assert_eq!(aside, 0);
    let expected = facts(&running, &key);
    running.stop();

    let count = number("WAYWARDEN_FAULTS", 50);
    let seed = number("WAYWARDEN_FAULTS_SEED", 1);
    let mut random = StdRng::seed_from_u64(seed);
    std::fs::create_dir(of("place")).unwrap();
    let wrong = wrong_registers(dir.path());
    let mut place = Installation::start(&of("place"), SETUP, &wrong);
    let (key, ledger) = (
        token_under(&of("place"), &place.environment),
        of("ledger.jsonl"),
    );
    // The fleet drives for about as long as the faults last.
    let speed_up = DRIVEN_S / (count * 5).max(1);
    let mut fleet = place.drive(&ledger, VEHICLES, UNTIL, speed_up);
    let total: u32 = FAULTS.iter().map(|(_, weight)| weight).sum();
    let (begun, mut met, mut driving) = (Instant::now(), BTreeMap::new(), 0);
    for n in 0..count {
        let mut drawn = random.random_range(0..total);
        let which = FAULTS.iter().find(|(_, weight)| {
            let found = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            found
        });
        // Each kind at least once, however the dice fall.
        let of_turn = FAULTS.get(usize::try_from(n).unwrap());
        let (fault, _) = of_turn.or(which).unwrap();
        *met.entry(*fault).or_insert(0) += 1;
        eprintln!("{:>4} s: {fault:?}", begun.elapsed().as_secs());
        driving += u64::from(fleet.is_driving());
        strike(&mut place, *fault, &mut random);
        if n == count / 2 {
            place.import(&example());
        }
        std::thread::sleep(Duration::from_millis(random.random_range(100..1500)));
    }
    eprintln!("{:>4} s: {met:?}", begun.elapsed().as_secs());
    assert!(2 * driving > count, "{driving} faults met a driving fleet");
    fleet.finish();

    let spooled = place.gateways.iter().flat_map(RoleProcess::said);
    let spooled = spooled
        .filter(|l| l.contains("the spool is drained"))
        .count();
    let running = place.finish();
    let (filed, repeated, aside) = settled(&running, &key);
    eprintln!("{filed} filed, {repeated} repeated, {spooled} times drained");
    assert_eq!(aside, 0);
    assert_eq!(filed, records, "every record once");
    assert_eq!(
        acknowledged(&ledger).len() as u64,
        filed,
        "acknowledged is on file, and on file is acknowledged"
    );
    let found = facts(&running, &key);
    for missing in expected.0.difference(&found.0) {
        eprintln!("missing: {missing}");
    }
    for more in found.0.difference(&expected.0) {
        eprintln!("too many: {more}");
    }
    assert!(found == expected, "what was judged is the same");
}
