//! A source judged again: one transaction that replaces what it says.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, overspeed, records};
use waywarden_model::{
    DayRow, Distance, InvalidReason, LocalDay, Period, Subject, Verdict, Violation,
};
use waywarden_store::read::{ChangeKind, Decision, PositionPage, Status};
use waywarden_store::{
    Claim, DayState, Due, Mark, Rebuilt, Replaced, Reversed, SavedState, SourcePreview, StoreError,
    StoredRecord, Stretch,
};

both!(
    what_is_judged_again_takes_the_place_of_what_was,
    a_likely_verdict_counts_as_soon_as_it_does_not_wait,
    evidence_says_what_took_no_part_in_judging,
    of_a_run_of_verdicts_others_that_lie_among_it_stand,
    a_mark_that_grew_meanwhile_stands,
    a_reviewed_violation_is_kept_and_linked_to_its_successor,
    a_violation_that_was_withdrawn_comes_back,
    where_judging_stopped_early_what_is_behind_stands,
    states_of_days_are_kept_for_the_newest_and_for_months,
    what_is_filed_of_a_source_without_records_stands,
    a_preview_tells_what_replacing_changes_and_changes_nothing,
    what_a_driver_drove_is_found_from_an_instant_on,
);

const DAY: LocalDay = LocalDay(20_522);

fn nothing(mark: Mark) -> Rebuilt {
    Rebuilt {
        mark,
        behind: Some(at(-1000)),
        until: None,
        going_on: (None, vec![]),
        first_day: Some(DAY),
        verdicts: vec![],
        periods: vec![],
        violations: vec![],
        day_rows: vec![],
        day_states: vec![],
        state: None,
        now: at(5000),
    }
}

fn period(start: i64, end: i64) -> Period {
    Period {
        source: SOURCE.into(),
        start: at(start),
        end: at(end),
        open: false,
        vehicle: None,
        plate: None,
        driver: Some("L1".into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::ZERO,
        registry: 1,
    }
}

fn day_state(day: i32, month: bool) -> DayState {
    DayState {
        source: SOURCE.into(),
        day: LocalDay(day),
        month,
        engine: 1,
        bytes: day.to_le_bytes().to_vec(),
    }
}

/// A source on file with a closed violation, two periods and a late record; and its mark.
async fn marked(f: &Fixture) -> (Claim, Mark) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut b = batch(vec![records(vec![filed(0, 80), filed(30, 80)], vec![])]);
    b.violations = vec![overspeed(30, false)];
    b.periods = vec![period(0, 30), period(100, 200)];
    b.day_rows = vec![DayRow::new(SOURCE.into(), DAY)];
    b.day_states = vec![day_state(DAY.0, false), day_state(DAY.0 + 1, false)];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let late = batch(vec![records(vec![], vec![filed(10, 80)])]);
    f.store.commit(&claim, 1, 2, late).await.unwrap();
    let mark = mark(f).await.unwrap();
    (claim, mark)
}

async fn mark(f: &Fixture) -> Option<Mark> {
    let all = Due {
        updated_before: at(1_000_000),
        created_before: at(1_000_000),
    };
    f.store.due_marks(0, all, 1).await.unwrap().pop()
}

fn moved(start: i64) -> Violation {
    Violation {
        start: at(start),
        ..overspeed(30, false)
    }
}

