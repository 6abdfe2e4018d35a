//! The rules of the law at their edges.

use crate::journey::{
    COACH, FIRST, GOODS, Journey, KM_PER_DEGREE, SECOND, TAXI, at, found, licence, route, zone,
};
use waywarden_model::registry::{Card, Sign, Validity};
use waywarden_model::{
    Band, DriverSaid, InvalidReason, Kind, LimitSource, Position, Record, RecordKind, Speed,
};
use waywarden_rules::evaluate::Evaluation;

#[test]
fn continuous_driving_at_4_00_00() {
    for (records, expected) in [
        (480, vec![]),                                  // 480 x 30 s = 4:00:00, allowed (D7)
        (481, vec![(Kind::ContinuousDriving, 14_430)]), // 4:00:30
    ] {
        let mut j = Journey::from("2026-03-10T00:00:00Z");
        j.park(2).drive(50, records, 30).park(3);
        assert_eq!(found(&j.judge(GOODS)), expected, "{records}");
    }
}

#[test]
fn a_break_is_exactly_long_enough() {
    // 2:30 + break + 2:30. The break runs from the first record at rest to the first that moves:
    // n records 30 s apart and 30 s to the next are n x 30 s.
    for (vehicle, at_rest, expected) in [
        (GOODS, 30, vec![]),                                  // 15:00 (D8)
        (GOODS, 29, vec![(Kind::ContinuousDriving, 18_000)]), // 14:30
        (TAXI, 10, vec![]),                                   // 5:00
        (TAXI, 9, vec![(Kind::ContinuousDriving, 18_000)]),   // 4:30
    ] {
        let mut j = Journey::from("2026-03-10T00:00:00Z");
        j.park(2).drive(50, 300, 30).park(at_rest);
        j.drive(50, 300, 30).park(3);
        assert_eq!(found(&j.judge(vehicle)), expected, "{vehicle} {at_rest}");
    }
}

#[test]
fn daily_driving_at_10_00_00() {
    // 4 x 2:30 = 10:00:00 with 15:00 between, from 07:00 local; 30 s more is too much. Under the
    // law from July 2026 the same day has 8 h.
    for (day, extra, expected) in [
        ("2026-03-10T00:00:00Z", 0, vec![]),
        (
            "2026-03-10T00:00:00Z",
            1,
            vec![(Kind::DailyDriving, 36_030)],
        ),
        (
            "2026-07-07T00:00:00Z",
            0,
            vec![(Kind::DailyDriving, 36_000)],
        ),
    ] {
        let mut j = Journey::from(day);
        j.park(2);
        for piece in 0..4 {
            j.drive(20, if piece == 3 { 300 + extra } else { 300 }, 30)
                .park(30);
        }
        assert_eq!(found(&j.judge(GOODS)), expected, "{day} {extra}");
    }
}

#[test]
fn weekly_driving_at_48_h() {
    // Monday to Saturday, each day 3 x 2:40 = 8:00:00: 48:00:00; 30 s more on Saturday. Sunday to
    // Friday is two weeks: 8 h and 40 h.
    // 48 h at 5 km/h are 240 km, which stays in the country's box (A7).
    for (first, extra, expected) in [
        ("2026-03-09T00:00:00Z", 0, vec![]),
        (
            "2026-03-09T00:00:00Z",
            1,
            vec![(Kind::WeeklyDriving, 172_830)],
        ),
        ("2026-03-08T00:00:00Z", 1, vec![]),
    ] {
        let mut j = Journey::from(first);
        for day in 0..6 {
            j.t = at(first).plus_millis(day * 86_400_000);
            for piece in 0..3 {
                let more = if (day, piece) == (5, 2) { extra } else { 0 };
                j.drive(5, 320 + more, 30).park(30);
            }
        }
        assert_eq!(found(&j.judge(GOODS)), expected, "{first} {extra}");
    }
}

