//! `waywarden recalculate` and what `import` says: beside a running program and without one.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output};
use support::{
    PROGRAM, Running, acknowledged, addresses, settled, simulate_until, token, violations,
};
use waywarden_model::hash::{content_hash, partition_of};
use waywarden_model::{Record, SourceId, Timestamp};
use waywarden_store::{
    AsideReason, AsideRecord, Batch, FactStore, Options, ReadStore, RebuildStore, SqliteStore,
    StoredRecord, WorkerStore,
};

const DAY: [&str; 4] = ["--from", "2026-03-10", "--to", "2026-03-11"];

fn waywarden(command: &str, data: &Path, more: &[&str]) -> Output {
    let mut program = Command::new(PROGRAM);
    program.arg(command).arg("--data").arg(data).args(more);
    program.output().unwrap()
}

fn recalculate(data: &Path, more: &[&str]) -> (String, String) {
    let done = waywarden("recalculate", data, &[&DAY[..], more].concat());
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    (String::from_utf8(done.stdout).unwrap(), said)
}

/// Id to plate and start of those that stand.
fn standing(running: &Running, token: &str) -> BTreeMap<String, Value> {
    let of = |v: String| {
        let v: Value = serde_json::from_str(&v).unwrap();
        (v["id"].as_str().unwrap().to_owned(), v)
    };
    violations(running, token).into_iter().map(of).collect()
}

