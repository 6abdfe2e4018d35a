//! A fleet with everything that a rule may ask of the registers, and the ways it drives.

use waywarden_model::registry::{
    Ban, Card, Class, Driver, Fitting, Hours, Operator, Permit, Registers, RoadSetting, Route,
    Sign, Stop, Transport, Validity, Vehicle, Zone,
};
use waywarden_model::{
    CardId, Course, DriverId, DriverSaid, Plate, Position, Record, SourceId, Speed, Timestamp,
};

const ROUTES: usize = 100;
/// Points of a route's line, about 250 m apart.
const POINTS: usize = 200;
const OPERATORS: usize = 100;
/// 2026-07-02T08:00:00+07:00, under the law in force.
pub const BEGINS: Timestamp = Timestamp::from_secs(1_782_954_000);
/// Seconds between two records of a vehicle.
pub const EVERY_S: i64 = 10;

/// The device of vehicle `n`.
pub fn source(n: usize) -> SourceId {
    SourceId::new(format!("3520930{n:08}"))
}

fn card(n: usize) -> CardId {
    CardId::new(format!("01A2B3C4{n:08}"))
}

/// Half of the vehicles ply a registered route, the others carry goods or are hired. Each has a
/// device, an operator, its permits, and a driver with card and licence; along the routes there
/// are signs, built-up areas, and zones closed to lorries.
pub fn registers(vehicles: usize) -> Registers {
    Registers {
        vehicles: (0..vehicles).map(vehicle).collect(),
        drivers: (0..vehicles).map(driver).collect(),
        cards: (0..vehicles)
            .map(|n| Card {
                id: card(n),
                driver: driver_id(n),
                validity: Validity::ALWAYS,
            })
            .collect(),
        operators: (0..OPERATORS).map(operator).collect(),
        devices: Vec::new(),
        fittings: (0..vehicles)
            .map(|n| Fitting {
                source: source(n),
                vehicle: plate(n).as_str().into(),
                primary: true,
                validity: Validity::ALWAYS,
            })
            .collect(),
        routes: (0..ROUTES).map(route).collect(),
        zones: (0..ROUTES)
            .flat_map(|r| [built_up(r), closed_to_lorries(r)])
            .collect(),
        signs: (0..ROUTES).flat_map(signs).collect(),
    }
}

fn plate(n: usize) -> Plate {
    Plate::new(&format!("14C{n:05}"))
}

fn driver_id(n: usize) -> DriverId {
    DriverId::new(format!("22{n:010}"))
}

fn operator_id(n: usize) -> waywarden_model::OperatorId {
    waywarden_model::OperatorId::new(format!("57{:08}", n % OPERATORS))
}

/// Valid for a year to come.
fn permit() -> Permit {
    Permit {
        expires: Some(BEGINS.plus_millis(365 * 86_400_000)),
        withdrawn: None,
    }
}

fn vehicle(n: usize) -> Vehicle {
    let (class, transport) = match n % 4 {
        0 | 1 => (Class::CarOver28Seats, Transport::FixedRoute),
        2 => (Class::TruckOver3_5t, Transport::Goods),
        _ => (Class::CarUpTo28Seats, Transport::Contract),
    };
    let plies = transport == Transport::FixedRoute;
    Vehicle {
        id: plate(n).as_str().into(),
        plate: plate(n),
        class: Some(class),
        transport: Some(transport),
        operator: Some(operator_id(n)),
        route: plies.then(|| route_id(n % ROUTES).into()),
        speed_limit: None,
        break_ms: None,
        inspection: permit(),
        badge: permit(),
        validity: Validity::ALWAYS,
    }
}

fn driver(n: usize) -> Driver {
    Driver {
        id: driver_id(n),
        name: format!("Driver {n}"),
        licence_class: Some("B, D2, FC".to_owned()),
        licence: permit(),
        operator: Some(operator_id(n)),
        validity: Validity::ALWAYS,
    }
}

fn operator(n: usize) -> Operator {
    Operator {
        id: operator_id(n),
        name: format!("Operator {n}"),
        address: None,
        phone: None,
        licence: permit(),
        validity: Validity::ALWAYS,
    }
}

fn route_id(r: usize) -> String {
    format!("R{r:03}")
}

/// Metres along the route: north, in long bends, each route east of the one before it.
fn place(r: usize, metres: f64) -> Position {
    let lat = 20.2 + metres / 111_195.0;
    let lon = 105.2 + 0.03 * r as f64 + 0.004 * (metres / 4000.0 + r as f64).sin();
    Position::new(lat, lon).expect("a place in Vietnam")
}

fn length_m() -> f64 {
    250.0 * (POINTS - 1) as f64
}

