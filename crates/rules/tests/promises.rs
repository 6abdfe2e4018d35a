//! What judging promises whatever the order, the repetition, the batches and the restarts.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use proptest::prelude::*;
use std::collections::BTreeSet;
use waywarden_model::registry::{
    Ban, Class, Driver, Permit, Registers, Registry, Route, Stop, Validity, Zone,
};
use waywarden_model::{
    Alarm, CardId, DriverId, DriverSaid, Kind, Position, Record, RecordKind, SourceId, Speed,
    Timestamp,
};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{Evaluation, evaluate, input, sort};
use waywarden_rules::{
    Ahead, Context, Outputs, Profiles, SourceState, end_day, finish, flush, step,
};

const START_S: i64 = 1_773_100_800; // 2026-03-10T00:00:00Z

struct World {
    registry: Registry,
    network: Network,
    profiles: Profiles,
}

impl World {
    fn new() -> Self {
        let text =
            "plate,class,transport,route\n14C1,car_over_28_seats,fixed_route,R1\n14C2,bus,taxi,\n";
        let mut registers = input::vehicles(text).unwrap();
        places(&mut registers);
        permits(&mut registers);
        registers.cards.push(waywarden_model::registry::Card {
            id: CardId::from("0A"),
            driver: DriverId::from("220000000001"),
            validity: Validity::ALWAYS,
        });
        let registry = Registry::new(1, registers);
        let network = Network::build(&registry);
        Self {
            registry,
            network,
            profiles: Profiles::vietnam(),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            registry: &self.registry,
            network: &self.network,
            profiles: &self.profiles,
        }
    }

    fn evaluate(&self, records: Vec<(SourceId, Record)>) -> Evaluation {
        evaluate(records, &self.context(), Timestamp::MAX)
    }
}

/// The road north for 100 km with a stop at its beginning; of three zones on it two are banned.
fn places(registers: &mut Registers) {
    let p = |km: f64, lon: f64| Position::new(21.0 + km / 111.195, lon).unwrap();
    registers.routes.push(Route {
        id: "R1".into(),
        name: "R1".into(),
        line: vec![p(0.0, 107.0), p(100.0, 107.0)],
        half_width_m: 100.0,
        stops: vec![Stop {
            name: "south".into(),
            position: p(0.0, 107.0),
            radius_m: 300.0,
            terminal: true,
        }],
        validity: Validity::ALWAYS,
    });
    for (id, km, classes) in [
        ("Z1", 1.0, vec![]),
        ("Z2", 2.0, vec![Class::CarOver28Seats]),
        ("Z3", 8.0, vec![Class::Tanker]),
    ] {
        let corners = [
            (km, 106.9),
            (km, 107.1),
            (km + 5.0, 107.1),
            (km + 5.0, 106.9),
        ];
        let ring = corners.iter().chain(&corners[..1]);
        registers.zones.push(Zone {
            id: id.into(),
            name: id.into(),
            polygons: vec![vec![ring.map(|(km, lon)| p(*km, *lon)).collect()]],
            limit: None,
            setting: None,
            ban: Some(Ban {
                classes,
                ..Ban::default()
            }),
            validity: Validity::ALWAYS,
        });
    }
}

/// The inspection lapses an hour in; one of the drivers must not drive a coach.
fn permits(registers: &mut Registers) {
    registers.vehicles[0].inspection.expires = Some(Timestamp::from_secs(START_S + 3600));
    registers.drivers.push(Driver {
        id: DriverId::from("220000000001"),
        name: "A".into(),
        licence_class: Some("B2".into()),
        licence: Permit::default(),
        operator: None,
        validity: Validity::ALWAYS,
    });
}

