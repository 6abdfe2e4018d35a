//! Registers as the files that an import reads: what goes out comes in again unchanged.

use super::import::{
    CARD, DEVICE, DRIVER, EVERY_CLASS, FITTING, OPERATOR, RegisterKind, STANDINGS, VEHICLE,
};
use super::{Ban, Class, Registers, Validity};
use crate::record::Position;
use crate::time::Timestamp;
use crate::units::Course;
use serde_json::{Value, json};

impl Registers {
    /// The text of the file of `kind`: CSV with a header, or GeoJSON.
    pub fn export(&self, kind: RegisterKind) -> String {
        match kind {
            RegisterKind::Vehicles => table(VEHICLE, self.vehicles.iter().map(vehicle)),
            RegisterKind::Drivers => table(DRIVER, self.drivers.iter().map(driver)),
            RegisterKind::Cards => table(CARD, self.cards.iter().map(card)),
            RegisterKind::Operators => table(OPERATOR, self.operators.iter().map(operator)),
            RegisterKind::Devices => table(DEVICE, self.devices.iter().map(device)),
            RegisterKind::Fittings => table(FITTING, self.fittings.iter().map(fitting)),
            RegisterKind::Routes => collection(self.routes.iter().map(route)),
            RegisterKind::Zones => collection(self.zones.iter().map(zone)),
            RegisterKind::Signs => collection(self.signs.iter().map(sign)),
        }
    }
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut put = |fields: Vec<String>| {
        out.write_record(fields)
            .expect("memory takes every row, and all have the header's length");
    };
    put(columns.iter().map(ToString::to_string).collect());
    rows.for_each(&mut put);
    let bytes = out.into_inner().expect("memory is flushed without errors");
    String::from_utf8(bytes).expect("made of texts")
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// None for what is open on that side.
fn dates(v: Validity) -> [Option<String>; 2] {
    [
        (v.from > Timestamp::MIN).then(|| v.from.to_string()),
        (v.until < Timestamp::MAX).then(|| v.until.to_string()),
    ]
}

fn with_dates(mut fields: Vec<String>, v: Validity) -> Vec<String> {
    fields.extend(dates(v).map(or_empty));
    fields
}

fn vehicle(r: &super::Vehicle) -> Vec<String> {
    #[allow(clippy::cast_precision_loss)] // at most a day
    let minutes = r.break_ms.map(|ms| ms as f64 / 60_000.0);
    let fields = vec![
        r.plate.to_string(),
        r.id.to_string(),
        or_empty(r.class.map(super::Class::name)),
        or_empty(r.transport.map(super::Transport::name)),
        or_empty(r.operator.as_ref()),
        or_empty(r.route.as_ref()),
        or_empty(r.speed_limit.map(crate::units::Speed::kmh)),
        or_empty(minutes),
        or_empty(r.inspection.expires),
        or_empty(r.badge.expires),
        or_empty(r.badge.withdrawn),
    ];
    with_dates(fields, r.validity)
}

fn driver(r: &super::Driver) -> Vec<String> {
    let fields = vec![
        r.id.to_string(),
        r.name.clone(),
        or_empty(r.licence_class.as_ref()),
        or_empty(r.licence.expires),
        or_empty(r.licence.withdrawn),
        or_empty(r.operator.as_ref()),
    ];
    with_dates(fields, r.validity)
}

fn card(r: &super::Card) -> Vec<String> {
    with_dates(vec![r.id.to_string(), r.driver.to_string()], r.validity)
}

fn operator(r: &super::Operator) -> Vec<String> {
    let fields = vec![
        r.id.to_string(),
        r.name.clone(),
        or_empty(r.address.as_ref()),
        or_empty(r.phone.as_ref()),
        or_empty(r.licence.expires),
        or_empty(r.licence.withdrawn),
    ];
    with_dates(fields, r.validity)
}

fn device(r: &super::Device) -> Vec<String> {
    let offset = r.utc_offset_s.map(|s| {
        let sign = if s < 0 { '-' } else { '+' };
        let minutes = s.unsigned_abs() / 60;
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    });
    let standing = STANDINGS.iter().find(|(s, _)| *s == r.standing);
    let fields = vec![
        r.id.to_string(),
        or_empty(r.protocol),
        or_empty(offset),
        or_empty(r.dialect.as_ref()),
        or_empty(standing.map(|(_, name)| name)),
    ];
    with_dates(fields, r.validity)
}

fn fitting(r: &super::Fitting) -> Vec<String> {
    let fields = vec![
        r.source.to_string(),
        r.vehicle.to_string(),
        r.primary.to_string(),
    ];
    with_dates(fields, r.validity)
}

fn collection(features: impl Iterator<Item = Value>) -> String {
    // One feature a line, so that errors and differences of versions name a line.
    let lines: Vec<String> = features.map(|f| f.to_string()).collect();
    format!(
        "{{\"type\":\"FeatureCollection\",\"features\":[\n{}\n]}}\n",
        lines.join(",\n")
    )
}

fn feature(kind: &str, coordinates: &Value, mut properties: Value, v: Validity) -> Value {
    let [from, until] = dates(v);
    properties["from"] = from.into();
    properties["until"] = until.into();
    json!({
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": properties,
    })
}

fn points(line: &[Position]) -> Value {
    line.iter().map(|p| json!([p.lon(), p.lat()])).collect()
}

fn route(r: &super::Route) -> Value {
    let stop = |s: &super::Stop| {
        json!({
            "name": s.name,
            "lat": s.position.lat(),
            "lon": s.position.lon(),
            "radius_m": s.radius_m,
            "terminal": s.terminal,
        })
    };
    let stops: Vec<Value> = r.stops.iter().map(stop).collect();
    let properties = json!({
        "id": r.id,
        "name": r.name,
        "half_width_m": r.half_width_m,
        "stops": stops,
    });
    feature("LineString", &points(&r.line), properties, r.validity)
}

fn zone(r: &super::Zone) -> Value {
    let polygon =
        |rings: &Vec<Vec<Position>>| -> Value { rings.iter().map(|ring| points(ring)).collect() };
    let polygons: Value = r.polygons.iter().map(polygon).collect();
    let properties = json!({
        "id": r.id,
        "name": r.name,
        "limit_kmh": r.limit.map(crate::units::Speed::kmh),
        "setting": r.setting.map(super::RoadSetting::name),
        "banned_classes": r.ban.as_ref().map(classes),
        "banned_hours": r.ban.as_ref().and_then(hours),
        "banned_direction_deg": r.ban.as_ref().and_then(|b| b.direction).map(Course::degrees),
    });
    feature("MultiPolygon", &polygons, properties, r.validity)
}

fn classes(ban: &Ban) -> String {
    let names: Vec<&str> = ban.classes.iter().map(|c| Class::name(*c)).collect();
    if names.is_empty() {
        EVERY_CLASS.to_owned()
    } else {
        names.join(",")
    }
}

/// None for all hours.
fn hours(ban: &Ban) -> Option<String> {
    let clock = |m: u16| format!("{:02}:{:02}", m / 60, m % 60);
    let spans = ban.hours.iter();
    let spans: Vec<String> = spans
        .map(|h| format!("{}-{}", clock(h.from), clock(h.until)))
        .collect();
    (!spans.is_empty()).then(|| spans.join(","))
}

fn sign(r: &super::Sign) -> Value {
    let properties = json!({
        "id": r.id,
        "limit_kmh": r.limit.kmh(),
        "direction_deg": r.direction.map(Course::degrees),
        "half_width_m": r.half_width_m,
        "both_ways": r.both_ways,
    });
    feature("LineString", &points(&r.line), properties, r.validity)
}