async fn what_is_judged_again_takes_the_place_of_what_was(f: Fixture) {
    let (claim, mark_read) = marked(&f).await;
    let jump = Verdict::Invalid(InvalidReason::ImpliedSpeed);
    let state = SavedState {
        source: SOURCE.into(),
        position: 2,
        engine: 1,
        bytes: vec![9],
    };
    let rebuilt = Rebuilt {
        verdicts: vec![Reversed::one(&on_file(&f, 10).await, jump)],
        violations: vec![moved(10)],
        periods: vec![period(0, 40)],
        day_rows: vec![DayRow {
            records: 3,
            ..DayRow::new(SOURCE.into(), DAY)
        }],
        day_states: vec![],
        state: Some(state.clone()),
        ..nothing(mark_read)
    };
    let replaced = f.store.replace(&claim, rebuilt.clone()).await.unwrap();
    assert_eq!(
        (replaced.stated, replaced.withdrawn, replaced.verdicts),
        (1, 1, 1)
    );
    assert_eq!(replaced.periods, 2);
    let source = SOURCE.into();
    let filed = f.store.filed_after(&source, None, 9).await.unwrap();
    let verdicts: Vec<_> = filed.iter().map(|r| r.2).collect();
    assert_eq!(verdicts, [Verdict::Valid, jump, Verdict::Valid]);
    assert_eq!(
        f.store.violations_after(None, 9).await.unwrap(),
        [moved(10)]
    );
    assert_eq!(
        f.store.periods_after(None, 9).await.unwrap(),
        [period(0, 40)]
    );
    assert_eq!(
        f.store.day_rows_after(None, 9).await.unwrap(),
        rebuilt.day_rows
    );
    assert_eq!(f.store.load_states(0).await.unwrap().1, [state]);
    let later = f.store.states_after(&source, DAY, 1).await.unwrap();
    assert!(
        later.is_empty(),
        "the state of the day after was judged again"
    );
    assert!(f.store.state_at(&source, DAY, 1).await.unwrap().is_some());
    let old = f
        .store
        .violation(overspeed(0, false).id())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (old.status, old.replaced_by),
        (Status::Withdrawn, Some(moved(10).id()))
    );
    assert!(mark(&f).await.is_none());
    let latest = f.store.latest(1).await.unwrap();
    assert_eq!(
        (latest[0].time, latest[0].verdict),
        (at(30), Verdict::Valid)
    );
    // Again the same: nothing changes.
    let changes = f.count("SELECT count(*) FROM changes").await;
    let again = f.store.replace(&claim, rebuilt).await.unwrap();
    assert_eq!((again.stated, again.withdrawn), (0, 0));
    assert_eq!(f.count("SELECT count(*) FROM changes").await, changes);
    let next = f.store.claim(0, "w2").await.unwrap();
    assert!(next.epoch > claim.epoch);
}

/// The record of that second.
async fn on_file(f: &Fixture, second: i64) -> StoredRecord {
    let all = f.store.stored_records(&SOURCE.into(), None, 999).await;
    let mut all = all.unwrap().into_iter();
    all.find(|r| r.record.time == at(second)).unwrap()
}

/// What a reader sees of the source.
async fn seen(f: &Fixture) -> Vec<Option<&'static str>> {
    let page = PositionPage {
        source: SOURCE.into(),
        from: at(-1000),
        to: at(1000),
        after: None,
        limit: 999,
    };
    let positions = f.store.positions(&page).await.unwrap();
    let seen: Vec<_> = positions.iter().map(|p| p.verdict.reason()).collect();
    let facts = f.store.filed_after(&SOURCE.into(), None, 999).await;
    let facts: Vec<_> = facts.unwrap().iter().map(|r| r.2.reason()).collect();
    assert_eq!(seen, facts);
    seen
}

/// The rows need not be written again where the judging says what was likely.
async fn a_likely_verdict_counts_as_soon_as_it_does_not_wait(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let late = on_file(&f, 10).await;
    assert_eq!((late.verdict, late.ahead), (Verdict::Valid, true));
    assert_eq!(seen(&f).await, [None, Some("late"), None]);
    f.store.replace(&claim, nothing(read)).await.unwrap();
    assert_eq!(seen(&f).await, [None, None, None]);
    // What is judged again on purpose says meanwhile what it said.
    let on_purpose = Stretch::behind(SOURCE.into(), at(0));
    let marked = f.store.mark_sources(vec![on_purpose], 1, at(1500)).await;
    assert_eq!((marked.unwrap(), seen(&f).await), (1, vec![None; 3]));
    // Others that come wait, and so does again what lies between them.
    let later = batch(vec![records(vec![], vec![filed(5, 80), filed(20, 80)])]);
    f.store.commit(&claim, 2, 3, later).await.unwrap();
    let waits = Some("late");
    assert_eq!(seen(&f).await, [None, waits, waits, waits, None]);
    let read = mark(&f).await.unwrap();
    f.store.replace(&claim, nothing(read)).await.unwrap();
    assert_eq!(seen(&f).await, [None; 5]);
    let latest = f.store.latest(1).await.unwrap();
    assert_eq!(latest[0].verdict, Verdict::Valid);
}

