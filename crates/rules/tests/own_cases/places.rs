//! Stops that are not registered, and zones with a ban.

use crate::journey::{COACH, GOODS, Journey, KM_PER_DEGREE, at, route, zone};
use waywarden_model::registry::{Ban, Class, Hours, Registers, Stop, Zone};
use waywarden_model::{Course, Kind, Position, Violation};
use waywarden_rules::evaluate::Evaluation;

fn of_kind(e: &Evaluation, kind: Kind) -> Vec<Violation> {
    let found = e.violations.iter().filter(|v| v.kind == kind);
    found.cloned().collect()
}

/// The route of 60 km with its terminal at kilometre 0, and a stop at 30 with 100 m around it.
fn with_stop(r: &mut Registers) {
    let mut route = route();
    route.stops.push(Stop {
        name: "half-way".into(),
        position: Position::new(21.0 + 30.0 / KM_PER_DEGREE, 107.0).unwrap(),
        radius_m: 100.0,
        terminal: false,
    });
    r.routes.push(route);
}

/// Seconds of the stops found of a coach that stands for `n` records, 30 s apart, at a kilometre.
fn stops(km: f64, off_m: f64, n: usize, door: Option<bool>) -> Vec<i64> {
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = km - 1.0;
    j.drive(36, 10, 10).off_by(off_m);
    let standing = j.records.len();
    j.park(n);
    for record in &mut j.records[standing..] {
        record.door = door;
    }
    j.off_by(0.0).drive(36, 10, 10);
    let e = j.judge_with(COACH, with_stop);
    let found = of_kind(&e, Kind::UnregisteredStop);
    found.iter().map(|v| v.duration_ms / 1000).collect()
}

#[test]
fn a_stop_off_the_registered_ones_lasts_three_minutes() {
    // n records at rest, 30 s apart: shown standing for (n - 1) x 30 s.
    assert!(stops(10.0, 0.0, 6, None).is_empty()); // 150 s
    assert_eq!(stops(10.0, 0.0, 7, None), [180]);
    assert!(stops(30.0, 0.0, 7, None).is_empty(), "the registered stop");
    assert!(stops(0.2, 0.0, 7, None).is_empty(), "the terminal");
    assert!(stops(10.0, 150.0, 7, None).is_empty(), "off the route");
}

#[test]
fn a_door_that_stays_shut_lets_nobody_in() {
    assert!(stops(10.0, 0.0, 7, Some(false)).is_empty());
    assert_eq!(stops(10.0, 0.0, 7, Some(true)), [180]);
}

#[test]
fn a_queue_that_creeps_on_is_no_stop() {
    // 3 km/h is standing (> 3 moves): 20 records 30 s apart are 475 m.
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = 9.0;
    j.drive(36, 10, 10);
    for _ in 0..20 {
        j.fix(300);
        j.wait(30);
        j.km += 0.025;
    }
    j.drive(36, 10, 10);
    let e = j.judge_with(COACH, with_stop);
    assert!(of_kind(&e, Kind::UnregisteredStop).is_empty());
}

/// What goes on is filed as it grows, so nothing that comes behind may make it never have been.
#[test]
fn a_stop_that_has_counted_is_not_taken_back() {
    let found = |n: usize| {
        let mut j = Journey::from("2026-03-10T03:00:00Z");
        j.km = 9.0;
        j.drive(36, 10, 10).park(n);
        // Slower than driving it comes 200 m on, and stands there with a shut door.
        j.km += 0.2;
        let creeping = j.records.len();
        j.park(20);
        j.records[creeping..]
            .iter_mut()
            .for_each(|r| r.door = Some(false));
        let e = j.judge_with(COACH, with_stop);
        let found = of_kind(&e, Kind::UnregisteredStop);
        let of = |v: &Violation| (v.duration_ms / 1000, v.open);
        found.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(found(7), [(180, false)], "it ends where it was left");
    assert!(found(6).is_empty(), "150 s, and all of it in two places");
}

#[test]
fn a_door_told_of_too_late_changes_nothing() {
    let found = |silent: usize| {
        let mut j = Journey::from("2026-03-10T03:00:00Z");
        j.km = 9.0;
        j.drive(36, 10, 10).park(12);
        let first = j.records.len() - 12;
        j.records[first + silent..]
            .iter_mut()
            .for_each(|r| r.door = Some(false));
        let e = j.judge_with(COACH, with_stop);
        of_kind(&e, Kind::UnregisteredStop).len()
    };
    assert_eq!(found(7), 1, "three minutes without a word of the door");
    assert_eq!(found(6), 0);
}

#[test]
fn only_registered_stops_bind_and_only_scheduled_transport() {
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = 9.0;
    j.drive(36, 10, 10).park(20);
    let found = |vehicle: &str, stops: bool| {
        let e = j.judge_with(vehicle, |r| {
            with_stop(r);
            if !stops {
                r.routes[0].stops.clear();
            }
        });
        of_kind(&e, Kind::UnregisteredStop).len()
    };
    assert_eq!(found(COACH, true), 1);
    assert_eq!(found("bus,bus_within_province,R1", true), 1);
    assert_eq!(found("car_over_28_seats,contract,R1", true), 0);
    assert_eq!(found(COACH, false), 0, "no stops are registered");
}

#[test]
fn silence_at_a_stop_proves_no_standing() {
    // Two minutes seen, an hour of silence, two minutes seen.
    let mut j = Journey::from("2026-03-10T03:00:00Z");
    j.km = 9.0;
    j.drive(36, 10, 10).park(5).wait(3600).park(5);
    let e = j.judge_with(COACH, with_stop);
    assert!(of_kind(&e, Kind::UnregisteredStop).is_empty());
    // Another two minutes behind it are 9 x 30 s from when it was seen again.
    j.park(5);
    let e = j.judge_with(COACH, with_stop);
    let found = of_kind(&e, Kind::UnregisteredStop);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].duration_ms, 270_000);
    assert_eq!(found[0].figures.object.as_deref(), Some("R1"));
}

