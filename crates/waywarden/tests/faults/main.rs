//! The whole product as processes of their own, on a Kafka of three nodes and a TimescaleDB, through
//! faults of every kind at random moments: at the end everything that was acknowledged is on file
//! once, every counter adds up, and what was judged is what an undisturbed run on one disk judges.
//!
//! `WAYWARDEN_FAULTS` is how many faults (60), `WAYWARDEN_FAULTS_SEED` chooses them. Small disks are
//! mounted for it, so it runs as root.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod anew;
mod counted;
mod facts;
mod frozen;
mod kinds;
mod outage;
mod scene;
mod strike;
#[path = "../support/mod.rs"]
mod support;

use facts::Facts;
use kinds::Fault;
use rand::{SeedableRng, rngs::StdRng};
use scene::Scene;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use support::figures::Figures;
use support::installation::{Installation, Setup};
use support::server::server_of;
use support::{Running, acknowledged, addresses, settled, token_under};

const VEHICLES: u32 = 9;
const UNTIL: &str = "2026-03-10T14:00:00+07:00";
/// From midnight on.
const DRIVEN_S: u64 = 14 * 3600;
const GATEWAYS: usize = 2;
const WORKERS: usize = 2;
const PARTITIONS: u32 = 8;
const SETUP: Setup = Setup {
    wired: true,
    partitions: PARTITIONS,
    gateways: GATEWAYS,
    workers: WORKERS,
};
/// Twice what a fault takes, on average and without the two minutes: the fleet drives for so long,
/// and has not come to its end when the last fault passes.
const FAULT_S: u64 = 8;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example")
}

/// The example's registers with a wrong class of one vehicle, which is put right on the way.
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

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable);
    text.map_or(otherwise, |text| text.parse().unwrap())
}

/// Records and facts of the same fleet, undisturbed, on one disk.
fn undisturbed(folder: &Path) -> (u64, Facts) {
    let data = folder.join("undisturbed");
    let running = Running::start(&data);
    let key = support::token(&data);
    let ledger = folder.join("undisturbed.jsonl");
    support::simulate_until(&addresses(&running), &ledger, VEHICLES, UNTIL).finish();
    let (records, _, aside) = settled(&running, &key);
    assert_eq!(aside, 0);
    let mut found = Facts::of(&running, &key);
    running.stop();
    found.periods = facts::periods_in(&data);
    (records, found)
}

#[test]
fn through_every_fault_what_is_acknowledged_is_filed_once_and_judged_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (records, expected) = undisturbed(dir.path());
    let count = usize::try_from(number("WAYWARDEN_FAULTS", 60)).unwrap();
    let mut random = StdRng::seed_from_u64(number("WAYWARDEN_FAULTS_SEED", 1));
    let plan = kinds::plan(count, &mut random);
    let folder = dir.path().join("place");
    std::fs::create_dir(&folder).unwrap();
    let _small = outage::SmallLog::new();
    let place = Installation::start(&folder, SETUP, &wrong_registers(dir.path()));
    let key = token_under(&folder, &place.environment);
    let ledger = |name: &str| dir.path().join(name);
    let lasts = 2 * outage::AWAY * kinds::rounds(count) as u64 + FAULT_S * count as u64;
    let speed_up = (DRIVEN_S / lasts).max(1);
    let mut scene = Scene {
        fleet: place.drive(&ledger("through.jsonl"), VEHICLES, UNTIL, speed_up),
        place,
        ledgers: vec![ledger("through.jsonl"), ledger("behind.jsonl")],
        random,
        lives: vec![vec![Figures::default()]; GATEWAYS],
    };
    let (begun, mut met) = (Instant::now(), BTreeMap::new());
    for fault in &plan {
        *met.entry(*fault).or_insert(0) += 1;
        eprintln!("{:>4} s: {fault}", begun.elapsed().as_secs());
        assert!(scene.fleet.is_driving(), "a fault has met a fleet at rest");
        strike::strike(&mut scene, *fault);
        scene.pause(100, 1000);
    }
    let through = acknowledged(&scene.ledgers[0]).len() as u64;
    eprintln!(
        "{:>4} s: {through} of {records} records were acknowledged by then",
        begun.elapsed().as_secs()
    );
    scene.fleet.kill();
    // The rest of the day as fast as it is taken, by devices that send all of it again.
    scene.fleet = scene.place.drive(&scene.ledgers[1], VEHICLES, UNTIL, 0);
    scene.fleet.wait();
    scene.place.drained();
    scene.each_partition_is_worked_once();
    counted::of_the_gateways(&mut scene);
    let api = scene.place.finish();
    settled(&api, &key);
    let filed = counted::every_record_is_on_file_once(&scene);
    assert_eq!(filed, records, "as many as undisturbed");
    counted::of_the_store(&scene, &api, &key, filed);
    let mut found = Facts::of(&api, &key);
    found.periods = facts::periods_at(&server_of(&scene.place.environment));
    found.must_be(&expected);

    *met.entry(Fault::TopicMadeAnew).or_insert(0) += 1;
    anew::topic_made_anew(&mut scene);
    eprintln!(
        "{:>4} s: {} faults:",
        begun.elapsed().as_secs(),
        plan.len() + 1
    );
    for (fault, times) in met {
        eprintln!("{times:>6} {fault}");
    }
}