#[test]
fn another_driver_begins_anew() {
    // 2:30 by one, 2:30 by the other without a stop: the earlier one's time ends at the first
    // record with the other (D18), which is the 301st: 300 x 30 s = 9000 s each.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.park(2).drive(50, 300, 30);
    j.driver(licence(SECOND)).drive(50, 300, 30).park(3);
    let e = j.judge(GOODS);
    assert_eq!(found(&e), []);
    let days = e.driver_days.iter();
    let days: Vec<_> = days.map(|d| (d.driver.as_str(), d.driving_ms)).collect();
    assert_eq!(days, [(FIRST, 9_000_000), (SECOND, 9_000_000)]);
}

#[test]
fn from_a_driver_to_none_is_a_change() {
    // D13: 4:00:30 with nobody named counts for the vehicle.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.park(2).drive(50, 100, 30);
    j.driver(DriverSaid::Nobody).drive(50, 481, 30).park(3);
    let e = j.judge(GOODS);
    // And 4:00:30 are more than the five minutes that may pass with nobody identified.
    let expected = [Kind::ContinuousDriving, Kind::DriverNotIdentified];
    assert_eq!(found(&e), expected.map(|kind| (kind, 14_430)));
    assert!(e.violations.iter().all(|v| v.driver.is_none()));
}

#[test]
fn a_card_is_carried_by_event_time() {
    // The card is said once; fixes that say nothing carry it on. 481 x 30 s = 4:00:30.
    let card = DriverSaid::Card("0A1B".into());
    let journey = |registered: bool| {
        let mut j = Journey::from("2026-03-10T00:00:00Z");
        j.driver(DriverSaid::NotSaid)
            .card(RecordKind::CardIn, card.clone());
        j.park(2).drive(50, 481, 30).park(3);
        let e = j.judge_with(GOODS, |r| {
            if registered {
                r.cards.push(Card {
                    id: "0A1B".into(),
                    driver: FIRST.into(),
                    validity: Validity::ALWAYS,
                });
            }
        });
        assert_eq!(found(&e), [(Kind::ContinuousDriving, 14_430)]);
        e.violations[0].driver.clone().unwrap()
    };
    assert_eq!(journey(true).as_str(), FIRST);
    assert_eq!(journey(false).as_str(), "card:0A1B");
}

#[test]
fn a_card_taken_out_later_proves_no_driving() {
    // The last fix moves, then silence; the card is taken out 12 h later. 120 records, 30 s apart:
    // 119 x 30 s = 3570 s, and not 13 h.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.driver(DriverSaid::NotSaid)
        .card(RecordKind::CardIn, licence(FIRST));
    j.park(2).drive(50, 120, 30).wait(43_200);
    j.card(RecordKind::CardOut, DriverSaid::NotSaid);
    j.park(3);
    let e = j.judge(GOODS);
    let hours: Vec<_> = e
        .violations
        .iter()
        .filter(|v| v.kind != Kind::TransmissionGap)
        .collect();
    assert!(hours.is_empty(), "{hours:?}");
    assert_eq!(e.driver_days[0].driving_ms, 3_570_000);
}

#[test]
fn a_card_record_without_a_fix_names_the_driver() {
    // A reader in a garage: the card's record stands at 0, 0.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.driver(DriverSaid::NotSaid);
    j.records.push(Record {
        driver: licence(SECOND),
        speed: Some(Speed::ZERO),
        ..Record::fix(j.t, Position::new(0.0, 0.0).unwrap()).of_kind(RecordKind::CardIn)
    });
    j.wait(30).park(2).drive(50, 20, 30).park(3);
    let e = j.judge(GOODS);
    assert_eq!(e.driver_days[0].driver.as_str(), SECOND);
    assert_eq!(e.driver_days[0].driving_ms, 600_000);
}

