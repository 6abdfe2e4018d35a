//! Frames decoded again: what they do not say is removed, what they say is filed, once.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, records};
use waywarden_model::hash::partition_of;
use waywarden_model::{Protocol, SourceId, Verdict};
use waywarden_store::{
    AsideReason, AsideRecord, Claim, Due, FiledFrame, FiledRecord, Framed, Mark, Redecoded,
    SaidNow, SourceRecords, StoreError, Stretch, TakenIn,
};

both!(
    frames_are_told_with_all_their_records,
    what_a_frame_says_now_takes_the_place_of_what_it_said,
    what_is_asked_for_last_counts,
    a_key_that_one_frame_leaves_and_another_takes_stays,
    what_is_held_stays_held_and_what_was_future_may_be_filed,
    many_are_removed_some_at_once,
);

const PARTITIONS: u32 = 4;

fn partition() -> u32 {
    partition_of(&SOURCE.into(), PARTITIONS)
}

fn source() -> SourceId {
    SOURCE.into()
}

fn in_frame(frame: u32, second: i64) -> FiledRecord {
    FiledRecord {
        frame,
        ..filed(second, 50)
    }
}

/// Each frame's own records; the second one's device told its zone.
fn two_frames(first: &[i64], second: &[i64]) -> SourceRecords {
    let frame = |n: u8, told_offset_s| FiledFrame {
        protocol: Protocol::Gt06,
        received: at(5000 + i64::from(n)),
        told_offset_s,
        raw: vec![0x78, n],
    };
    let of = |frame, seconds: &[i64]| -> Vec<FiledRecord> {
        seconds.iter().map(|s| in_frame(frame, *s)).collect()
    };
    let mut newer = of(0, first);
    newer.extend(of(1, second));
    SourceRecords {
        frames: vec![frame(0, None), frame(1, Some(-3600))],
        ..records(newer, vec![])
    }
}

async fn commit(f: &Fixture, sources: SourceRecords, aside: Vec<AsideRecord>) -> Claim {
    let claim = f.store.claim(partition(), "w").await.unwrap();
    let mut b = batch(vec![sources]);
    b.records_read += aside.len() as u64;
    b.aside = aside;
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    claim
}

fn stretch(from: i64, upto: i64) -> Stretch {
    Stretch {
        source: source(),
        from: at(from),
        upto: at(upto),
    }
}

async fn framed(f: &Fixture, from: i64, upto: i64) -> Vec<Framed> {
    f.store.framed(&stretch(from, upto)).await.unwrap()
}

/// What the frame says now: the record of this second.
fn said(frame: i64, second: i64) -> SaidNow {
    let record = filed(second, 50);
    SaidNow {
        frame,
        received: at(5000),
        hash: record.hash,
        record: record.record,
        held: false,
    }
}

async fn ask(f: &Fixture, frames: Vec<i64>, unsaid: Vec<Framed>, said: Vec<SaidNow>) {
    let redecoded = Redecoded {
        source: source(),
        frames,
        unsaid,
        said,
    };
    let asked = f.store.ask_redecoded(redecoded, PARTITIONS, at(6000)).await;
    asked.unwrap();
}

async fn take_in(f: &Fixture, claim: &Claim) -> Vec<TakenIn> {
    let mut all = Vec::new();
    loop {
        let taken = f.store.take_in(claim, &source()).await.unwrap();
        if taken.is_empty() {
            return all;
        }
        all.push(taken);
    }
}

/// Second, verdict and frame of all that is on file.
async fn on_file(f: &Fixture) -> Vec<(i64, Verdict)> {
    let stored = f.store.stored_records(&source(), None, 99).await.unwrap();
    let told = stored.iter().map(|s| {
        let second = s.record.time.since(at(0)) / 1000;
        (second, s.verdict)
    });
    told.collect()
}

async fn mark(f: &Fixture) -> Option<Mark> {
    let all = Due {
        updated_before: at(1_000_000),
        created_before: at(1_000_000),
    };
    f.store.due_marks(partition(), all, 9).await.unwrap().pop()
}

