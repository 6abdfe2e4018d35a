//! Filing in all its cases: copies, what is set aside, what cannot be read, versions, marks.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, overspeed, records};
use std::sync::{Arc, Mutex};
use waywarden_model::{
    DayRow, Distance, LocalDay, Period, Position, Protocol, Speed, Subject, Timestamp, Verdict,
};
use waywarden_store::{
    AsideReason, AsideRecord, Due, FiledFrame, Judged, PoisonMessage, SavedState, SourceRecords,
    Stretch, SubjectJudge,
};

both!(
    of_copies_the_smallest_time_of_receipt_counts,
    copies_in_one_batch_are_one_row,
    a_large_batch_with_one_row_on_file_is_filed_but_for_that,
    records_set_aside_are_kept_once_and_counted_each_time,
    a_message_that_cannot_be_read_is_kept_with_its_reason,
    a_registry_version_inside_a_batch_stays_with_the_position,
    frames_are_kept_where_a_record_of_theirs_is_new,
    marks_hold_all_that_was_added_to_them,
    sources_are_marked_where_somebody_knows_them,
    marking_on_purpose_has_the_hours_of_the_stretch_judged_again,
    a_version_marks_the_sources_that_have_records_where_it_reaches,
    the_newest_tick_of_a_gateway_counts,
    the_last_place_is_of_the_latest_record_that_has_one,
    a_day_is_told_by_its_last_row,
);

fn due() -> Due {
    Due {
        updated_before: at(1_000_000),
        created_before: at(0),
    }
}

async fn of_copies_the_smallest_time_of_receipt_counts(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let received = |second| {
        let mut r = filed(0, 50);
        r.received = at(second);
        r
    };
    let given = [(50, 50), (70, 50), (20, 20), (30, 20)];
    for (n, (second, least)) in given.into_iter().enumerate() {
        let n = n as u64;
        let (newer, older) = match n {
            0 => (vec![received(second)], vec![]),
            _ => (vec![], vec![received(second)]),
        };
        let b = batch(vec![records(newer, older)]);
        f.store.commit(&claim, n, n + 1, b).await.unwrap();
        let there = f.count("SELECT received FROM positions").await;
        assert_eq!(there, at(least).millis(), "step {n}");
    }
    // Also where a row was promised to be newer, and is not.
    let b = batch(vec![records(vec![received(10), filed(9, 50)], vec![])]);
    let done = f.store.commit(&claim, 4, 5, b).await.unwrap();
    assert_eq!((done.filed, done.repeated), (1, 1));
    let least = f.count("SELECT min(received) FROM positions").await;
    assert_eq!(least, at(10).millis());
}

async fn copies_in_one_batch_are_one_row(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut again = filed(0, 50);
    again.received = at(0);
    let newer = vec![filed(0, 50), again.clone(), filed(5, 50)];
    let older = vec![again, filed(2, 50), filed(2, 50)];
    let b = batch(vec![records(newer, older)]);
    let done = f.store.commit(&claim, 0, 1, b).await.unwrap();
    assert_eq!((done.filed, done.repeated, done.late), (3, 3, 1));
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 3);
    let least = f.count("SELECT min(received) FROM positions").await;
    assert_eq!(least, at(0).millis());
    let marks = f.store.due_marks(0, due(), 10).await.unwrap();
    assert_eq!((marks[0].from, marks[0].upto), (at(2), at(2)));
}

/// More bytes than any buffer on the way holds.
async fn a_large_batch_with_one_row_on_file_is_filed_but_for_that(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let one = batch(vec![records(vec![filed(0, 50)], vec![])]);
    f.store.commit(&claim, 0, 1, one).await.unwrap();
    let newer = (0..20_000).map(|s| filed(s, 50)).collect();
    let all = batch(vec![records(newer, vec![])]);
    let done = f.store.commit(&claim, 1, 2, all).await.unwrap();
    assert_eq!((done.filed, done.repeated), (19_999, 1));
}

