//! A device against a server that cuts connections: at the end everything is acknowledged once.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use waywarden_model::hash::content_hash;
use waywarden_model::{DeviceDirectory, DeviceProfile, SourceId, Standing, Timestamp};
use waywarden_simulator::fleet::{Counts, Device, Pace, Sending, run};
use waywarden_simulator::{Ledger, Road, Span, Vehicle, imei};
use waywarden_wire::teltonika::{Teltonika, TeltonikaDevice};
use waywarden_wire::{Env, Event, Progress, Session, Settings};

struct All;

impl DeviceDirectory for All {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        DeviceProfile {
            source: SourceId::from(candidates[0].as_str()),
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

/// (device, event time) to content hash and how often it came.
type Filed = Arc<Mutex<BTreeMap<(String, i64), (u64, u32)>>>;

/// Reads frames, files their records and acknowledges, but cuts the line before the `cut`th
/// acknowledgement of each connection.
async fn serve(mut socket: TcpStream, filed: Filed, cut: usize) {
    let settings = Settings::default();
    let env = Env {
        now: Timestamp::MAX,
        directory: &All,
        settings: &settings,
    };
    let mut session = Teltonika::new();
    let (mut input, mut acknowledged) = (Vec::new(), 0);
    while socket.read_buf(&mut input).await.unwrap_or(0) > 0 {
        let mut events = Vec::new();
        let consumed = match session.receive(&input, &env, &mut events) {
            Progress::NeedMore { consumed } | Progress::Close { consumed, .. } => consumed,
        };
        input.drain(..consumed);
        for event in events {
            let reply = match event {
                Event::Reply(reply) => reply,
                Event::Frame(frame) => {
                    let mut filed = filed.lock().unwrap();
                    for reading in &frame.readings {
                        let record = reading.record();
                        let key = (frame.device.source.to_string(), record.time.millis());
                        let row = filed.entry(key).or_insert((content_hash(record), 0));
                        assert_eq!(row.0, content_hash(record), "a repeat is the same record");
                        row.1 += 1;
                    }
                    acknowledged += 1;
                    if acknowledged == cut {
                        return;
                    }
                    frame.durable_reply.unwrap()
                }
                _ => continue,
            };
            if socket.write_all(&reply).await.is_err() {
                return;
            }
        }
    }
}

async fn server(filed: Filed, cut: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(serve(socket, Arc::clone(&filed), cut));
        }
    });
    address
}

#[tokio::test]
async fn what_is_cut_is_sent_again_and_nothing_is_left_out() {
    let filed = Filed::default();
    let to = server(Arc::clone(&filed), 40).await;
    let from = Timestamp::parse_rfc3339("2026-03-10T00:00:00+07:00").unwrap();
    let span = Span {
        from,
        until: from.plus_millis(8 * 3_600_000),
        every_ms: 10_000,
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let ledger = Arc::new(Ledger::open(Some(&path)).unwrap());
    let counts = Arc::new(Counts::default());
    let sending = Sending {
        to,
        pace: Pace::Unbounded,
        records_per_frame: 20,
        window: 5,
        patience: Duration::from_secs(10),
    };
    let device = |n: u32| Device {
        id: imei(n),
        side: Box::new(TeltonikaDevice::new(&imei(n))),
        vehicle: Vehicle::new(1, n, Road::coast(), span),
    };
    for n in [4, 5] {
        let work = run(
            device(n),
            sending,
            Arc::clone(&ledger),
            Arc::clone(&counts),
            CancellationToken::new(),
        );
        tokio::time::timeout(Duration::from_secs(60), work)
            .await
            .unwrap()
            .unwrap();
    }
    let filed = filed.lock().unwrap();
    let lines = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        lines.lines().count(),
        2 * 2880,
        "each record is acknowledged once"
    );
    assert_eq!(filed.len(), 2 * 2880);
    assert!(
        filed.values().any(|(_, times)| *times > 1),
        "something was sent again"
    );
    assert!(
        counts
            .connections
            .load(std::sync::atomic::Ordering::Relaxed)
            > 4
    );
    for n in [4, 5] {
        let sent: Vec<_> = Vehicle::new(1, n, Road::coast(), span).collect();
        assert!(
            sent.iter()
                .all(|r| filed.contains_key(&(imei(n), r.time.millis())))
        );
    }
}

#[tokio::test]
async fn told_to_stop_it_stops() {
    let to = server(Filed::default(), usize::MAX).await;
    let from = Timestamp::from_secs(1_773_100_800);
    let span = Span {
        from,
        until: Timestamp::MAX,
        every_ms: 1000,
    };
    let stop = CancellationToken::new();
    let device = Device {
        id: imei(1),
        side: Box::new(TeltonikaDevice::new(&imei(1))),
        vehicle: Vehicle::new(1, 1, Road::coast(), span),
    };
    let pace = Pace::Times { factor: 1.0, from };
    let sending = Sending {
        to,
        pace,
        records_per_frame: 1,
        window: 1,
        patience: Duration::from_secs(9),
    };
    let ledger = Arc::new(Ledger::open(None).unwrap());
    let work = tokio::spawn(run(device, sending, ledger, Arc::default(), stop.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), work)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
