//! Lists, tracks, days, registers, status and exports.

use crate::fixture::{DEVICE, Fixture, T0, day_row, overspeed, records};
use std::collections::BTreeSet;
use waywarden_console::export::{self, PositionRange};
use waywarden_console::view::Format;
use waywarden_model::registry::{Fitting, Permit, Registers, Registry, Validity, Vehicle};
use waywarden_model::{Plate, Timestamp};
use waywarden_store::read::ViolationFilter;
use waywarden_store::{AdminStore, Batch, RegisterChange, Role};

fn registers() -> Registers {
    Registers {
        vehicles: vec![Vehicle {
            id: "V01".into(),
            plate: Plate::new("14C-123.45"),
            class: None,
            transport: None,
            operator: Some("5700000001".into()),
            route: None,
            speed_limit: None,
            break_ms: None,
            inspection: Permit::default(),
            badge: Permit::default(),
            validity: Validity::ALWAYS,
        }],
        fittings: vec![Fitting {
            source: DEVICE.into(),
            vehicle: "V01".into(),
            primary: true,
            validity: Validity::ALWAYS,
        }],
        ..Registers::default()
    }
}

fn import(f: &Fixture) {
    let change = RegisterChange {
        expected_head: 0,
        registers: registers(),
        author: "test".into(),
        note: String::new(),
        now: Timestamp::from_millis(T0),
        partitions: 1,
    };
    f.runtime.block_on(f.store.save_registers(change)).unwrap();
}

fn filed() -> Batch {
    Batch {
        sources: vec![records(30)],
        records_read: 30,
        day_rows: vec![day_row(20_000), day_row(20_001)],
        now: Timestamp::from_millis(T0),
        log: "test".into(),
        ..Batch::default()
    }
}

#[test]
fn a_violation_has_the_fields_that_everybody_knows() {
    let f = Fixture::new();
    f.file(vec![overspeed(5)]);
    let got = f.get("/api/v1/violations", &f.token(Role::Agency)).json();
    let v = &got["items"][0];
    assert_eq!(v["id"], overspeed(5).id().to_string());
    assert_eq!(
        (&v["kind"], &v["band"]),
        (&"overspeed".into(), &"10-20".into())
    );
    assert_eq!(v["vehicle"], "14C12345");
    assert_eq!(v["start"], "2026-03-10T01:00:05Z");
    assert_eq!(
        (v["limit_kmh"].as_f64(), v["max_excess_kmh"].as_f64()),
        (Some(80.0), Some(17.0))
    );
    assert_eq!(
        (v["distance_km"].as_f64(), &v["duration_s"]),
        (Some(0.5556), &20.into())
    );
    assert!(v["limit_s"].is_null() && v["rule"].is_null());
    assert_eq!(v["figures"]["max_average_speed_kmh"], 97.0);
    assert_eq!((&v["status"], &v["open"]), (&"new".into(), &false.into()));
}

#[test]
fn pages_hold_still_while_rows_are_added() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    // Several of one start: the id decides their order.
    let mut first: Vec<_> = (0..25).map(|i| overspeed(i * 10)).collect();
    for i in 0..5u8 {
        let mut twin = overspeed(100);
        twin.subject = waywarden_model::Subject::Source(format!("device{i}").as_str().into());
        first.push(twin);
    }
    let wanted: BTreeSet<String> = first.iter().map(|v| v.id().to_string()).collect();
    f.file(first);
    let (mut seen, mut cursor, mut round) = (Vec::new(), String::new(), 0);
    loop {
        let page = f
            .get(&format!("/api/v1/violations?limit=4{cursor}"), &token)
            .json();
        for v in page["items"].as_array().unwrap() {
            seen.push(v["id"].as_str().unwrap().to_owned());
        }
        // Newer and older ones come in between the pages.
        round += 1;
        f.file(vec![overspeed(1000 + round), overspeed(-1000 - round)]);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
        assert!(round < 50);
    }
    let unique: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(unique.len(), seen.len(), "a row was given twice");
    assert!(unique.is_superset(&wanted), "a row was passed over");
}

