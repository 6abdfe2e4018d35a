//! `waywarden export` against a process at work: what was acknowledged is what is written.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use support::{
    PROGRAM, Running, acknowledged, addresses, settled, simulate_until, token, violations,
};
use waywarden_store::{AdminStore, Options, SqliteStore};

const DAY: [&str; 4] = ["--from", "2026-03-10", "--to", "2026-03-11"];

fn export(data: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["export", "--data"])
        .arg(data)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(done: &Output) -> String {
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    String::from_utf8(done.stdout.clone()).unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn asked<'a>(what: &'a str, format: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[what, "--format", format], &DAY[..], more].concat()
}

#[test]
fn everything_acknowledged_is_written_once_and_the_reading_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (data, ledger) = (dir.path().join("data"), dir.path().join("ledger.jsonl"));
    let running = Running::start(&data);
    let token = token(&data);
    let until = "2026-03-10T09:00:00+07:00";
    let fleet = simulate_until(&addresses(&running), &ledger, 3, until);
    fleet.finish();
    settled(&running, &token);

    let written = rows(&text(&export(&data, &asked("positions", "jsonl", &[]))));
    check_positions(&written, &ledger);
    check_csv(&data, &written);
    check_one_vehicle(&data, &written);

    check_transmission(&data);
    let found = rows(&text(&export(&data, &asked("violations", "jsonl", &[]))));
    assert!(!found.is_empty());
    let id = |v: &Value| v["id"].as_str().unwrap().to_owned();
    let shown: BTreeSet<String> = violations(&running, &token)
        .iter()
        .map(|v| id(&serde_json::from_str(v).unwrap()))
        .collect();
    assert_eq!(found.iter().map(id).collect::<BTreeSet<_>>(), shown);
    check_sums(&data, &found);
    running.stop();
    check_record(&data);
}

fn check_positions(written: &[Value], ledger: &Path) {
    let mut keys = BTreeSet::new();
    for row in written {
        let time = row["time"].as_str().unwrap();
        let parsed = waywarden_model::Timestamp::parse_rfc3339(time).unwrap();
        assert!(time.ends_with('Z') && time.len() == 24, "{time}");
        let device = row["device"].as_str().unwrap().to_owned();
        assert!(keys.insert((device, parsed.millis())), "twice: {row}");
        assert!(
            (19.0..22.0).contains(&row["lat"].as_f64().unwrap()),
            "{row}"
        );
    }
    // The fleet's records all have a position.
    assert_eq!(keys, acknowledged(ledger));
    let driven = |r: &&Value| r["driver_id"].as_str() == Some("220000000001");
    assert!(written.iter().any(|r| driven(&r)), "no driver");
}

fn check_csv(data: &Path, written: &[Value]) {
    let csv = text(&export(data, &asked("positions", "csv", &[])));
    let (head, body) = csv.split_once("\r\n").unwrap();
    assert_eq!(
        head,
        "device,vehicle,driver_id,time,received,lat,lon,speed_kmh,course_deg,valid,reason"
    );
    assert_eq!(body.lines().count(), written.len());
    for (line, row) in body.lines().zip(written) {
        let cells: Vec<&str> = line.split(',').collect();
        let place: Vec<f64> = cells[5..7].iter().map(|c| c.parse().unwrap()).collect();
        assert_eq!([cells[0], cells[3]], [&row["device"], &row["time"]]);
        assert_eq!(
            place,
            [&row["lat"], &row["lon"]].map(|v| v.as_f64().unwrap())
        );
    }
}

/// By plate in any writing, by id, and by device.
fn check_one_vehicle(data: &Path, written: &[Value]) {
    let of = |row: &&Value| row["vehicle"] == "14C01001";
    let expected: Vec<&Value> = written.iter().filter(of).collect();
    assert!(!expected.is_empty() && expected.len() < written.len());
    let device = expected[0]["device"].as_str().unwrap();
    for name in ["14C-010.01", "V0001", device] {
        let more = ["--vehicle", name];
        let got = rows(&text(&export(data, &asked("positions", "jsonl", &more))));
        assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{name}");
    }
    let none = asked("positions", "jsonl", &["--vehicle", "14C-999.99"]);
    assert_eq!(text(&export(data, &none)), "");
}

