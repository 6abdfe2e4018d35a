//! The registers that come as GeoJSON: routes with their stops, zones and signs.

use super::error::{Errors, Problem};
use super::fields::Fields;
use super::geojson::{Feature, each_feature};
use super::value;
use super::{RegisterKind, Rows, Source, banned, ring};
use crate::record::Position;
use crate::registry::{RoadSetting, Route, Sign, Stop, Zone};
use crate::time::TimeZone;
use crate::units::Course;

/// Half-width of a route's corridor, metres, where the feature says none.
const ROUTE_HALF_WIDTH_M: f64 = 100.0;
/// Reach of a sign to either side of its stretch, metres, where the feature says none.
const SIGN_HALF_WIDTH_M: f64 = 20.0;
/// Radius of a stop, metres, where the feature says none.
const STOP_RADIUS_M: f64 = 100.0;
/// Metres of one degree on a sphere of the mean radius of the Earth (6,371,008.8 m).
const METRES_PER_DEGREE: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;
/// Vietnam with its islands, generously: south, north, west, east.
const VIETNAM: [f64; 4] = [6.0, 24.0, 102.0, 118.0];

pub(super) const ROUTE: &[&str] = &["id", "name", "half_width_m", "stops", "from", "until"];
pub(super) const STOP_OF_ROUTE: &[&str] = &["name", "lat", "lon", "radius_m", "terminal"];
pub(super) const STOP_FEATURE: &[&str] = &["route", "name", "radius_m", "terminal"];
pub(super) const ZONE: &[&str] = &[
    "id",
    "name",
    "limit_kmh",
    "setting",
    "banned_classes",
    "banned_hours",
    "banned_direction_deg",
    "from",
    "until",
];
pub(super) const SIGN: &[&str] = &[
    "id",
    "limit_kmh",
    "direction_deg",
    "length_m",
    "half_width_m",
    "both_ways",
    "from",
    "until",
];