async fn records_set_aside_are_kept_once_and_counted_each_time(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let aside = |second, reason| AsideRecord {
        source: "never heard of".into(),
        record: filed(500, 50).record,
        received: at(second),
        hash: 7,
        reason,
        frame: None,
    };
    for (n, second) in [5, 3, 9].into_iter().enumerate() {
        let n = n as u64;
        let mut b = batch(vec![]);
        b.records_read = 2;
        b.aside = vec![
            aside(second, AsideReason::Future),
            aside(second, AsideReason::Future),
        ];
        let done = f.store.commit(&claim, n, n + 1, b).await.unwrap();
        assert_eq!((done.aside, done.filed), (2, 0));
    }
    assert_eq!(f.count("SELECT count(*) FROM records_aside").await, 1);
    let least = f.count("SELECT received FROM records_aside").await;
    assert_eq!(least, at(3).millis());
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 0);
    let c = f.store.counters(0).await.unwrap();
    assert_eq!((c.read, c.aside), (6, 6));
}

async fn a_message_that_cannot_be_read_is_kept_with_its_reason(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let poison = |offset, bytes| PoisonMessage {
        offset,
        why: "a field is cut\0short".into(),
        payload: vec![0xFF; bytes],
    };
    let mut b = batch(vec![]);
    b.poison = vec![poison(0, 3), poison(1, (1 << 20) + 5)];
    f.store.commit(&claim, 0, 2, b).await.unwrap();
    // A partition is read again from before: the same message is not a second one.
    let mut b = batch(vec![]);
    b.poison = vec![poison(1, 1)];
    f.store.commit(&claim, 2, 3, b).await.unwrap();
    assert_eq!(f.store.status().await.unwrap().poison, 2);
    let longest = f.count("SELECT max(length(payload)) FROM poison").await;
    assert_eq!(longest, 1 << 20);
}

async fn a_registry_version_inside_a_batch_stays_with_the_position(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    for (n, version) in [0, 3, 3].into_iter().enumerate() {
        let n = n as u64;
        let mut b = batch(vec![]);
        b.registry = version;
        f.store.commit(&claim, n, n + 1, b).await.unwrap();
        let next = f.store.status().await.unwrap().partitions[0].clone();
        assert_eq!((next.registry, next.position), (version, n + 1));
    }
    // What the next owner begins with.
    let next = f.store.claim(0, "w2").await.unwrap();
    assert_eq!((next.registry, next.position, next.epoch), (3, 3, 2));
}

async fn frames_are_kept_where_a_record_of_theirs_is_new(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let framed = |times: &[i64], first: u32| {
        let mut s = records(times.iter().map(|t| filed(*t, 50)).collect(), vec![]);
        for (r, frame) in s.newer.iter_mut().zip(first..) {
            r.frame = frame;
        }
        s
    };
    let frame = |n: u8| FiledFrame {
        protocol: Protocol::Gt06,
        received: at(1),
        told_offset_s: None,
        raw: vec![n],
    };
    let mut s = framed(&[0, 10, 20], 0);
    s.frames = vec![frame(0), frame(1), frame(2), frame(3)];
    f.store.commit(&claim, 0, 1, batch(vec![s])).await.unwrap();
    assert_eq!(
        f.count("SELECT count(*) FROM frames").await,
        3,
        "one has no record"
    );
    let mut s = framed(&[20, 30], 0);
    s.frames = vec![frame(4), frame(5)];
    f.store.commit(&claim, 1, 2, batch(vec![s])).await.unwrap();
    assert_eq!(
        f.count("SELECT count(*) FROM frames").await,
        4,
        "one has nothing new"
    );
    let sql = "SELECT count(*) FROM positions p JOIN frames f ON f.id = p.frame
               WHERE f.source = p.source";
    assert_eq!(f.count(sql).await, 4, "each record finds its frame");
}

