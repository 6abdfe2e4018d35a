//! The real program: simulated devices in, violations over HTTP out, and killed on the way.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::powercut::PowerCut;
use support::{
    PROGRAM, Running, acknowledged, addresses, days, settled, simulate, token, violations,
};
use waywarden_model::Period;
use waywarden_store::{FactStore, Options, SqliteStore};

/// What is on file at the end of a run.
#[derive(Debug, PartialEq)]
struct Filed {
    records: u64,
    repeated: u64,
    violations: BTreeSet<String>,
    days: [Value; 2],
    periods: Vec<Period>,
}

const VEHICLES: u32 = 6;

/// Drives the whole day against the program, waits until everything is judged, stops it.
fn drive_to_the_end(running: Running, data: &Path, ledger: &Path) -> Filed {
    let token = token(data);
    let fleet = simulate(&addresses(&running), ledger, VEHICLES);
    fleet.finish();
    let (records, repeated, aside) = settled(&running, &token);
    assert_eq!(aside, 0);
    let (violations, days) = (violations(&running, &token), days(&running, &token));
    running.stop();
    Filed {
        records,
        repeated,
        violations,
        days,
        periods: periods(data),
    }
}

fn periods(data: &Path) -> Vec<Period> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&data.join("store.db"), Options::default()).unwrap();
        store.periods_after(None, 1_000_000).await.unwrap()
    })
}

fn undisturbed(dir: &Path) -> Filed {
    let data = dir.join("undisturbed");
    let ledger = dir.join("undisturbed.jsonl");
    let filed = drive_to_the_end(Running::start(&data), &data, &ledger);
    assert_eq!(filed.records, acknowledged(&ledger).len() as u64);
    for kind in [
        "overspeed",
        "continuous_driving",
        "daily_driving",
        "route_deviation",
    ] {
        let named = format!("\"kind\":\"{kind}\"");
        let found = filed.violations.iter().any(|v| v.contains(&named));
        assert!(found, "no {kind} in {:#?}", filed.violations);
    }
    filed
}

/// Ledgers of the lives of one data folder.
fn ledger(dir: &Path, life: u64) -> PathBuf {
    dir.join(format!("life-{life}.jsonl"))
}

/// One life that ends by SIGKILL at some moment between before the first acknowledgement and well
/// into the day. The fleet of each life drives the whole day again: what the life before
/// acknowledged comes as a repeat, and what it lost in being killed comes as new.
fn live_and_die(running: Running, dir: &Path, life: u64) {
    let fleet = simulate(&addresses(&running), &ledger(dir, life), VEHICLES);
    std::thread::sleep(Duration::from_millis(40 + life * 977 % 700));
    running.kill();
    drop(fleet);
}

/// The last life: everything ever acknowledged is on file once, and the facts are those of the
/// undisturbed run.
fn check_the_end(running: Running, data: &Path, dir: &Path, lives: u64, expected: &Filed) {
    let mut found = drive_to_the_end(running, data, &ledger(dir, lives));
    assert!(found.repeated > 0, "nothing was sent again");
    let each = (0..=lives).flat_map(|life| acknowledged(&ledger(dir, life)));
    let all: BTreeSet<_> = each.collect();
    assert_eq!(
        all.len() as u64,
        found.records,
        "acknowledged, ever, is on file"
    );
    let lost: Vec<_> = expected.violations.difference(&found.violations).collect();
    let extra: Vec<_> = found.violations.difference(&expected.violations).collect();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "lost {lost:#?}, extra {extra:#?}"
    );
    found.repeated = expected.repeated;
    assert_eq!(found, *expected);
}

#[test]
fn killed_and_started_again_it_files_what_it_files_undisturbed() {
    const LIVES: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let expected = undisturbed(dir.path());
    let data = dir.path().join("killed");
    for life in 0..LIVES {
        live_and_die(Running::start(&data), dir.path(), life);
    }
    check_the_end(Running::start(&data), &data, dir.path(), LIVES, &expected);
}

#[test]
fn what_a_power_cut_leaves_holds_everything_acknowledged() {
    const LIVES: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let expected = undisturbed(dir.path());
    let power = PowerCut::new(dir.path());
    let start = || Running::start_under(&power.live, &power.environment(false));
    for life in 0..LIVES {
        live_and_die(start(), dir.path(), life);
        power.cut();
    }
    check_the_end(start(), &power.live, dir.path(), LIVES, &expected);
}

/// The layer bites: where syncs are a lie, what was acknowledged is gone.
#[test]
fn a_disk_that_lies_loses_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let power = PowerCut::new(dir.path());
    // An honest life first, so that there is a folder to come back to.
    let honest = Running::start_under(&power.live, &power.environment(false));
    token(&power.live);
    honest.stop();
    let lied_to = Running::start_under(&power.live, &power.environment(true));
    let fleet = simulate(&addresses(&lied_to), &ledger(dir.path(), 0), VEHICLES);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while acknowledged(&ledger(dir.path(), 0)).len() < 1000 {
        assert!(std::time::Instant::now() < until, "nothing is acknowledged");
        std::thread::sleep(Duration::from_millis(20));
    }
    lied_to.kill();
    drop(fleet);
    power.cut();
    let running = Running::start(&power.live);
    let export = Command::new(PROGRAM)
        .args(["export", "positions", "--format", "jsonl", "--data"])
        .arg(&power.live)
        .args(["--from", "2026-03-09", "--to", "2026-03-12"])
        .output()
        .unwrap();
    assert!(export.status.success());
    let on_file = String::from_utf8(export.stdout).unwrap().lines().count();
    assert!(on_file < acknowledged(&ledger(dir.path(), 0)).len());
    running.stop();
}

#[test]
fn a_second_process_on_the_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let second = Command::new(PROGRAM)
        .args(["run", "--any-port", "--http", "127.0.0.1:0", "--data"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(text.contains("another"), "{text}");
    running.stop();
}

#[test]
fn a_bad_import_takes_nothing_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("vehicles.csv");
    std::fs::write(&file, "plate,class\n14C-000.01,lorry\n").unwrap();
    let done = Command::new(PROGRAM)
        .args(["import", "--data"])
        .arg(dir.path().join("data"))
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(
        text.contains("vehicles.csv") && text.contains("truck_over_3_5t"),
        "{text}"
    );
}