/// Verdicts of the records that the evidence of a violation of this length holds.
async fn copied(f: &Fixture, v: &Violation) -> Vec<Option<String>> {
    let frozen = f.store.evidence(v.id()).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_str(&frozen.body).unwrap();
    let records = body["records"].as_array().unwrap().iter();
    records
        .map(|r| r["verdict"].as_str().map(str::to_owned))
        .collect()
}

async fn evidence_says_what_took_no_part_in_judging(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let mut closed = overspeed(30, false);
    closed.duration_ms = 1;
    let mut b = batch(vec![]);
    b.violations = vec![closed.clone()];
    f.store.commit(&claim, 2, 3, b).await.unwrap();
    let waits = Some("late".to_owned());
    assert_eq!(copied(&f, &closed).await, [None, waits, None]);
    // More comes while it is judged again: what was judged is copied as it was judged.
    let mut later = batch(vec![records(vec![], vec![filed(500, 80)])]);
    later.now = at(2000);
    f.store.commit(&claim, 3, 4, later).await.unwrap();
    closed.duration_ms = 2;
    let rebuilt = Rebuilt {
        violations: vec![closed.clone()],
        ..nothing(read)
    };
    f.store.replace(&claim, rebuilt).await.unwrap();
    assert!(mark(&f).await.is_some());
    assert_eq!(copied(&f, &closed).await, [None, None, None]);
}

async fn of_a_run_of_verdicts_others_that_lie_among_it_stand(f: Fixture) {
    let (claim, read) = marked(&f).await;
    // Over a week, so that the server has them in two chunks; records of other verdicts before,
    // among and behind.
    let seconds: Vec<i64> = (40..200).chain(620_000..620_040).collect();
    let mut late = records(vec![], seconds.iter().map(|s| filed(*s, 50)).collect());
    let others = [0, 70, 199].map(|n| {
        (late.older[n].verdict, late.older[n].ahead) = (Verdict::Held, false);
        late.older[n].record.time
    });
    let run: Vec<_> = late.older[1..199]
        .iter()
        .filter(|r| r.ahead)
        .map(|r| (r.record.time, r.hash))
        .collect();
    let mut more = batch(vec![late]);
    more.now = at(2000);
    f.store.commit(&claim, 2, 3, more).await.unwrap();
    let frozen = Verdict::Invalid(InvalidReason::FrozenSpeed);
    let alone = Reversed::one(&on_file(&f, 30).await, Verdict::Unjudged);
    let rebuilt = Rebuilt {
        verdicts: vec![
            alone,
            Reversed {
                was: Verdict::Valid,
                ahead: true,
                is: frozen,
                keys: run,
            },
        ],
        ..nothing(read)
    };
    let replaced = f.store.replace(&claim, rebuilt).await.unwrap();
    assert_eq!(replaced.verdicts, 198);
    let filed = f
        .store
        .filed_after(&SOURCE.into(), None, 999)
        .await
        .unwrap();
    for (time, _, verdict) in &filed {
        let expected = match time {
            // Its mark grew meanwhile.
            t if *t == at(10) => Verdict::Late,
            t if *t == at(0) => Verdict::Valid,
            t if *t == at(30) => Verdict::Unjudged,
            t if others.contains(t) => Verdict::Held,
            _ => frozen,
        };
        assert_eq!(*verdict, expected, "at {time}");
    }
    assert_eq!(filed.len(), 203);
}

async fn a_mark_that_grew_meanwhile_stands(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let mut later = batch(vec![records(vec![], vec![filed(5, 80)])]);
    later.now = at(2000);
    f.store.commit(&claim, 2, 3, later).await.unwrap();
    f.store.replace(&claim, nothing(read)).await.unwrap();
    let stands = mark(&f).await.unwrap();
    assert_eq!((stands.from, stands.updated), (at(5), at(2000)));
    f.store.claim(0, "other").await.unwrap();
    let refused = f.store.replace(&claim, nothing(stands)).await;
    assert!(matches!(
        refused,
        Err(StoreError::Superseded { partition: 0 })
    ));
}

