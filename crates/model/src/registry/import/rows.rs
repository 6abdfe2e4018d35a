//! The registers that come as CSV: their columns, and a row from its values.

use super::error::{Errors, Problem};
use super::fields::Fields;
use super::table::{Columns, each_row};
use super::value;
use super::{Rows, Source};
use crate::directory::Standing;
use crate::frame::Protocol;
use crate::ids::{CardId, DriverId, OperatorId, SourceId, VehicleId};
use crate::registry::{Card, Class, Device, Driver, Fitting, Operator, Transport, Vehicle};
use crate::time::TimeZone;

pub(crate) const VEHICLE: &[&str] = &[
    "plate",
    "id",
    "class",
    "transport",
    "operator",
    "route",
    "speed_limit_kmh",
    "break_minutes",
    "inspection_expires",
    "badge_expires",
    "badge_withdrawn",
    "from",
    "until",
];
pub(crate) const DRIVER: &[&str] = &[
    "licence",
    "name",
    "licence_class",
    "licence_expires",
    "licence_withdrawn",
    "operator",
    "from",
    "until",
];
pub(crate) const CARD: &[&str] = &["card", "driver", "from", "until"];
pub(crate) const OPERATOR: &[&str] = &[
    "tax_code",
    "name",
    "address",
    "phone",
    "licence_expires",
    "licence_withdrawn",
    "from",
    "until",
];
pub(crate) const DEVICE: &[&str] = &[
    "id",
    "protocol",
    "utc_offset",
    "dialect",
    "standing",
    "from",
    "until",
];
pub(crate) const FITTING: &[&str] = &["source", "vehicle", "primary", "from", "until"];

/// Codes of a device's standing.
pub(crate) const STANDINGS: [(Standing, &str); 3] = [
    (Standing::Known, "known"),
    (Standing::Held, "held"),
    (Standing::Refused, "refused"),
];

/// Reads a whole file; a broken row leaves its key, so that references to it are not reported too.
pub(super) fn read<T>(
    source: &Source<'_>,
    zone: &TimeZone,
    errors: &mut Errors,
    columns: &Columns,
    row: impl Fn(&mut Fields<'_>) -> (Option<String>, Option<T>),
) -> Rows<T> {
    let mut rows = Rows::of_file();
    each_row(source, columns, zone, errors, |fields| {
        let (key, value) = row(fields);
        rows.take(&fields.at, key, fields.whole(value));
    });
    rows
}

pub(super) fn vehicle(f: &mut Fields<'_>) -> (Option<String>, Option<Vehicle>) {
    let plate = f.need("plate", value::plate);
    let id = f.get("id", value::shared);
    let id = id.or_else(|| plate.as_ref().map(|p| p.as_str().into()));
    let key = id.as_ref().map(ToString::to_string);
    let class = f.get("class", |v| value::code(v, &Class::ALL, Class::name));
    let transport = f.get("transport", |v| {
        value::code(v, &Transport::ALL, Transport::name)
    });
    let operator = f.get("operator", value::text);
    let route = f.get("route", value::shared);
    let speed_limit = f.get("speed_limit_kmh", value::speed);
    let break_ms = f.get("break_minutes", value::minutes);
    let inspection = f.permit("inspection_expires", "");
    let badge = f.permit("badge_expires", "badge_withdrawn");
    let validity = f.validity();
    let row = id.zip(plate).map(|(id, plate)| Vehicle {
        id: VehicleId::new(id),
        plate,
        class,
        transport,
        operator: operator.map(OperatorId::new),
        route,
        speed_limit,
        break_ms,
        inspection,
        badge,
        validity,
    });
    (key, row)
}

pub(super) fn driver(f: &mut Fields<'_>) -> (Option<String>, Option<Driver>) {
    let id = f.need("licence", value::licence);
    let name = f.need("name", value::text);
    let licence_class = f.get("licence_class", value::text);
    let licence = f.permit("licence_expires", "licence_withdrawn");
    let operator = f.get("operator", value::text);
    let validity = f.validity();
    let row = id.clone().zip(name).map(|(id, name)| Driver {
        id: DriverId::new(id),
        name,
        licence_class,
        licence,
        operator: operator.map(OperatorId::new),
        validity,
    });
    (id, row)
}

pub(super) fn card(f: &mut Fields<'_>) -> (Option<String>, Option<Card>) {
    let id = f
        .need("card", value::text)
        .map(|id| id.to_ascii_uppercase());
    let driver = f.need("driver", value::licence);
    let validity = f.validity();
    let row = id.clone().zip(driver).map(|(id, driver)| Card {
        id: CardId::new(id),
        driver: DriverId::new(driver),
        validity,
    });
    (id, row)
}

pub(super) fn operator(f: &mut Fields<'_>) -> (Option<String>, Option<Operator>) {
    let id = f.need("tax_code", value::text);
    let name = f.need("name", value::text);
    let address = f.get("address", value::text);
    let phone = f.get("phone", value::text);
    let licence = f.permit("licence_expires", "licence_withdrawn");
    let validity = f.validity();
    let row = id.clone().zip(name).map(|(id, name)| Operator {
        id: OperatorId::new(id),
        name,
        address,
        phone,
        licence,
        validity,
    });
    (id, row)
}

pub(super) fn device(f: &mut Fields<'_>) -> (Option<String>, Option<Device>) {
    let id = f.need("id", value::text);
    let protocol = f.get("protocol", |v| {
        value::code(v, &Protocol::ALL, Protocol::name)
    });
    let leading_zero = id.as_ref().is_some_and(|id| id.starts_with('0'));
    if protocol == Some(Protocol::Jt808) && leading_zero {
        f.wrong("id", Problem::LeadingZero);
    }
    let utc_offset_s = f.get("utc_offset", value::offset);
    let dialect = f.get("dialect", value::text);
    let standing = f.get("standing", |v| {
        value::code(v, &STANDINGS, |(_, name)| name).map(|(s, _)| s)
    });
    let validity = f.validity();
    let row = id.clone().map(|id| Device {
        id: SourceId::new(id),
        protocol,
        utc_offset_s,
        dialect,
        standing: standing.unwrap_or(Standing::Known),
        validity,
    });
    (id, row)
}

pub(super) fn fitting(f: &mut Fields<'_>) -> (Option<String>, Option<Fitting>) {
    let source = f.need("source", value::text);
    let vehicle = f.need("vehicle", value::text);
    let primary = f.get("primary", value::flag);
    let validity = f.validity();
    let row = source
        .clone()
        .zip(vehicle)
        .map(|(source, vehicle)| Fitting {
            source: SourceId::new(source),
            vehicle: VehicleId::new(vehicle),
            primary: primary.unwrap_or(true),
            validity,
        });
    (source, row)
}
