//! Evidence of many violations that close in one batch: each has the records of its own spans.

use crate::fixture::{Fixture, SOURCE, at, batch, filed, overspeed, records};
use waywarden_model::hash::content_hash;
use waywarden_model::{DriverSaid, InvalidReason, Protocol, Span, Speed, Verdict, Violation};
use waywarden_store::FiledFrame;

both!(
    many_that_close_at_once_have_each_its_own_records,
    what_was_just_filed_is_copied_as_it_is_read_later,
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

/// A batch copies what it files itself without reading it; an amendment behind it reads. Both
/// copies say the same of records of several frames, sent twice, invalid, of odd cards.
async fn what_was_just_filed_is_copied_as_it_is_read_later(f: Fixture) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let mut rows = Vec::new();
    for second in 0..60 {
        let mut row = filed(second, 80);
        row.frame = u32::try_from(second / 20).unwrap();
        let card = format!("card\0\u{e000}{}", second / 30);
        row.record.driver = DriverSaid::Card(card.as_str().into());
        row.record.odometer_m = Some(u64::MAX - second.cast_unsigned());
        row.record.details.vin = Some("WVWZZZ1JZXW000001".into());
        if second % 7 == 0 {
            row.verdict = Verdict::Invalid(InvalidReason::ALL[0]);
        }
        row.hash = content_hash(&row.record);
        rows.push(row.clone());
        if second % 10 == 0 {
            row.received = at(second - 5);
            row.frame = 2;
            rows.push(row);
        }
    }
    let mut sent = records(rows, vec![]);
    sent.frames = (0..3)
        .map(|n| FiledFrame {
            protocol: Protocol::ALL[n],
            received: at(n as i64),
            told_offset_s: None,
            raw: vec![n as u8; 40],
        })
        .collect();
    let stated = closed(0, 45, true);
    let mut b = batch(vec![sent]);
    b.violations = vec![stated.clone()];
    f.store.commit(&claim, 0, 1, b).await.unwrap();
    let body = async || {
        let evidence = f.store.evidence(stated.id()).await.unwrap().unwrap();
        let body: serde_json::Value = serde_json::from_str(&evidence.body).unwrap();
        let of = |name: &str| body[name].clone();
        (
            evidence.revision,
            of("records"),
            of("frames"),
            of("complete"),
        )
    };
    let (first, records, frames, complete) = body().await;
    assert_eq!((first, records.as_array().unwrap().len()), (1, 46));
    let amended = Violation {
        max_excess: Some(Speed::from_kmh(20)),
        ..stated.clone()
    };
    let mut b = batch(vec![]);
    b.violations = vec![amended];
    f.store.commit(&claim, 1, 2, b).await.unwrap();
    assert_eq!(body().await, (2, records, frames, complete));
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