async fn a_reviewed_violation_is_kept_and_linked_to_its_successor(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let id = overspeed(0, false).id();
    let decided = f
        .store
        .review(id, 1, Decision::Confirmed, "seen", "desk", at(900))
        .await;
    assert_eq!(decided.unwrap(), 2);
    let rebuilt = Rebuilt {
        violations: vec![moved(10)],
        ..nothing(read)
    };
    f.store.replace(&claim, rebuilt).await.unwrap();
    let kept = f.store.violation(id).await.unwrap().unwrap();
    assert_eq!(kept.status, Status::Confirmed);
    assert!(kept.evidence_changed && kept.replaced_by == Some(moved(10).id()));
    let (changes, reviews) = f.store.history(id).await.unwrap();
    let kinds: Vec<_> = changes.iter().map(|c| c.kind).collect();
    use ChangeKind::{Amended, Created, Decided};
    assert_eq!(kinds, [Created, Decided, Amended]);
    assert_eq!(reviews.len(), 1);
}

async fn a_violation_that_was_withdrawn_comes_back(f: Fixture) {
    let (claim, read) = marked(&f).await;
    f.store
        .replace(&claim, nothing(read.clone()))
        .await
        .unwrap();
    assert!(f.store.violations_after(None, 9).await.unwrap().is_empty());
    let rebuilt = Rebuilt {
        violations: vec![overspeed(30, false)],
        ..nothing(read)
    };
    let replaced = f.store.replace(&claim, rebuilt).await.unwrap();
    assert_eq!(replaced.stated, 1);
    let id = overspeed(0, false).id();
    let back = f.store.violation(id).await.unwrap().unwrap();
    assert_eq!((back.status, back.revision), (Status::New, 3));
    let (changes, _) = f.store.history(id).await.unwrap();
    let kinds: Vec<_> = changes.iter().map(|c| (c.revision, c.kind)).collect();
    use ChangeKind::{Created, Withdrawn};
    assert_eq!(kinds, [(1, Created), (2, Withdrawn), (3, Created)]);
    assert_eq!(f.store.evidence(id).await.unwrap().unwrap().revision, 3);
}

async fn where_judging_stopped_early_what_is_behind_stands(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let rebuilt = Rebuilt {
        until: Some((LocalDay(DAY.0 + 1), at(40))),
        periods: vec![period(0, 20)],
        ..nothing(read)
    };
    f.store.replace(&claim, rebuilt).await.unwrap();
    let periods = f.store.periods_after(None, 9).await.unwrap();
    assert_eq!(periods, [period(0, 20), period(100, 200)]);
    let source = SOURCE.into();
    let later = f.store.states_after(&source, DAY, 1).await.unwrap();
    assert_eq!(later, [day_state(DAY.0 + 1, false)]);
}

async fn states_of_days_are_kept_for_the_newest_and_for_months(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut b = batch(vec![]);
    b.day_states = (0..100).map(|d| day_state(d, d % 30 == 0)).collect();
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let source = SOURCE.into();
    let before = LocalDay(-1);
    let kept = f.store.states_after(&source, before, 1).await.unwrap();
    let days: Vec<i32> = kept.iter().map(|s| s.day.0).collect();
    let expected: Vec<i32> = (0..100).filter(|d| *d >= 59 || d % 30 == 0).collect();
    assert_eq!(days, expected);
    let at_day = f.store.state_at(&source, LocalDay(58), 1).await.unwrap();
    assert_eq!(at_day, Some(day_state(30, true)));
    let other_engine = f.store.state_at(&source, LocalDay(58), 2).await.unwrap();
    assert_eq!(other_engine, None);
}

/// Records go with retention; what was found while they were there does not.
async fn what_is_filed_of_a_source_without_records_stands(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let state = SavedState {
        source: SOURCE.into(),
        position: 2,
        engine: 2,
        bytes: vec![9],
    };
    let rebuilt = Rebuilt {
        behind: None,
        first_day: None,
        state: Some(state.clone()),
        ..nothing(read)
    };
    let preview = f.store.preview_source(rebuilt.clone()).await.unwrap();
    assert_eq!(preview, SourcePreview::default());
    let replaced = f.store.replace(&claim, rebuilt).await.unwrap();
    assert_eq!(replaced, Replaced::default());
    assert_eq!(
        f.store.violations_after(None, 9).await.unwrap(),
        [overspeed(30, false)]
    );
    assert_eq!(f.store.periods_after(None, 9).await.unwrap().len(), 2);
    assert_eq!(f.store.day_rows_after(None, 9).await.unwrap().len(), 1);
    assert_eq!(f.store.load_states(0).await.unwrap().1, [state]);
    assert!(mark(&f).await.is_none(), "it was judged");
}

