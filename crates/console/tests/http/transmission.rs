//! Vehicles without valid data on a day, and with two sources at once.

use crate::fixture::{DEVICE, Fixture, T0, day_row};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use waywarden_console::export;
use waywarden_console::transmission::Narrowed;
use waywarden_console::view::Format;
use waywarden_model::registry::{Fitting, Permit, Registers, Registry, Validity, Vehicle};
use waywarden_model::{DayRow, Plate, TimeZone, Timestamp};
use waywarden_store::{AdminStore, Batch, RegisterChange, Role};

/// 2024-10-04 and the day behind it.
const DAY: i32 = 20_000;

fn registers() -> Registers {
    let vehicle = |id: &str, plate: &str, operator: &str| Vehicle {
        id: id.into(),
        plate: Plate::new(plate),
        class: None,
        transport: None,
        operator: Some(operator.into()),
        route: None,
        speed_limit: None,
        break_ms: None,
        inspection: Permit::default(),
        badge: Permit::default(),
        validity: Validity::ALWAYS,
    };
    let fitting = |source: &str, vehicle: &str, primary| Fitting {
        source: source.into(),
        vehicle: vehicle.into(),
        primary,
        validity: Validity::ALWAYS,
    };
    Registers {
        vehicles: vec![
            vehicle("V01", "14C-123.45", "5700000001"),
            vehicle("V02", "=14C-999.99", "5700000002"),
        ],
        fittings: vec![
            fitting(DEVICE, "V01", true),
            fitting("second", "V01", false),
            fitting("third", "V02", true),
        ],
        ..Registers::default()
    }
}

/// V01 has two sources on the first day and one on the second; V02 sends without a fix, then
/// nothing.
fn filed() -> Fixture {
    let f = Fixture::new();
    let change = RegisterChange {
        expected_head: 0,
        registers: registers(),
        author: "test".into(),
        note: String::new(),
        now: Timestamp::from_millis(T0),
        partitions: 1,
    };
    f.runtime.block_on(f.store.save_registers(change)).unwrap();
    let of = |source: &str, valid| DayRow {
        source: source.into(),
        records: 7,
        valid,
        ..day_row(DAY)
    };
    f.commit(Batch {
        day_rows: vec![
            of(DEVICE, 7),
            of("second", 1),
            of("third", 0),
            day_row(DAY + 1),
        ],
        now: Timestamp::from_millis(T0),
        log: "test".into(),
        ..Batch::default()
    });
    f
}

const DAYS: &str = "/api/v1/transmission?from=2024-10-04&to=2024-10-05";

fn findings(page: &Value) -> Vec<(String, String, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|i| (text(&i["day"]), text(&i["vehicle_id"]), text(&i["finding"])))
        .collect()
}

fn all() -> Vec<(String, String, String)> {
    [
        ("2024-10-04", "V01", "two_sources"),
        ("2024-10-04", "V02", "only_invalid"),
        ("2024-10-05", "V02", "no_records"),
    ]
    .map(|(day, vehicle, finding)| (day.to_owned(), vehicle.to_owned(), finding.to_owned()))
    .to_vec()
}

#[test]
fn what_was_improper_is_listed_by_day_with_its_sources() {
    let f = filed();
    let got = f.get(DAYS, &f.token(Role::Viewer)).json();
    assert_eq!(findings(&got), all());
    let expected = json!({"day": "2024-10-04", "vehicle": "14C12345", "vehicle_id": "V01",
        "operator": "5700000001", "finding": "two_sources", "settled": true,
        "sources": [{"source": DEVICE, "records": 7, "valid": 7},
            {"source": "second", "records": 7, "valid": 1}]});
    assert_eq!(got["items"][0], expected);
    // Five days are given to send again what an outage held back.
    let end = TimeZone::vietnam().start_of(waywarden_model::LocalDay(DAY + 2));
    f.now.store(end.millis(), Ordering::Relaxed);
    let got = f.get(DAYS, &f.token(Role::Viewer)).json();
    assert_eq!(got["items"][2]["settled"], false);
    // And a day that goes on is not without data yet.
    f.now.store(end.millis() - 1, Ordering::Relaxed);
    let got = f.get(DAYS, &f.token(Role::Viewer)).json();
    assert_eq!(findings(&got), all()[..2]);
}

#[test]
fn it_is_narrowed_and_read_on() {
    let f = filed();
    let token = f.token(Role::Operator);
    let of = |query: &str| findings(&f.get(&format!("{DAYS}{query}"), &token).json());
    assert_eq!(of("&vehicle=14c%20123.45"), all()[..1]);
    assert_eq!(of("&operator=5700000002"), all()[1..]);
    assert_eq!(of("&finding=no_records"), all()[2..]);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = f.get(&format!("{DAYS}&limit=1{cursor}"), &token).json();
        seen.extend(findings(&page));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, all());
    for (wrong, named) in [
        ("from=2024-10-05&to=2024-10-04", "`to`"),
        ("from=2024-10-01&to=2024-11-01", "`to`"),
        ("from=2024-10-01&to=2024-10-02&finding=late", "`finding`"),
        ("from=2024-10-01&to=2024-10-02&cursor=zz", "`cursor`"),
    ] {
        let said = f.get(&format!("/api/v1/transmission?{wrong}"), &token);
        assert!(
            said.status == 400 && said.text.contains(named),
            "{}",
            said.text
        );
    }
}

#[test]
fn the_command_line_writes_the_same() {
    let f = filed();
    let registry = Registry::new(1, registers());
    let zone = TimeZone::vietnam();
    let write = |format| {
        let mut out = Vec::new();
        let days = (
            &zone,
            (
                waywarden_model::LocalDay(DAY),
                waywarden_model::LocalDay(DAY + 1),
            ),
        );
        let asked = (&Narrowed::default(), Timestamp::from_millis(T0));
        let written = f.runtime.block_on(export::transmission(
            &f.store, &registry, days, asked, format, &mut out,
        ));
        assert_eq!(written.unwrap(), 3);
        String::from_utf8(out).unwrap()
    };
    let csv = write(Format::Csv);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "day,vehicle,vehicle_id,operator,finding,sources,settled"
    );
    let first = format!("2024-10-04,14C12345,V01,5700000001,two_sources,{DEVICE} second,true");
    assert_eq!(lines[1], first);
    // No cell is a formula.
    assert_eq!(
        lines[3],
        "2024-10-05,'=14C99999,V02,5700000002,no_records,third,true"
    );
    let listed = f.get(DAYS, &f.token(Role::Viewer)).json();
    let written: Vec<Value> = write(Format::JsonLines)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(json!(written), listed["items"]);
}