/// Routes; a stop stands in its route's property `stops` or as a point that names its route.
pub(super) fn routes(
    source: &Source<'_>,
    zone: &TimeZone,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> Rows<Route> {
    let mut rows: Rows<Route> = Rows::of_file();
    let mut points = Vec::new();
    each_feature(source, zone, errors, |feature, errors| {
        match feature.kind.as_str() {
            "LineString" => {
                let (key, route) = route(feature, errors, warnings);
                rows.take(&feature.at, key, route);
            }
            "Point" => {
                if let Some((of, stop)) = stop_feature(feature, errors) {
                    points.push((feature.at.clone(), feature.path.clone(), of, stop));
                }
            }
            _ => bad_kind(feature, "LineString, Point", errors),
        }
    });
    for (at, path, of, stop) in points {
        let mut found = rows.broken.contains(&*of);
        for row in rows.rows.iter_mut().filter(|r| *r.row.id == *of) {
            row.row.stops.push(stop.clone());
            found = true;
        }
        if !found {
            let what = Problem::UnknownReference(RegisterKind::Routes);
            errors.push(&at, format!("{path}.properties.route"), what);
        }
    }
    rows
}

fn route(
    feature: &Feature<'_>,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> (Option<String>, Option<Route>) {
    let line = feature.line(errors);
    let mut stops = Vec::new();
    let mut whole = true;
    feature.objects("stops", STOP_OF_ROUTE, errors, |f| {
        let lat = f.need("lat", |v| value::number(v, -90.0, 90.0));
        let lon = f.need("lon", |v| value::number(v, -180.0, 180.0));
        let position = lat.zip(lon).and_then(|(lat, lon)| Position::new(lat, lon));
        let stop = stop(f, position);
        whole &= stop.is_some();
        stops.extend(stop);
    });
    let mut f = feature.fields(ROUTE, "stops", errors);
    let id = f.need("id", value::shared);
    let key = id.as_ref().map(ToString::to_string);
    let name = f.get("name", value::text);
    let half_width = f.get("half_width_m", |v| value::number(v, 1.0, 10_000.0));
    let validity = f.validity();
    let whole = whole && !f.broken;
    let row = id.zip(line).filter(|_| whole).map(|(id, line)| Route {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        line,
        half_width_m: half_width.unwrap_or(ROUTE_HALF_WIDTH_M),
        stops,
        validity,
    });
    if let Some(row) = &row {
        warn_outside(feature, row.line.iter(), warnings);
    }
    (key, row)
}

fn stop_feature(feature: &Feature<'_>, errors: &mut Errors) -> Option<(String, Stop)> {
    let position = feature.point(errors);
    let mut f = feature.fields(STOP_FEATURE, "", errors);
    let of = f.need("route", value::text);
    let stop = stop(&mut f, position);
    of.zip(stop)
}

fn stop(f: &mut Fields<'_>, position: Option<Position>) -> Option<Stop> {
    let name = f.get("name", value::text);
    let radius = f.get("radius_m", |v| value::number(v, 1.0, 10_000.0));
    let terminal = f.get("terminal", value::flag);
    let stop = position.map(|position| Stop {
        name: name.unwrap_or_default(),
        position,
        radius_m: radius.unwrap_or(STOP_RADIUS_M),
        terminal: terminal.unwrap_or(false),
    });
    f.whole(stop)
}

pub(super) fn zones(
    source: &Source<'_>,
    zone: &TimeZone,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> Rows<Zone> {
    let mut rows = Rows::of_file();
    each_feature(source, zone, errors, |feature, errors| {
        match feature.kind.as_str() {
            "Polygon" | "MultiPolygon" => {
                let (key, zone) = area(feature, errors, warnings);
                rows.take(&feature.at, key, zone);
            }
            _ => bad_kind(feature, "Polygon, MultiPolygon", errors),
        }
    });
    rows
}

fn area(
    feature: &Feature<'_>,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> (Option<String>, Option<Zone>) {
    let mut polygons = feature.polygons(errors);
    let checked = polygons.as_deref().map_or(Ok(()), rings);
    if let Err(what) = checked {
        feature.wrong(what, errors);
        polygons = None;
    }
    let mut f = feature.fields(ZONE, "", errors);
    let id = f.need("id", value::shared);
    let key = id.as_ref().map(ToString::to_string);
    let name = f.get("name", value::text);
    let limit = f.get("limit_kmh", value::speed);
    let setting = f.get("setting", |v| {
        value::code(v, &RoadSetting::ALL, RoadSetting::name)
    });
    let ban = banned::ban(&mut f);
    let validity = f.validity();
    if limit.is_none() && setting.is_none() && ban.is_none() && !f.broken {
        f.wrong("", Problem::EmptyZone);
    }
    let row = id.zip(polygons).map(|(id, polygons)| Zone {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        polygons,
        limit,
        setting,
        ban,
        validity,
    });
    let row = f.whole(row);
    if let Some(row) = &row {
        warn_outside(feature, row.polygons.iter().flatten().flatten(), warnings);
    }
    (key, row)
}

fn rings(polygons: &[Vec<Vec<Position>>]) -> Result<(), Problem> {
    if polygons.is_empty() || polygons.iter().any(Vec::is_empty) {
        return Err(Problem::NoRing);
    }
    polygons.iter().flatten().try_for_each(|r| ring::check(r))
}

pub(super) fn signs(
    source: &Source<'_>,
    zone: &TimeZone,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> Rows<Sign> {
    let mut rows = Rows::of_file();
    each_feature(source, zone, errors, |feature, errors| {
        match feature.kind.as_str() {
            "LineString" | "Point" => {
                let (key, sign) = sign(feature, errors, warnings);
                rows.take(&feature.at, key, sign);
            }
            _ => bad_kind(feature, "LineString, Point", errors),
        }
    });
    rows
}

fn sign(
    feature: &Feature<'_>,
    errors: &mut Errors,
    warnings: &mut Errors,
) -> (Option<String>, Option<Sign>) {
    let is_point = feature.kind == "Point";
    let (point, line) = if is_point {
        (feature.point(errors), None)
    } else {
        (None, feature.line(errors))
    };
    let mut f = feature.fields(SIGN, "", errors);
    let id = f.need("id", value::shared);
    let key = id.as_ref().map(ToString::to_string);
    let limit = f.need("limit_kmh", value::speed);
    let degrees = |v: &str| value::number(v, 0.0, 360.0);
    let length_m = |v: &str| value::number(v, 1.0, 100_000.0);
    let (direction, length) = if is_point {
        (
            f.need("direction_deg", degrees),
            f.need("length_m", length_m),
        )
    } else {
        if f.get("length_m", length_m).is_some() {
            f.wrong("length_m", Problem::LengthOfLine);
        }
        (f.get("direction_deg", degrees), None)
    };
    let half_width = f.get("half_width_m", |v| value::number(v, 1.0, 1_000.0));
    let both_ways = f.get("both_ways", value::flag);
    let validity = f.validity();
    let line = match (point, direction, length) {
        (Some(from), Some(direction), Some(length)) => ahead(from, direction, length),
        _ => line,
    };
    let row = id.zip(limit).zip(line).map(|((id, limit), line)| Sign {
        id,
        line,
        half_width_m: half_width.unwrap_or(SIGN_HALF_WIDTH_M),
        direction: direction.and_then(Course::from_degrees),
        both_ways: both_ways.unwrap_or(false),
        limit,
        validity,
    });
    let row = f.whole(row);
    if let Some(row) = &row {
        warn_outside(feature, row.line.iter(), warnings);
    }
    (key, row)
}

/// The straight stretch of `length` metres from a sign in `direction` degrees.
fn ahead(from: Position, direction: f64, length: f64) -> Option<Vec<Position>> {
    let turn = direction.to_radians();
    let north = length * libm::cos(turn) / METRES_PER_DEGREE;
    let shrunk = METRES_PER_DEGREE * libm::cos(from.lat().to_radians()).max(0.01);
    let east = length * libm::sin(turn) / shrunk;
    let end = Position::new(from.lat() + north, from.lon() + east)?;
    Some(vec![from, end])
}

fn bad_kind(feature: &Feature<'_>, good: &'static str, errors: &mut Errors) {
    let found = feature.kind.clone();
    feature.wrong(Problem::BadGeometry { found, good }, errors);
}

fn warn_outside<'p>(
    feature: &Feature<'_>,
    mut points: impl Iterator<Item = &'p Position>,
    warnings: &mut Errors,
) {
    let [south, north, west, east] = VIETNAM;
    let inside =
        |p: &Position| (south..=north).contains(&p.lat()) && (west..=east).contains(&p.lon());
    if points.any(|p| !inside(p)) {
        feature.wrong(Problem::OutsideVietnam, warnings);
    }
}
