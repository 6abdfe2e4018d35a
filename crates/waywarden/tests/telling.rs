//! What the program says of itself: nothing about persons, and nothing that docs/operations.md
//! does not explain.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::{PROGRAM, Running, addresses, settled, simulate_until, token};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn operations() -> String {
    std::fs::read_to_string(root().join("docs/operations.md")).unwrap()
}

/// First cells in backticks of the table rows of a chapter.
fn rows(document: &str, chapter: &str) -> BTreeSet<String> {
    let (_, behind) = document.split_once(&format!("\n## {chapter}\n")).unwrap();
    let own = behind.split("\n## ").next().unwrap();
    let cells = own.lines().filter_map(|l| l.strip_prefix("| `"));
    cells
        .map(|c| c.split('`').next().unwrap().to_owned())
        .collect()
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names of all metrics that a crate registers: the first text in each call that makes one, in a
/// file of metrics the name without the crate's.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let krate = entry.unwrap().file_name().into_string().unwrap();
        let mut files = Vec::new();
        sources(&root().join("crates").join(&krate).join("src"), &mut files);
        for file in &files {
            let text = std::fs::read_to_string(file).unwrap();
            for whole in ["IntGauge::new(", "IntCounter::new("] {
                let made = text.split(whole).skip(1);
                let names_in = made.filter_map(|m| m.trim_start().strip_prefix("\"waywarden_"));
                names.extend(
                    names_in.map(|n| format!("waywarden_{}", n.split('"').next().unwrap())),
                );
            }
            if !file.ends_with("metrics.rs") {
                continue;
            }
            for call in [
                "m.counters(",
                "m.counter(",
                "m.gauges(",
                "m.gauge(",
                "m.histogram(",
            ] {
                for made in text.split(call).skip(1) {
                    let name = made.split('"').nth(1).unwrap();
                    names.insert(format!("waywarden_{krate}_{name}"));
                }
            }
        }
    }
    names
}

/// The last text of every call of `tracing::error!` and `tracing::warn!`: what a line says.
fn lines_that_ask_for_something() -> BTreeSet<String> {
    let (mut files, mut found) = (Vec::new(), BTreeSet::new());
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut files);
    }
    // What was folded is told in the words of the line itself.
    for file in files.iter().filter(|f| !f.ends_with("telemetry/fold.rs")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in ["tracing::error!(", "tracing::warn!("] {
            for made in code.split(call).skip(1) {
                let parts: Vec<&str> = made.split('"').collect();
                let last = |n: &usize| parts[n + 1].trim_start().starts_with(')');
                let said = (1..parts.len() - 1).step_by(2).find(last).unwrap();
                found.insert(parts[said].to_owned());
            }
        }
    }
    // Whose text is an error's.
    found.retain(|said| !said.contains('{'));
    found
}

#[test]
fn every_line_that_asks_for_something_has_its_row() {
    let found = lines_that_ask_for_something();
    assert!(found.contains("message set aside") && found.len() > 10);
    assert_eq!(rows(&operations(), "The log"), found);
}

#[test]
fn every_metric_has_its_row() {
    let (told, registered) = (rows(&operations(), "Metrics"), registered());
    assert!(registered.len() > 10, "{registered:?}");
    assert_eq!(told, registered);
}

#[test]
fn every_reason_not_to_be_ready_has_its_row() {
    let text = std::fs::read_to_string(root().join("crates/gateway/src/health.rs")).unwrap();
    let labels = text
        .split("=> \"")
        .skip(1)
        .map(|l| l.split('"').next().unwrap().to_owned());
    let mut expected: BTreeSet<String> = labels.collect();
    assert!(
        expected.contains("disk_reserve") && expected.len() > 4,
        "{expected:?}"
    );
    expected.insert("store_…".to_owned());
    expected.insert("partition_N_stopped".to_owned());
    assert_eq!(rows(&operations(), "Ready or not"), expected);
    let handbook = root().join("docs/duty-handbook.vi.md");
    let handbook = std::fs::read_to_string(handbook).unwrap();
    for reason in expected {
        let row = format!("\n| `{reason}` |");
        assert!(handbook.contains(&row), "{reason} is not in the handbook");
    }
}