async fn adds_up(f: &Fixture) -> (u64, u64, u64) {
    let c = f.store.counters(partition()).await.unwrap();
    assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
    (c.filed, c.repeated, c.aside)
}

async fn frames_are_told_with_all_their_records(f: Fixture) {
    commit(&f, two_frames(&[0, 10], &[20, 30]), vec![]).await;
    let all = framed(&f, 0, 100).await;
    let seconds: Vec<_> = all.iter().map(|r| r.time).collect();
    assert_eq!(seconds, [at(0), at(10), at(20), at(30)]);
    let (first, second) = (all[0].frame, all[2].frame);
    assert!(first > 0 && second > first, "{all:?}");
    // A frame whose records reach into the stretch comes whole.
    assert_eq!(framed(&f, 25, 100).await, all[2..]);
    assert_eq!(framed(&f, 31, 100).await, []);
    let kept = f.store.kept_frames(vec![first, second, 99]).await.unwrap();
    let told: Vec<_> = kept
        .iter()
        .map(|k| (k.number, k.told_offset_s, k.raw.clone(), k.received))
        .collect();
    let expected = [
        (first, None, vec![0x78, 0], at(5000)),
        (second, Some(-3600), vec![0x78, 1], at(5001)),
    ];
    assert_eq!(told, expected);
    assert_eq!(kept[0].protocol, Protocol::Gt06);
    let keys = vec![all[1].key(), (at(11), 7), (at(10), 7)];
    let there = f.store.on_file(&source(), keys).await.unwrap();
    assert_eq!(there, [all[1].key()]);
    let none = f.store.on_file(&"nobody".into(), vec![all[1].key()]).await;
    assert_eq!(none.unwrap(), []);
}

async fn what_a_frame_says_now_takes_the_place_of_what_it_said(f: Fixture) {
    let claim = commit(&f, two_frames(&[0, 10], &[20, 30]), vec![]).await;
    let all = framed(&f, 0, 100).await;
    let frame = all[2].frame;
    ask(
        &f,
        vec![frame],
        all[2..].to_vec(),
        vec![said(frame, 15), said(frame, 5)],
    )
    .await;
    let marked = mark(&f).await.unwrap();
    let expected = (at(5), at(30), Some(at(20)));
    assert_eq!((marked.from, marked.upto, marked.removed), expected);
    assert_eq!(on_file(&f).await.len(), 4, "the owner does it");

    let taken = take_in(&f, &claim).await;
    let removed = TakenIn {
        removed: 2,
        ..TakenIn::default()
    };
    let filed = TakenIn {
        filed: 2,
        newest: Some(at(15)),
        ..TakenIn::default()
    };
    assert_eq!(taken, [removed, filed]);
    let (valid, late) = (Verdict::Valid, Verdict::Late);
    let expected = [(0, valid), (5, late), (10, valid), (15, late)];
    assert_eq!(on_file(&f).await, expected);
    let again = framed(&f, 0, 100).await;
    let of_frame: Vec<_> = again.iter().filter(|r| r.frame == frame).collect();
    assert_eq!(of_frame.len(), 2, "its raw bytes are found by what it says");
    let latest = f.store.latest(9).await.unwrap();
    assert_eq!(latest[0].time, at(10), "the last place follows");
    assert_eq!(adds_up(&f).await, (4, 0, 0));
    // A mark on purpose leaves what is known of removals.
    f.store
        .mark_sources(vec![stretch(0, 5)], PARTITIONS, at(7000))
        .await
        .unwrap();
    assert_eq!(mark(&f).await.unwrap().removed, Some(at(20)));
    f.store.claim(partition(), "other").await.unwrap();
    let refused = f.store.take_in(&claim, &source()).await;
    assert!(
        matches!(refused, Err(StoreError::Superseded { .. })),
        "{refused:?}"
    );
}

