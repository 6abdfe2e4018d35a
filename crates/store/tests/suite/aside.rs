//! What was set aside as dated in the future, taken in when its time has come.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, records};
use waywarden_model::hash::partition_of;
use waywarden_model::{SourceId, Verdict};
use waywarden_store::{AsideReason, AsideRecord, Batch, Due, Mark, StoreError, Stretch, TakenIn};

both!(
    what_is_asked_for_is_filed_once_and_its_source_marked,
    of_a_copy_on_file_the_earlier_receipt_stays,
    records_of_a_source_that_is_held_or_unknown_wait_for_approval,
    many_are_taken_in_some_at_once,
);

const PARTITIONS: u32 = 4;

fn partition() -> u32 {
    partition_of(&SOURCE.into(), PARTITIONS)
}

fn aside(second: i64, reason: AsideReason) -> AsideRecord {
    let future = filed(second, 50);
    AsideRecord {
        source: SOURCE.into(),
        record: future.record,
        received: at(-100),
        hash: future.hash,
        reason,
        frame: None,
    }
}

fn with(aside: Vec<AsideRecord>) -> Batch {
    Batch {
        records_read: aside.len() as u64,
        aside,
        ..batch(vec![])
    }
}

fn stretch(from: i64, upto: i64) -> Vec<Stretch> {
    vec![Stretch {
        source: SOURCE.into(),
        from: at(from),
        upto: at(upto),
    }]
}

async fn marks(f: &Fixture) -> Vec<Mark> {
    let all = Due {
        updated_before: at(1_000_000),
        created_before: at(1_000_000),
    };
    f.store.due_marks(partition(), all, 9).await.unwrap()
}

async fn what_is_asked_for_is_filed_once_and_its_source_marked(f: Fixture) {
    let claim = f.store.claim(partition(), "w").await.unwrap();
    let (future, expired) = (AsideReason::Future, AsideReason::Expired);
    let mut b = with(vec![
        aside(10, future),
        aside(20, future),
        aside(30, expired),
        aside(40, future),
    ]);
    b.sources = vec![records(vec![filed(0, 50)], vec![])];
    b.records_read += 1;
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let source: SourceId = SOURCE.into();
    assert_eq!(f.store.set_aside(at(21), at(39)).await.unwrap(), []);
    let there = f.store.set_aside(at(20), at(39)).await.unwrap();
    assert_eq!(there, std::slice::from_ref(&source));

    let asked = f.store.readmit(stretch(5, 30), PARTITIONS, at(1)).await;
    assert_eq!(asked.unwrap(), 2);
    let again = f.store.readmit(stretch(5, 30), PARTITIONS, at(1)).await;
    assert_eq!(again.unwrap(), 0, "they are asked for already");
    let found = marks(&f).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].from, found[0].upto), (at(10), at(20)));

    let taken = f.store.take_in(&claim, &source).await.unwrap();
    let expected = TakenIn {
        filed: 2,
        repeated: 0,
        removed: 0,
        newest: Some(at(20)),
    };
    assert_eq!(taken, expected);
    let none = f.store.take_in(&claim, &source).await.unwrap();
    assert_eq!(none, TakenIn::default());
    let stored = f.store.stored_records(&source, None, 9).await.unwrap();
    let expected = [aside(10, future), aside(20, future)];
    for (stored, expected) in stored[1..].iter().zip(&expected) {
        assert_eq!(
            (&stored.record, stored.hash),
            (&expected.record, expected.hash)
        );
        assert_eq!((stored.received, stored.verdict), (at(-100), Verdict::Late));
    }
    assert_eq!(stored.len(), 3);
    assert_eq!(f.count("SELECT count(*) FROM records_aside").await, 2);
    let c = f.store.counters(partition()).await.unwrap();
    assert_eq!((c.filed, c.repeated, c.aside, c.late), (3, 0, 2, 2));
    assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
    let other = f.store.claim(partition(), "other").await.unwrap();
    assert!(other.epoch > claim.epoch);
    let refused = f.store.take_in(&claim, &source).await;
    assert!(
        matches!(refused, Err(StoreError::Superseded { .. })),
        "{refused:?}"
    );
}

async fn of_a_copy_on_file_the_earlier_receipt_stays(f: Fixture) {
    let claim = f.store.claim(partition(), "w").await.unwrap();
    let mut b = with(vec![
        aside(10, AsideReason::Future),
        aside(20, AsideReason::Future),
    ]);
    b.sources = vec![records(vec![filed(10, 50), filed(30, 50)], vec![])];
    b.records_read += 2;
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    f.store
        .readmit(stretch(0, 60), PARTITIONS, at(1))
        .await
        .unwrap();
    let taken = f.store.take_in(&claim, &SOURCE.into()).await.unwrap();
    assert_eq!((taken.filed, taken.repeated), (1, 1));
    let stored = f
        .store
        .stored_records(&SOURCE.into(), None, 9)
        .await
        .unwrap();
    let told: Vec<_> = stored
        .iter()
        .map(|s| (s.record.time, s.received, s.verdict))
        .collect();
    let expected = [
        (at(10), at(-100), Verdict::Valid),
        (at(20), at(-100), Verdict::Late),
        (at(30), at(31), Verdict::Valid),
    ];
    assert_eq!(told, expected);
    let c = f.store.counters(partition()).await.unwrap();
    assert_eq!((c.filed, c.repeated, c.aside), (3, 1, 0));
    assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
}

async fn records_of_a_source_that_is_held_or_unknown_wait_for_approval(f: Fixture) {
    let claim = f.store.claim(partition(), "w").await.unwrap();
    let source: SourceId = SOURCE.into();
    let b = with(vec![aside(10, AsideReason::Future)]);
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    f.store
        .readmit(stretch(0, 60), PARTITIONS, at(1))
        .await
        .unwrap();
    f.store.take_in(&claim, &source).await.unwrap();
    let mut held = filed(20, 50);
    held.verdict = Verdict::Held;
    let mut b = with(vec![aside(30, AsideReason::Future)]);
    b.sources = vec![records(vec![held], vec![])];
    b.records_read += 1;
    f.store.commit(&claim, 1, 2, b).await.unwrap();
    f.store
        .readmit(stretch(0, 60), PARTITIONS, at(1))
        .await
        .unwrap();
    f.store.take_in(&claim, &source).await.unwrap();
    let stored = f.store.stored_records(&source, None, 9).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert!(
        stored.iter().all(|s| s.verdict == Verdict::Held),
        "{stored:?}"
    );
}

async fn many_are_taken_in_some_at_once(f: Fixture) {
    let claim = f.store.claim(partition(), "w").await.unwrap();
    let many = (0..9000).map(|n| aside(n, AsideReason::Future)).collect();
    f.store.commit(&claim, 0, 1, with(many)).await.unwrap();
    let asked = f.store.readmit(stretch(0, 9000), PARTITIONS, at(1)).await;
    assert_eq!(asked.unwrap(), 9000);
    let mut pieces = Vec::new();
    loop {
        let taken = f.store.take_in(&claim, &SOURCE.into()).await.unwrap();
        let Some(newest) = taken.newest else { break };
        pieces.push((taken.filed, newest));
    }
    let expected = [(4000, at(3999)), (4000, at(7999)), (1000, at(8999))];
    assert_eq!(pieces, expected);
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 9000);
}