#[test]
fn three_rejected_fixes_that_agree_are_believed() {
    // A3b: the first fix is 50 km off. Of the next, 30 s apart, two are rejected (50 km in 30 s is
    // 6000 km/h), the third agrees with both and is the new anchor: 2 of 6 are invalid. What lies
    // between anchor and bad fix is no distance: three intervals of 50 x 30 / 3600 = 0.4167 km
    // follow the anchor, 1.2501 km.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.km = 50.0;
    j.drive(50, 1, 30);
    j.km = 0.0;
    j.drive(50, 6, 30);
    let e = j.judge(GOODS);
    let day = &e.day_rows[0];
    assert_eq!((day.records, day.valid), (7, 5));
    assert_eq!(day.invalid[InvalidReason::ImpliedSpeed as usize - 1], 2);
    assert_eq!(day.distance.decimetres(), 3 * 4167);
}

#[test]
fn a_frozen_speed_is_invalid_from_the_thirtieth_on() {
    // A6: 35 records at exactly 50.00 while the vehicle moves: 29 valid, 6 invalid; then 51.00 is
    // believed again. At a standstill in one place nothing is frozen.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    for _ in 0..35 {
        j.fix(5000);
        j.wait(10);
        j.km += 50.0 / 360.0;
    }
    j.fix(5100);
    j.wait(10).park(40);
    let e = j.judge(GOODS);
    let day = &e.day_rows[0];
    assert_eq!(day.invalid[InvalidReason::FrozenSpeed as usize - 1], 6);
    assert_eq!(day.valid, 29 + 1 + 40);
    assert_eq!(
        found(&e),
        [],
        "invalid records fill a transmission gap (E1)"
    );
}

#[test]
fn overspeed_before_2025() {
    // vn-tt09 (C11), limit 80: V must be above 85 on every record, Vss = Vtb - 5, the sum of T
    // strictly above 30 s. 95 km/h: Vss 90, excess 10.00, band 10-20.
    let run = |fast: usize, dip: bool| {
        let mut j = Journey::from("2024-06-10T03:00:00Z");
        j.drive(20, 1, 5).drive(95, fast, 10);
        if dip {
            // V = 85.00 is not above 85: the run ends although the mean, (95.1 + 85) / 2 = 90.05,
            // less 5 is above 80.
            j.fix(8500);
            j.wait(10).drive(95, 3, 10);
        }
        j.drive(20, 2, 5);
        j.judge(GOODS)
    };
    // From 20.1 to 95.1 the mean is 57.6: not over. n fast records are n - 1 intervals of 10 s.
    assert_eq!(found(&run(4, false)), []); // 30 s is not more than 30 s
    let e = run(5, false); // 40 s
    assert_eq!(found(&e), [(Kind::Overspeed, 40)]);
    let v = &e.violations[0];
    assert_eq!(&*v.profile.name, "vn-tt09");
    assert_eq!(v.max_excess, Some(Speed::from_kmh(10)));
    assert_eq!(v.band, Some(Band::From10To20));
    assert_eq!(found(&run(3, true)), []); // 20 s, the dip, 20 s
}

fn sign(id: &str, kmh: i32) -> Sign {
    let p = |km: f64| Position::new(21.0 + km / KM_PER_DEGREE, 107.0).unwrap();
    Sign {
        id: id.into(),
        line: vec![p(-1.0), p(5.0)],
        half_width_m: 30.0,
        direction: None,
        both_ways: true,
        limit: Speed::from_kmh(kmh),
        validity: Validity::ALWAYS,
    }
}

#[test]
fn signs_stand_above_zones_and_both_above_the_class() {
    // 60 km/h for 40 s (5 records, T = 10 s). The class allows 80: nothing. The zone's 40: Vss 57,
    // excess 17.00. A sign of 50 above the zone: 57 - 50 = 7.00.
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.drive(60, 5, 10);
    assert_eq!(found(&j.judge(GOODS)), []);
    let with = |signs: Vec<Sign>| {
        let e = j.judge_with(GOODS, |r| {
            r.zones.push(zone("Z1", 40, -1.0, 5.0));
            r.signs = signs;
        });
        assert_eq!(found(&e), [(Kind::Overspeed, 40)]);
        let v = e.violations.into_iter().next().unwrap();
        (
            v.limit_source.unwrap(),
            v.figures.object.unwrap(),
            v.max_excess.unwrap(),
        )
    };
    let (source, object, excess) = with(vec![]);
    assert_eq!((source, &*object), (LimitSource::Zone, "Z1"));
    assert_eq!(excess, Speed::from_kmh(17));
    let (source, object, excess) = with(vec![sign("S1", 50)]);
    assert_eq!((source, &*object), (LimitSource::Sign, "S1"));
    assert_eq!(excess, Speed::from_kmh(7));
}

