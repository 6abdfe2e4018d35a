//! What people and agencies read, and the decisions they make: lists, reviews, the pull of changes.

use crate::fixture::Fixture;
use std::sync::Arc;
use waywarden_model::hash::content_hash;
use waywarden_model::{
    Band, Figures, Kind, LimitSource, Plate, Position, ProfileId, Protocol, Record, SourceId, Span,
    Speed, Subject, Timestamp, Verdict, Violation, ViolationId,
};
use waywarden_store::read::{ChangeKind, Decision, Pull, Status, ViolationFilter, ViolationKey};
use waywarden_store::{Batch, Claim, FiledFrame, FiledRecord, SourceRecords, StoreError};

both!(
    of_two_who_decide_at_once_the_second_is_told,
    a_closed_violation_has_its_records_and_their_bytes_as_evidence,
    pages_are_by_key_and_stay_while_rows_come_in,
    a_pull_is_complete_beside_two_writers,
    status_and_latest_tell_what_is_filed,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(1_773_104_400 + second)
}

fn record(second: i64) -> FiledRecord {
    let place = Position::new(20.95 + 0.0001 * second as f64, 107.07).unwrap();
    let record = Record {
        speed: Some(Speed::from_kmh(90)),
        ..Record::fix(at(second), place)
    };
    FiledRecord {
        hash: content_hash(&record),
        received: at(second + 1),
        verdict: Verdict::Valid,
        ahead: false,
        frame: 0,
        record,
    }
}

fn overspeed(source: &str, start: i64, open: bool) -> Violation {
    let source = SourceId::from(source);
    Violation {
        kind: Kind::Overspeed,
        rule: None,
        subject: Subject::Source(source.clone()),
        vehicle: None,
        plate: Some(Plate::new("14C-123.45")),
        driver: None,
        operator: None,
        start: at(start),
        end: at(start + 30),
        open,
        band: Some(Band::From5To10),
        limit: Some(Speed::from_kmh(80)),
        limit_source: Some(LimitSource::Class),
        max_excess: Some(Speed::from_kmh(7)),
        distance: None,
        duration_ms: 30_000,
        limit_ms: None,
        profile: ProfileId {
            name: "vn-36-2024".into(),
            version: 1,
        },
        registry: 0,
        figures: Figures::default(),
        spans: vec![Span {
            source,
            from: at(start),
            to: at(start + 30),
            every: true,
        }],
    }
}

fn batch(source: &str, seconds: &[i64], violations: Vec<Violation>) -> Batch {
    let frame = FiledFrame {
        protocol: Protocol::Gt06,
        received: at(1),
        told_offset_s: None,
        raw: vec![0x78, 0x78],
    };
    let newer: Vec<FiledRecord> = seconds.iter().map(|s| record(*s)).collect();
    Batch {
        records_read: newer.len() as u64,
        sources: vec![SourceRecords {
            source: source.into(),
            frames: vec![frame],
            newer,
            older: Vec::new(),
        }],
        violations,
        log: "log".to_owned(),
        now: at(1000),
        ..Batch::default()
    }
}

/// A store with one partition claimed.
struct Desk {
    store: Arc<dyn crate::fixture::Store>,
    claim: Claim,
    _fixture: Fixture,
}

impl Desk {
    async fn new(fixture: Fixture) -> Self {
        let store = Arc::clone(&fixture.store);
        Self {
            claim: store.claim(0, "test").await.unwrap(),
            store,
            _fixture: fixture,
        }
    }

    async fn file(&mut self, batch: Batch) {
        let position = self.claim.position;
        self.store
            .commit(&self.claim, position, position + 1, batch)
            .await
            .unwrap();
        self.claim.position += 1;
    }

    async fn decide(&self, id: ViolationId, revision: u32, by: &str) -> Result<u32, StoreError> {
        let reason = "the tachograph agrees";
        self.store
            .review(id, revision, Decision::Confirmed, reason, by, at(2000))
            .await
    }
}

async fn of_two_who_decide_at_once_the_second_is_told(f: Fixture) {
    let mut f = Desk::new(f).await;
    let open = overspeed("s", 0, true);
    let id = open.id();
    f.file(batch("s", &[0, 10, 20, 30], vec![open])).await;
    assert!(matches!(
        f.decide(id, 1, "a").await,
        Err(StoreError::StillOpen)
    ));
    f.file(batch("s", &[40], vec![overspeed("s", 0, false)]))
        .await;
    let revision = f.store.violation(id).await.unwrap().unwrap().revision;
    let (a, b) = tokio::join!(f.decide(id, revision, "a"), f.decide(id, revision, "b"));
    let refused = [&a, &b]
        .into_iter()
        .filter(|r| matches!(r, Err(StoreError::Conflict { .. })));
    assert_eq!(
        (
            refused.count(),
            [&a, &b].iter().filter(|r| r.is_ok()).count()
        ),
        (1, 1)
    );
    let filed = f.store.violation(id).await.unwrap().unwrap();
    assert_eq!(
        (filed.status, filed.revision),
        (Status::Confirmed, revision + 1)
    );
    let (changes, reviews) = f.store.history(id).await.unwrap();
    let kinds: Vec<ChangeKind> = changes.iter().map(|c| c.kind).collect();
    assert_eq!(
        kinds,
        [ChangeKind::Created, ChangeKind::Closed, ChangeKind::Decided]
    );
    assert_eq!(
        (reviews.len(), reviews[0].reason.as_str()),
        (1, "the tachograph agrees")
    );
    let unknown = ViolationId::from_bytes([7; 16]);
    assert!(matches!(
        f.decide(unknown, 1, "a").await,
        Err(StoreError::NotFound { .. })
    ));
}

