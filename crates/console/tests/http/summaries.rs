//! Sums over days, the rate of speed violations and the badge threshold.

use crate::fixture::{DEVICE, Fixture, overspeed};
use serde_json::{Value, json};
use waywarden_model::{
    Band, DayRow, Distance, LocalDay, Plate, SourceId, Speed, Subject, Violation,
};
use waywarden_store::{AdminStore, Batch, Role};

/// 2026-03-01 as a local day.
const MARCH: i32 = 20_513;

fn day(n: i32, vehicle: &str, decimetres: i64) -> DayRow {
    DayRow {
        vehicle: Some(vehicle.into()),
        plate: Some(Plate::new("14C-123.45")),
        operator: Some("5700000001".into()),
        distance: Distance::from_decimetres(decimetres),
        stops: 2,
        gaps_over_60_s: 1,
        max_speed: Speed::from_kmh(97),
        ..DayRow::new(
            SourceId::new(format!("{DEVICE}-{vehicle}")),
            LocalDay(MARCH + n),
        )
    }
}

fn speeding(second: i64, vehicle: &str, excess: i32) -> Violation {
    let excess = Speed::from_centi(excess);
    Violation {
        subject: Subject::Source(SourceId::new(format!("{DEVICE}-{vehicle}"))),
        vehicle: Some(vehicle.into()),
        band: Some(Band::of(excess)),
        max_excess: Some(excess),
        spans: vec![],
        ..overspeed(second)
    }
}

/// V1 reaches the threshold to the decimetre, V2 has driven one too many, V3 has no distance.
fn filed() -> Fixture {
    let f = Fixture::new();
    let mut violations: Vec<Violation> = (0..5).map(|n| speeding(n * 60, "V1", 501)).collect();
    violations.extend((0..5).map(|n| speeding(n * 60, "V2", 2000)));
    violations.extend([speeding(400, "V1", 500), speeding(460, "V1", 499)]);
    violations.extend((0..9).map(|n| speeding(n * 60, "V3", 2000)));
    f.commit(Batch {
        day_rows: vec![
            day(-1, "V1", 5_000_000),
            day(0, "V1", 4_000_000),
            day(30, "V1", 6_000_000),
            day(9, "V2", 10_000_001),
        ],
        violations,
        log: "test".into(),
        ..Batch::default()
    });
    f
}

fn ids(answer: &Value) -> Vec<&str> {
    let items = answer["items"].as_array().unwrap().iter();
    items.map(|i| i["vehicle_id"].as_str().unwrap()).collect()
}

#[test]
fn a_month_tells_the_rate_and_who_reaches_the_threshold() {
    let f = filed();
    let token = f.token(Role::Viewer);
    let all = f.get("/api/v1/summaries?by=vehicle&month=2026-03", &token);
    let all = all.json();
    assert_eq!(ids(&all), ["V1", "V2", "V3"]);
    assert_eq!(
        (&all["from"], &all["to"], &all["badge"]),
        (
            &json!("2026-03-01"),
            &json!("2026-03-31"),
            &json!({"per_1000_km": 5, "excess_over_kmh": 5.0})
        )
    );
    let band = |band: &str, count: i64| {
        let (km, s) = ((5556 * count) as f64 / 10_000.0, 20 * count);
        json!({"band": band, "count": count, "distance_km": km, "duration_s": s})
    };
    let first = json!({
        "vehicle": "14C12345", "vehicle_id": "V1", "driver_id": null, "operator": "5700000001",
        "days": 2, "distance_km": 1000.0, "driving_s": 0, "stops": 4, "gaps_over_60_s": 2,
        "max_speed_kmh": 97.0,
        "bands": [band("<5", 1), band("5-10", 6), band("10-20", 0), band("20-35", 0), band(">35", 0)],
        "violations": {"overspeed": 7}, "speed_violations": 5, "per_1000_km": 5.0,
        "reaches_badge_threshold": true,
    });
    assert_eq!(all["items"][0], first);
    let figures = |n: usize| {
        let i = &all["items"][n];
        [&i["per_1000_km"], &i["reaches_badge_threshold"]].map(Clone::clone)
    };
    assert_eq!(figures(1), [json!(4.99), json!(false)]);
    assert_eq!(
        figures(2),
        [Value::Null, Value::Null],
        "no distance, no rate"
    );

    let reached = "/api/v1/summaries?by=vehicle&month=2026-03&reaches_badge_threshold=true";
    assert_eq!(ids(&f.get(reached, &token).json()), ["V1"]);
    let before = f.get("/api/v1/summaries?by=vehicle&month=2026-02", &token);
    let before = before.json();
    assert_eq!(ids(&before), ["V1"]);
    assert_eq!(before["items"][0]["per_1000_km"], 0.0);
    let unknown = f.get("/api/v1/summaries?by=vehicle&month=2024-12", &token);
    assert!(unknown.json()["badge"].is_null());
}

