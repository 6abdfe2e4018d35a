//! Sums over days: each figure from the rows that hold it, nothing twice, nobody left out.

use crate::fixture::{Fixture, SOURCE, batch, overspeed};
use waywarden_model::{
    Band, DayRow, Distance, DriverDay, Kind, LocalDay, Period, Plate, SourceId, Speed, Subject,
    Timestamp, Violation,
};
use waywarden_store::read::Decision;
use waywarden_store::{
    Batch, Judged, SubjectJudge, Summary, SummaryFilter, SummaryOf, ViolationSum,
};

both!(
    days_of_all_sources_of_a_vehicle_are_summed,
    violations_count_on_the_day_of_their_start_while_they_stand,
    whoever_has_only_a_violation_is_there_too,
    drivers_are_summed_from_their_own_days,
    pages_go_by_key_and_filters_narrow,
);

const DAY: LocalDay = LocalDay(20_522);
const OTHER: &str = "352093081429151";

fn month() -> SummaryFilter {
    SummaryFilter {
        of: SummaryOf::Vehicle,
        from: DAY,
        to: DAY.plus(30),
        only: None,
        operator: None,
        excess_over: Speed::from_kmh(5),
    }
}

fn row(source: &str, day: LocalDay, vehicle: &str, km: i64) -> DayRow {
    DayRow {
        vehicle: Some(vehicle.into()),
        plate: Some(Plate::new(&format!("14C-{vehicle}-{}", day.0))),
        operator: Some(format!("op-{vehicle}").as_str().into()),
        distance: Distance::from_metres(km * 1000),
        stops: 3,
        gaps_over_60_s: 2,
        max_speed: Speed::from_kmh(i32::try_from(km).unwrap()),
        ..DayRow::new(source.into(), day)
    }
}

fn noon(f: &Fixture, day: LocalDay) -> Timestamp {
    f.zone.start_of(day).plus_millis(12 * 3_600_000)
}

fn period(f: &Fixture, source: &str, day: LocalDay, vehicle: &str, minutes: i64) -> Period {
    let start = noon(f, day);
    Period {
        source: source.into(),
        start,
        end: start.plus_millis(minutes * 60_000),
        open: false,
        vehicle: Some(vehicle.into()),
        plate: None,
        driver: Some("L1".into()),
        operator: Some(format!("op-{vehicle}").as_str().into()),
        break_ms: 900_000,
        distance: Distance::from_metres(minutes * 1000),
        registry: 1,
    }
}

/// Of a source of its own for each start, so that they differ in identity.
fn speeding(start: Timestamp, vehicle: &str, centi: i32) -> Violation {
    let excess = Speed::from_centi(centi);
    Violation {
        subject: Subject::Source(SourceId::new(format!("s-{vehicle}"))),
        start,
        end: start.plus_millis(30_000),
        vehicle: Some(vehicle.into()),
        operator: Some(format!("op-{vehicle}").as_str().into()),
        driver: Some("L1".into()),
        band: Some(Band::of(excess)),
        max_excess: Some(excess),
        distance: Some(Distance::from_metres(900)),
        duration_ms: 30_000,
        spans: vec![],
        ..overspeed(0, false)
    }
}

async fn file(f: &Fixture, b: Batch) {
    let claim = f.store.claim(0, "w").await.unwrap();
    let at = claim.position;
    f.store.commit(&claim, at, at + 1, b).await.unwrap();
}

async fn sums(f: &Fixture, filter: &SummaryFilter) -> Vec<Summary> {
    f.store.summaries(filter, None, 100).await.unwrap()
}