#[test]
fn filters_narrow_and_bad_ones_are_named() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    f.file((0..3).map(|i| overspeed(i * 60)).collect());
    let count = |q: &str| {
        let got = f.get(&format!("/api/v1/violations?{q}"), &token);
        assert_eq!(got.status, 200, "{q}: {}", got.text);
        got.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("from=2026-03-10T01:01:00Z"), 2);
    assert_eq!(count("to=2026-03-10T08:01:00%2B07:00"), 1);
    assert_eq!(
        count("kind=overspeed&vehicle=14c-123.45&band=10-20&status=new&open=false"),
        3
    );
    assert_eq!(
        count("vehicle=V01&driver=220012345678&operator=5700000001"),
        3
    );
    assert_eq!(count("kind=route_deviation"), 0);
    for bad in [
        "kind=speeding",
        "from=yesterday",
        "limit=0",
        "cursor=zz",
        "statuss=new",
        "open=1",
    ] {
        let got = f.get(&format!("/api/v1/violations?{bad}"), &token);
        assert_eq!(got.status, 400, "{bad}");
        let name = bad.split('=').next().unwrap();
        assert!(
            got.json()["message"].as_str().unwrap().contains(name),
            "{}",
            got.text
        );
    }
}

#[test]
fn vehicles_and_their_tracks() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    f.commit(filed());
    let unfitted = f.get("/api/v1/vehicles", &token).json();
    assert_eq!(unfitted["items"][0]["id"], format!("source:{DEVICE}"));
    import(&f);
    f.now
        .store(T0 + 60_000, std::sync::atomic::Ordering::Relaxed);
    let v = f.get("/api/v1/vehicles?q=123.4", &token).json()["items"][0].clone();
    assert_eq!(
        (&v["id"], &v["vehicle"]),
        (&"V01".into(), &"14C12345".into())
    );
    assert_eq!(
        (&v["status"], &v["speed_kmh"]),
        (&"moving".into(), &97.0.into())
    );
    assert_eq!(v["time"], "2026-03-10T01:00:29Z");
    f.now
        .store(T0 + 3_600_000, std::sync::atomic::Ordering::Relaxed);
    let silent = f.get("/api/v1/vehicles?status=silent", &token).json();
    assert_eq!(silent["items"].as_array().unwrap().len(), 1);

    let range = "from=2026-03-10T01:00:00Z&to=2026-03-10T02:00:00Z";
    let track = f
        .get(&format!("/api/v1/vehicles/V01/track?{range}"), &token)
        .json();
    assert_eq!(track["points"].as_array().unwrap().len(), 30);
    let thin = f
        .get(
            &format!("/api/v1/vehicles/14C12345/track?{range}&max_points=7&purpose=complaint"),
            &token,
        )
        .json();
    assert_eq!(
        (thin["points"].as_array().unwrap().len(), &thin["total"]),
        (7, &30.into())
    );
    assert_eq!(
        f.get(&format!("/api/v1/vehicles/V99/track?{range}"), &token)
            .status,
        404
    );
    let reads = f.runtime.block_on(f.store.reads(10)).unwrap();
    assert_eq!(
        (reads[0].what.as_str(), reads[0].purpose.as_str()),
        ("track", "complaint")
    );
    assert_eq!(reads[1].purpose, "operations");
}

