//! What the worker and the administration rely on.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, overspeed, records};
use std::sync::Arc;
use waywarden_model::hash::partition_of_subject;
use waywarden_model::{
    Distance, DriverDay, Kind, LocalDay, Period, Subject, Timestamp, Verdict, Violation,
};
use waywarden_store::{
    Claim, Judged, RegisterChange, Role, SavedState, StoreError, SubjectJudge, Token,
};

both!(
    repeats_are_one_row_and_two_records_of_an_instant_are_two,
    a_newer_row_that_is_on_file_does_no_harm,
    the_guard_refuses_replays_and_former_owners,
    a_violation_opens_grows_closes_and_is_amended,
    subjects_are_judged_and_the_difference_filed,
    another_partitions_subjects_are_left,
    no_period_is_missed_by_a_stage_that_runs_beside_its_writer,
    states_and_checkpoint_come_back,
    registers_write_what_changed_and_are_announced,
    tokens_are_made_found_and_withdrawn,
    what_is_no_longer_kept_goes_and_violations_stay,
);

fn period(start: i64, end: i64, driver: &str) -> Period {
    Period {
        source: SOURCE.into(),
        start: at(start),
        end: at(end),
        open: false,
        vehicle: None,
        plate: None,
        driver: Some(driver.into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::from_metres(end - start),
        registry: 1,
    }
}

/// States one violation a period, beginning where the period begins.
struct OnePerPeriod;

impl SubjectJudge for OnePerPeriod {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        from
    }

    fn judge(&self, subject: &Subject, window: Timestamp, periods: &[Period]) -> Judged {
        // Asks once for everything, so that widening is exercised.
        if window > at(-100) {
            return Judged {
                need_from: Some(at(-100)),
                ..Judged::default()
            };
        }
        let Subject::Driver(driver) = subject else {
            return Judged::default();
        };
        Judged {
            need_from: None,
            settled_from: at(-100),
            violations: periods
                .iter()
                .map(|p| Violation {
                    kind: Kind::ContinuousDriving,
                    subject: subject.clone(),
                    start: p.start,
                    end: p.end,
                    open: false,
                    duration_ms: p.duration_ms(),
                    ..overspeed(0, false)
                })
                .collect(),
            driver_days: vec![DriverDay {
                driver: driver.clone(),
                day: LocalDay(20_522),
                driving_ms: periods.iter().map(Period::duration_ms).sum(),
                distance: Distance::ZERO,
                periods: u32::try_from(periods.len()).unwrap(),
            }],
        }
    }
}

async fn judge(f: &Fixture, claim: &Claim) -> usize {
    f.store
        .judge_subjects(claim, 1, 100, at(2000), Arc::new(OnePerPeriod))
        .await
        .unwrap()
}

async fn repeats_are_one_row_and_two_records_of_an_instant_are_two(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let first = batch(vec![records(vec![filed(0, 50), filed(10, 51)], vec![])]);
    let done = f.store.commit(&claim, 0, 1, first).await.unwrap();
    assert_eq!((done.filed, done.late), (2, 0));
    for n in 1..=20 {
        let again = batch(vec![records(vec![], vec![filed(0, 50)])]);
        let done = f.store.commit(&claim, n, n + 1, again).await.unwrap();
        assert_eq!((done.filed, done.repeated), (0, 1));
    }
    assert_eq!(f.count("SELECT count(*) FROM marks").await, 0);
    assert_eq!(
        f.count("SELECT count(*) FROM frames").await,
        1,
        "repeats file no frame"
    );
    let other = batch(vec![records(vec![], vec![filed(0, 70)])]);
    let done = f.store.commit(&claim, 21, 22, other).await.unwrap();
    assert_eq!((done.filed, done.late), (1, 1));
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 3);
    let from = f.count("SELECT \"from\" FROM marks").await;
    assert_eq!(from, at(0).millis());
    // What is filed unjudged on purpose is late and marks nothing.
    let mut held = records(vec![], vec![filed(2, 70)]);
    held.older[0].verdict = Verdict::Held;
    f.store
        .commit(&claim, 22, 23, batch(vec![held]))
        .await
        .unwrap();
    assert_eq!(f.count("SELECT \"from\" FROM marks").await, at(0).millis());
    let c = f.store.counters(0).await.unwrap();
    assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
    assert_eq!((c.filed, c.repeated, c.late), (4, 20, 2));
}

async fn a_newer_row_that_is_on_file_does_no_harm(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let one = batch(vec![records(vec![filed(5, 50)], vec![])]);
    f.store.commit(&claim, 0, 1, one).await.unwrap();
    let all = batch(vec![records(
        (0..100).map(|s| filed(s, 50)).collect(),
        vec![],
    )]);
    let done = f.store.commit(&claim, 1, 2, all).await.unwrap();
    assert_eq!((done.filed, done.repeated), (99, 1));
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 100);
}

