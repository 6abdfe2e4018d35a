//! Journeys of devices, as records.

use super::START_S;
use proptest::prelude::*;
use waywarden_model::{Alarm, DriverSaid, Position, Record, Speed, Timestamp};

/// A journey over midnight in pieces: speed, driver, and how many records of it.
#[derive(Debug, Clone)]
pub struct Leg {
    pub kmh: i32,
    pub every_s: i64,
    pub records: usize,
    pub driver: u8,
}

pub fn leg() -> impl Strategy<Value = Leg> {
    let kmh = prop_oneof![Just(0), Just(50), Just(85), Just(97), Just(130)];
    let every = prop_oneof![8 => Just(10i64), 4 => Just(30), 1 => Just(200), 1 => Just(1200)];
    (kmh, every, 1usize..60, 0u8..3).prop_map(|(kmh, every_s, records, driver)| Leg {
        kmh,
        every_s,
        records,
        driver,
    })
}

/// Records of a source; at some instants two that differ.
pub fn journey(source: usize, legs: &[Leg]) -> Vec<Record> {
    let (mut t, mut lat) = (START_S + source as i64, 20.5);
    let mut records = Vec::new();
    for leg in legs {
        for n in 0..leg.records {
            t += leg.every_s;
            lat += f64::from(leg.kmh) / 3600.0 * leg.every_s as f64 / 111.195;
            if lat > 23.0 {
                lat = 20.5;
            }
            let place = Position::new(lat, 107.0 + source as f64 * 0.1).unwrap();
            let mut fix = Record::fix(Timestamp::from_secs(t), place);
            fix.speed = Some(Speed::from_centi(leg.kmh * 100 + (n % 5) as i32));
            // It runs at a standstill too, and now and then the power is cut.
            fix.odometer_m = Some(10_000 + 40 * records.len() as u64);
            if records.len() % 61 < 2 {
                fix.alarms.insert(Alarm::PowerCut);
            }
            fix.driver = match leg.driver {
                0 => DriverSaid::NotSaid,
                1 => DriverSaid::Nobody,
                _ => DriverSaid::Licence("220000000001".into()),
            };
            if n % 17 == 3 {
                let mut twin = fix.clone();
                twin.speed = Some(Speed::from_kmh(leg.kmh + 20));
                records.push(twin);
            }
            records.push(fix);
        }
    }
    records
}

/// Last records on a day behind everything end what is open in both ways of judging.
pub fn end_of(records: &mut Vec<Record>) {
    let last = records.iter().map(|r| r.time).max().unwrap();
    let place = Position::new(20.4, 107.5).unwrap();
    for n in 0..2 {
        let mut fix = Record::fix(last.plus_millis(90_000_000 + n * 10_000), place);
        fix.speed = Some(Speed::ZERO);
        records.push(fix);
    }
}
