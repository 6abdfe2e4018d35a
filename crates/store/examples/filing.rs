//! How fast a worker's batches are filed, on both stores in one run, beside a bare binary COPY of
//! the same rows into the same hypertable.
//!
//! `cargo run --release -p waywarden-store --example filing -- [ROWS]`; the server comes from
//! `WAYWARDEN_TEST_POSTGRES`, a database `waywarden_filing` is made on it and dropped.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool for the terminal

use futures::{SinkExt, TryStreamExt};
use std::fmt::Write;
use std::time::{Duration, Instant};
use tokio_postgres::NoTls;
use waywarden_model::hash::content_hash;
use waywarden_model::{Position, Protocol, Record, SourceId, Speed, Timestamp, Verdict};
use waywarden_store::{
    Batch, FiledFrame, FiledRecord, Options, SourceRecords, SqliteStore, TimescaleOptions,
    TimescaleStore, WorkerStore,
};

/// Sources of a batch and records of each.
const SHAPES: [(usize, usize); 5] = [(200, 20), (4000, 1), (200, 100), (10_000, 1), (10_000, 2)];
/// Records in a device's frame, at most.
const FRAME: usize = 20;
const BEGIN: i64 = 1_773_104_400;

fn batch(number: usize, sources: usize, each: usize) -> Batch {
    let sources: Vec<SourceRecords> = (0..sources)
        .map(|s| {
            let newer: Vec<_> = (0..each).map(|n| record(s, number * each + n, n)).collect();
            SourceRecords {
                source: SourceId::new(format!("35209308{s:07}")),
                frames: (0..each.div_ceil(FRAME))
                    .map(|_| FiledFrame {
                        protocol: Protocol::Teltonika,
                        received: Timestamp::from_secs(BEGIN),
                        told_offset_s: None,
                        raw: vec![0xAB; 45 * each.min(FRAME)],
                    })
                    .collect(),
                newer,
                older: Vec::new(),
            }
        })
        .collect();
    Batch {
        records_read: (sources.len() * each) as u64,
        sources,
        log: "log".into(),
        now: Timestamp::from_secs(BEGIN),
        ..Batch::default()
    }
}

fn record(source: usize, second: usize, in_batch: usize) -> FiledRecord {
    let at = Timestamp::from_secs(BEGIN + second as i64);
    let place = Position::new(20.9 + 1e-5 * second as f64, 107.0 + 1e-5 * source as f64).unwrap();
    let record = Record {
        speed: Some(Speed::from_kmh(50)),
        ignition: Some(true),
        satellites: Some(11),
        odometer_m: Some(second as u64 * 14),
        ..Record::fix(at, place)
    };
    FiledRecord {
        hash: content_hash(&record),
        received: at.plus_millis(900),
        verdict: Verdict::Valid,
        ahead: false,
        frame: (in_batch / FRAME) as u32,
        record,
    }
}

async fn file(store: &dyn WorkerStore, partition: u32, batches: Vec<Batch>) -> Duration {
    let claim = store.claim(partition, "bench").await.unwrap();
    let begun = Instant::now();
    for (position, batch) in (claim.position..).zip(batches) {
        store
            .commit(&claim, position, position + 1, batch)
            .await
            .unwrap();
    }
    begun.elapsed()
}

/// The floor: the same rows again under later times, already encoded, by one COPY and one commit
/// a batch. Frames, last places and the partition's row are left out.
async fn bare(server: &str, batches: usize, each: usize) -> Duration {
    const LATER: i64 = 1_000_000_000;
    let client = connect(server).await;
    let mut encoded = Vec::new();
    for n in 0..batches {
        let from = (BEGIN + (n * each) as i64) * 1000;
        let sql = format!(
            "COPY (SELECT source, time + {LATER}, hash, received, frame, verdict, kind, lat, lon,
                 valid, altitude, speed, course, satellites, ignition, motion, door, odometer,
                 said, driver, alarms, stored, voltage, fuel, engine, event, vin FROM positions
             WHERE time >= {from} AND time < {} ORDER BY source, time) TO STDOUT BINARY",
            from + each as i64 * 1000
        );
        let stream = client.copy_out(&sql).await.unwrap();
        let chunks: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
        encoded.push(bytes::Bytes::from(chunks.concat()));
    }
    let begun = Instant::now();
    for data in encoded {
        let sink = client
            .copy_in("COPY positions FROM STDIN BINARY")
            .await
            .unwrap();
        futures::pin_mut!(sink);
        sink.send(data).await.unwrap();
        sink.finish().await.unwrap();
    }
    begun.elapsed()
}

async fn connect(server: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::main]
async fn main() {
    let rows: usize = std::env::args()
        .nth(1)
        .map_or(400_000, |n| n.parse().unwrap());
    let server = std::env::var("WAYWARDEN_TEST_POSTGRES").expect("WAYWARDEN_TEST_POSTGRES is set");
    let mut table = String::from(
        "rows a commit   sources x records   SQLite rows/s   TimescaleDB rows/s   bare COPY rows/s\n",
    );
    for (sources, each) in SHAPES {
        let count = (rows / (sources * each)).max(3);
        let batches = || {
            (0..count)
                .map(|n| batch(n, sources, each))
                .collect::<Vec<_>>()
        };
        let speed = |took: Duration| (count * sources * each) as f64 / took.as_secs_f64();
        let dir = tempfile::tempdir().unwrap();
        let lite = SqliteStore::open(&dir.path().join("store.db"), Options::default()).unwrap();
        let lite = speed(file(&lite, 0, batches()).await);
        let admin = connect(&server).await;
        let drop = "DROP DATABASE IF EXISTS waywarden_filing WITH (FORCE)";
        admin.batch_execute(drop).await.unwrap();
        admin
            .batch_execute("CREATE DATABASE waywarden_filing")
            .await
            .unwrap();
        let mut config = server.clone();
        // The last word of a key counts.
        config.push_str(" dbname=waywarden_filing");
        let store = TimescaleStore::open(&config, TimescaleOptions::default())
            .await
            .unwrap();
        let scale = speed(file(&store, 0, batches()).await);
        let floor = speed(bare(&config, count, each).await);
        std::mem::drop(store);
        admin.batch_execute(drop).await.unwrap();
        writeln!(
            table,
            "{:>13}   {sources:>7} x {each:<7}   {lite:>13.0}   {scale:>18.0}   {floor:>16.0}",
            sources * each
        )
        .unwrap();
    }
    println!("{table}");
}