async fn a_closed_violation_has_its_records_and_their_bytes_as_evidence(f: Fixture) {
    let mut f = Desk::new(f).await;
    let closed = overspeed("s", 0, false);
    let id = closed.id();
    f.file(batch("s", &[0, 10, 20, 30], vec![closed])).await;
    let evidence = f.store.evidence(id).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_str(&evidence.body).unwrap();
    let text = body.to_string();
    assert!(text.contains("7878"), "the raw frame: {text}");
    assert_eq!(text.matches("107.07").count(), 4, "four records: {text}");
    assert!(
        text.contains("vn-36-2024") && text.contains("class"),
        "{text}"
    );
}

async fn pages_are_by_key_and_stay_while_rows_come_in(f: Fixture) {
    let mut f = Desk::new(f).await;
    for n in 0..7 {
        f.file(batch("s", &[], vec![overspeed("s", 100 * n, false)]))
            .await;
    }
    let filter = ViolationFilter::default();
    let first = f.store.violations(&filter, None, 3).await.unwrap();
    f.file(batch("s", &[], vec![overspeed("s", 9_999, false)]))
        .await;
    let last = first.last().unwrap();
    let after = ViolationKey {
        start: last.violation.start,
        id: last.id,
    };
    let second = f.store.violations(&filter, Some(after), 10).await.unwrap();
    let starts = |page: &[waywarden_store::read::FiledViolation]| -> Vec<i64> {
        page.iter()
            .map(|v| v.violation.start.since(at(0)) / 1000)
            .collect()
    };
    assert_eq!(
        (starts(&first), starts(&second)),
        (vec![600, 500, 400], vec![300, 200, 100, 0])
    );
    let none = ViolationFilter {
        band: Some(">35".to_owned()),
        ..filter.clone()
    };
    assert!(
        f.store
            .violations(&none, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    let plate = ViolationFilter {
        vehicle: Some("14C12345".to_owned()),
        ..filter
    };
    assert_eq!(
        f.store.violations(&plate, None, 100).await.unwrap().len(),
        8
    );
}

/// Two partitions' owners write while an agency pulls: nothing is skipped, nothing comes twice.
async fn a_pull_is_complete_beside_two_writers(f: Fixture) {
    const EACH: i64 = 60;
    let f = Desk::new(f).await;
    let write = |partition: u32, store: Arc<dyn crate::fixture::Store>| async move {
        let source = format!("s{partition}");
        let mut claim = store.claim(partition, "test").await.unwrap();
        for n in 0..EACH {
            let content = batch(&source, &[], vec![overspeed(&source, 100 * n, false)]);
            let position = claim.position;
            store
                .commit(&claim, position, position + 1, content)
                .await
                .unwrap();
            claim.position += 1;
        }
    };
    let writers = [
        tokio::spawn(write(1, Arc::clone(&f.store))),
        tokio::spawn(write(2, Arc::clone(&f.store))),
    ];
    let (mut after, mut seen) = (0, Vec::new());
    let mut idle = 0;
    // Transactions of other databases on the server hold back what is settled, never what comes.
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while idle < 2 && std::time::Instant::now() < give_up {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished)
            && seen.len() as i64 >= 2 * EACH;
        let pull = Pull {
            filter: ViolationFilter::default(),
            after,
            held: Vec::new(),
            settled_before: None,
            limit: 7,
            max_held: 100,
        };
        let plan = f.store.plan_pull(&pull).await.unwrap();
        let rows = f.store.changes(&plan.give).await.unwrap();
        assert_eq!(
            rows.iter().map(|(c, _)| c.seq).collect::<Vec<_>>(),
            plan.give
        );
        seen.extend(rows.into_iter().map(|(c, v)| (c.seq, v.id)));
        idle = if done && plan.give.is_empty() {
            idle + 1
        } else {
            0
        };
        after = plan.seen;
    }
    let mut ids: Vec<ViolationId> = seen.iter().map(|(_, id)| *id).collect();
    assert!(
        seen.windows(2).all(|w| w[0].0 < w[1].0),
        "in order, none twice"
    );
    ids.sort_unstable();
    ids.dedup();
    // A violation that is closed when it is first seen is one change.
    assert_eq!(ids.len() as i64, 2 * EACH);
}

async fn status_and_latest_tell_what_is_filed(f: Fixture) {
    let mut f = Desk::new(f).await;
    f.file(batch("s", &[0, 10], vec![overspeed("s", 0, true)]))
        .await;
    let status = f.store.status().await.unwrap();
    assert_eq!(
        (status.sources, status.violations_open, status.marks),
        (1, 1, 0)
    );
    assert_eq!(status.partitions[0].counters.filed, 2);
    let latest = f.store.latest(10).await.unwrap();
    assert_eq!((latest.len(), latest[0].time), (1, at(10)));
    let names = f.store.sources(None, 10).await.unwrap();
    assert_eq!(names, [SourceId::from("s")]);
}