async fn marks_hold_all_that_was_added_to_them(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let first = batch(vec![records(vec![filed(100, 50)], vec![])]);
    f.store.commit(&claim, 0, 1, first).await.unwrap();
    let steps = [
        (vec![60, 40], 40, 60),
        (vec![50], 40, 60),
        (vec![20, 80], 20, 80),
    ];
    for (n, (late, from, upto)) in steps.into_iter().enumerate() {
        let n = 1 + n as u64;
        let older = late.into_iter().map(|t| filed(t, 50)).collect();
        let mut b = batch(vec![records(vec![], older)]);
        b.now = at(1000 + n as i64);
        f.store.commit(&claim, n, n + 1, b).await.unwrap();
        let marks = f.store.due_marks(0, due(), 10).await.unwrap();
        assert_eq!(marks.len(), 1);
        assert_eq!((marks[0].from, marks[0].upto), (at(from), at(upto)));
        assert_eq!(
            (marks[0].created, marks[0].updated),
            (at(1001), at(1000 + n as i64))
        );
    }
    // Look-ups changed: everything behind an instant. Of nobody's source nothing is noted.
    let mut b = batch(vec![]);
    b.marks = vec![(SOURCE.into(), at(10)), ("nobody".into(), at(0))];
    f.store.commit(&claim, 4, 5, b).await.unwrap();
    let marks = f.store.due_marks(0, due(), 10).await.unwrap();
    assert_eq!(marks.len(), 1);
    assert!(marks[0].from == at(10) && marks[0].upto > at(1_000_000_000));
    let quiet = Due {
        updated_before: at(1000),
        created_before: at(1000),
    };
    assert!(f.store.due_marks(0, quiet, 10).await.unwrap().is_empty());
    assert!(f.store.due_marks(1, due(), 10).await.unwrap().is_empty());
}

async fn sources_are_marked_where_somebody_knows_them(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    // One that has records and, before the next checkpoint, no saved state.
    let mut b = batch(vec![records(vec![filed(0, 50)], vec![])]);
    for source in ["a", "b"] {
        b.states.push(SavedState {
            source: source.into(),
            position: 0,
            engine: 1,
            bytes: vec![1],
        });
    }
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let wanted = vec![
        Stretch::behind("b".into(), at(7)),
        Stretch::behind("nobody".into(), at(7)),
        Stretch {
            source: "a".into(),
            from: at(5),
            upto: at(60),
        },
        Stretch::behind(SOURCE.into(), at(0)),
    ];
    assert_eq!(f.store.mark_sources(wanted, 1, at(50)).await.unwrap(), 3);
    let marks = f.store.due_marks(0, due(), 10).await.unwrap();
    let named: Vec<_> = marks
        .iter()
        .map(|m| (m.source.as_str(), m.from, m.upto))
        .collect();
    let expected = [
        (SOURCE, at(0), Timestamp::MAX),
        ("a", at(5), at(60)),
        ("b", at(7), Timestamp::MAX),
    ];
    assert_eq!(named, expected);
}

async fn marking_on_purpose_has_the_hours_of_the_stretch_judged_again(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let period = |start, end, driver: &str| Period {
        source: SOURCE.into(),
        start: at(start),
        end: at(end),
        open: false,
        vehicle: None,
        plate: None,
        driver: Some(driver.into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::ZERO,
        registry: 1,
    };
    let mut b = batch(vec![records(vec![filed(0, 50)], vec![])]);
    b.periods = vec![
        period(0, 10, "before"),
        period(20, 40, "begins before"),
        period(50, 60, "within"),
        period(70, 80, "within"),
        period(101, 110, "behind"),
    ];
    b.states = vec![SavedState {
        source: SOURCE.into(),
        position: 1,
        engine: 1,
        bytes: vec![1],
    }];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let judge = Arc::new(Heard::default());
    let judged = |judge: Arc<Heard>| f.store.judge_subjects(&claim, 1, 100, at(1), judge);
    assert_eq!(judged(Arc::clone(&judge)).await.unwrap(), 4);
    judge.0.lock().unwrap().clear();
    let stretch = Stretch {
        source: SOURCE.into(),
        from: at(30),
        upto: at(100),
    };
    f.store
        .mark_sources(vec![stretch], 1, at(50))
        .await
        .unwrap();
    assert_eq!(judged(Arc::clone(&judge)).await.unwrap(), 2);
    let mut heard = judge.0.lock().unwrap().clone();
    heard.sort();
    let driver = |name: &str| Subject::Driver(name.into());
    let expected = [
        (driver("begins before"), at(20)),
        (driver("within"), at(50)),
    ];
    assert_eq!(heard, expected);
}

/// Keeps whom it was asked about, and from when on.
#[derive(Default)]
struct Heard(Mutex<Vec<(Subject, Timestamp)>>);

impl SubjectJudge for Heard {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        from
    }

    fn judge(&self, subject: &Subject, window: Timestamp, _: &[Period]) -> Judged {
        self.0.lock().unwrap().push((subject.clone(), window));
        Judged::default()
    }
}

