//! The command as its user calls it.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::fs;
use std::process::{Command, Output};

fn waywarden(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waywarden"))
        .args(args)
        .output()
        .unwrap()
}

/// 100 km/h for 20 s where 80 is allowed: Vss - 80 = 17.00 (TT 71/2024 Annex II).
fn records() -> String {
    let speeds = [60.0, 100.1, 99.9, 100.1, 99.9, 100.1, 20.0];
    let mut lat = 21.0;
    let line = |(n, v): (usize, &f64)| {
        lat += v * 5.0 / 3600.0 / 111.195;
        format!(
            "14C12345,2026-03-10T08:00:{:02}+07:00,{lat:.9},107.0,{v},220000000001\n",
            5 * n
        )
    };
    let lines: String = speeds.iter().enumerate().map(line).collect();
    format!("vehicle,time,lat,lon,speed_kmh,driver_id\n{lines}")
}

#[test]
fn files_in_violations_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("records.csv"), records()).unwrap();
    fs::write(
        path("vehicles.csv"),
        "plate,class\n14C-123.45,truck_over_3_5t\n",
    )
    .unwrap();
    let (records, vehicles) = (path("records.csv"), path("vehicles.csv"));
    let done = waywarden(&["evaluate", "--records", &records, "--vehicles", &vehicles]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = String::from_utf8(done.stdout).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!(line["kind"], "overspeed");
    assert_eq!(line["start"], "2026-03-10T01:00:05Z");
    assert_eq!(line["end"], "2026-03-10T01:00:25Z");
    assert_eq!(
        (&line["max_excess_kmh"], &line["limit_kmh"]),
        (&17.0.into(), &80.0.into())
    );
    assert_eq!(
        (&line["band"], &line["limit_source"]),
        (&"10-20".into(), &"class".into())
    );
    assert_eq!(line["limit_s"], serde_json::Value::Null);
}

#[test]
fn bad_input_is_named_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.csv").display().to_string();
    fs::write(
        &path,
        "vehicle,time,lat,lon,speed_kmh\n14C1,yesterday,21,107,60\n",
    )
    .unwrap();
    let done = waywarden(&["evaluate", "--records", &path]);
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8(done.stderr).unwrap();
    assert!(
        text.contains("records.csv: line 2:") && text.contains("yesterday"),
        "{text}"
    );
    assert_eq!(waywarden(&["evaluate"]).status.code(), Some(2));
    assert_eq!(waywarden(&["profiles", "no-such"]).status.code(), Some(1));
}

#[test]
fn profiles_are_shown() {
    let text = String::from_utf8(waywarden(&["profiles"]).stdout).unwrap();
    assert!(text.contains("vn-36-2024 version 1: 2024-12-31T17:00:00Z to 2026-06-30T17:00:00Z"));
    let text = String::from_utf8(waywarden(&["profiles", "vn-118-2025"]).stdout).unwrap();
    assert!(text.contains("unverified"));
}