async fn what_is_asked_for_last_counts(f: Fixture) {
    let claim = commit(&f, two_frames(&[0], &[20]), vec![]).await;
    let all = framed(&f, 0, 100).await;
    let (first, second) = (all[0].frame, all[1].frame);
    ask(
        &f,
        vec![first, second],
        all.clone(),
        vec![said(first, 40), said(second, 60)],
    )
    .await;
    // The second frame was right, and the first one is another second now.
    ask(&f, vec![first, second], vec![all[0]], vec![said(first, 50)]).await;
    take_in(&f, &claim).await;
    let seconds: Vec<_> = on_file(&f).await.iter().map(|r| r.0).collect();
    assert_eq!(seconds, [20, 50]);
    ask(&f, vec![first, second], vec![], vec![]).await;
    assert_eq!(take_in(&f, &claim).await, []);
    assert_eq!(adds_up(&f).await, (2, 0, 0));
}

/// A vehicle at rest says the same a while later: what the one frame says now is what the next one
/// said before.
async fn a_key_that_one_frame_leaves_and_another_takes_stays(f: Fixture) {
    let claim = commit(&f, two_frames(&[0], &[20]), vec![]).await;
    let all = framed(&f, 0, 100).await;
    let (first, second) = (all[0].frame, all[1].frame);
    ask(
        &f,
        vec![first, second],
        all.clone(),
        vec![said(first, 20), said(second, 40)],
    )
    .await;
    take_in(&f, &claim).await;
    let now: Vec<_> = framed(&f, 0, 100)
        .await
        .iter()
        .map(|r| (r.time, r.frame))
        .collect();
    assert_eq!(now, [(at(20), first), (at(40), second)]);
    // What another frame files already is counted as repeated.
    ask(&f, vec![first], vec![], vec![said(first, 40)]).await;
    take_in(&f, &claim).await;
    assert_eq!(adds_up(&f).await, (2, 1, 0));
}

async fn what_is_held_stays_held_and_what_was_future_may_be_filed(f: Fixture) {
    let mut sources = two_frames(&[0], &[]);
    sources.newer[0].verdict = Verdict::Held;
    let future = filed(9000, 50);
    let aside = AsideRecord {
        source: source(),
        record: future.record,
        received: at(5001),
        hash: future.hash,
        reason: AsideReason::Future,
        frame: Some(1),
    };
    let again = aside.clone();
    let claim = commit(&f, sources, vec![aside, again]).await;
    assert_eq!(f.count("SELECT count(*) FROM frames").await, 2);
    let all = framed(&f, 0, 10_000).await;
    assert_eq!((all.len(), all[0].held, all[1].held), (2, true, false));
    let (first, second) = (all[0].frame, all[1].frame);
    assert!(first > 0 && second > 0, "{all:?}");
    let held = SaidNow {
        held: true,
        ..said(first, 100)
    };
    ask(
        &f,
        vec![first, second],
        all.clone(),
        vec![held, said(second, 200)],
    )
    .await;
    take_in(&f, &claim).await;
    let expected = [(100, Verdict::Held), (200, Verdict::Late)];
    assert_eq!(on_file(&f).await, expected);
    // It came twice, and is one row that was set aside.
    assert_eq!(adds_up(&f).await, (2, 0, 1));
    assert_eq!(f.count("SELECT count(*) FROM records_aside").await, 0);
}

async fn many_are_removed_some_at_once(f: Fixture) {
    let seconds: Vec<i64> = (0..9000).collect();
    let claim = commit(&f, two_frames(&seconds, &[]), vec![]).await;
    let all = framed(&f, 0, 10_000).await;
    let frame = all[0].frame;
    let now = seconds.iter().map(|s| said(frame, s + 20_000)).collect();
    ask(&f, vec![frame], all, now).await;
    let taken = take_in(&f, &claim).await;
    let told: Vec<_> = taken.iter().map(|t| (t.removed, t.filed)).collect();
    let expected = [
        (4000, 0),
        (4000, 0),
        (1000, 0),
        (0, 4000),
        (0, 4000),
        (0, 1000),
    ];
    assert_eq!(told, expected);
    let first = f.count("SELECT min(time) FROM positions").await;
    assert_eq!(first, at(20_000).millis());
    assert_eq!(adds_up(&f).await, (9000, 0, 0));
}