/// Each rule must be met by some journey, so that the promises are about it.
#[test]
fn the_journeys_meet_every_rule_of_a_vehicle() {
    let world = World::new();
    let legs = [
        (30, 50, 12, 1),
        (30, 0, 12, 0),
        (10, 120, 30, 2),
        (30, 3, 12, 3),
        (60, 50, 70, 1),
        (200, 60, 3, 2),
    ];
    let records = journey(&legs).into_iter().map(|r| ("14C1".into(), r));
    let found: BTreeSet<Kind> = world
        .evaluate(records.collect())
        .violations
        .into_iter()
        .map(|v| v.kind)
        .collect();
    for kind in [
        Kind::Overspeed,
        Kind::TransmissionGap,
        Kind::DriverNotIdentified,
        Kind::UnregisteredStop,
        Kind::ForbiddenZone,
        Kind::DrivingLicence,
        Kind::Inspection,
        Kind::Tampering,
    ] {
        assert!(found.contains(&kind), "no {kind:?} in {found:?}");
    }
}

/// A rebuild stops where it comes to a state that was saved: at rest over midnight a state holds
/// nothing of how many records there were, nor of the registers that they were judged by.
#[test]
fn a_state_at_rest_forgets_the_day_before() {
    let world = World::new();
    let later = Registry::new(2, world.registry.registers().clone());
    let mut records = journey(&[(30, 50, 40, 2)]);
    // From then on it stands, once a minute for a day.
    let last = Record {
        speed: Some(Speed::ZERO),
        ..records.last().unwrap().clone()
    };
    records.extend((1..1440).map(|minute| Record {
        time: last.time.plus_millis(minute * 60_000),
        ..last.clone()
    }));
    let state = |registry: &Registry, left_out: usize| {
        let ctx = Context {
            registry,
            ..world.context()
        };
        let mut state = SourceState::new("14C2".into());
        let mut out = Outputs::default();
        let kept = records.iter().enumerate().filter(|(n, _)| *n != left_out);
        kept.for_each(|(_, r)| {
            step(&mut state, r, &ctx, &mut out);
        });
        end_day(&mut state, &mut out);
        state.between_days()
    };
    let expected = state(&world.registry, usize::MAX);
    assert_eq!(state(&world.registry, 20), expected);
    assert_eq!(state(&later, 20), expected);
}

/// One leg: seconds between records, km/h, how many records, driver.
fn leg() -> impl Strategy<Value = (i64, i32, usize, u8)> {
    let every = prop_oneof![Just(5), Just(10), Just(30), Just(60), Just(200), Just(1000)];
    (
        every,
        prop_oneof![Just(0), Just(3), 4..70, 70..130],
        1usize..40,
        0u8..4,
    )
}

fn journey(legs: &[(i64, i32, usize, u8)]) -> Vec<Record> {
    let (mut t, mut lat, mut n) = (START_S, 21.0, 0);
    let mut records = Vec::new();
    let mut odometer_m = 1000;
    for (every, kmh, count, leg_driver) in legs {
        // One leg in some begins elsewhere.
        lat += if *kmh == 3 { 0.2 } else { 0.0 };
        for _ in 0..*count {
            t += every;
            lat += f64::from(*kmh) * (*every as f64) / 3600.0 / 111.195;
            n += 1;
            let Some(position) = Position::new(lat, 107.0) else {
                continue;
            };
            let driver = match leg_driver {
                0 => DriverSaid::NotSaid,
                1 => DriverSaid::Nobody,
                2 => DriverSaid::Card(CardId::from("0A")),
                _ => DriverSaid::Licence(DriverId::from("220000000002")),
            };
            // In some legs it tells nothing of its door, in others now and then.
            let tells_of_door = *leg_driver != 1 && n % 3 > 0;
            // Whole speeds would freeze (A6), so they waver by hundredths.
            let speed = Some(Speed::from_centi(kmh * 100 + n % 7));
            // The odometer runs at a standstill too.
            odometer_m += 150;
            let mut fix = Record::fix(Timestamp::from_secs(t), position);
            if n % 37 < 2 {
                fix.alarms.insert(Alarm::PowerCut);
            }
            records.push(Record {
                speed,
                driver,
                odometer_m: Some(odometer_m),
                door: tells_of_door.then_some(n % 2 == 0),
                ..fix
            });
            if n % 50 == 0 {
                let out = Record::status(Timestamp::from_secs(t + 1)).of_kind(RecordKind::CardOut);
                records.push(out);
            }
        }
    }
    records
}