async fn days_of_all_sources_of_a_vehicle_are_summed(f: Fixture) {
    let mut b = batch(vec![]);
    b.day_rows = vec![
        row(SOURCE, DAY.plus(-1), "V1", 1000),
        row(SOURCE, DAY, "V1", 100),
        row(SOURCE, DAY.plus(30), "V1", 50),
        row(OTHER, DAY, "V1", 7),
        row(SOURCE, DAY.plus(31), "V1", 1000),
        DayRow::new("unfitted".into(), DAY),
    ];
    b.periods = vec![
        period(&f, SOURCE, DAY.plus(-1), "V1", 500),
        period(&f, SOURCE, DAY, "V1", 60),
        period(&f, SOURCE, DAY.plus(30), "V1", 30),
        period(&f, OTHER, DAY, "V1", 1),
        period(&f, SOURCE, DAY.plus(31), "V1", 500),
    ];
    file(&f, b).await;
    let expected = Summary {
        key: "V1".into(),
        plate: Some(Plate::new(&format!("14C-V1-{}", DAY.plus(30).0))),
        operator: Some("op-V1".into()),
        days: 2,
        distance: Distance::from_metres(157_000),
        driving_ms: 91 * 60_000,
        stops: Some(9),
        gaps_over_60_s: Some(6),
        max_speed: Some(Speed::from_kmh(100)),
        violations: vec![],
    };
    assert_eq!(sums(&f, &month()).await, std::slice::from_ref(&expected));
    let of = SummaryOf::Operator;
    let by_operator = sums(&f, &SummaryFilter { of, ..month() }).await;
    let expected = Summary {
        key: "op-V1".into(),
        plate: None,
        operator: None,
        ..expected
    };
    assert_eq!(by_operator, [expected]);
}

async fn violations_count_on_the_day_of_their_start_while_they_stand(f: Fixture) {
    let begins = f.zone.start_of(DAY);
    let ends = f.zone.start_of(DAY.plus(31));
    let dismissed = speeding(begins.plus_millis(900_000), "V1", 1100);
    let mut b = batch(vec![]);
    b.day_rows = vec![row(SOURCE, DAY, "V1", 10)];
    b.violations = vec![
        speeding(begins.plus_millis(-1), "V1", 4000),
        speeding(begins, "V1", 500),
        speeding(begins.plus_millis(60_000), "V1", 501),
        speeding(begins.plus_millis(120_000), "V1", 499),
        speeding(ends.plus_millis(-1), "V1", 4000),
        speeding(ends, "V1", 4000),
        dismissed.clone(),
        Violation {
            kind: Kind::TransmissionGap,
            band: None,
            max_excess: None,
            distance: None,
            ..speeding(begins, "V1", 0)
        },
    ];
    file(&f, b).await;
    let id = dismissed.id();
    let decision = Decision::Dismissed;
    let review = f.store.review(id, 1, decision, "no", "desk", begins);
    review.await.unwrap();
    let found = sums(&f, &month()).await;
    let of_band = |band: &str, count: u64, above: u64| ViolationSum {
        kind: Kind::Overspeed,
        band: Band::from_name(band),
        count,
        distance: Distance::from_metres(900 * i64::try_from(count).unwrap()),
        duration_ms: 30_000 * i64::try_from(count).unwrap(),
        above,
    };
    let gap = ViolationSum {
        kind: Kind::TransmissionGap,
        band: None,
        distance: Distance::ZERO,
        ..of_band("<5", 1, 0)
    };
    // Exactly the excess that is not counted is not counted (art. 23.10c), though it has a band.
    let expected = [
        of_band("5-10", 2, 1),
        of_band("<5", 1, 0),
        of_band(">35", 1, 1),
        gap,
    ];
    assert_eq!(found[0].violations, expected);
}

async fn whoever_has_only_a_violation_is_there_too(f: Fixture) {
    let mut b = batch(vec![]);
    b.day_rows = vec![row(SOURCE, DAY, "V2", 10)];
    b.violations = vec![speeding(noon(&f, DAY), "V1", 700)];
    file(&f, b).await;
    let found = sums(&f, &month()).await;
    let keys: Vec<_> = found.iter().map(|s| (s.key.as_str(), s.days)).collect();
    assert_eq!(keys, [("V1", 0), ("V2", 1)]);
    assert_eq!(found[0].violations.len(), 1);
    assert_eq!(found[1].violations, []);
}

