//! The real program: simulated devices in, violations over HTTP out, and killed on the way.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::{
    PROGRAM, Running, acknowledged, addresses, days, settled, simulate, token, violations,
};

fn undisturbed(dir: &Path, vehicles: u32) -> (BTreeSet<String>, [Value; 2], u64) {
    let data = dir.join("undisturbed");
    let running = Running::start(&data);
    let token = token(&data);
    let ledger = dir.join("undisturbed.jsonl");
    assert!(
        simulate(&addresses(&running), &ledger, vehicles)
            .wait()
            .unwrap()
            .success()
    );
    let (filed, _, aside) = settled(&running, &token);
    assert_eq!((filed, aside), (acknowledged(&ledger).len() as u64, 0));
    let found = violations(&running, &token);
    let days = days(&running, &token);
    running.stop();
    (found, days, filed)
}

#[test]
fn killed_and_started_again_it_files_what_it_files_undisturbed() {
    const VEHICLES: u32 = 6;
    const LIVES: u64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let (expected, expected_days, filed) = undisturbed(dir.path(), VEHICLES);
    for kind in [
        "overspeed",
        "continuous_driving",
        "daily_driving",
        "route_deviation",
    ] {
        let named = format!("\"kind\":\"{kind}\"");
        assert!(
            expected.iter().any(|v| v.contains(&named)),
            "no {kind} in {expected:#?}"
        );
    }

    // The fleet of each life drives the whole day again: what the life before acknowledged comes
    // as a repeat, and what it lost in being killed comes as new.
    let data: PathBuf = dir.path().join("killed");
    let ledger = |life: u64| dir.path().join(format!("killed-{life}.jsonl"));
    for life in 0..LIVES {
        let running = Running::start(&data);
        let mut fleet = simulate(&addresses(&running), &ledger(life), VEHICLES);
        // From before the first acknowledgement to well into the day.
        std::thread::sleep(Duration::from_millis(40 + life * 977 % 700));
        running.kill();
        fleet.kill().unwrap();
        fleet.wait().unwrap();
    }
    let running = Running::start(&data);
    let token = token(&data);
    assert!(
        simulate(&addresses(&running), &ledger(LIVES), VEHICLES)
            .wait()
            .unwrap()
            .success()
    );
    let (again, repeated, aside) = settled(&running, &token);
    assert_eq!((again, aside), (filed, 0), "each record once");
    assert!(repeated > 0, "nothing was sent again");
    let all: BTreeSet<_> = (0..=LIVES)
        .flat_map(|life| acknowledged(&ledger(life)))
        .collect();
    assert_eq!(
        all.len() as u64,
        filed,
        "what was acknowledged, ever, is what is on file"
    );
    let found = violations(&running, &token);
    assert_eq!(days(&running, &token), expected_days);
    let lost: Vec<_> = expected.difference(&found).collect();
    let extra: Vec<_> = found.difference(&expected).collect();
    assert!(
        lost.is_empty() && extra.is_empty(),
        "lost {lost:#?}, extra {extra:#?}"
    );
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
