//! Signs of tampering.

use crate::journey::{FIRST, GOODS, Journey, at};
use waywarden_model::{Alarm, Kind, Record, Rule, Violation};

fn found(j: &Journey) -> Vec<Violation> {
    let e = j.judge(GOODS);
    let signs = e.violations.into_iter();
    signs.filter(|v| v.kind == Kind::Tampering).collect()
}

/// Drives for `before` records, jumps by `km`, drives on for `after` records, 30 s apart.
fn jumped(before: usize, km: f64, after: usize) -> Journey {
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.drive(50, before, 30);
    j.km += km;
    j.drive(50, after, 30);
    j
}

#[test]
fn a_jump_that_is_stayed_at() {
    // The third record behind it is the new anchor (A3b). 10 x 30 s before: the last is at 4:30,
    // the anchor at 6:00; between them 50 km and 3 x 0.4167 km of driving.
    let found_ = found(&jumped(10, 50.0, 5));
    assert_eq!(found_.len(), 1);
    let v = &found_[0];
    assert_eq!(v.rule, Some(Rule::Jump));
    assert_eq!(v.start, at("2026-03-10T00:04:30Z"));
    assert_eq!(v.end, at("2026-03-10T00:06:00Z"));
    assert!((v.distance.unwrap().km() - 51.25).abs() < 0.001);
    assert_eq!(v.driver, Some(FIRST.into()));
}

#[test]
fn bad_fixes_are_no_jump() {
    assert!(found(&jumped(10, 50.0, 2)).is_empty(), "two that agree");
    // 3.4 km and 3 x 0.4167 km are 4.65 km; 4 km are 5.25 km. A street's echo is hundreds of metres.
    assert!(found(&jumped(10, 3.4, 5)).is_empty());
    assert_eq!(found(&jumped(10, 4.0, 5)).len(), 1);
    // The first fix of all was wrong; and two.
    assert!(found(&jumped(1, 50.0, 5)).is_empty());
    assert!(found(&jumped(2, 50.0, 5)).is_empty());
    assert_eq!(found(&jumped(3, 50.0, 5)).len(), 1);
}

/// `n` records every 30 s in one place, each `metres` further by the odometer.
fn still(j: &mut Journey, n: usize, metres: u64, odometer: &mut u64) {
    for _ in 0..n {
        *odometer += metres;
        j.fix(0);
        j.records.last_mut().unwrap().odometer_m = Some(*odometer);
        j.wait(30);
    }
}

#[test]
fn the_odometer_runs_in_one_place() {
    // 250 m in 30 s: the fourth such record makes 1000 m.
    let run = |n: usize| {
        let mut odometer = 50_000;
        let mut j = Journey::from("2026-03-10T00:00:00Z");
        still(&mut j, 5, 0, &mut odometer);
        still(&mut j, n, 250, &mut odometer);
        still(&mut j, 20, 0, &mut odometer);
        j.km += 1.0;
        j.drive(50, 3, 30);
        found(&j)
    };
    assert!(run(3).is_empty());
    let all = run(4);
    assert_eq!(all.len(), 1);
    let v = &all[0];
    assert_eq!(v.rule, Some(Rule::FrozenPosition));
    // From the last record before it ran (the fifth) to the last with which it ran.
    assert_eq!(v.start, at("2026-03-10T00:02:00Z"));
    assert_eq!(v.end, at("2026-03-10T00:04:00Z"));
    assert_eq!(v.distance.unwrap().km(), 1.0);
    assert!(!v.open);
}

#[test]
fn an_odometer_that_is_set_or_a_gap_is_no_run() {
    let mut odometer = 50_000;
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    still(&mut j, 5, 0, &mut odometer);
    odometer += 100_000; // set: 100 km in 30 s
    still(&mut j, 5, 0, &mut odometer);
    odometer = 10; // another odometer
    still(&mut j, 5, 0, &mut odometer);
    j.wait(3600); // driven away and back while nothing was sent
    odometer += 20_000;
    still(&mut j, 5, 0, &mut odometer);
    assert!(found(&j).is_empty());
    // A receiver's noise is another place each time.
    for _ in 0..20 {
        j.km += 0.000_001;
        still(&mut j, 1, 250, &mut odometer);
    }
    assert!(found(&j).is_empty());
}

fn cut(t: waywarden_model::Timestamp, alarm: Alarm) -> Record {
    let mut record = Record::status(t);
    record.alarms.insert(alarm);
    record
}

#[test]
fn a_cut_on_the_way_is_one_case_however_often_it_is_told() {
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.drive(50, 10, 30);
    let first = j.t.plus_millis(-5000);
    for minutes in [0, 1, 9, 15] {
        let t = first.plus_millis(minutes * 60_000);
        j.records.push(cut(t, Alarm::PowerCut));
    }
    j.drive(50, 60, 30);
    // Ten minutes of quiet, and it is cut again: another case.
    let again = first.plus_millis(25 * 60_000);
    j.records.push(cut(again, Alarm::PowerOff));
    let all = found(&j);
    let told: Vec<_> = all.iter().map(|v| (v.rule, v.start, v.end)).collect();
    let last = first.plus_millis(15 * 60_000);
    let rule = Some(Rule::PowerCut);
    assert_eq!(told, [(rule, first, last), (rule, again, again)]);
}

#[test]
fn a_battery_that_is_switched_off_at_rest_is_no_sign() {
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.drive(50, 10, 30).park(3);
    j.records.push(cut(j.t.plus_millis(1000), Alarm::PowerCut));
    j.wait(30).park(3);
    assert!(found(&j).is_empty());
    // Nor long after the last fix that moved.
    let mut j = Journey::from("2026-03-10T00:00:00Z");
    j.drive(50, 10, 30);
    let last = j.t.plus_millis(-30_000);
    j.records
        .push(cut(last.plus_millis(900_000), Alarm::PowerCut));
    assert!(found(&j).is_empty());
    j.records.pop();
    j.records
        .push(cut(last.plus_millis(899_000), Alarm::PowerCut));
    assert_eq!(found(&j).len(), 1);
}
