//! Evidence of many violations that close in one batch: each has the records of its own spans.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, overspeed, records};
use waywarden_model::{Span, Violation};

both!(
    many_that_close_at_once_have_each_its_own_records,
    a_span_of_very_many_records_says_that_it_is_not_complete,
);

/// Seconds from the first record until the next midnight in UTC, where a chunk ends.
const MIDNIGHT: i64 = 23 * 3600;

fn closed(from: i64, to: i64, every: bool) -> Violation {
    Violation {
        start: at(from),
        spans: vec![Span {
            source: SOURCE.into(),
            from: at(from),
            to: at(to),
            every,
        }],
        ..overspeed(to, false)
    }
}

async fn records_of(f: &Fixture, v: &Violation) -> (Vec<serde_json::Value>, bool) {
    let evidence = f.store.evidence(v.id()).await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_str(&evidence.body).unwrap();
    let records = body["records"].as_array().unwrap();
    let received = records.iter().map(|r| r["received"].clone()).collect();
    (received, body["complete"].as_bool().unwrap())
}

async fn many_that_close_at_once_have_each_its_own_records(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let seconds: Vec<i64> = (0..2000)
        .chain((MIDNIGHT - 100..MIDNIGHT + 100).step_by(10))
        .collect();
    let rows = seconds.iter().map(|s| filed(*s, 80)).collect();
    // More than are read together; a long one, one over the bounds of a chunk, and one that rests
    // on the ends of its span.
    let mut all: Vec<Violation> = (0..150)
        .map(|n| closed(10 * n, 10 * n + n % 9, true))
        .collect();
    all.insert(70, closed(3, 1500, true));
    all.insert(20, closed(MIDNIGHT - 50, MIDNIGHT + 50, true));
    all.insert(90, closed(7, 1907, false));
    let mut b = batch(vec![records(rows, vec![])]);
    b.violations = all.clone();
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    for v in &all {
        let span = &v.spans[0];
        let within = |s: &&i64| (span.from..=span.to).contains(&at(**s));
        let mut expected: Vec<i64> = seconds.iter().filter(within).copied().collect();
        if !span.every {
            expected.drain(1..expected.len() - 1);
        }
        let received = |s: &i64| serde_json::to_value(at(s + 1)).unwrap();
        let expected: Vec<_> = expected.iter().map(received).collect();
        assert_eq!(records_of(&f, v).await, (expected, true), "{:?}", v.start);
    }
}

async fn a_span_of_very_many_records_says_that_it_is_not_complete(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let rows = (0..20_001).map(|s| filed(s, 80)).collect();
    let (long, short) = (closed(0, 20_000, true), closed(20_000, 20_000, true));
    let mut b = batch(vec![records(rows, vec![])]);
    b.violations = vec![long.clone(), short.clone()];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let (kept, complete) = records_of(&f, &long).await;
    assert_eq!((kept.len(), complete), (20_000, false));
    let (kept, complete) = records_of(&f, &short).await;
    assert_eq!((kept.len(), complete), (1, true));
}
