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

/// 4:31 of driving at 50 km/h, a fix a minute; 100 km/h in the first minutes where `fast`.
fn long_drive(fast: bool) -> String {
    let mut lat = 21.0;
    let line = |n: usize| {
        let v =
            if fast && n < 4 { 100.0 } else { 50.0 } + if n.is_multiple_of(2) { 0.1 } else { -0.1 };
        lat += v / 60.0 / 111.195;
        let (h, m) = (1 + n / 60, n % 60);
        format!("14C1,2026-03-10T{h:02}:{m:02}:00Z,{lat:.9},107.0,{v},220000000001\n")
    };
    let lines: String = (0..=271).map(line).collect();
    format!("vehicle,time,lat,lon,speed_kmh,driver_id\n{lines}")
}

/// What `evaluate` prints, line by line, or its complaint.
fn evaluated(args: &[&str]) -> Result<Vec<serde_json::Value>, String> {
    let done = waywarden(&[&["evaluate"], args].concat());
    if !done.status.success() {
        return Err(String::from_utf8(done.stderr).unwrap());
    }
    let text = String::from_utf8(done.stdout).unwrap();
    Ok(text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect())
}

#[test]
fn a_regime_is_asked_for_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.csv").display().to_string();
    fs::write(&records, long_drive(false)).unwrap();
    let of = |profile: &str| {
        let found = evaluated(&["--records", &records, "--profile", profile]).unwrap();
        let of = |v: &serde_json::Value| {
            (
                v["kind"].as_str().unwrap().to_owned(),
                v["profile"].as_str().unwrap().to_owned(),
                v["limit_s"].as_f64().unwrap(),
            )
        };
        found.iter().map(of).collect::<Vec<_>>()
    };
    let line = |profile: &str, limit: f64| {
        vec![("continuous_driving".to_owned(), profile.to_owned(), limit)]
    };
    assert_eq!(of("vn"), line("vn-36-2024", 14_400.0));
    assert_eq!(of("vn-118-2025"), line("vn-118-2025", 14_400.0));
    assert_eq!(of("eu-561"), line("eu-561", 16_200.0));
    assert_eq!(of("us-395-property"), vec![]);
    let error = evaluated(&["--records", &records, "--profile", "eu"]).unwrap_err();
    assert!(
        error.contains("no profile `eu`") && error.contains("us-395-passenger"),
        "{error}"
    );
}

#[test]
fn own_profiles_need_no_build() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.csv").display().to_string();
    fs::write(&records, long_drive(false)).unwrap();
    let own = dir.path().join("own");
    fs::create_dir(&own).unwrap();
    let built_in = String::from_utf8(waywarden(&["profiles", "vn-36-2024"]).stdout).unwrap();
    let shorter = built_in.replace("continuous_s = 14400", "continuous_s = 10800");
    let write = |text: &str| fs::write(own.join("mine.toml"), text).unwrap();
    let folder = own.display().to_string();
    let judge = || evaluated(&["--records", &records, "--profiles", &folder]);
    // The same name and version with another content would make violations that lie.
    write(&shorter);
    let error = judge().unwrap_err();
    assert!(
        error.contains("mine.toml") && error.contains("vn-36-2024 version 1"),
        "{error}"
    );
    write(&shorter.replace("version = 1", "version = 2"));
    assert_eq!(judge().unwrap()[0]["limit_s"], 10_800.0);
    let listed = String::from_utf8(waywarden(&["profiles", "--profiles", &folder]).stdout).unwrap();
    assert!(
        listed.contains("vn-36-2024 version 2: ") && listed.contains("mine.toml"),
        "{listed}"
    );
    // Named by the configuration it is the same, and what is wrong is said before anything starts.
    let config = dir.path().join("waywarden.toml").display().to_string();
    fs::write(&config, format!("[rules]\nprofiles = \"{folder}\"\n")).unwrap();
    let judged = evaluated(&["--records", &records, "--config", &config]).unwrap();
    assert_eq!(judged[0]["limit_s"], 10_800.0);
    let check = || waywarden(&["check-config", "--config", &config]);
    assert_eq!(check().status.code(), Some(0));
    write(&shorter.replace("version = 1", "version = 2\nspeed = 3"));
    let done = check();
    let error = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{error}");
    let said = [
        "waywarden.toml:2",
        "rules.profiles",
        "mine.toml",
        "unknown field `speed`",
    ];
    assert!(said.iter().all(|s| error.contains(s)), "{error}");
    write(&built_in);
    fs::write(&config, "[rules]\nregime = \"mars\"\n").unwrap();
    let error = String::from_utf8(check().stderr).unwrap();
    assert!(
        error.contains("`rules.regime` is mars") && error.contains("eu-561"),
        "{error}"
    );
    // A file serves alone, too, whatever its dates.
    let file = own.join("mine.toml").display().to_string();
    let judged = evaluated(&["--records", &records, "--profile", &file]).unwrap();
    assert_eq!(judged[0]["limit_s"], 14_400.0);
}

#[test]
fn the_registers_files_serve_an_evaluation() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name).display().to_string();
        fs::write(&path, text).unwrap();
        path
    };
    let records = file("records.csv", &long_drive(true));
    // A register's own columns; its operators are in no file here.
    let vehicles = file(
        "fleet.csv",
        "plate,id,class,transport,operator,route,from,until\n\
         14C-1,V1,car_up_to_28_seats,goods,5700000001,,2026-01-01,\n",
    );
    let square = "[[106.9,20.9],[107.1,20.9],[107.1,21.1],[106.9,21.1],[106.9,20.9]]";
    let zones = file(
        "limits.geojson",
        &format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature",
            "properties":{{"id":"Z1","name":"Z1","limit_kmh":60}},
            "geometry":{{"type":"Polygon","coordinates":[{square}]}}}}]}}"#
        ),
    );
    let fast = |args: &[&str]| {
        let args = [&["--records", &records, "--vehicles", &vehicles], args].concat();
        let found = evaluated(&args).unwrap();
        let fast = found
            .into_iter()
            .find(|v| v["kind"] == "overspeed")
            .unwrap();
        (
            fast["limit_kmh"].as_f64().unwrap(),
            fast["limit_source"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(fast(&[]), (90.0, "class".to_owned()));
    assert_eq!(fast(&["--zones", &zones]), (60.0, "zone".to_owned()));
    let drivers = file("people.csv", "licence,nom\n220000000001,A\n");
    let error = evaluated(&["--records", &records, "--drivers", &drivers]).unwrap_err();
    assert!(
        error.contains("people.csv") && error.contains("nom"),
        "{error}"
    );
}

#[test]
fn days_are_summed_up() {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records.csv").display().to_string();
    fs::write(&records, long_drive(false)).unwrap();
    let days = evaluated(&["--records", &records, "--summaries"]).unwrap();
    assert_eq!(days.len(), 1);
    assert_eq!(
        (&days[0]["day"], &days[0]["records"]),
        (&"2026-03-10".into(), &272.into())
    );
}