async fn a_version_marks_the_sources_that_have_records_where_it_reaches(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let b = batch(vec![records(vec![filed(0, 50), filed(30, 50)], vec![])]);
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let newest = f.store.newest_records(None, 10).await.unwrap();
    assert_eq!(newest, [(SOURCE.into(), at(30))]);
    let behind = f.store.newest_records(Some(&SOURCE.into()), 10).await;
    assert_eq!(behind.unwrap(), []);
    for (n, (from, marked)) in [(31, 0), (30, 1)].into_iter().enumerate() {
        let n = n as u64;
        let mut b = batch(vec![]);
        b.marks = vec![(SOURCE.into(), at(from))];
        f.store.commit(&claim, n + 1, n + 2, b).await.unwrap();
        let marks = f.store.due_marks(0, due(), 10).await.unwrap();
        assert_eq!(marks.len(), marked, "from {from}");
    }
}

async fn the_newest_tick_of_a_gateway_counts(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let tick = |since, now| ("g1".to_owned(), at(since), at(now));
    for (n, ticks) in [
        vec![tick(0, 10), tick(0, 20)],
        vec![tick(0, 15)],
        vec![tick(30, 40)],
    ]
    .into_iter()
    .enumerate()
    {
        let n = n as u64;
        let mut b = batch(vec![]);
        b.ticks = ticks;
        f.store.commit(&claim, n, n + 1, b).await.unwrap();
        let expected = [(0, 20), (0, 20), (30, 40)][n as usize];
        let now = f.count("SELECT now FROM ticks").await;
        let since = f.count("SELECT since FROM ticks").await;
        assert_eq!(
            (since, now),
            (at(expected.0).millis(), at(expected.1).millis())
        );
    }
}

async fn the_last_place_is_of_the_latest_record_that_has_one(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut nowhere = filed(30, 50);
    nowhere.record.position = None;
    let mut invalid = filed(40, 50);
    invalid.verdict = Verdict::Invalid(waywarden_model::InvalidReason::ALL[0]);
    let newer = vec![filed(10, 50), filed(20, 50), nowhere, invalid];
    let b = batch(vec![records(newer, vec![])]);
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    assert_eq!(f.store.latest(10).await.unwrap()[0].time, at(20));
    let b = batch(vec![records(vec![], vec![filed(15, 50)])]);
    f.store.commit(&claim, 1, 2, b).await.unwrap();
    let latest = f.store.latest(10).await.unwrap();
    assert_eq!((latest.len(), latest[0].time), (1, at(20)));
    assert_eq!(latest[0].speed_centi, Some(Speed::from_kmh(50).centi()));
    let place = Position::new(latest[0].lat, latest[0].lon);
    assert_eq!(place, filed(20, 50).record.position);
}

async fn a_day_is_told_by_its_last_row(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let day = |records| DayRow {
        records,
        plate: Some(waywarden_model::Plate::new("14C-123.45")),
        ..DayRow::new(SOURCE.into(), LocalDay(20_522))
    };
    let mut b = batch(vec![SourceRecords {
        newer: vec![],
        ..records(vec![], vec![])
    }]);
    b.day_rows = vec![day(1), day(2)];
    b.violations = vec![overspeed(10, true), overspeed(30, false)];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    assert_eq!(f.store.day_rows_after(None, 9).await.unwrap(), [day(2)]);
    // Of two steps in one batch both are history, and the last one stands.
    let v = f.store.violations_after(None, 9).await.unwrap();
    assert_eq!(v, [overspeed(30, false)]);
    assert_eq!(f.count("SELECT revision FROM violations").await, 2);
    assert_eq!(f.count("SELECT count(*) FROM changes").await, 2);
}
