//! The list of alerts, and how many go on.

use crate::fixture::{DEVICE, Fixture, T0};
use waywarden_model::{Ahead, Alert, AlertKind, Kind, Plate, Subject, Timestamp};
use waywarden_store::{Batch, Role};

fn silence(second: i64, ended: Option<i64>) -> Alert {
    let at = |s: i64| Timestamp::from_millis(T0 + 1000 * s);
    Alert {
        kind: AlertKind::Silence,
        ahead: None,
        subject: Subject::Source(DEVICE.into()),
        vehicle: Some("V01".into()),
        plate: Some(Plate::new("14C-123.45")),
        driver: None,
        operator: Some("5700000001".into()),
        start: at(second),
        raised: at(second + 1800),
        ended: ended.map(at),
        amount_ms: None,
        limit_ms: Some(1_800_000),
    }
}

fn ahead() -> Alert {
    Alert {
        kind: AlertKind::LimitAhead,
        ahead: Some(Ahead {
            kind: Kind::ContinuousDriving,
            rule: None,
        }),
        subject: Subject::Driver("220012345678".into()),
        driver: Some("220012345678".into()),
        amount_ms: Some(13_500_500),
        limit_ms: Some(14_400_000),
        ..silence(500, None)
    }
}

fn told(alerts: Vec<Alert>) -> Batch {
    Batch {
        alerts,
        now: Timestamp::from_millis(T0),
        log: "test".into(),
        ..Batch::default()
    }
}

#[test]
fn an_alert_says_whom_it_is_about_and_since_when() {
    let f = Fixture::new();
    f.commit(told(vec![silence(0, None), ahead()]));
    let got = f.get("/api/v1/alerts", &f.token(Role::Viewer)).json();
    assert!(got["next"].is_null());
    let [limit, silent] = got["items"].as_array().unwrap().as_slice() else {
        panic!("two alerts: {got}");
    };
    assert_eq!(silent["id"], silence(0, None).id().to_string());
    assert_eq!(
        (&silent["kind"], &silent["source"]),
        (&"silence".into(), &DEVICE.into())
    );
    assert_eq!(
        (&silent["vehicle"], &silent["vehicle_id"]),
        (&"14C12345".into(), &"V01".into())
    );
    assert_eq!(silent["start"], "2026-03-10T01:00:00Z");
    assert_eq!(silent["raised"], "2026-03-10T01:30:00Z");
    assert!(silent["ended"].is_null() && silent["ahead"].is_null() && silent["amount_s"].is_null());
    assert_eq!(silent["limit_s"], 1800);
    assert_eq!(
        (&limit["kind"], &limit["ahead"]),
        (&"limit_ahead".into(), &"continuous_driving".into())
    );
    assert_eq!(
        (&limit["driver_id"], limit["source"].is_null()),
        (&"220012345678".into(), true)
    );
    assert_eq!(
        (limit["amount_s"].as_f64(), &limit["limit_s"]),
        (Some(13_500.5), &14_400.into())
    );
}

#[test]
fn a_list_is_narrowed_and_read_on() {
    let f = Fixture::new();
    let token = f.token(Role::Operator);
    let all: Vec<Alert> = (0..7)
        .map(|n| silence(10 * n, (n < 3).then_some(5000)))
        .chain([ahead()])
        .collect();
    f.commit(told(all));
    let number = |query: &str| {
        let got = f.get(&format!("/api/v1/alerts?{query}"), &token).json();
        got["items"].as_array().map(Vec::len)
    };
    assert_eq!(number("open=true"), Some(5));
    assert_eq!(number("open=false"), Some(3));
    assert_eq!(number("kind=limit_ahead"), Some(1));
    assert_eq!(
        number("kind=silence&vehicle=14C12345&operator=5700000001"),
        Some(7)
    );
    assert_eq!(
        number("from=2026-03-10T01:00:10Z&to=2026-03-10T01:00:30Z"),
        Some(2)
    );
    assert_eq!(number("kind=nothing"), None);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = f
            .get(&format!("/api/v1/alerts?limit=3{cursor}"), &token)
            .json();
        for a in page["items"].as_array().unwrap() {
            seen.push(a["id"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let listed = f.get("/api/v1/alerts", &token).json();
    let ids: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        (seen.len(), seen),
        (8, ids.iter().map(|s| (*s).to_owned()).collect())
    );
    let wrong = f.get("/api/v1/alerts?cursor=zz", &token).json();
    assert!(wrong["message"].as_str().unwrap().contains("cursor"));
}

#[test]
fn how_many_go_on_is_told() {
    let f = Fixture::new();
    f.commit(told(vec![
        silence(0, None),
        silence(10, Some(5000)),
        ahead(),
    ]));
    let token = f.token(Role::Viewer);
    let status = f.get("/api/v1/status", &token).json();
    let expected = serde_json::json!({"silence": 1, "clock_set_back": 0, "limit_ahead": 1});
    assert_eq!(status["alerts_open"], expected);
    let figures = f.get("/metrics", &token);
    let text = figures.text;
    for line in [
        "waywarden_console_open_alerts{kind=\"silence\"} 1",
        "waywarden_console_open_alerts{kind=\"clock_set_back\"} 0",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
