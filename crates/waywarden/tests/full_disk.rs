//! Full disks, on a small file system of their own. Mounting it needs root.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::path::Path;
use std::time::{Duration, Instant};
use support::disk::{Disk, MIB};
use support::{Running, acknowledged, addresses, settled, simulate, token};

const SIZE: u64 = 400 * MIB;
const VEHICLES: u32 = 18;
const PATIENCE: Duration = Duration::from_secs(120);

fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !ask() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn start(data: &Path, reserve: &str) -> Running {
    let name = "WAYWARDEN__GATEWAY__DISK_RESERVE".to_owned();
    Running::start_under(data, &[(name, reserve.to_owned())])
}

/// Runs the fleet until `stuck`, frees the disk, and holds what is on file at the end against what
/// was acknowledged, ever.
fn check(running: Running, dir: &Path, disk: &Disk, free: u64, stuck: impl Fn(&Running) -> bool) {
    let mut running = running;
    let data = disk.0.join("data");
    let ledger = dir.join("ledger.jsonl");
    let key = token(&data);
    let filler = disk.fill(free);
    let mut fleet = simulate(&addresses(&running), &ledger, VEHICLES);
    until("the disk does not fill", || {
        assert!(fleet.is_driving(), "the day fits on the disk");
        stuck(&running)
    });
    // What is in flight may still become durable; then nothing is acknowledged any more.
    let mut before = 0;
    until("it is acknowledged on", || {
        std::thread::sleep(Duration::from_millis(1500));
        let now = acknowledged(&ledger).len();
        std::mem::replace(&mut before, now) == now
    });
    assert!(running.is_alive());
    std::fs::remove_file(filler).unwrap();
    fleet.finish();
    let (filed, _, aside) = settled(&running, &key);
    let sent = acknowledged(&ledger);
    assert_eq!((filed, aside), (sent.len() as u64, 0), "each record once");
    assert!(sent.len() > before, "it went on");
    until("it is not ready again", || running.ask("/readyz").0 == 200);
    running.stop();
}

#[test]
fn at_the_reserve_devices_wait_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&dir.path().join("disk"), SIZE);
    let running = start(&disk.0.join("data"), "100MiB");
    check(running, dir.path(), &disk, 110 * MIB, |running| {
        let (status, body) = running.ask("/readyz");
        status == 503 && body.contains("disk")
    });
}

#[test]
fn a_disk_that_is_really_full_stops_everything_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::mount(&dir.path().join("disk"), SIZE);
    let running = start(&disk.0.join("data"), "0B");
    check(running, dir.path(), &disk, 12 * MIB, |_| {
        disk.free() < MIB / 4
    });
}