#[test]
fn days_registers_and_status() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    f.commit(filed());
    let first = f
        .get(
            "/api/v1/day-rows?from=2024-10-04&to=2024-10-05&limit=1",
            &token,
        )
        .json();
    assert_eq!(first["items"][0]["day"], "2024-10-04");
    assert!(first["items"][0]["distance_km"].is_number());
    let next = first["next"].as_str().unwrap();
    let second = f
        .get(
            &format!("/api/v1/day-rows?from=2024-10-04&to=2024-10-05&limit=1&cursor={next}"),
            &token,
        )
        .json();
    assert_eq!(
        (&second["items"][0]["day"], &second["next"]),
        (&"2024-10-05".into(), &serde_json::Value::Null)
    );
    let days = f
        .get("/api/v1/driver-days?from=2024-10-04&to=2024-10-05", &token)
        .json();
    assert_eq!(days["items"], serde_json::json!([]));
    let routes = f.get("/api/v1/registers/routes", &token).json();
    assert_eq!(routes["type"], "FeatureCollection");
    assert_eq!(f.get("/api/v1/registers/drivers", &token).status, 404);
    let status = f.get("/api/v1/status", &token).json();
    assert_eq!(status["partitions"][0]["counters"]["filed"], 30);
    assert_eq!(status["last_received"], "2026-03-10T01:00:29.500Z");
    assert_eq!(status["backlog"], 999_999);
    let ready = f.send("GET", "/readyz", &[], None);
    assert_eq!(
        (ready.status, &ready.json()["reasons"]),
        (503, &serde_json::json!(["disk_reserve"]))
    );
}

/// An alert sees what the page's status bar shows.
#[test]
fn metrics_say_what_the_status_says() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    f.commit(filed());
    for _ in 0..2 {
        // Figures are those of the reading, they do not add up over readings.
        let text = f.get("/metrics", &token).text;
        for line in [
            "ready_state 0",
            "unready_state{reason=\"disk_reserve\"} 1",
            "backlog_messages{partition=\"0\"} 999999",
            "judged_records_total{outcome=\"filed\",partition=\"0\"} 30",
            "judged_records_total{outcome=\"refused\",partition=\"0\"} 0",
            "last_received_timestamp_seconds 1773104429",
            "filed_sources 1",
            "marked_sources 0",
        ] {
            let line = format!("\nwaywarden_console_{line}\n");
            assert!(text.contains(&line), "{line}is not in {text}");
        }
        // Nothing waits: there is no oldest one.
        assert!(!text.contains("oldest_mark"), "{text}");
    }
}

#[test]
fn exports_for_the_command_line() {
    let f = Fixture::new();
    f.commit(filed());
    f.file(vec![overspeed(5), overspeed(60)]);
    let registry = Registry::new(1, registers());
    let range = PositionRange {
        from: Timestamp::from_millis(T0),
        to: Timestamp::from_millis(T0 + 3_600_000),
        vehicle: Some("14C12345".into()),
    };
    let mut out = Vec::new();
    let n = f
        .runtime
        .block_on(export::positions(
            &f.store,
            &registry,
            &range,
            Format::Csv,
            &mut out,
        ))
        .unwrap();
    assert_eq!(n, 30);
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 31);
    assert_eq!(
        lines[0],
        "device,vehicle,driver_id,time,received,lat,lon,speed_kmh,course_deg,valid,reason"
    );
    assert_eq!(
        lines[2],
        "356307042441013,14C12345,220012345678,2026-03-10T01:00:01.000Z,2026-03-10T01:00:01.500Z,20.9501,107.08,97,,true,"
    );

    let other = PositionRange {
        vehicle: Some("14C99999".into()),
        ..range
    };
    let n = f
        .runtime
        .block_on(export::positions(
            &f.store,
            &registry,
            &other,
            Format::Csv,
            &mut Vec::new(),
        ))
        .unwrap();
    assert_eq!(n, 0);

    let mut out = Vec::new();
    f.runtime
        .block_on(export::violations(
            &f.store,
            &ViolationFilter::default(),
            Format::JsonLines,
            &mut out,
        ))
        .unwrap();
    let listed = f.get("/api/v1/violations", &f.token(Role::Viewer)).json();
    let exported: Vec<serde_json::Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(listed["items"], serde_json::Value::Array(exported));
}