/// Gives a driver a day for every period.
struct Days;

impl SubjectJudge for Days {
    fn window_start(&self, _: Timestamp) -> Timestamp {
        Timestamp::MIN
    }

    fn judge(&self, subject: &Subject, _: Timestamp, periods: &[Period]) -> Judged {
        let Subject::Driver(driver) = subject else {
            return Judged::default();
        };
        let day = |(n, p): (usize, &Period)| DriverDay {
            driver: driver.clone(),
            day: DAY.plus(i32::try_from(n).unwrap()),
            driving_ms: p.duration_ms(),
            distance: p.distance,
            periods: 1,
        };
        Judged {
            settled_from: Timestamp::from_millis(-1 << 40),
            driver_days: periods.iter().enumerate().map(day).collect(),
            ..Judged::default()
        }
    }
}

async fn drivers_are_summed_from_their_own_days(f: Fixture) {
    let mut b = batch(vec![]);
    b.periods = vec![
        period(&f, SOURCE, DAY, "V1", 60),
        period(&f, OTHER, DAY.plus(1), "V2", 30),
    ];
    b.violations = vec![speeding(noon(&f, DAY), "V1", 700)];
    file(&f, b).await;
    let claim = f.store.claim(0, "w").await.unwrap();
    let judge = std::sync::Arc::new(Days);
    let at = noon(&f, DAY);
    let judged = f.store.judge_subjects(&claim, 1, 9, at, judge);
    assert_eq!(judged.await.unwrap(), 1);
    let of = SummaryOf::Driver;
    let found = sums(&f, &SummaryFilter { of, ..month() }).await;
    assert_eq!(found.len(), 1);
    let (sum, none) = (&found[0], None);
    assert_eq!((sum.key.as_str(), sum.days), ("L1", 2));
    assert_eq!(sum.driving_ms, 90 * 60_000);
    assert_eq!(sum.distance, Distance::from_metres(90_000));
    assert_eq!((sum.stops, sum.gaps_over_60_s), (none, none));
    assert_eq!(sum.violations[0].count, 1);
}

async fn pages_go_by_key_and_filters_narrow(f: Fixture) {
    let mut b = batch(vec![]);
    // Texts that a database may write in another way keep their order within it.
    let vehicles = ["V1", "V2", "V3", "V\0", "V\u{E000}"];
    for (n, vehicle) in vehicles.iter().enumerate() {
        let source = format!("s-{n}");
        b.day_rows.push(row(&source, DAY, vehicle, 10));
        b.violations.push(speeding(noon(&f, DAY), vehicle, 700));
        b.periods.push(period(&f, &source, DAY, vehicle, 5));
    }
    file(&f, b).await;
    let (mut seen, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = f.store.summaries(&month(), after.as_deref(), 2).await;
        let page = page.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        seen.extend(page);
    }
    let mut keys: Vec<&str> = seen.iter().map(|s| s.key.as_str()).collect();
    keys.sort_unstable();
    let mut expected = vehicles.to_vec();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for sum in &seen {
        assert_eq!(sum.driving_ms, 300_000, "{sum:?}");
        assert_eq!((sum.days, sum.violations.len()), (1, 1), "{sum:?}");
    }
    let plate = format!("14c-V2 {}", DAY.0);
    for (only, operator, expected) in [
        (Some("V2"), None, vec!["V2"]),
        (Some(plate.as_str()), None, vec!["V2"]),
        (None, Some("op-V3"), vec!["V3"]),
        (Some("V2"), Some("op-V3"), vec![]),
    ] {
        let filter = SummaryFilter {
            only: only.map(str::to_owned),
            operator: operator.map(Into::into),
            ..month()
        };
        let found = sums(&f, &filter).await;
        let keys: Vec<_> = found.iter().map(|s| s.key.as_str()).collect();
        assert_eq!(keys, expected, "{only:?} {operator:?}");
    }
}