#[test]
fn days_have_a_rate_and_no_badge() {
    let f = filed();
    let token = f.token(Role::Viewer);
    let asked = "/api/v1/summaries?by=vehicle&from=2026-03-10&to=2026-03-10";
    let day = f.get(asked, &token).json();
    assert_eq!(ids(&day), ["V1", "V2", "V3"]);
    let second = &day["items"][1];
    assert_eq!(second["per_1000_km"], 4.99);
    assert!(second["reaches_badge_threshold"].is_null());
    let by_operator = f.get("/api/v1/summaries?by=operator&month=2026-03", &token);
    let by_operator = by_operator.json();
    let sum = &by_operator["items"][0];
    assert_eq!(sum["operator"], "5700000001");
    assert_eq!(
        (&sum["days"], &sum["violations"]),
        (&json!(3), &json!({"overspeed": 21}))
    );
    assert!(sum["reaches_badge_threshold"].is_null() && sum["vehicle_id"].is_null());
}

#[test]
fn pages_follow_one_another_and_drivers_are_recorded() {
    let f = filed();
    let token = f.token(Role::Viewer);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let asked = format!("/api/v1/summaries?by=vehicle&month=2026-03&limit=1{cursor}");
        let page = f.get(&asked, &token).json();
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["V1", "V2", "V3"]);
    let asked = "/api/v1/summaries?by=driver&month=2026-03&driver=220012345678&purpose=audit";
    let drivers = f.get(asked, &token).json();
    assert_eq!(drivers["items"][0]["driver_id"], "220012345678");
    assert!(drivers["items"][0]["stops"].is_null());
    let reads = f.runtime.block_on(f.store.reads(10)).unwrap();
    assert_eq!(reads.len(), 1, "only persons are recorded");
    assert_eq!(
        (
            reads[0].what.as_str(),
            reads[0].object.as_str(),
            reads[0].purpose.as_str()
        ),
        ("driver", "220012345678", "audit")
    );
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    for (asked, says) in [
        ("by=plate&month=2026-03", "`by`"),
        ("by=vehicle", "`month`"),
        ("by=vehicle&month=2026-3", "`month`"),
        ("by=vehicle&month=2026-03&from=2026-03-01", "`month`"),
        ("by=vehicle&from=2026-03-02&to=2026-03-01", "`to`"),
        ("by=vehicle&from=2025-01-01&to=2026-01-02", "`to`"),
        ("by=driver&month=2026-03&vehicle=V1", "`vehicle`"),
        ("by=operator&month=2026-03&driver=L1", "`driver`"),
        ("by=driver&month=2026-03&operator=57", "`operator`"),
        (
            "by=operator&month=2026-03&reaches_badge_threshold=true",
            "`reaches_badge_threshold`",
        ),
        ("by=vehicle&month=2026-03&cursor=zz", "`cursor`"),
    ] {
        let answer = f.get(&format!("/api/v1/summaries?{asked}"), &token);
        assert_eq!(answer.status, 400, "{asked}");
        assert!(answer.text.contains(says), "{asked}: {}", answer.text);
    }
}