async fn a_preview_tells_what_replacing_changes_and_changes_nothing(f: Fixture) {
    let (claim, read) = marked(&f).await;
    let reviewed = Violation {
        start: at(1),
        ..overspeed(20, false)
    };
    let mut b = batch(vec![]);
    b.violations = vec![reviewed.clone()];
    f.store.commit(&claim, 2, 3, b).await.unwrap();
    let decision = Decision::Dismissed;
    let decided = f
        .store
        .review(reviewed.id(), 1, decision, "no", "desk", at(900));
    decided.await.unwrap();
    let amended = Violation {
        duration_ms: 1,
        ..overspeed(30, false)
    };
    let rebuilt = Rebuilt {
        violations: vec![amended.clone(), moved(10)],
        periods: vec![period(0, 40)],
        ..nothing(read)
    };
    let counts = async || {
        let changes = f.count("SELECT count(*) FROM changes").await;
        (changes, f.count("SELECT count(*) FROM marks").await)
    };
    let before = counts().await;
    let preview = f.store.preview_source(rebuilt.clone()).await.unwrap();
    assert_eq!(counts().await, before);
    let told: Vec<_> = preview
        .changes
        .iter()
        .map(|c| (c.id, c.kind, c.replaced_by))
        .collect();
    use ChangeKind::{Amended, Created};
    let expected = [
        (amended.id(), Amended, None),
        (moved(10).id(), Created, None),
        (reviewed.id(), Amended, Some(amended.id())),
    ];
    assert_eq!(told, expected);
    let hours: Vec<_> = preview.subjects.into_iter().collect();
    assert_eq!(hours, [(Subject::Driver("L1".into()), at(0))]);

    f.store.replace(&claim, rebuilt.clone()).await.unwrap();
    for (id, kind, replaced_by) in expected {
        let (changes, _) = f.store.history(id).await.unwrap();
        assert_eq!(changes.last().unwrap().kind, kind);
        let filed = f.store.violation(id).await.unwrap().unwrap();
        assert_eq!(filed.replaced_by, replaced_by);
    }
    assert_eq!(counts().await.0, before.0 + 3);
    let again = f.store.preview_source(rebuilt).await.unwrap();
    assert_eq!(again.changes, [], "it was told once, and is so now");
}

async fn what_a_driver_drove_is_found_from_an_instant_on(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let of = |source: &str, driver: &str, start, end| Period {
        source: source.into(),
        driver: Some(driver.into()),
        ..period(start, end)
    };
    let mut b = batch(vec![]);
    b.periods = vec![
        of("a", "L1", 0, 100),
        of("a", "L1", 200, 300),
        of("a", "L2", 400, 500),
        Period {
            open: true,
            ..of("b", "L1", 50, 60)
        },
        of("c", "L2", 0, 100),
    ];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let driven = async |driver: &str, from| {
        let asked = vec![(driver.into(), at(from))];
        let found = f.store.sources_driven(asked).await.unwrap();
        let name = |(s, t): (waywarden_model::SourceId, _)| (s.to_string(), t);
        found.into_iter().map(name).collect::<Vec<_>>()
    };
    let told = |all: &[(&str, i64)]| -> Vec<_> {
        let each = all.iter();
        each.map(|(s, t)| ((*s).to_owned(), at(*t))).collect()
    };
    // Each from where its driving begins, and never before it was asked for.
    assert_eq!(driven("L1", -10).await, told(&[("a", 0), ("b", 50)]));
    // What is open may go on behind its end on file.
    assert_eq!(driven("L1", 250).await, told(&[("a", 250), ("b", 250)]));
    assert_eq!(driven("L1", 301).await, told(&[("b", 301)]));
    assert_eq!(driven("L3", -10).await, told(&[]));
}
