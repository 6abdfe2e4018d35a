//! Rows as the first format holds them.

use serde::Deserialize;
use std::sync::Arc;
use waywarden_model::registry::{self, Class, Permit, RoadSetting, Transport, Validity};
use waywarden_model::{DriverId, OperatorId, Plate, Position, Speed, Timestamp, VehicleId};

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Vehicle {
    id: VehicleId,
    plate: Plate,
    class: Option<Class>,
    transport: Option<Transport>,
    operator: Option<OperatorId>,
    route: Option<Arc<str>>,
    speed_limit: Option<Speed>,
    break_ms: Option<i64>,
    validity: Validity,
}

impl From<Vehicle> for registry::Vehicle {
    fn from(v: Vehicle) -> Self {
        Self {
            id: v.id,
            plate: v.plate,
            class: v.class,
            transport: v.transport,
            operator: v.operator,
            route: v.route,
            speed_limit: v.speed_limit,
            break_ms: v.break_ms,
            inspection: Permit::default(),
            badge: Permit::default(),
            validity: v.validity,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Driver {
    id: DriverId,
    name: String,
    licence_class: Option<String>,
    licence_expires: Option<Timestamp>,
    operator: Option<OperatorId>,
    validity: Validity,
}

impl From<Driver> for registry::Driver {
    fn from(d: Driver) -> Self {
        Self {
            id: d.id,
            name: d.name,
            licence_class: d.licence_class,
            licence: Permit {
                expires: d.licence_expires,
                withdrawn: None,
            },
            operator: d.operator,
            validity: d.validity,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Operator {
    id: OperatorId,
    name: String,
    address: Option<String>,
    phone: Option<String>,
    validity: Validity,
}

impl From<Operator> for registry::Operator {
    fn from(o: Operator) -> Self {
        Self {
            id: o.id,
            name: o.name,
            address: o.address,
            phone: o.phone,
            licence: Permit::default(),
            validity: o.validity,
        }
    }
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Zone {
    id: Arc<str>,
    name: String,
    polygons: Vec<Vec<Vec<Position>>>,
    limit: Option<Speed>,
    setting: Option<RoadSetting>,
    validity: Validity,
}

impl From<Zone> for registry::Zone {
    fn from(z: Zone) -> Self {
        Self {
            id: z.id,
            name: z.name,
            polygons: z.polygons,
            limit: z.limit,
            setting: z.setting,
            ban: None,
            validity: z.validity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{Bodies, decode, part};

    #[test]
    fn registers_of_the_first_format_are_read() {
        let (validity, name) = (Validity::ALWAYS, "A".to_owned());
        let expires = Some(Timestamp::from_secs(1_900_000_000));
        let vehicle = Vehicle {
            id: "V".into(),
            plate: Plate::new("14C1"),
            class: Some(Class::Bus),
            transport: Some(Transport::Taxi),
            operator: Some("57".into()),
            route: Some("r".into()),
            speed_limit: Some(Speed::from_kmh(60)),
            break_ms: Some(60_000),
            validity,
        };
        let driver = Driver {
            id: "22".into(),
            name: name.clone(),
            licence_class: Some("C".to_owned()),
            licence_expires: expires,
            operator: None,
            validity,
        };
        let operator = Operator {
            id: "57".into(),
            name: name.clone(),
            address: None,
            phone: Some("0203".to_owned()),
            validity,
        };
        let zone = Zone {
            id: "z".into(),
            name,
            polygons: vec![vec![vec![Position::new(21.0, 107.0).unwrap()]]],
            limit: None,
            setting: Some(RoadSetting::BuiltUpDual),
            validity,
        };
        let others = ["cards", "devices", "fittings", "routes", "signs"];
        let empty = others.map(|kind| part::<u8>(kind, &[]));
        let old = [
            part("vehicles", &[vehicle]),
            part("drivers", &[driver]),
            part("operators", &[operator]),
            part("zones", &[zone]),
        ];
        let parts = old.into_iter().chain(empty).map(Result::unwrap);
        let bodies: Bodies = parts.map(|p| (p.kind.to_owned(), (1, p.body))).collect();
        let read = decode(&bodies).unwrap();
        assert_eq!(read.vehicles[0].break_ms, Some(60_000));
        assert_eq!(read.vehicles[0].validity, validity);
        assert_eq!(read.drivers[0].licence.expires, expires);
        assert_eq!(read.operators[0].phone.as_deref(), Some("0203"));
        assert_eq!(read.zones[0].setting, Some(RoadSetting::BuiltUpDual));
        assert_eq!(read.zones[0].ban, None);
        let newer = bodies.into_iter().map(|(k, (_, b))| (k, (3, b)));
        assert!(decode(&newer.collect()).is_err());
    }
}
