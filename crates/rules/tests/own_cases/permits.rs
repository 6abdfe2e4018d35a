//! In service with a permit that does not entitle.

use crate::journey::{COACH, FIRST, GOODS, Journey, SECOND, at, licence, route};
use waywarden_model::registry::{Driver, Operator, Permit, Registers, Validity};
use waywarden_model::{DriverSaid, Kind, Rule, Violation};

fn until(time: &str) -> Permit {
    Permit {
        expires: Some(at(time)),
        withdrawn: None,
    }
}

fn driver(id: &str, class: &str, licence: Permit) -> Driver {
    Driver {
        id: id.into(),
        name: "A".to_owned(),
        licence_class: Some(class.to_owned()),
        licence,
        operator: None,
        validity: Validity::ALWAYS,
    }
}

/// From 20:00 local, 30 s apart: two records at rest, 20 that drive, three at rest.
fn evening() -> Journey {
    let mut j = Journey::from("2026-03-10T20:00:00+07:00");
    j.park(2).drive(50, 20, 30).park(3);
    j
}

fn found(j: &Journey, vehicle: &str, more: impl FnOnce(&mut Registers)) -> Vec<Violation> {
    let e = j.judge_with(vehicle, |r| {
        r.routes.push(route());
        more(r);
    });
    e.violations
        .into_iter()
        .filter(|v| v.rule.is_some())
        .collect()
}

fn rules(found: &[Violation]) -> Vec<(Kind, Rule)> {
    found.iter().map(|v| (v.kind, v.rule.unwrap())).collect()
}

#[test]
fn nothing_known_accuses_nobody() {
    assert!(found(&evening(), GOODS, |_| {}).is_empty());
    let registered = driver(FIRST, "C", Permit::default());
    assert!(found(&evening(), GOODS, |r| r.drivers.push(registered)).is_empty());
}

#[test]
fn inspection_and_badge_of_the_vehicle() {
    // Driving is shown from the second moving record on (two of them, more than 100 m): 20:01:30.
    // The stop's first record, 20:11:00, still drives: the second confirms it.
    let first = "2026-03-10T20:01:30+07:00";
    let last = "2026-03-10T20:11:00+07:00";
    let of = |expires: &str| {
        let expires = until(expires);
        found(&evening(), GOODS, |r| r.vehicles[0].inspection = expires)
    };
    let all = of("2026-03-10T00:00:00+07:00");
    assert_eq!(rules(&all), [(Kind::Inspection, Rule::Expired)]);
    assert_eq!((all[0].start, all[0].end), (at(first), at(last)));
    assert_eq!(all[0].driver, Some(FIRST.into()));
    // It lapses on the way; and after the last fix that drives.
    let all = of("2026-03-10T20:05:10+07:00");
    assert_eq!(all[0].start, at("2026-03-10T20:05:30+07:00"));
    assert!(of("2026-03-10T20:11:01+07:00").is_empty());
    let taken = Permit {
        withdrawn: Some(at("2026-03-01T00:00:00+07:00")),
        ..until("2026-03-02T00:00:00+07:00")
    };
    let all = found(&evening(), GOODS, |r| r.vehicles[0].badge = taken);
    assert_eq!(rules(&all), [(Kind::Badge, Rule::Withdrawn)]);
}

#[test]
fn the_operators_licence_at_the_time() {
    let operator = |from: &str, licence: Permit| Operator {
        id: "57".into(),
        name: "A".to_owned(),
        address: None,
        phone: None,
        licence,
        validity: Validity {
            from: at(from),
            ..Validity::ALWAYS
        },
    };
    let with = |o: Operator| {
        found(&evening(), GOODS, |r| {
            r.vehicles[0].operator = Some("57".into());
            r.operators.push(o);
        })
    };
    let expired = until("2026-01-01T00:00:00+07:00");
    let all = with(operator("2025-01-01T00:00:00+07:00", expired));
    assert_eq!(rules(&all), [(Kind::OperatorLicence, Rule::Expired)]);
    assert_eq!(all[0].operator, Some("57".into()));
    // The row says so only from 20:06 on.
    let all = with(operator("2026-03-10T20:06:00+07:00", expired));
    assert_eq!(all[0].start, at("2026-03-10T20:06:00+07:00"));
}

#[test]
fn a_day_is_one_case_and_the_next_another() {
    // Over midnight: 23:50 to 0:10, with a stop; both days are in service.
    let mut j = Journey::from("2026-03-10T23:50:00+07:00");
    j.drive(50, 10, 30).park(4).drive(50, 26, 30).park(3);
    let expired = until("2026-01-01T00:00:00+07:00");
    let all = found(&j, GOODS, |r| r.vehicles[0].inspection = expired);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].end, at("2026-03-10T23:59:30+07:00"));
    assert_eq!(all[1].start, at("2026-03-11T00:00:00+07:00"));
    assert!(all.iter().all(|v| !v.open));
}

#[test]
fn the_licence_of_who_drives() {
    let expired = until("2026-03-10T00:00:00+07:00");
    let mut j = Journey::from("2026-03-10T20:00:00+07:00");
    j.park(2).drive(50, 20, 30);
    j.driver(licence(SECOND)).drive(50, 20, 30);
    j.driver(DriverSaid::Nobody).drive(50, 5, 30).park(3);
    let both = |r: &mut Registers| {
        r.drivers.push(driver(FIRST, "C", expired));
        r.drivers.push(driver(SECOND, "C", Permit::default()));
    };
    let all = found(&j, GOODS, both);
    assert_eq!(rules(&all), [(Kind::DrivingLicence, Rule::Expired)]);
    assert_eq!(all[0].driver, Some(FIRST.into()));
    assert_eq!(all[0].end, at("2026-03-10T20:10:30+07:00"));
    // Both expired: two cases, since two drivers are at fault.
    let all = found(&j, GOODS, |r| {
        both(r);
        r.drivers[1].licence = expired;
    });
    let drivers: Vec<_> = all.iter().map(|v| v.driver.clone().unwrap()).collect();
    assert_eq!(drivers, [FIRST.into(), SECOND.into()]);
}

#[test]
fn the_class_of_the_licence_is_for_the_class_of_the_vehicle() {
    let semi = "tractor_with_semi_trailer,container,";
    for (vehicle, licence, wrong) in [
        (GOODS, "C", false),
        (GOODS, "B2", true),
        (GOODS, "b2, fc", false), // the second is good for it
        (GOODS, "", false),
        (GOODS, "Z9", false),     // a class that the law's list does not know
        (GOODS, "B2, Z9", false), // might be good
        (semi, "C", true),
        (semi, "CE", false),
        (COACH, "C", true),
        (COACH, "D", false),
        ("motorcycle,internal,", "C", true),
        ("special_machine,internal,", "A1", false), // no list for the vehicle
        (",,", "A1", false),                        // nor for an unknown one
    ] {
        let registered = driver(FIRST, licence, Permit::default());
        let all = found(&evening(), vehicle, |r| r.drivers.push(registered));
        let expected: &[_] = if wrong {
            &[(Kind::DrivingLicence, Rule::WrongClass)]
        } else {
            &[]
        };
        assert_eq!(rules(&all), expected, "{vehicle} {licence}");
    }
}

#[test]
fn the_law_before_2025_has_no_list_of_classes_here() {
    let mut j = Journey::from("2024-06-10T20:00:00+07:00");
    j.park(2).drive(50, 20, 30).park(3);
    let registered = driver(FIRST, "B2", Permit::default());
    assert!(found(&j, GOODS, |r| r.drivers.push(registered)).is_empty());
}
