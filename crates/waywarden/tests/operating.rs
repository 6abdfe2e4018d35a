//! What an engineer does with the program: check a configuration, migrate, restore a backup.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::{
    PROGRAM, Running, acknowledged, addresses, settled, simulate_until, token, violations,
};

fn waywarden(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_configuration_is_checked_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("waywarden.toml");
    let check = |content: &str| {
        std::fs::write(&file, content).unwrap();
        waywarden(&["check-config", "--config", text(&file)])
    };
    let good = check("[worker]\nlate_quiet = \"5s\"\n[gateway]\nidle_after = \"1800s\"\n");
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    assert_eq!(
        String::from_utf8(good.stdout).unwrap(),
        "worker.late_quiet = \"5s\"\n"
    );

    let doubtful = check("[gateway]\nlenient_checksums = true\n");
    assert_eq!(doubtful.status.code(), Some(0));
    assert!(said(&doubtful).contains("warning: `gateway.lenient_checksums`"));

    let wrong = check("[console]\nlisten = \"0.0.0.0:8080\"\n");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        said(&wrong).contains("not a loopback address"),
        "{}",
        said(&wrong)
    );

    check("[gateway]\nlistener = []\n");
    for command in ["check-config", "run"] {
        let done = waywarden(&[command, "--config", text(&file)]);
        assert_eq!(done.status.code(), Some(2));
        let expected = format!("{}:2: there is no key `gateway.listener`", file.display());
        assert!(said(&done).contains(&expected), "{}", said(&done));
    }
    let none = waywarden(&["check-config", "--config", "nowhere.toml"]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    let example = waywarden(&["check-config", "--defaults"]);
    std::fs::write(&file, &example.stdout).unwrap();
    let done = waywarden(&["check-config", "--config", text(&file)]);
    assert_eq!(
        (done.status.code(), done.stdout.len()),
        (Some(0), 0),
        "{}",
        said(&done)
    );
}

#[test]
fn a_store_of_an_older_program_is_migrated_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = waywarden(&["migrate", "--data", text(&data)]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        said(&first).contains("none before, 2 now"),
        "{}",
        said(&first)
    );
    let again = waywarden(&["migrate", "--data", text(&data)]);
    assert!(said(&again).contains("2 before, 2 now"), "{}", said(&again));
    let running = Running::start(&data);
    let locked = waywarden(&["migrate", "--data", text(&data)]);
    assert_eq!(locked.status.code(), Some(1), "{}", said(&locked));
    assert!(said(&locked).contains("in use"), "{}", said(&locked));
    running.stop();
}

/// The commands of docs/operations.md: a copy while it runs, and a start on the copy and the log.
#[test]
fn a_restored_backup_catches_up_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (data, restored) = (of("data"), of("restored"));
    let running = Running::start(&data);
    let key = token(&data);
    let send = |ledger: &str, until: &str| {
        let fleet = simulate_until(&addresses(&running), &of(ledger), 4, until);
        fleet.finish();
        settled(&running, &key);
    };
    send("first.jsonl", "2026-03-10T06:30:00+07:00");
    let copied = waywarden(&["backup", "--data", text(&data), text(&of("backup"))]);
    assert!(copied.status.success(), "{}", said(&copied));
    send("second.jsonl", "2026-03-10T10:00:00+07:00");
    let expected = violations(&running, &key);
    let sent = acknowledged(&of("second.jsonl")).len() as u64;
    running.stop();

    std::fs::create_dir(&restored).unwrap();
    for file in ["VERSION", "auth.key", "last-stamp"] {
        std::fs::copy(data.join(file), restored.join(file)).unwrap();
    }
    let copy = Command::new("cp")
        .args(["-a", text(&data.join("log")), text(&restored)])
        .status();
    assert!(copy.unwrap().success());
    std::fs::copy(of("backup").join("store.db"), restored.join("store.db")).unwrap();
    // Tokens are in the copy.
    let again = Running::start(&restored);
    let (filed, _, aside) = settled(&again, &key);
    assert_eq!((filed, aside), (sent, 0));
    assert_eq!(violations(&again, &key), expected);
    again.stop();
}