async fn the_guard_refuses_replays_and_former_owners(f: Fixture) {
    let old = f.store.claim(3, "a").await.unwrap();
    let one = || batch(vec![records(vec![filed(0, 50)], vec![])]);
    f.store.commit(&old, 0, 1, one()).await.unwrap();
    let replay = f.store.commit(&old, 0, 1, one()).await;
    assert!(matches!(
        replay,
        Err(StoreError::PositionMoved { on_file: 1, .. })
    ));
    let new = f.store.claim(3, "b").await.unwrap();
    assert_eq!((new.epoch, new.position), (2, 1));
    assert_eq!(new.log.as_deref(), Some("log-1"));
    let late = f.store.commit(&old, 1, 2, one()).await;
    assert!(matches!(late, Err(StoreError::Superseded { partition: 3 })));
    let judged = f
        .store
        .judge_subjects(&old, 1, 10, at(0), Arc::new(OnePerPeriod))
        .await;
    assert!(matches!(judged, Err(StoreError::Superseded { .. })));
    assert_eq!(f.store.counters(3).await.unwrap().read, 1);
}

async fn a_violation_opens_grows_closes_and_is_amended(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let steps = [
        (overspeed(10, true), 1, 1, 0),
        (overspeed(20, true), 1, 1, 0),
        (overspeed(30, false), 2, 2, 1),
        (overspeed(30, false), 2, 2, 1),
        (overspeed(25, false), 3, 3, 2),
    ];
    for (n, (violation, revision, changes, frozen)) in steps.into_iter().enumerate() {
        let n = n as u64;
        let newer = vec![filed(10 * n as i64, 80)];
        let mut b = batch(vec![records(newer, vec![])]);
        b.violations.push(violation);
        f.store.commit(&claim, n, n + 1, b).await.unwrap();
        assert_eq!(
            f.count("SELECT revision FROM violations").await,
            revision,
            "step {n}"
        );
        assert_eq!(
            f.count("SELECT count(*) FROM changes").await,
            changes,
            "step {n}"
        );
        assert_eq!(
            f.count("SELECT count(*) FROM evidence").await,
            frozen,
            "step {n}"
        );
    }
}

async fn subjects_are_judged_and_the_difference_filed(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut b = batch(vec![]);
    b.periods = vec![period(0, 600, "L1"), period(1000, 1600, "L1")];
    f.store.commit(&claim, 0, 1, b.clone()).await.unwrap();
    assert_eq!(judge(&f, &claim).await, 1);
    assert_eq!(judge(&f, &claim).await, 0, "marks are deleted");
    let standing = "SELECT count(*) FROM violations WHERE status = 'new' AND subject = 'driver:";
    assert_eq!(f.count(&format!("{standing}L1'")).await, 2);
    // The same periods again mark nobody.
    f.store.commit(&claim, 1, 2, b.clone()).await.unwrap();
    assert_eq!(judge(&f, &claim).await, 0);
    // Another driver had the second one: both are judged again.
    b.periods = vec![period(1000, 1600, "L2")];
    f.store.commit(&claim, 2, 3, b).await.unwrap();
    assert_eq!(judge(&f, &claim).await, 2);
    assert_eq!(f.count(&format!("{standing}L1'")).await, 1);
    assert_eq!(f.count(&format!("{standing}L2'")).await, 1);
    assert_eq!(
        f.count("SELECT count(*) FROM changes WHERE kind = 'withdrawn'")
            .await,
        1
    );
    assert_eq!(
        f.count("SELECT sum(driving_ms) FROM driver_days").await,
        1_200_000
    );
}

async fn another_partitions_subjects_are_left(f: Fixture) {
    let mine = Subject::Driver("L1".into());
    let owner = partition_of_subject(&mine, 2);
    let other = f.store.claim(1 - owner, "w").await.unwrap();
    let mut b = batch(vec![]);
    b.periods = vec![period(0, 600, "L1")];
    f.store.commit(&other, 0, 1, b).await.unwrap();
    let judge = Arc::new(OnePerPeriod);
    let n = f
        .store
        .judge_subjects(&other, 2, 9, at(0), judge.clone())
        .await;
    assert_eq!(n.unwrap(), 0);
    let claim = f.store.claim(owner, "w").await.unwrap();
    let n = f.store.judge_subjects(&claim, 2, 9, at(0), judge).await;
    assert_eq!(n.unwrap(), 1);
}

/// One partition files a driver's periods, and files them again, while another judges the driver.
async fn no_period_is_missed_by_a_stage_that_runs_beside_its_writer(f: Fixture) {
    const PERIODS: i64 = 60;
    let owner = partition_of_subject(&Subject::Driver("L1".into()), 2);
    let judging = f.store.claim(owner, "w").await.unwrap();
    let filing = f.store.claim(1 - owner, "w").await.unwrap();
    let store = Arc::clone(&f.store);
    let writer = tokio::spawn(async move {
        for n in 0..PERIODS {
            let mut b = batch(vec![]);
            // The one before becomes longer: its mark is equal to one that may just be going.
            b.periods = vec![
                period(1000 * (n - 1), 1000 * (n - 1) + 700, "L1"),
                period(1000 * n, 1000 * n + 600, "L1"),
            ];
            let n = n.unsigned_abs();
            store.commit(&filing, n, n + 1, b).await.unwrap();
        }
    });
    let judge = || {
        let judge = Arc::new(OnePerPeriod);
        f.store.judge_subjects(&judging, 2, 10, at(0), judge)
    };
    while !writer.is_finished() {
        judge().await.unwrap();
    }
    writer.await.unwrap();
    while judge().await.unwrap() > 0 {}
    let stands = f.store.violations_after(None, 1000).await.unwrap();
    let ends: Vec<_> = stands.iter().map(|v| v.end.since(v.start) / 1000).collect();
    let mut expected = vec![700; PERIODS.unsigned_abs() as usize];
    expected.push(600);
    // The stage is asked about what begins at -100 or later: the first of them began before.
    assert_eq!(ends, expected[1..]);
}

