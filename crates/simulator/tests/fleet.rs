//! A fleet against a server: what it generated is filed once, through cuts, and its ledger names
//! exactly what was filed.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Server, Trouble};
use tokio_util::sync::CancellationToken;
use waywarden_model::{Protocol, Timestamp};
use waywarden_simulator::Span;
use waywarden_simulator::device::Pace;
use waywarden_simulator::fleet::{self, FleetConfig, FleetError, FleetReport, Told};

/// Six vehicles from five to nine in the morning, a record every ten seconds.
fn config(server: &Server) -> FleetConfig {
    let from = Timestamp::parse_rfc3339("2026-03-10T05:00:00+07:00").unwrap();
    FleetConfig {
        listeners: Protocol::ALL.map(|p| (p, server.address)).to_vec(),
        first: 1,
        vehicles: 6,
        seed: 11,
        span: Span {
            from,
            until: from.plus_millis(4 * 3_600_000),
            every_ms: 10_000,
        },
        told: Told::All,
        shifts: false,
        pace: Pace::Unbounded,
        records_per_frame: 20,
        window: 4,
        patience: Duration::from_secs(20),
        roads: Vec::new(),
        ledger: None,
        counts: std::sync::Arc::default(),
    }
}

async fn drive(config: FleetConfig) -> Result<FleetReport, FleetError> {
    let driven = fleet::run(config, CancellationToken::new());
    tokio::time::timeout(Duration::from_secs(120), driven)
        .await
        .expect("a fleet of four hours is done within two minutes")
}

type Entries = BTreeSet<(String, i64, u64)>;

/// Entries of the ledger by state; none stands there twice.
fn ledger(path: &Path) -> (Entries, Entries) {
    let (mut generated, mut acknowledged) = (Entries::new(), Entries::new());
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let hash = u64::from_str_radix(line["hash"].as_str().unwrap(), 16).unwrap();
        let device = line["device"].as_str().unwrap().to_owned();
        let entry = (device, line["time"].as_i64().unwrap(), hash);
        let new = match line["state"].as_str() {
            Some("generated") => generated.insert(entry),
            Some("acknowledged") => acknowledged.insert(entry),
            other => panic!("{other:?}"),
        };
        assert!(new, "an entry stands in the ledger twice: {line}");
    }
    (generated, acknowledged)
}

#[tokio::test]
async fn what_is_cut_is_sent_again_and_the_ledger_is_what_was_filed() {
    let server = Server::start(Trouble {
        cut_at: Some(70),
        ..Trouble::default()
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let report = drive(FleetConfig {
        ledger: Some(path.clone()),
        ..config(&server)
    })
    .await
    .unwrap();

    let all = 6 * 4 * 360;
    assert_eq!(report.records_generated, all);
    assert_eq!(report.records_acknowledged, all);
    assert!(report.connections > report.vehicles, "{report:?}");
    let (generated, acknowledged) = ledger(&path);
    assert_eq!(generated, acknowledged);
    let filed = server.filed.lock().unwrap();
    let keys: Entries = filed.keys().cloned().collect();
    assert_eq!(keys, acknowledged);
    assert!(
        filed.values().any(|(_, times)| *times > 1),
        "nothing was sent again"
    );
}

#[tokio::test]
async fn frames_windows_and_cuts_do_not_change_what_is_said() {
    let mut told = Vec::new();
    for (records_per_frame, window, cut_at) in [(1, 16, Some(333)), (50, 1, None)] {
        let server = Server::start(Trouble {
            cut_at,
            ..Trouble::default()
        })
        .await;
        drive(FleetConfig {
            records_per_frame,
            window,
            vehicles: 2,
            ..config(&server)
        })
        .await
        .unwrap();
        let keys: Entries = server.filed.lock().unwrap().keys().cloned().collect();
        told.push(keys);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn every_protocol_takes_its_turn() {
    let server = Server::start(Trouble::default()).await;
    let mut config = config(&server);
    config.span.until = config.span.from.plus_millis(600_000);
    drive(config.clone()).await.unwrap();
    let seen: BTreeSet<String> = server.seen.lock().unwrap().iter().cloned().collect();
    let expected: BTreeSet<String> = (1..=6)
        .filter_map(|n| fleet::speaks(&config.listeners, n))
        .map(|(_, _, id)| id)
        .collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn refused_devices_are_counted_and_end() {
    let server = Server::start(Trouble {
        refuse: true,
        ..Trouble::default()
    })
    .await;
    let listeners = vec![(Protocol::Teltonika, server.address)];
    let report = drive(FleetConfig {
        listeners,
        vehicles: 3,
        ..config(&server)
    })
    .await
    .unwrap();
    assert_eq!((report.refused, report.records_acknowledged), (3, 0));
}

#[tokio::test]
async fn a_pace_holds_records_back_and_a_stop_ends_the_fleet() {
    let server = Server::start(Trouble::default()).await;
    let mut config = config(&server);
    // A hundred seconds of event time in one of the clock: ten records of each vehicle.
    config.pace = Pace::Times {
        factor: 100.0,
        from: config.span.from,
    };
    config.records_per_frame = 1;
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let driving = tokio::spawn(fleet::run(config, stop.clone()));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.cancel();
    let report = tokio::time::timeout(Duration::from_secs(5), driving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    // One for each ten seconds gone, and the one at the very start.
    let due = 6 * (begun.elapsed().as_millis() as u64 / 100 + 1);
    assert!(report.frames_sent <= due, "{report:?}");
    assert!(report.records_acknowledged >= 6, "{report:?}");
    // What was on its way at the stop may be filed without being known as such, never the reverse.
    let filed = server.records() as u64;
    assert!(
        (report.records_acknowledged..=report.frames_sent).contains(&filed),
        "{report:?} {filed}"
    );
}

#[tokio::test]
async fn without_a_listener_nobody_drives() {
    let server = Server::start(Trouble::default()).await;
    let config = FleetConfig {
        listeners: Vec::new(),
        ..config(&server)
    };
    assert!(matches!(drive(config).await, Err(FleetError::NoListener)));
}
