//! Promises of the tables that the traits do not show: exact values, evidence, crashes.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use super::rows::{Binder, RECORD_COLUMNS, Reader};
use super::{Options, SqliteStore, evidence};
use crate::any::any_record;
use crate::batch::{Batch, FiledFrame, FiledRecord, SourceRecords, StoreError, WorkerStore};
use crate::rows::{self, RECORD, put_record};
use proptest::prelude::*;
use rusqlite::Connection;
use waywarden_model::{
    Figures, Kind, Position, ProfileId, Protocol, Record, Span, Speed, Subject, Timestamp, Verdict,
    Violation,
};

fn table() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(include_str!("schema/V1__initial.sql"))
        .unwrap();
    conn
}

fn through_the_table(conn: &Connection, record: &Record) -> Record {
    conn.execute("DELETE FROM positions", []).unwrap();
    let values = ["?"; 6 + RECORD_COLUMNS].join(",");
    let sql = format!(
        "INSERT INTO positions (source, time, hash, received, verdict, frame, {RECORD})
         VALUES ({values})"
    );
    let mut stmt = conn.prepare_cached(&sql).unwrap();
    let mut b = Binder::new(&mut stmt);
    for n in [1, record.time.millis(), 3, 4, 0, 6] {
        b.put(n).unwrap();
    }
    put_record(&mut b, record).unwrap();
    b.execute().unwrap();
    let mut stmt = conn
        .prepare_cached(&format!("SELECT time, {RECORD} FROM positions"))
        .unwrap();
    let mut found = stmt.query([]).unwrap();
    let row = found.next().unwrap().unwrap();
    let time = Timestamp::from_millis(row.get(0).unwrap());
    rows::record(&mut Reader::new(row, 1), time).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_record_comes_back_bit_for_bit(record in any_record()) {
        let conn = table();
        let back = through_the_table(&conn, &record);
        let bits = |r: &Record| r.position.map(|p| (p.lat().to_bits(), p.lon().to_bits()));
        prop_assert_eq!(bits(&back), bits(&record));
        prop_assert_eq!(back, record);
    }
}

fn fix(second: i64) -> FiledRecord {
    let record = Record::fix(
        Timestamp::from_secs(second),
        Position::new(20.95, 107.07).unwrap(),
    );
    FiledRecord {
        hash: waywarden_model::hash::content_hash(&record),
        received: Timestamp::from_secs(second),
        verdict: Verdict::Valid,
        ahead: false,
        frame: 0,
        record,
    }
}

fn batch(seconds: std::ops::Range<i64>) -> Batch {
    Batch {
        records_read: seconds.clone().count() as u64,
        sources: vec![SourceRecords {
            source: "12076463279".into(),
            frames: vec![FiledFrame {
                protocol: Protocol::Jt808,
                received: Timestamp::from_secs(9),
                told_offset_s: None,
                raw: vec![0x7E, 0x01, 0x7E],
            }],
            newer: seconds.map(fix).collect(),
            older: vec![],
        }],
        ..Batch::default()
    }
}

fn episode() -> Violation {
    let source: waywarden_model::SourceId = "12076463279".into();
    Violation {
        kind: Kind::Overspeed,
        rule: None,
        subject: Subject::Source(source.clone()),
        vehicle: Some("v1".into()),
        plate: None,
        driver: None,
        operator: None,
        start: Timestamp::from_secs(10),
        end: Timestamp::from_secs(20),
        open: false,
        band: None,
        limit: Some(Speed::from_kmh(60)),
        limit_source: None,
        max_excess: None,
        distance: None,
        duration_ms: 10_000,
        limit_ms: None,
        profile: ProfileId {
            name: "vn".into(),
            version: 1,
        },
        registry: 0,
        figures: Figures {
            at: Some((20.950_000_000_000_003, 107.07)),
            ..Figures::default()
        },
        spans: vec![Span {
            source,
            from: Timestamp::from_secs(10),
            to: Timestamp::from_secs(20),
            every: true,
        }],
    }
}

#[tokio::test]
async fn evidence_holds_records_and_frames_and_shows_tampering() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    let mut b = batch(0..30);
    b.violations.push(episode());
    store.commit(&claim, 0, 1, b).await.unwrap();
    let id = episode().id();
    let frozen = store
        .read(move |c| evidence::load(c, id))
        .await
        .unwrap()
        .unwrap();
    let body: serde_json::Value = serde_json::from_str(&frozen.body).unwrap();
    assert_eq!(frozen.revision, 1);
    assert_eq!(body["records"].as_array().unwrap().len(), 11);
    assert_eq!(body["frames"][0]["raw_hex"], "7e017e");
    let filed = store
        .read(|c| {
            let sql = format!("SELECT {} FROM violations", rows::VIOLATION);
            let mut stmt = c.prepare(&sql)?;
            let mut found = stmt.query([])?;
            rows::violation(&mut Reader::new(found.next()?.expect("one is on file"), 0))
        })
        .await
        .unwrap();
    assert_eq!(filed, episode());
    let forged = zstd::bulk::compress(b"{}", 1).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE evidence SET body = ?1", [forged])
        .unwrap();
    let read = store.read(move |c| evidence::load(c, id)).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_and_spares_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("store.db"), Options::default()).unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    let broken = store.write(|s| {
        s.intern(&"12076463279".into())?;
        Err::<(), _>(StoreError::Failed("on purpose".into()))
    });
    let panics = store.write(|_| -> crate::Result<()> { panic!("on purpose") });
    let sound = store.commit(&claim, 0, 1, batch(0..5));
    let (broken, panics, sound) = tokio::join!(broken, panics, sound);
    assert!(broken.is_err() && panics.is_err());
    assert_eq!(sound.unwrap().filed, 5);
    // The number of the source was not kept from the write that fell.
    let joined: i64 = store
        .read(|c| {
            Ok(c.query_row(
                "SELECT count(*) FROM positions p JOIN sources s ON s.id = p.source",
                [],
                |r| r.get(0),
            )?)
        })
        .await
        .unwrap();
    assert_eq!(joined, 5);
}

/// Rows stated to be newer that are not: on file already, and twice in one statement.
#[tokio::test]
async fn repeats_among_the_newer_are_counted_and_the_smaller_receipt_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("store.db"), Options::default()).unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    store.commit(&claim, 0, 1, batch(0..10)).await.unwrap();
    let mut again = batch(5..80);
    let newer = &mut again.sources[0].newer;
    newer[0].received = Timestamp::from_secs(3);
    newer[1].received = Timestamp::from_secs(1_000);
    newer.insert(20, newer[19].clone());
    let done = store.commit(&claim, 1, 2, again).await.unwrap();
    assert_eq!((done.filed, done.repeated, done.late), (70, 6, 0));
    let on_file: (i64, i64, i64) = store
        .read(|c| {
            Ok(c.query_row(
                "SELECT count(*), min(received) FILTER (WHERE time = 5000),
                        min(received) FILTER (WHERE time = 6000) FROM positions",
                [],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)),
            )?)
        })
        .await
        .unwrap();
    assert_eq!(on_file, (80, 3_000, 6_000));
}