async fn states_and_checkpoint_come_back(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let state = SavedState {
        source: SOURCE.into(),
        position: 7,
        engine: 1,
        bytes: vec![1, 2, 3],
    };
    let mut b = batch(vec![]);
    b.states.push(state.clone());
    b.checkpoint = Some(7);
    f.store.commit(&claim, 0, 9, b).await.unwrap();
    assert_eq!(f.store.load_states(0).await.unwrap(), (7, vec![state]));
}

async fn registers_write_what_changed_and_are_announced(f: Fixture) {
    let mut change = RegisterChange {
        expected_head: 0,
        registers: waywarden_model::registry::Registers::default(),
        author: "import".into(),
        note: String::new(),
        now: at(0),
        partitions: 2,
    };
    change
        .registers
        .operators
        .push(waywarden_model::registry::Operator {
            id: "5700000001".into(),
            name: "Operator 01".into(),
            address: None,
            phone: None,
            licence: waywarden_model::registry::Permit::default(),
            validity: waywarden_model::registry::Validity::ALWAYS,
        });
    assert_eq!(f.store.save_registers(change.clone()).await.unwrap(), 1);
    let stale = f.store.save_registers(change.clone()).await;
    assert!(matches!(
        stale,
        Err(StoreError::Conflict { on_file: 1, .. })
    ));
    change.expected_head = 1;
    assert_eq!(f.store.save_registers(change.clone()).await.unwrap(), 1);
    change.registers.operators[0].name = "Operator 02".into();
    assert_eq!(f.store.save_registers(change.clone()).await.unwrap(), 2);
    assert_eq!(f.count("SELECT count(*) FROM register_blobs").await, 10);
    assert_eq!(f.store.registers(2).await.unwrap(), change.registers);
    assert!(matches!(
        f.store.registers(3).await,
        Err(StoreError::NotFound { .. })
    ));
    let out = f.store.take_outbox(10).await.unwrap();
    assert_eq!(out.len(), 4);
    f.store.ack_outbox(out[..3].to_vec()).await.unwrap();
    assert_eq!(f.store.take_outbox(10).await.unwrap(), out[3..]);
}

async fn tokens_are_made_found_and_withdrawn(f: Fixture) {
    let token = Token {
        name: "night desk".into(),
        role: Role::Operator,
        created: at(0),
        expires: at(100),
        withdrawn: None,
    };
    f.store.create_token([1; 32], token.clone()).await.unwrap();
    assert!(f.store.create_token([2; 32], token.clone()).await.is_err());
    assert_eq!(
        f.store.find_token([1; 32]).await.unwrap(),
        Some(token.clone())
    );
    assert!(token.is_valid_at(at(99)) && !token.is_valid_at(at(100)));
    f.store.withdraw_token("night desk", at(5)).await.unwrap();
    let found = f.store.find_token([1; 32]).await.unwrap().unwrap();
    assert!(!found.is_valid_at(at(6)));
    assert!(f.store.withdraw_token("night desk", at(5)).await.is_err());
}

async fn what_is_no_longer_kept_goes_and_violations_stay(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let day = 86_400;
    let mut old = batch(vec![records(
        (0..5000).map(|s| filed(s, 50)).collect(),
        vec![],
    )]);
    old.violations = vec![overspeed(60, false)];
    f.store.commit(&claim, 0, 1, old).await.unwrap();
    let mut new = batch(vec![records(vec![filed(3 * day, 50)], vec![])]);
    new.sources[0].frames[0].received = at(3 * day);
    f.store.commit(&claim, 1, 2, new).await.unwrap();
    let zone = f.zone.clone();
    let today = zone.day_of(at(2 * day));
    let older = waywarden_store::Older {
        positions: zone.start_of(today),
        day: today,
        reads: at(0),
    };
    let mut steps = 0;
    while f.store.prune(older).await.unwrap() > 0 {
        steps += 1;
    }
    assert!(steps > 1, "removed a little at a time");
    assert_eq!(f.count("SELECT count(*) FROM positions").await, 1);
    assert_eq!(f.count("SELECT count(*) FROM frames").await, 1);
    assert_eq!(f.count("SELECT count(*) FROM violations").await, 1);
    assert_eq!(f.count("SELECT count(*) FROM evidence").await, 1);
}
