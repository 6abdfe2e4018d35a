//! The agencies' pull: complete whatever is written meanwhile, and settled by default.

use crate::fixture::{DEVICE, Fixture, T0, bearer, overspeed, records};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use waywarden_model::Timestamp;
use waywarden_store::read::Decision;
use waywarden_store::{AdminStore, Batch, ReadStore, Role, SourceRecords};

fn pull(f: &Fixture, token: &str, query: &str) -> (Vec<Value>, Value) {
    let got = f.get(&format!("/api/v1/changes?{query}"), token);
    assert_eq!(got.status, 200, "{}", got.text);
    let mut lines: Vec<Value> = got
        .text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let end = lines.pop().unwrap();
    assert_eq!(end["cursor"], got.header("waywarden-cursor"));
    assert_eq!(end["more"].to_string(), got.header("waywarden-more"));
    (lines, end)
}

#[test]
fn nothing_is_skipped_while_two_write() {
    let f = Fixture::new();
    let token = f.token(Role::Agency);
    f.file((0..40).map(overspeed).collect());
    let done = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|s| {
        // One writer files new violations, the other decides on the first forty.
        let worker = s.spawn(|| (0..60).for_each(|i| f.file(vec![overspeed(1000 + i)])));
        let reviewer = s.spawn(|| {
            for i in 0..40 {
                let review = f.store.review(
                    overspeed(i).id(),
                    1,
                    Decision::Confirmed,
                    "x",
                    "t",
                    Timestamp::from_millis(T0),
                );
                f.runtime.block_on(review).unwrap();
            }
        });
        let (f, token, done) = (&f, &token, &done);
        let reader = s.spawn(move || {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                // Asked before the pull, so that one more follows the last write.
                let last = done.load(Ordering::Acquire);
                let (rows, end) = pull(f, token, &format!("settled=false&limit=7{cursor}"));
                seen.extend(rows.iter().map(|r| r["change"]["seq"].as_i64().unwrap()));
                cursor = format!("&cursor={}", end["cursor"].as_str().unwrap());
                if last && rows.is_empty() {
                    return seen;
                }
            }
        });
        worker.join().unwrap();
        reviewer.join().unwrap();
        done.store(true, Ordering::Release);
        seen = reader.join().unwrap();
    });
    let on_file = f.runtime.block_on(f.store.changes_after(0, 1000)).unwrap();
    assert_eq!(on_file.len(), 140);
    assert_eq!(seen, on_file, "each change once, in order");
}

#[test]
fn only_settled_ones_by_default() {
    let f = Fixture::new();
    let token = f.token(Role::Agency);
    let now = T0 + 3_600_000;
    let mut open = overspeed(5);
    open.open = true;
    f.file(vec![open.clone(), overspeed(60)]);
    f.file_at(vec![overspeed(120)], now - 60_000);
    let ids = |rows: &[Value]| -> Vec<String> {
        rows.iter()
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let (rows, end) = pull(&f, &token, "");
    assert_eq!(ids(&rows), [overspeed(60).id().to_string()]);
    // The open one closes; the fresh one ages.
    f.file_at(vec![overspeed(5)], now - 50_000);
    f.now.fetch_add(600_000, Ordering::Relaxed);
    let (rows, end) = pull(
        &f,
        &token,
        &format!("cursor={}", end["cursor"].as_str().unwrap()),
    );
    assert_eq!(
        ids(&rows),
        [
            overspeed(120).id().to_string(),
            overspeed(5).id().to_string()
        ]
    );
    assert_eq!(rows[1]["change"]["kind"], "closed");
    let (rows, _) = pull(
        &f,
        &token,
        &format!("cursor={}", end["cursor"].as_str().unwrap()),
    );
    assert!(rows.is_empty());
    let (all, _) = pull(
        &f,
        &token,
        "settled=false&kind=overspeed&status=new&from=2026-03-10T01:01:00Z",
    );
    assert_eq!(all.len(), 2);
}

#[test]
fn what_awaits_a_rebuild_is_kept_back_and_not_lost() {
    let f = Fixture::new();
    let token = f.token(Role::Agency);
    let SourceRecords {
        source,
        frames,
        mut newer,
        ..
    } = records(40);
    let mut late = newer.remove(10);
    late.ahead = true;
    let batch = |sources, read| Batch {
        sources,
        records_read: read,
        now: Timestamp::from_millis(T0),
        log: "test".into(),
        ..Batch::default()
    };
    let first = SourceRecords {
        source: source.clone(),
        frames: frames.clone(),
        newer,
        older: Vec::new(),
    };
    f.commit(batch(vec![first], 39));
    let mut other = overspeed(6);
    other.subject = waywarden_model::Subject::Source("other".into());
    other.spans.clear();
    f.file(vec![overspeed(5), other.clone()]);
    // A late record marks the device.
    let second = SourceRecords {
        source,
        frames,
        newer: Vec::new(),
        older: vec![late],
    };
    f.commit(batch(vec![second], 1));
    let status = f.get("/api/v1/status", &f.token(Role::Viewer)).json();
    assert_eq!(status["marks"], 1, "{DEVICE} is marked");

    let (rows, end) = pull(&f, &token, "");
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["id"], &end["held"]),
        (&other.id().to_string().into(), &1.into())
    );
    // Still kept back by the next pull, and the other one is not given again.
    let cursor = end["cursor"].as_str().unwrap().to_owned();
    let (rows, end) = pull(&f, &token, &format!("cursor={cursor}"));
    assert_eq!((rows.len(), &end["cursor"]), (0, &cursor.into()));
    // A reader who does not mind is given both.
    assert_eq!(pull(&f, &token, "settled=false").0.len(), 2);
}

#[test]
fn csv_is_the_same_rows_and_each_pull_is_recorded() {
    let f = Fixture::new();
    let token = f.token(Role::Agency);
    let mut formula = overspeed(5);
    formula.driver = Some("=1+1".into());
    f.file(vec![formula]);
    f.file((1..1200).map(|i| overspeed(i * 30)).collect());
    let auth = bearer(&token);
    let headers = [
        ("authorization", auth.as_str()),
        ("waywarden-purpose", "daily transfer"),
    ];
    let got = f.send("GET", "/api/v1/changes?format=csv", &headers, None);
    assert_eq!(got.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<&str> = got.text.lines().collect();
    assert_eq!(lines.len(), 1201);
    assert!(
        lines[0]
            .starts_with("change_seq,change_kind,change_at,change_revision,id,kind,rule,vehicle,")
    );
    assert!(lines[1].contains(",'=1+1,"), "{}", lines[1]);
    assert!(
        lines[2].contains(",10-20,80,class,17,0.5556,20,,vn-36-2024,1,new,false,1,"),
        "{}",
        lines[2]
    );
    let cursor = got.header("waywarden-cursor").to_owned();
    assert!(pull(&f, &token, &format!("cursor={cursor}")).0.is_empty());
    let reads = f.runtime.block_on(f.store.reads(5)).unwrap();
    assert_eq!(reads.len(), 2);
    assert_eq!(
        (reads[1].what.as_str(), reads[1].purpose.as_str()),
        ("pull", "daily transfer")
    );
    assert!(reads[1].object.contains("1200 changes"));
}
