//! The registers by which they are judged.

use super::START_S;
use waywarden_model::registry::{
    Ban, Class, Driver, Fitting, Operator, Permit, Registers, Route, Stop, Transport, Validity,
    Vehicle, Zone,
};
use waywarden_model::{Plate, Position, Speed, Timestamp};

/// Two versions of the registers: a device that is fitted to nothing, a coach on its route, a lorry
/// in zones with bans, permits that lapse; in the second the dates are others, the driver's class
/// too, and one ban is lifted from the second local day on: a zone reaches every source.
pub fn registers(second: bool) -> Registers {
    let (validity, name) = (Validity::ALWAYS, "A".to_owned());
    let place = |lat: f64, lon: f64| Position::new(lat, lon).unwrap();
    let until = |s: i64| Permit {
        expires: Some(Timestamp::from_secs(START_S + s)),
        withdrawn: None,
    };
    let later = i64::from(second) * 1800;
    let vehicle = |n: usize, class, transport| Vehicle {
        id: format!("V{n}").as_str().into(),
        plate: Plate::new(&format!("14C{n}")),
        class: Some(class),
        transport: Some(transport),
        operator: Some("57".into()),
        route: (n == 1).then(|| "R".into()),
        speed_limit: None,
        break_ms: None,
        inspection: until(3600 + later),
        badge: Permit::default(),
        validity,
    };
    let fitting = |n: usize| Fitting {
        source: format!("device-{n}").as_str().into(),
        vehicle: format!("V{n}").as_str().into(),
        primary: true,
        validity,
    };
    let lifted = Timestamp::from_secs(START_S + 12_000);
    let zone = |n: i32, ban: Option<Ban>, validity: Validity| {
        let (south, north) = (20.5 + 0.1 * f64::from(n), 20.58 + 0.1 * f64::from(n));
        let corners = [
            (south, 106.9),
            (south, 107.3),
            (north, 107.3),
            (north, 106.9),
        ];
        let ring = corners.iter().chain(&corners[..1]);
        Zone {
            id: format!("Z{n}").into(),
            name: name.clone(),
            polygons: vec![vec![ring.map(|(lat, lon)| place(*lat, *lon)).collect()]],
            limit: Some(Speed::from_kmh(90)),
            setting: None,
            ban,
            validity,
        }
    };
    let lorries = Ban {
        classes: vec![Class::TruckOver3_5t],
        ..Ban::default()
    };
    let (before, behind) = (
        Validity {
            until: if second { lifted } else { Timestamp::MAX },
            ..validity
        },
        Validity {
            from: lifted,
            ..validity
        },
    );
    let mut zones = vec![
        zone(0, Some(lorries.clone()), validity),
        zone(2, Some(Ban::default()), validity),
        zone(4, Some(lorries), before),
    ];
    zones.extend(second.then(|| zone(4, None, behind)));
    Registers {
        vehicles: vec![
            vehicle(1, Class::CarOver28Seats, Transport::FixedRoute),
            vehicle(2, Class::TruckOver3_5t, Transport::Goods),
        ],
        fittings: vec![fitting(1), fitting(2)],
        drivers: vec![Driver {
            id: "220000000001".into(),
            name: name.clone(),
            licence_class: Some(if second { "D" } else { "B2" }.to_owned()),
            licence: until(600 + later),
            operator: None,
            validity,
        }],
        operators: vec![Operator {
            id: "57".into(),
            name: name.clone(),
            address: None,
            phone: None,
            licence: until(10_800 - later),
            validity,
        }],
        routes: vec![Route {
            id: "R".into(),
            name: name.clone(),
            line: vec![place(20.5, 107.1), place(22.0, 107.1)],
            half_width_m: 100.0,
            stops: vec![Stop {
                name: name.clone(),
                position: place(20.5, 107.1),
                radius_m: 300.0,
                terminal: true,
            }],
            validity,
        }],
        zones,
        ..Registers::default()
    }
}