fn banned(from_km: f64, to_km: f64, ban: Ban) -> Zone {
    Zone {
        limit: None,
        ban: Some(ban),
        ..zone("Z1", 50, from_km, to_km)
    }
}

/// 36 km/h is 100 m in 10 s. Northwards from kilometre 0 at a local time, the zone from 0.95 to 2.
fn through(time: &str, vehicle: &str, course: Option<f64>, ban: Ban) -> Vec<Violation> {
    let mut j = Journey::from(time);
    j.drive(36, 40, 10);
    for record in &mut j.records {
        record.course = course.and_then(Course::from_degrees);
    }
    let e = j.judge_with(vehicle, |r| r.zones.push(banned(0.95, 2.05, ban)));
    of_kind(&e, Kind::ForbiddenZone)
}

const SEVEN: &str = "2026-03-10T07:00:00+07:00";

#[test]
fn a_ban_is_on_classes() {
    let lorries = || Ban {
        classes: vec![Class::TruckOver3_5t],
        ..Ban::default()
    };
    // Kilometre 1.0 is the 11th record, 2.0 the 21st.
    let found = through(SEVEN, GOODS, None, lorries());
    assert_eq!(found.len(), 1);
    let v = &found[0];
    assert_eq!(v.start, at("2026-03-10T07:01:40+07:00"));
    assert_eq!(v.end, at("2026-03-10T07:03:20+07:00"));
    assert_eq!(v.distance.unwrap().decimetres(), 10_000);
    assert_eq!(v.figures.object.as_deref(), Some("Z1"));
    assert!(through(SEVEN, COACH, None, lorries()).is_empty());
    assert!(through(SEVEN, ",,", None, lorries()).is_empty(), "unknown");
    assert_eq!(through(SEVEN, ",,", None, Ban::default()).len(), 1);
}

#[test]
fn a_ban_has_hours_of_the_local_day() {
    let morning = || Ban {
        hours: vec![Hours {
            from: 360,
            until: 422,
        }],
        ..Ban::default()
    };
    // Until 07:02: it ends within the zone, at the last record before, 07:01:50. That is
    // 2 records and 100 m: too little. Begun a minute earlier it is 8 records.
    assert!(through(SEVEN, GOODS, None, morning()).is_empty());
    let found = through("2026-03-10T06:59:00+07:00", GOODS, None, morning());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].end, at("2026-03-10T07:01:50+07:00"));
    assert!(through("2026-03-10T12:00:00+07:00", GOODS, None, morning()).is_empty());
}

#[test]
fn a_ban_has_a_direction() {
    let northwards = || Ban {
        direction: Course::from_degrees(0.0),
        ..Ban::default()
    };
    assert_eq!(through(SEVEN, GOODS, Some(10.0), northwards()).len(), 1);
    assert!(through(SEVEN, GOODS, Some(180.0), northwards()).is_empty());
    assert!(through(SEVEN, GOODS, None, northwards()).is_empty());
}

#[test]
fn who_is_parked_in_it_does_not_drive_in_it() {
    let night = Ban {
        hours: vec![Hours {
            from: 0,
            until: 360,
        }],
        ..Ban::default()
    };
    let mut j = Journey::from("2026-03-09T23:50:00+07:00");
    j.km = 1.5;
    j.drive(36, 2, 10).park(200);
    let judge = |j: &Journey| {
        let e = j.judge_with(GOODS, |r| r.zones.push(banned(0.95, 3.05, night.clone())));
        of_kind(&e, Kind::ForbiddenZone)
    };
    assert!(judge(&j).is_empty());
    // It leaves before six: from its first fix that moves on, with a stop of a minute on the way.
    let start = j.t;
    j.drive(36, 3, 10).park(2).drive(36, 3, 10);
    let found = judge(&j);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].start, start);
    assert_eq!(found[0].duration_ms, 110_000);
}

#[test]
fn a_single_fix_in_it_is_no_entry() {
    let mut j = Journey::from(SEVEN);
    j.drive(36, 10, 10).off_by(5000.0).drive(36, 10, 10);
    j.off_by(0.0).drive(36, 1, 10);
    j.off_by(5000.0).drive(36, 10, 10);
    let everywhere = banned(-1.0, 50.0, Ban::default());
    let e = j.judge_with(GOODS, |r| r.zones.push(everywhere));
    let found = of_kind(&e, Kind::ForbiddenZone);
    assert_eq!(found.len(), 1, "the first ten records");
    assert_eq!(found[0].end, at("2026-03-10T07:01:30+07:00"));
}
