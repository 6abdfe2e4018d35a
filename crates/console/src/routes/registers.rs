//! Routes, zones and signs as GeoJSON, for the map.

use crate::error::{ApiError, Problem};
use crate::state::App;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::sync::Arc;
use waywarden_model::registry::{Ban, Registry, Route, Sign, Zone};
use waywarden_model::{Position, Speed, Timestamp};

/// What holds now of `routes`, `zones` or `signs`, as a FeatureCollection.
#[utoipa::path(get, path = "/api/v1/registers/{kind}", tag = "registers",
    params(("kind" = String, Path, description = "routes, zones or signs")),
    responses((status = 200, content_type = "application/geo+json", body = Object),
        (status = 304), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn geojson(
    State(app): State<Arc<App>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let registry = app.registry().await?;
    let now = app.now();
    let features = features(&registry, &kind, now).ok_or(ApiError::NotFound("register"))?;
    // What holds changes with the version, and by dates: an hour is fine for a map's ground.
    let etag = format!(
        "\"{}-{}-{}\"",
        registry.version(),
        features.len(),
        now.millis() / 3_600_000
    );
    let common = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ];
    let known = headers.get(header::IF_NONE_MATCH);
    if known.and_then(|v| v.to_str().ok()) == Some(etag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let body = json!({
        "type": "FeatureCollection",
        "version": registry.version(),
        "features": features,
    });
    let kind = [(header::CONTENT_TYPE, "application/geo+json")];
    Ok((common, kind, body.to_string()).into_response())
}

fn features(r: &Registry, kind: &str, now: Timestamp) -> Option<Vec<Value>> {
    let r = r.registers();
    Some(match kind {
        "routes" => {
            let held = r.routes.iter().filter(|x| x.validity.holds_at(now));
            held.flat_map(route).collect()
        }
        "zones" => {
            let held = r.zones.iter().filter(|x| x.validity.holds_at(now));
            held.map(zone).collect()
        }
        "signs" => {
            let held = r.signs.iter().filter(|x| x.validity.holds_at(now));
            held.map(sign).collect()
        }
        _ => return None,
    })
}

fn place(p: &Position) -> Value {
    json!([p.lon(), p.lat()])
}

fn line(points: &[Position]) -> Value {
    let at: Vec<Value> = points.iter().map(place).collect();
    json!({ "type": "LineString", "coordinates": at })
}

fn feature(geometry: &Value, properties: &Value) -> Value {
    json!({ "type": "Feature", "geometry": geometry, "properties": properties })
}

/// The line, then its stops.
fn route(r: &Route) -> Vec<Value> {
    let own = json!({ "id": r.id, "name": r.name, "half_width_m": r.half_width_m, "part": "line" });
    let mut out = vec![feature(&line(&r.line), &own)];
    for s in &r.stops {
        let point = json!({ "type": "Point", "coordinates": place(&s.position) });
        let own = json!({
            "id": r.id, "name": s.name, "radius_m": s.radius_m, "terminal": s.terminal,
            "part": "stop",
        });
        out.push(feature(&point, &own));
    }
    out
}

fn zone(z: &Zone) -> Value {
    let rings = |polygon: &Vec<Vec<Position>>| -> Vec<Vec<Value>> {
        let places = |ring: &Vec<Position>| ring.iter().map(place).collect();
        polygon.iter().map(places).collect()
    };
    let at: Vec<_> = z.polygons.iter().map(rings).collect();
    let own = json!({
        "id": z.id, "name": z.name, "limit_kmh": z.limit.map(Speed::kmh),
        "setting": z.setting.map(waywarden_model::registry::RoadSetting::name),
        "ban": z.ban.as_ref().map(ban),
    });
    feature(&json!({ "type": "MultiPolygon", "coordinates": at }), &own)
}

/// Hours in minutes of the local day; no classes are all, no hours are always.
fn ban(b: &Ban) -> Value {
    let hours: Vec<_> = b.hours.iter().map(|h| (h.from, h.until)).collect();
    json!({
        "classes": b.classes, "hours": hours,
        "direction_deg": b.direction.map(waywarden_model::Course::degrees),
    })
}

fn sign(s: &Sign) -> Value {
    let own = json!({
        "id": s.id, "limit_kmh": s.limit.kmh(), "half_width_m": s.half_width_m,
        "direction_deg": s.direction.map(waywarden_model::Course::degrees),
        "both_ways": s.both_ways,
    });
    feature(&line(&s.line), &own)
}