fn shuffled<T: Clone>(items: &[T], seed: u64) -> Vec<T> {
    let mut keyed: Vec<(u64, T)> = items
        .iter()
        .enumerate()
        .map(|(i, item)| {
            (
                (i as u64 + 1).wrapping_mul(seed | 1).rotate_left(29) ^ seed,
                item.clone(),
            )
        })
        .collect();
    keyed.sort_by_key(|(k, _)| k.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    keyed.into_iter().map(|(_, item)| item).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn order_and_repetition_change_nothing(
        first in prop::collection::vec(leg(), 1..12),
        second in prop::collection::vec(leg(), 0..6),
        seed: u64,
    ) {
        let world = World::new();
        let of = |plate: &str, legs: &[_]| -> Vec<(SourceId, Record)> {
            journey(legs).into_iter().map(|r| (SourceId::from(plate), r)).collect()
        };
        let mut records = of("14C1", &first);
        records.extend(of("14C2", &second));
        let once = world.evaluate(records.clone());
        let mut again = records.clone();
        again.extend(records.iter().step_by(3).cloned());
        let mixed = world.evaluate(shuffled(&again, seed));
        prop_assert_eq!(&once.violations, &mixed.violations);
        prop_assert_eq!(&once.periods, &mixed.periods);
        prop_assert_eq!(&once.day_rows, &mixed.day_rows);
        prop_assert_eq!(&once.driver_days, &mixed.driver_days);
        prop_assert_eq!(mixed.counts.judged, records.len() as u64);
    }

    #[test]
    fn restarts_and_batches_change_nothing(
        legs in prop::collection::vec(leg(), 1..12),
        every in 1usize..30,
    ) {
        let world = World::new();
        let ctx = world.context();
        let mut records = journey(&legs);
        sort(&mut records);
        let (mut plain, mut broken) = (Outputs::default(), Outputs::default());
        let mut state = SourceState::new("14C1".into());
        records.iter().for_each(|r| { step(&mut state, r, &ctx, &mut plain); });
        finish(&mut state, &ctx, &mut plain);
        let mut state = SourceState::new("14C1".into());
        for batch in records.chunks(every) {
            batch.iter().for_each(|r| { step(&mut state, r, &ctx, &mut broken); });
            flush(&mut state, &mut broken);
            let saved = state.to_bytes();
            prop_assert!(saved.len() <= 2048, "{} bytes", saved.len());
            state = SourceState::from_bytes(&saved).unwrap();
        }
        finish(&mut state, &ctx, &mut broken);
        prop_assert_eq!(plain.violations, broken.violations);
        prop_assert_eq!(plain.periods, broken.periods);
        prop_assert_eq!(plain.day_rows, broken.day_rows);
    }

    /// Of records that come in their order, what is filed ahead of judging is what judging says.
    #[test]
    fn verdicts_ahead_are_right_in_order(legs in prop::collection::vec(leg(), 1..12)) {
        let world = World::new();
        let ctx = world.context();
        let mut records = journey(&legs);
        sort(&mut records);
        let (mut state, mut ahead) = (SourceState::new("14C1".into()), Ahead::default());
        let mut out = Outputs::default();
        for r in &records {
            let judged = step(&mut state, r, &ctx, &mut out);
            prop_assert_eq!(ahead.verdict(r, &world.profiles), judged);
        }
    }

    #[test]
    fn damaged_states_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = SourceState::from_bytes(&bytes);
    }
}
