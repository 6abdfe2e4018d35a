//! What the law finds in a simulated fleet: every kind of violation that a demonstration needs,
//! and none with those who keep the law.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::collections::{BTreeMap, BTreeSet};
use waywarden_model::registry::{
    Class, Fitting, Permit, Registers, Registry, Route, Stop, Transport, Validity,
    Vehicle as Registered,
};
use waywarden_model::{
    Band, Kind, Plate, Record, SourceId, Speed, Timestamp, VehicleId, Violation,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::evaluate;
use waywarden_rules::{Context, Profiles};
use waywarden_simulator::{Habit, Road, Span, Told, Vehicle, imei};

const DAY_MS: i64 = 86_400_000;
const VEHICLES: u32 = 12;
const REGISTERED: u32 = 24;

/// Violations of the fleet by the number of the vehicle.
fn violations(from: &str, days: i64, every_ms: i64, seed: u64) -> BTreeMap<u32, Vec<Violation>> {
    let from = Timestamp::parse_rfc3339(from).unwrap();
    let span = Span {
        from,
        until: from.plus_millis(days * DAY_MS),
        every_ms,
    };
    let records = (0..VEHICLES).flat_map(|n| {
        let source = SourceId::new(imei(n));
        Vehicle::new(seed, n, Road::coast(), span).map(move |r| (source.clone(), r))
    });
    judged(records)
}

fn judged(records: impl Iterator<Item = (SourceId, Record)>) -> BTreeMap<u32, Vec<Violation>> {
    let registry = Registry::new(1, registers());
    let (network, profiles) = (Network::build(&registry), Profiles::vietnam());
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let mut by_vehicle: BTreeMap<u32, Vec<Violation>> =
        (0..VEHICLES).map(|n| (n, vec![])).collect();
    for violation in evaluate(records, &ctx, Timestamp::MAX).violations {
        let plate = violation.plate.clone().expect("every vehicle is fitted");
        let n: u32 = plate.as_str().trim_start_matches("14H").parse().unwrap();
        by_vehicle.entry(n).or_default().push(violation);
    }
    by_vehicle
}

/// Heavy trucks on the coast road; those who go astray are coaches whose route it is.
fn registers() -> Registers {
    let validity = Validity::ALWAYS;
    let road = Road::coast();
    let ends = [road.points()[0], road.points()[road.points().len() - 1]];
    let stops = ends.map(|position| Stop {
        name: "Bến xe".to_owned(),
        position,
        radius_m: 300.0,
        terminal: true,
    });
    Registers {
        vehicles: (0..REGISTERED).map(registered).collect(),
        fittings: (0..REGISTERED)
            .map(|n| Fitting {
                source: SourceId::new(imei(n)),
                vehicle: VehicleId::new(format!("v{n}")),
                primary: true,
                validity,
            })
            .collect(),
        routes: vec![Route {
            id: "coast".into(),
            name: "Uông Bí - Vân Đồn".to_owned(),
            line: road.points().to_vec(),
            half_width_m: 200.0,
            stops: stops.to_vec(),
            validity,
        }],
        ..Registers::default()
    }
}

fn registered(n: u32) -> Registered {
    let astray = Habit::of(n) == Habit::Astray;
    Registered {
        id: VehicleId::new(format!("v{n}")),
        plate: Plate::new(&format!("14H{n:05}")),
        class: Some(Class::TruckOver3_5t),
        transport: Some(if astray {
            Transport::FixedRoute
        } else {
            Transport::Goods
        }),
        operator: None,
        route: astray.then(|| "coast".into()),
        speed_limit: None,
        break_ms: None,
        inspection: Permit::default(),
        badge: Permit::default(),
        validity: Validity::ALWAYS,
    }
}

fn kinds(violations: &[Violation]) -> BTreeSet<Kind> {
    violations.iter().map(|v| v.kind).collect()
}

fn check_day(from: &str, seed: u64) {
    let mut bands = BTreeSet::new();
    for (n, found) in violations(from, 1, 10_000, seed) {
        let (habit, kinds) = (Habit::of(n), kinds(&found));
        let told = format!("{from}, seed {seed}, vehicle {n} ({habit:?}): {kinds:?}");
        match habit {
            Habit::Plain | Habit::Shadowed => assert!(kinds.is_empty(), "{told}"),
            Habit::Fast => assert_eq!(kinds, [Kind::Overspeed].into(), "{told}"),
            Habit::Tireless => assert!(kinds.contains(&Kind::ContinuousDriving), "{told}"),
            Habit::LongDay => assert!(kinds.contains(&Kind::DailyDriving), "{told}"),
            // They rest where they are, and only the two terminals are registered as stops.
            Habit::Astray => {
                let expected = [Kind::RouteDeviation, Kind::UnregisteredStop];
                assert_eq!(kinds, expected.into(), "{told}");
            }
        }
        bands.extend(found.iter().filter_map(|v| v.band));
    }
    let several = [
        Band::From5To10,
        Band::From10To20,
        Band::From20To35,
        Band::Above35,
    ];
    let missing: Vec<_> = several.iter().filter(|b| !bands.contains(b)).collect();
    assert!(
        missing.is_empty(),
        "{from}, seed {seed}: no speeds in {missing:?}"
    );
}

#[test]
fn a_past_day_shows_every_kind() {
    check_day("2026-03-10T00:00:00+07:00", 1);
    check_day("2026-03-10T00:00:00+07:00", 2);
}

#[test]
fn a_day_shows_every_kind_from_whatever_hour_and_under_the_law_of_july_2026() {
    check_day("2026-11-23T06:30:00+07:00", 1);
    check_day("2026-11-23T14:15:00+07:00", 3);
    check_day("2026-11-23T21:00:00+07:00", 4);
}

#[test]
fn a_week_shows_who_drives_more_than_48_hours() {
    for (n, found) in violations("2026-03-09T00:00:00+07:00", 7, 30_000, 1) {
        let weekly = kinds(&found).contains(&Kind::WeeklyDriving);
        match Habit::of(n) {
            Habit::LongDay => assert!(weekly, "vehicle {n}"),
            // Seven hours on seven days: at the very limit.
            Habit::Tireless => {}
            _ => assert!(!weekly, "vehicle {n}"),
        }
    }
}

/// What a demonstration shows of its past day, whenever it is started.
#[test]
fn a_fleet_in_shifts_shows_every_kind_and_drives_at_any_hour() {
    let from = Timestamp::parse_rfc3339("2026-11-09T00:00:00+07:00").unwrap();
    for hours in (0..24).step_by(6) {
        let now = from.plus_millis(8 * DAY_MS + hours * 3_600_000);
        let (span, told) = (
            Span {
                from,
                until: now,
                every_ms: 10_000,
            },
            Told::Since {
                from: now.plus_millis(-DAY_MS),
                whole: 3,
            },
        );
        let fleet = |n| {
            let vehicle = Vehicle::new(1, n, Road::coast(), span).in_shifts(n);
            vehicle.filter(move |r| told.tells(n, r.time))
        };
        let moves = |n: &u32| fleet(*n).last().unwrap().speed > Some(Speed::from_kmh(3));
        assert!((0..24).any(|n| moves(&n)), "nobody drives at {now}");
        let records = (0..24).flat_map(|n| fleet(n).map(move |r| (SourceId::new(imei(n)), r)));
        let found = judged(records);
        let shown: BTreeSet<Kind> = found.values().flat_map(|v| kinds(v)).collect();
        let expected = [
            Kind::Overspeed,
            Kind::ContinuousDriving,
            Kind::DailyDriving,
            Kind::WeeklyDriving,
            Kind::RouteDeviation,
            Kind::UnregisteredStop,
        ];
        assert!(shown.is_superset(&expected.into()), "{now}: {shown:?}");
    }
}