/// What must not be told of the example's drivers and vehicles.
fn personal() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (file, columns) in [("drivers.csv", 2), ("vehicles.csv", 2), ("cards.csv", 1)] {
        let text = std::fs::read_to_string(root().join("deploy/example").join(file)).unwrap();
        for line in text.lines().skip(1) {
            found.extend(line.split(',').take(columns).map(ToOwned::to_owned));
        }
    }
    // Plates are also shown without their marks.
    let bare = |p: &String| p.replace(['-', '.'], "");
    found.extend(found.iter().map(bare).collect::<Vec<_>>());
    found.retain(|p| p.len() > 4);
    found
}

/// Coordinates as text, to four decimals: some ten metres.
fn places(data: &Path) -> BTreeSet<String> {
    let day = [
        "--from",
        "2026-03-10",
        "--to",
        "2026-03-11",
        "--format",
        "jsonl",
    ];
    let mut command = Command::new(PROGRAM);
    let done = command
        .args(["export", "positions", "--data"])
        .arg(data)
        .args(day)
        .output();
    let text = String::from_utf8(done.unwrap().stdout).unwrap();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        for cell in ["lat", "lon"] {
            let shown = row[cell].to_string();
            let cut = shown
                .find('.')
                .map_or(shown.len(), |p| (p + 5).min(shown.len()));
            // A round coordinate is a number like any other.
            if cut > shown.find('.').unwrap_or(0) + 4 {
                found.insert(shown[..cut].to_owned());
            }
        }
    }
    found
}

#[test]
fn logs_and_metrics_say_nothing_about_persons() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("way.toml"));
    // As much as can be said.
    std::fs::write(&file, "[telemetry]\nformat = \"json\"\nlevel = \"debug\"\n").unwrap();
    let running = Running::start_with(&data, &["--config", file.to_str().unwrap()]);
    let key = token(&data);
    let ledger = dir.path().join("ledger.jsonl");
    let until = "2026-03-10T08:00:00+07:00";
    let fleet = simulate_until(&addresses(&running), &ledger, 6, until);
    fleet.finish();
    settled(&running, &key);
    let (persons, places) = (personal(), places(&data));
    assert!(persons.len() > 50 && places.len() > 100);
    let driver = persons.iter().find(|p| p.starts_with("22")).unwrap();
    running.get(&format!("/api/v1/violations?driver={driver}"), &key);
    running.get("/api/v1/vehicles", &key);
    let metrics = running.text("/metrics", &key);
    let said = running.said();
    running.stop();

    let told = rows(&operations(), "Metrics");
    for line in metrics.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        assert!(told.contains(name), "{name} is in no row");
    }
    let events: Vec<Value> = said
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let committed = |e: &&Value| e["fields"]["message"] == "batch committed";
    assert!(events.iter().filter(committed).count() > 3, "{said:#?}");
    let mut texts: Vec<String> = events
        .iter()
        .map(|e| format!("{} {}", e["target"], e["fields"]))
        .collect();
    texts.push(metrics);
    for text in &texts {
        for personal in persons.iter().chain(&places) {
            assert!(!text.contains(personal), "{personal} in {text}");
        }
    }
}

/// Who is locked out at night gets a new link without a stop.
#[test]
fn a_signal_asks_for_another_link() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let links = || {
        let said = running.said();
        said.iter()
            .filter(|l| l.contains("open once, within 10m"))
            .count()
    };
    let until = Instant::now() + Duration::from_secs(60);
    let wait = |count| {
        while links() < count {
            assert!(Instant::now() < until, "{:?}", running.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait(1);
    running.signal(rustix::process::Signal::USR1);
    wait(2);
    running.stop();
}