/// Sums are of the violations and kilometres that are on file, in both forms.
fn check_sums(data: &Path, violations: &[Value]) {
    let sums = rows(&text(&export(data, &asked("summaries", "jsonl", &[]))));
    let driven = |s: &Value| s["distance_km"].as_f64().unwrap() > 0.0;
    assert!(sums.len() == 3 && sums.iter().any(driven), "{sums:#?}");
    let counted = |s: &Value| -> u64 {
        let by_kind = s["violations"].as_object().unwrap().values();
        by_kind.map(|n| n.as_u64().unwrap()).sum()
    };
    let total: u64 = sums.iter().map(counted).sum();
    let of_vehicles = |v: &&Value| !v["vehicle_id"].is_null();
    assert_eq!(total, violations.iter().filter(of_vehicles).count() as u64);
    let csv = text(&export(data, &asked("summaries", "csv", &[])));
    let cells = |line: &str| -> Vec<String> { line.split(',').map(str::to_owned).collect() };
    let mut lines = csv.lines().map(cells);
    let header = lines.next().unwrap();
    let at = |name: &str| header.iter().position(|c| c == name).unwrap();
    for (line, sum) in lines.zip(&sums) {
        assert_eq!(line.len(), header.len());
        assert_eq!(line[at("vehicle_id")], sum["vehicle_id"]);
        let km: f64 = line[at("distance_km")].parse().unwrap();
        assert_eq!(Some(km), sum["distance_km"].as_f64());
        let count: u64 = line[at("overspeed_10-20_count")].parse().unwrap();
        assert_eq!(sum["bands"][2]["count"], count);
    }
}

/// On the day behind the fleet's last nobody sent.
fn check_transmission(data: &Path) {
    let next_day = ["--from", "2026-03-11", "--to", "2026-03-12"];
    let asked = [&["transmission", "--format", "jsonl"], &next_day[..]].concat();
    let found = rows(&text(&export(data, &asked)));
    let vehicles: BTreeSet<&str> = found
        .iter()
        .map(|f| f["vehicle_id"].as_str().unwrap())
        .collect();
    assert!(vehicles.contains("V0001"), "{found:#?}");
    assert!(found.iter().all(|f| f["finding"] == "no_records"));
}

fn check_record(data: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reads = runtime.block_on(async {
        let store = SqliteStore::open(&data.join("store.db"), Options::default()).unwrap();
        store.reads(100).await.unwrap()
    });
    let exports: Vec<_> = reads.iter().filter(|r| r.what == "export").collect();
    assert_eq!(exports.len(), 10, "{exports:#?}");
    assert!(exports[0].object.starts_with("summaries of all vehicles"));
    assert!(exports[2].object.starts_with("violations of all vehicles"));
    assert!(exports[4].object.contains("14C-999.99"), "{exports:#?}");
    assert!(exports.iter().all(|r| r.token.starts_with("command:uid=")));
}

#[test]
fn what_cannot_be_exported_is_refused_with_its_code() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, code, says) in [
        (asked("positions", "csv", &[]), 3, "store.db is not there"),
        (asked("positions", "xml", &[]), 2, "xml"),
        (asked("tracks", "csv", &[]), 2, "tracks"),
        (asked("summaries", "csv", &["--by", "plate"]), 2, "operator"),
        (
            vec![
                "positions",
                "--format",
                "csv",
                "--from",
                "soon",
                "--to",
                "2026-03-11",
            ],
            2,
            "`soon`",
        ),
        (
            vec![
                "positions",
                "--format",
                "csv",
                "--from",
                "2026-03-11",
                "--to",
                "2026-03-11",
            ],
            2,
            "is not before",
        ),
    ] {
        let done = export(dir.path(), &arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{said}");
        assert!(done.stdout.is_empty());
    }
    assert!(!dir.path().join("store.db").exists());
}
