//! Alerts: filed with the position, listed, ended, and no longer kept one day.

use crate::fixture::{Fixture, SOURCE, at, batch};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use waywarden_model::{
    Ahead, Alert, AlertKind, Distance, Kind, LocalDay, Period, Plate, Rule, Subject, Timestamp,
};
use waywarden_store::{AlertFilter, AlertKey, Batch, Gap, Judged, Older, SubjectJudge};

both!(
    an_alert_is_one_row_until_it_ends_and_comes_back_whole,
    a_list_is_narrowed_and_goes_on_behind_its_last_row,
    what_was_heard_of_the_gateways_stands_with_the_checkpoint,
    what_a_partition_is_judged_by_is_known_to_its_next_owner,
    with_the_states_go_the_alerts_that_they_would_have_ended,
    a_limit_comes_near_for_whoever_drives_now_and_goes_when_it_does_no_more,
    alerts_go_with_positions_those_that_go_on_by_when_they_began,
);

fn alert(second: i64) -> Alert {
    Alert {
        kind: AlertKind::Silence,
        ahead: None,
        subject: Subject::Source(SOURCE.into()),
        vehicle: Some("V1".into()),
        plate: Some(Plate::new("14C-123.45")),
        driver: None,
        operator: Some("0100000001".into()),
        start: at(second),
        raised: at(second + 1800),
        ended: None,
        amount_ms: None,
        limit_ms: Some(1_800_000),
    }
}

fn ahead(second: i64) -> Alert {
    Alert {
        kind: AlertKind::LimitAhead,
        ahead: Some(Ahead {
            kind: Kind::ContinuousDriving,
            rule: Some(Rule::Night),
        }),
        subject: Subject::Driver("D\u{0}1".into()),
        driver: Some("D\u{0}1".into()),
        vehicle: None,
        plate: None,
        operator: None,
        amount_ms: Some(-5),
        ..alert(second)
    }
}

fn telling(alerts: Vec<Alert>) -> Batch {
    Batch {
        alerts,
        ..batch(vec![])
    }
}

async fn listed(f: &Fixture, filter: AlertFilter) -> Vec<Alert> {
    f.store.alerts(&filter, None, 100).await.unwrap()
}

async fn an_alert_is_one_row_until_it_ends_and_comes_back_whole(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let both = vec![alert(0), ahead(10)];
    f.store.commit(&claim, 0, 1, telling(both)).await.unwrap();
    let all = AlertFilter::default;
    assert_eq!(listed(&f, all()).await, [ahead(10), alert(0)]);
    let open = f.store.status().await.unwrap().alerts_open;
    let number = |kind| open.iter().find(|(k, _)| *k == kind).unwrap().1;
    assert_eq!(open.len(), AlertKind::ALL.len());
    assert_eq!(number(AlertKind::Silence), 1);
    assert_eq!(number(AlertKind::LimitAhead), 1);
    assert_eq!(number(AlertKind::ClockSetBack), 0);

    let ended = Alert {
        ended: Some(at(3000)),
        ..alert(0)
    };
    let end = telling(vec![ended.clone()]);
    f.store.commit(&claim, 1, 2, end.clone()).await.unwrap();
    assert_eq!(listed(&f, all()).await, [ahead(10), ended]);
    // A batch whose position is not the one on file tells nobody.
    let late = telling(vec![alert(0)]);
    assert!(f.store.commit(&claim, 1, 2, late).await.is_err());
    assert_eq!(listed(&f, all()).await[1].ended, Some(at(3000)));
}

async fn a_list_is_narrowed_and_goes_on_behind_its_last_row(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let ended = Alert {
        ended: Some(at(3000)),
        ..alert(-60)
    };
    let alerts = vec![alert(0), ended.clone(), ahead(0), ahead(500)];
    f.store.commit(&claim, 0, 1, telling(alerts)).await.unwrap();
    let only = |filter| listed(&f, filter);
    let kind = AlertFilter {
        kind: Some(AlertKind::Silence),
        ..AlertFilter::default()
    };
    assert_eq!(only(kind).await, [alert(0), ended.clone()]);
    let open = |open| AlertFilter {
        open: Some(open),
        ..AlertFilter::default()
    };
    assert_eq!(only(open(false)).await, std::slice::from_ref(&ended));
    assert_eq!(only(open(true)).await.len(), 3);
    for vehicle in ["V1", "14c 123-45"] {
        let of = AlertFilter {
            vehicle: Some(vehicle.to_owned()),
            ..AlertFilter::default()
        };
        assert_eq!(only(of).await, [alert(0), ended.clone()]);
    }
    let times = AlertFilter {
        from: Some(at(0)),
        to: Some(at(500)),
        operator: Some("0100000001".into()),
        ..AlertFilter::default()
    };
    assert_eq!(only(times).await, [alert(0)]);
    // Two of one instant, by pages of one row.
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = f.store.alerts(&AlertFilter::default(), after, 1).await;
        let Some(row) = page.unwrap().pop() else {
            break;
        };
        after = Some(AlertKey {
            start: row.start,
            id: row.id(),
        });
        pages.push(row);
    }
    assert_eq!(pages, listed(&f, AlertFilter::default()).await);
    assert_eq!(pages.len(), 4);
}

