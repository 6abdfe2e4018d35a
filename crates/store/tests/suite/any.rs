//! Any record at all, for the tests that a table gives back what it took.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use proptest::prelude::*;
use waywarden_model::{
    Alarms, Course, Details, DriverSaid, Position, Record, RecordKind, Speed, Timestamp,
};

pub fn any_record() -> impl Strategy<Value = Record> {
    let place = prop::option::of((-90.0..=90.0f64, -180.0..=180.0f64));
    let said = prop_oneof![
        Just(DriverSaid::NotSaid),
        Just(DriverSaid::Nobody),
        ".{0,12}".prop_map(|s| DriverSaid::Card(s.as_str().into())),
        ".{0,12}".prop_map(|s| DriverSaid::Licence(s.as_str().into())),
    ];
    let first = (
        any::<i64>(),
        0..4u8,
        place,
        any::<bool>(),
        any::<Option<i32>>(),
    );
    let motion = (
        any::<Option<i32>>(),
        any::<Option<u16>>(),
        any::<Option<u8>>(),
    );
    let flags = any::<(Option<bool>, Option<bool>, Option<bool>, bool)>();
    let last = (any::<Option<u64>>(), said, any::<u64>());
    let details = (
        any::<Option<u32>>(),
        any::<Option<i32>>(),
        any::<Option<u64>>(),
        any::<Option<u32>>(),
        prop::option::of(".{0,17}"),
    );
    (first, motion, flags, last, details).prop_map(|(a, m, f, l, d)| Record {
        time: Timestamp::from_millis(a.0),
        kind: RecordKind::from_u8(a.1).unwrap(),
        position: a.2.and_then(|(lat, lon)| Position::new(lat, lon)),
        valid: a.3,
        altitude_dm: a.4,
        speed: m.0.map(Speed::from_centi),
        course: m.1.map(Course::from_centi),
        satellites: m.2,
        ignition: f.0,
        motion: f.1,
        door: f.2,
        odometer_m: l.0,
        driver: l.1,
        alarms: Alarms::from_bits(l.2),
        stored: f.3,
        details: Details {
            external_voltage_mv: d.0,
            fuel_centi: d.1,
            engine_ms: d.2,
            event: d.3,
            vin: d.4.map(Into::into),
        },
    })
}