/// The example's vehicles, the second of them in a class with lower limits since ever.
fn slower(dir: &Path) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example/vehicles.csv");
    let text = std::fs::read_to_string(example).unwrap();
    let row = "V0002,truck_over_3_5t";
    assert!(text.contains(row));
    let file = dir.join("vehicles.csv");
    std::fs::write(&file, text.replace(row, "V0002,special_machine")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn what_is_told_is_what_changes_with_and_without_a_running_program() {
    let dir = tempfile::tempdir().unwrap();
    let (data, ledger) = (dir.path().join("data"), dir.path().join("ledger.jsonl"));
    let running = Running::start(&data);
    let asker = token(&data);
    let until = "2026-03-10T09:00:00+07:00";
    simulate_until(&addresses(&running), &ledger, 3, until).finish();
    settled(&running, &asker);
    let before = standing(&running, &asker);
    let (lines, said) = recalculate(&data, &["--dry-run"]);
    assert_eq!(lines, "");
    assert!(
        said.contains("nothing would change; nothing was written"),
        "{said}"
    );
    running.stop();

    let imported = waywarden("import", &data, &[&slower(dir.path())]);
    let said = String::from_utf8(imported.stderr).unwrap();
    let named = "1 source is judged again: 90000000002 from its first record on";
    assert!(said.contains(named), "{said}");

    let (lines, said) = recalculate(&data, &["--dry-run"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(
        said.contains("created") && said.contains("nothing was written"),
        "{said}"
    );
    assert!(
        lines.iter().all(|l| l["vehicle"] == "14C01002"),
        "{lines:#?}"
    );
    assert!(lines.iter().all(|l| l.get("driver_id").is_none()));
    let (_, said) = recalculate(&data, &[]);
    let done = "left to judge: sources 0, hours of drivers or vehicles 0";
    assert!(said.contains(done), "{said}");

    let running = Running::start(&data);
    settled(&running, &asker);
    let after = standing(&running, &asker);
    let told = |change: &str| -> BTreeSet<String> {
        let of_kind = lines.iter().filter(|l| l["change"] == change);
        of_kind
            .map(|l| l["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let only = |a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>| -> BTreeSet<String> {
        a.keys()
            .filter(|id| !b.contains_key(*id))
            .cloned()
            .collect()
    };
    assert_eq!(told("created"), only(&after, &before));
    assert_eq!(told("withdrawn"), only(&before, &after));
    assert!(!told("created").is_empty());

    let (_, said) = recalculate(&data, &["--wait", "--vehicle", "14C-010.02"]);
    assert!(
        said.contains("sources marked: 1; the running program"),
        "{said}"
    );
    assert!(said.contains(done), "{said}");
    assert_eq!(standing(&running, &asker), after);
    running.stop();

    for (more, code, says) in [
        (
            &["--vehicle", "14C-999.99"][..],
            2,
            "no record of `14C-999.99`",
        ),
        (&["--wait", "--dry-run"], 2, "cannot be used with"),
    ] {
        let done = waywarden("recalculate", &data, &[&DAY[..], more].concat());
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// Another law than the one that the store was judged by.
const OTHER_LAW: (&str, &str) = ("WAYWARDEN__RULES__REGIME", "vn-tt09");

#[test]
fn another_law_is_refused_until_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (data, ledger) = (dir.path().join("data"), dir.path().join("ledger.jsonl"));
    let running = Running::start(&data);
    let asker = token(&data);
    let until = "2026-03-10T06:00:00+07:00";
    simulate_until(&addresses(&running), &ledger, 1, until).finish();
    settled(&running, &asker);
    let profiles = |running: &Running| -> BTreeSet<String> {
        let all = standing(running, &asker).into_values();
        all.map(|v| v["profile"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        profiles(&running),
        BTreeSet::from(["vn-36-2024".to_owned()])
    );
    running.stop();

    let mut refused = Command::new(PROGRAM);
    let arguments = ["run", "--any-port", "--http", "127.0.0.1:0", "--data"];
    refused
        .args(arguments)
        .arg(&data)
        .env(OTHER_LAW.0, OTHER_LAW.1);
    let done = refused.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("judged by other profiles"), "{said}");

    let mut again = Command::new(PROGRAM);
    again.arg("recalculate").arg("--data").arg(&data).args(DAY);
    let done = again.env(OTHER_LAW.0, OTHER_LAW.1).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    assert!(said.contains("left to judge: sources 0, hours"), "{said}");

    let law = [(OTHER_LAW.0.to_owned(), OTHER_LAW.1.to_owned())];
    let running = Running::start_under(&data, &law);
    settled(&running, &asker);
    assert_eq!(profiles(&running), BTreeSet::from(["vn-tt09".to_owned()]));
    running.stop();
}

/// Sets records aside as a worker would have done whose gateway's clock was behind: copies of some
/// that are on file, a millisecond later.
async fn set_aside(data: &Path, source: &SourceId) -> usize {
    let store = SqliteStore::open(&data.join("store.db"), Options::default()).unwrap();
    let claim = store.claim(partition_of(source, 4), "test").await.unwrap();
    let stored = store.stored_records(source, None, 5).await.unwrap();
    let aside: Vec<AsideRecord> = stored
        .iter()
        .map(|stored| {
            let time = stored.record.time.plus_millis(1);
            let record = Record {
                time,
                ..stored.record.clone()
            };
            AsideRecord {
                source: source.clone(),
                hash: content_hash(&record),
                record,
                received: time.plus_millis(-3_600_000),
                reason: AsideReason::Future,
                frame: None,
            }
        })
        .collect();
    let count = aside.len();
    let batch = Batch {
        aside,
        records_read: count as u64,
        registry: claim.registry,
        log: claim.log.clone().unwrap(),
        ..Batch::default()
    };
    let at = claim.position;
    store.commit(&claim, at, at, batch).await.unwrap();
    count
}

#[test]
fn what_was_set_aside_as_future_is_taken_in_when_its_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let (data, ledger) = (dir.path().join("data"), dir.path().join("ledger.jsonl"));
    let running = Running::start(&data);
    let asker = token(&data);
    let until = "2026-03-10T06:00:00+07:00";
    simulate_until(&addresses(&running), &ledger, 1, until).finish();
    let (filed, ..) = settled(&running, &asker);
    running.stop();
    let source = acknowledged(&ledger).first().unwrap().0.as_str().into();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = runtime.block_on(set_aside(&data, &source));
    assert_eq!(count, 5);

    let running = Running::start(&data);
    let aside = |running: &Running| settled(running, &asker).2;
    assert_eq!(aside(&running), 5);
    let (_, said) = recalculate(&data, &["--readmit", "--wait"]);
    assert!(said.contains("records taken in: 5"), "{said}");
    assert!(
        said.contains("sources marked: 1; the running program"),
        "{said}"
    );
    assert_eq!(aside(&running), 0);
    assert_eq!(settled(&running, &asker).0, filed + 5);
    running.stop();
    let (_, said) = recalculate(&data, &["--readmit"]);
    assert!(said.contains("records taken in: 0"), "{said}");
}

/// The example's devices, the second of them with a clock registered in another zone than it has.
fn wrong_zone(dir: &Path) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example/devices.csv");
    let text = std::fs::read_to_string(example).unwrap();
    let row = "90000000002,jt808,,";
    assert!(text.contains(row));
    let file = dir.join("devices.csv");
    std::fs::write(&file, text.replace(row, "90000000002,jt808,+07:00,")).unwrap();
    file.to_str().unwrap().to_owned()
}

/// All that is filed and stands, but for the numbers of the registers' versions, and times of
/// receipt.
async fn facts(data: &Path) -> Vec<String> {
    let store = SqliteStore::open(&data.join("store.db"), Options::default()).unwrap();
    let mut all = Vec::new();
    for (source, _) in store.newest_records(None, 99).await.unwrap() {
        let records = store.stored_records(&source, None, 99_999).await.unwrap();
        let told = |r: &StoredRecord| format!("{source} {:?} {:?}", r.record, r.verdict);
        all.extend(records.iter().map(told));
    }
    for mut period in store.periods_after(None, 9999).await.unwrap() {
        period.registry = 0;
        all.push(format!("{period:?}"));
    }
    for mut violation in store.violations_after(None, 9999).await.unwrap() {
        violation.registry = 0;
        all.push(format!("{violation:?}"));
    }
    let days = store.day_rows_after(None, 999).await.unwrap();
    all.extend(days.iter().map(|day| format!("{day:?}")));
    let days = store.driver_days_after(None, 999).await.unwrap();
    all.extend(days.iter().map(|day| format!("{day:?}")));
    for mut latest in store.latest(99).await.unwrap() {
        latest.received = Timestamp::MIN;
        all.push(format!("{latest:?}"));
    }
    let mut read = 0;
    for partition in store.status().await.unwrap().partitions {
        let c = partition.counters;
        assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
        read += c.read;
    }
    all.push(format!("{read} records"));
    all
}

/// The devices' lines of `recalculate --redecode`.
fn redecoded(said: &str) -> BTreeMap<String, Value> {
    let line = |l| {
        let line: Value = serde_json::from_str(l).unwrap();
        (line["device"].as_str().unwrap().to_owned(), line)
    };
    said.lines().map(line).collect()
}

/// What only one of the two has.
fn differing<'a>(some: &'a [String], others: &'a [String]) -> BTreeSet<&'a String> {
    let of = |all: &'a [String]| -> BTreeSet<&'a String> { all.iter().collect() };
    of(some)
        .symmetric_difference(&of(others))
        .copied()
        .collect()
}

/// The facts of the same fleet with these devices registered before it came.
fn wrong_from_the_start(dir: &Path, devices: &str) -> Vec<String> {
    let (data, registers) = (dir.join("other"), dir.join("registers"));
    std::fs::create_dir(&registers).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
    for file in std::fs::read_dir(example).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), registers.join(file.file_name())).unwrap();
    }
    std::fs::copy(devices, registers.join("devices.csv")).unwrap();
    let running = Running::start_on(&data, &registers, &[]);
    let asker = token(&data);
    let ledger = dir.join("other.jsonl");
    simulate_until(&addresses(&running), &ledger, 3, UNTIL).finish();
    settled(&running, &asker);
    running.stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(facts(&data))
}

const UNTIL: &str = "2026-03-10T09:00:00+07:00";

/// A clock's zone that was registered wrong, and is put right: with a program that runs and without
/// one all is in the end as if it had never been wrong.
#[test]
fn a_zone_that_was_wrong_is_put_right_by_decoding_again() {
    let dir = tempfile::tempdir().unwrap();
    let (data, ledger) = (dir.path().join("data"), dir.path().join("ledger.jsonl"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let facts = || runtime.block_on(facts(&data));
    let running = Running::start(&data);
    let asker = token(&data);
    simulate_until(&addresses(&running), &ledger, 3, UNTIL).finish();
    settled(&running, &asker);
    running.stop();
    let right = facts();
    let none = "of which say something else 0: records removed 0, filed 0";
    let (lines, said) = recalculate(&data, &["--redecode"]);
    assert!(said.contains("devices 3") && said.contains(none), "{said}");
    assert_eq!(redecoded(&lines).len(), 3);
    assert_eq!(facts(), right, "what is decoded as it was changes nothing");

    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example/devices.csv");
    let wrong = wrong_zone(dir.path());
    let import = |file: &str| {
        let imported = waywarden("import", &data, &[file]);
        assert_eq!(imported.status.code(), Some(0), "{imported:?}");
        let said = String::from_utf8(imported.stderr).unwrap();
        assert!(
            said.contains("1 device is decoded otherwise from now on"),
            "{said}"
        );
    };
    import(&wrong);
    let (lines, said) = recalculate(&data, &["--redecode", "--dry-run"]);
    assert!(said.contains("nothing was written"), "{said}");
    let told = &redecoded(&lines)["90000000002"];
    assert_eq!(told["shifts_s"], serde_json::json!([3600]), "{told}");
    assert_eq!(told["changed"], told["frames"], "{told}");
    assert_eq!(facts(), right);

    let (same, said) = recalculate(&data, &["--redecode", "--vehicle", "14C-010.02"]);
    assert_eq!(redecoded(&same)["90000000002"], *told);
    assert!(said.contains("sources judged again: 1"), "{said}");
    assert!(said.contains("left to judge: sources 0, hours"), "{said}");
    let moved = facts();
    let gone = differing(&right, &moved);
    assert!(gone.iter().any(|f| f.contains("Violation")), "{gone:#?}");
    let from_the_start = wrong_from_the_start(dir.path(), &wrong);
    assert_eq!(differing(&moved, &from_the_start), BTreeSet::new());

    // In two parts, so that a part does not take away what the other one says.
    let running = Running::start(&data);
    import(example.to_str().unwrap());
    for (from, to) in [
        ("2026-03-10", "2026-03-10T05:00:00+07:00"),
        ("2026-03-10T05:00:00+07:00", "2026-03-11"),
    ] {
        let part = ["--redecode", "--wait", "--from", from, "--to", to];
        let done = waywarden("recalculate", &data, &part);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(0), "{said}");
        assert!(
            said.contains("sources marked: 1; the running program"),
            "{said}"
        );
    }
    settled(&running, &asker);
    running.stop();
    assert_eq!(differing(&facts(), &right), BTreeSet::<&String>::new());

    for (more, says) in [
        (&["--redecode", "--readmit"][..], "cannot be used with"),
        (
            &["--redecode", "--vehicle", "14C-999.99"],
            "no record of `14C-999.99`",
        ),
    ] {
        let done = waywarden("recalculate", &data, &[&DAY[..], more].concat());
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    let year = ["--redecode", "--from", "2026-01-01", "--to", "2026-12-31"];
    let done = waywarden("recalculate", &data, &year);
    assert_eq!(done.status.code(), Some(2));
}