fn route(r: usize) -> Route {
    let along = |n: usize| place(r, 250.0 * n as f64);
    let stop = |n: usize| Stop {
        name: format!("{} {n}", route_id(r)),
        position: along(n),
        radius_m: 150.0,
        terminal: n == 0 || n == POINTS - 1,
    };
    Route {
        id: route_id(r).into(),
        name: route_id(r),
        line: (0..POINTS).map(along).collect(),
        half_width_m: 100.0,
        stops: (0..POINTS)
            .step_by(10)
            .chain([POINTS - 1])
            .map(stop)
            .collect(),
        validity: Validity::ALWAYS,
    }
}

/// An outline of 48 corners around a place of the route.
fn around(r: usize, metres: f64, radius_m: f64) -> Vec<Vec<Vec<Position>>> {
    let (middle, corners) = (place(r, metres), 48);
    let corner = |n: usize| {
        let turn = std::f64::consts::TAU * (n % corners) as f64 / corners as f64;
        let degrees = radius_m / 111_195.0;
        let lat = middle.lat() + degrees * turn.cos();
        let lon = middle.lon() + degrees * turn.sin();
        Position::new(lat, lon).expect("a place in Vietnam")
    };
    vec![vec![(0..=corners).map(corner).collect()]]
}

fn built_up(r: usize) -> Zone {
    Zone {
        id: format!("{}-town", route_id(r)).into(),
        name: String::new(),
        polygons: around(r, length_m() / 4.0, 1500.0),
        limit: Some(Speed::from_kmh(60)),
        setting: Some(RoadSetting::BuiltUpDual),
        ban: None,
        validity: Validity::ALWAYS,
    }
}

fn closed_to_lorries(r: usize) -> Zone {
    Zone {
        id: format!("{}-ban", route_id(r)).into(),
        name: String::new(),
        polygons: around(r, length_m() / 2.0, 1000.0),
        limit: None,
        setting: None,
        ban: Some(Ban {
            classes: vec![Class::TruckOver3_5t],
            hours: vec![Hours {
                from: 6 * 60,
                until: 20 * 60,
            }],
            direction: None,
        }),
        validity: Validity::ALWAYS,
    }
}

/// A sign every five kilometres, good for two of them.
fn signs(r: usize) -> impl Iterator<Item = Sign> {
    (0..POINTS - 8).step_by(20).map(move |n| Sign {
        id: format!("{}-sign-{n}", route_id(r)).into(),
        line: (n..=n + 8).map(|n| place(r, 250.0 * n as f64)).collect(),
        half_width_m: 40.0,
        direction: None,
        both_ways: true,
        limit: Speed::from_kmh(80),
        validity: Validity::ALWAYS,
    })
}

/// Records of one vehicle on its route, back and forth: two minutes at each speed, at times too
/// fast, at times stopped, with all that a device tells. `from` is the number of the first.
pub fn journey(n: usize, from: usize, records: usize) -> Vec<Record> {
    let metres_before = |at: usize| -> f64 { (0..at).map(|k| metres(n, k)).sum() };
    let mut along = metres_before(from) + 370.0 * n as f64;
    (from..from + records)
        .map(|k| {
            along += metres(n, k);
            record(n, k, along)
        })
        .collect()
}

/// km/h at record `k`.
fn kmh(n: usize, k: usize) -> i32 {
    match (k + n) / 12 % 8 {
        0 => 0,
        3 => 88,
        _ => 55,
    }
}

fn metres(n: usize, k: usize) -> f64 {
    f64::from(kmh(n, k)) / 3.6 * EVERY_S as f64
}

fn record(n: usize, k: usize, along: f64) -> Record {
    let (there, lap) = (along % length_m(), along as usize / length_m() as usize);
    let northward = lap.is_multiple_of(2);
    let there = if northward { there } else { length_m() - there };
    let speed = kmh(n, k);
    // What a receiver is off by.
    let stray = if speed == 0 {
        0.0
    } else {
        8e-5 * ((k * 7 + n) as f64).sin()
    };
    let on_line = place(n % ROUTES, there);
    let place = Position::new(on_line.lat(), on_line.lon() + stray).expect("a place in Vietnam");
    let wobble = (k % 7) as i32;
    Record {
        altitude_dm: Some(120),
        speed: Some(Speed::from_centi(if speed == 0 {
            0
        } else {
            speed * 100 + wobble
        })),
        course: Course::from_degrees(if northward { 4.0 } else { 184.0 }),
        satellites: Some(11),
        ignition: Some(true),
        door: Some(speed == 0 && k % 12 == 3),
        odometer_m: Some(120_000_000 + along as u64),
        driver: DriverSaid::Card(card(n)),
        ..Record::fix(BEGINS.plus_millis(1000 * EVERY_S * k as i64), place)
    }
}