#[test]
fn an_unknown_class_gets_the_highest_limit() {
    // 93.00 km/h: Vss 90.00 is not above 90; 94: 91 - 90 = 1.00, band below 5.
    let run = |kmh: i32| {
        let mut j = Journey::from("2026-03-10T03:00:00Z");
        j.drive(kmh, 5, 10);
        j.judge(",,")
    };
    assert_eq!(found(&run(93)), []);
    let e = run(94);
    assert_eq!(
        e.violations[0].limit_source,
        Some(LimitSource::ClassUnknown)
    );
    assert_eq!(e.violations[0].band, Some(Band::Below5));
}

/// 36 km/h is 100 m in 10 s; (metres off the line, records).
fn off_route(from_km: f64, parts: &[(f64, usize)]) -> Evaluation {
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = from_km;
    j.drive(36, 5, 10);
    for (metres, n) in parts {
        j.off_by(*metres).drive(36, *n, 10);
    }
    j.off_by(0.0).drive(36, 5, 10);
    j.judge_with(COACH, |r| r.routes.push(route()))
}

#[test]
fn leaving_the_route_takes_time_and_distance() {
    // 19 records 300 m off: 18 intervals are 180 s and 18 x 0.1 = 1.8 km. 18 records: 170 s.
    assert_eq!(found(&off_route(5.0, &[(300.0, 18)])), []);
    let e = off_route(5.0, &[(300.0, 19)]);
    assert_eq!(found(&e), [(Kind::RouteDeviation, 180)]);
    let v = &e.violations[0];
    assert_eq!(v.start, at("2026-03-10T03:00:50Z")); // the sixth record
    assert_eq!(v.end, at("2026-03-10T03:03:50Z"));
    assert_eq!(v.distance.unwrap().decimetres(), 18_000);
    assert_eq!(v.figures.object.as_deref(), Some("R1"));
    assert!(v.figures.max_offset_m.unwrap().abs_diff(300) <= 1);
    assert!(!v.open);
}

#[test]
fn the_edge_has_two_sides() {
    // Outside begins beyond 100 + 30 m, inside again at 100 m.
    assert_eq!(found(&off_route(5.0, &[(120.0, 40)])), []); // never left
    let e = off_route(5.0, &[(300.0, 5), (120.0, 14)]); // left, not yet back: 19 records
    assert_eq!(found(&e), [(Kind::RouteDeviation, 180)]);
    let back = [(300.0, 10), (90.0, 1), (300.0, 10)]; // back between: 90 s and 90 s
    assert_eq!(found(&off_route(5.0, &back)), []);
}

#[test]
fn a_bad_fix_and_the_terminal_are_no_deviation() {
    assert_eq!(found(&off_route(5.0, &[(300.0, 1)])), []);
    // Within 500 m of the terminal at kilometre 0: 30 records of rolling about at 4 km/h, 300 m
    // to the side, cover 30 x 11 m, at most 330 m up the road: 446 m away.
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.off_by(300.0).drive(4, 30, 10);
    let e = j.judge_with(COACH, |r| r.routes.push(route()));
    assert_eq!(found(&e), []);
}

#[test]
fn silence_ends_a_deviation() {
    // 90 s outside, 20 minutes without a record, 90 s outside: nobody knows where it was between.
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = 5.0;
    j.drive(36, 5, 10).off_by(300.0).drive(36, 10, 10);
    j.wait(1200).drive(36, 10, 10);
    let e = j.judge_with(COACH, |r| r.routes.push(route()));
    assert_eq!(found(&e), []);
}