async fn what_was_heard_of_the_gateways_stands_with_the_checkpoint(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    assert_eq!(claim.listening, None);
    let heard = Batch {
        checkpoint: Some(1),
        listening: Some(vec![1, 0, 255]),
        ..batch(vec![])
    };
    f.store.commit(&claim, 0, 1, heard).await.unwrap();
    // A batch without a checkpoint leaves it as it was there.
    f.store.commit(&claim, 1, 2, batch(vec![])).await.unwrap();
    let next = f.store.claim(0, "w").await.unwrap();
    assert_eq!(next.listening, Some(vec![1, 0, 255]));
}

async fn what_a_partition_is_judged_by_is_known_to_its_next_owner(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    assert_eq!(claim.profiles, None);
    let by = |profiles| Batch {
        profiles,
        ..batch(vec![])
    };
    // Without a step in the log; a hash is any number of 64 bits.
    f.store
        .commit(&claim, 0, 0, by(Some(u64::MAX)))
        .await
        .unwrap();
    f.store.commit(&claim, 0, 1, by(None)).await.unwrap();
    let next = f.store.claim(0, "w").await.unwrap();
    assert_eq!((next.profiles, next.position), (Some(u64::MAX), 1));
    f.store.commit(&next, 1, 1, by(Some(7))).await.unwrap();
    assert_eq!(f.store.claim(0, "w").await.unwrap().profiles, Some(7));
    assert_eq!(f.store.claim(1, "w").await.unwrap().profiles, None);
}

async fn with_the_states_go_the_alerts_that_they_would_have_ended(f: Fixture) {
    let other = f.store.claim(1, "w").await.unwrap();
    let theirs = telling(vec![ahead(0)]);
    f.store.commit(&other, 0, 1, theirs).await.unwrap();
    let claim = f.store.claim(0, "w").await.unwrap();
    f.store
        .commit(&claim, 0, 1, telling(vec![alert(0)]))
        .await
        .unwrap();
    let gap = Batch {
        gap: Some(Gap { log_before: None }),
        now: at(7000),
        ..batch(vec![])
    };
    f.store.commit(&claim, 1, 9, gap).await.unwrap();
    let ends: Vec<Option<Timestamp>> = listed(&f, AlertFilter::default())
        .await
        .iter()
        .map(|a| a.ended)
        .collect();
    assert_eq!(ends.iter().flatten().collect::<Vec<_>>(), [&at(7000)]);
    assert_eq!(ends.len(), 2);
}

fn driven(end: i64, open: bool) -> Period {
    Period {
        source: SOURCE.into(),
        start: at(0),
        end: at(end),
        open,
        vehicle: None,
        plate: None,
        driver: Some("D\u{0}1".into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::ZERO,
        registry: 1,
    }
}

/// Foresees one limit from half an hour of driving on.
struct HalfAnHour;

impl SubjectJudge for HalfAnHour {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        from
    }

    fn judge(&self, _: &Subject, _: Timestamp, _: &[Period]) -> Judged {
        Judged::default()
    }

    fn ahead(&self, _: &Subject, _: Timestamp, periods: &[Period], _: &Judged) -> Vec<Alert> {
        let long = periods
            .iter()
            .filter(|p| p.open && p.duration_ms() >= 1_800_000);
        let near = |p: &Period| Alert {
            raised: p.end,
            amount_ms: Some(p.duration_ms()),
            ..ahead(0)
        };
        long.map(near).collect()
    }
}

async fn a_limit_comes_near_for_whoever_drives_now_and_goes_when_it_does_no_more(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let position = AtomicU64::new(0);
    let seen = async |end: i64, open: bool, now: i64| {
        let expected = position.fetch_add(1, Ordering::Relaxed);
        let one = Batch {
            periods: vec![driven(end, open)],
            ..batch(vec![])
        };
        let next = expected + 1;
        f.store.commit(&claim, expected, next, one).await.unwrap();
        let judge = Arc::new(HalfAnHour);
        let judged = f.store.judge_subjects(&claim, 1, 9, at(now), judge).await;
        assert_eq!(judged.unwrap(), 1);
        let rows = listed(&f, AlertFilter::default()).await;
        let row = |a: &Alert| (a.raised, a.ended, a.amount_ms.unwrap() / 1000);
        rows.iter().map(row).collect::<Vec<_>>()
    };
    // Data of this morning, which came late: nobody is told of what is over.
    assert_eq!(seen(1900, true, 9000).await, []);
    assert_eq!(seen(1740, true, 1800).await, []);
    let raised = at(1800);
    assert_eq!(seen(1800, true, 1860).await, [(raised, None, 1800)]);
    assert_eq!(seen(1860, true, 1920).await, [(raised, None, 1860)]);
    let over = Some(at(2000));
    assert_eq!(seen(1900, false, 2000).await, [(raised, over, 1860)]);
    // Somebody goes on within the same stretch.
    assert_eq!(seen(2100, true, 2160).await, [(raised, None, 2100)]);
}

async fn alerts_go_with_positions_those_that_go_on_by_when_they_began(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let over = Alert {
        ended: Some(at(90_000)),
        ..alert(0)
    };
    let alerts = vec![over.clone(), alert(-10), alert(86_000)];
    f.store.commit(&claim, 0, 1, telling(alerts)).await.unwrap();
    let older = |second| Older {
        positions: at(second),
        day: LocalDay(0),
        reads: Timestamp::MIN,
    };
    while f.store.prune(older(86_400)).await.unwrap() > 0 {}
    let kept = listed(&f, AlertFilter::default()).await;
    assert_eq!(kept, [alert(86_000), over]);
    while f.store.prune(older(200_000)).await.unwrap() > 0 {}
    assert_eq!(listed(&f, AlertFilter::default()).await, []);
}
