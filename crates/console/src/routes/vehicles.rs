//! Vehicles with their last fix, and the track of one.

use super::params::{Page, Params, bad, limit, named, number, purpose, time};
use crate::auth::Identity;
use crate::cursor::{pack, unpack};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::vehicle::{PointView, VehicleView};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use waywarden_model::registry::Registry;
use waywarden_model::{SourceId, Timestamp};
use waywarden_store::read::PositionPage;

/// Longest track that is given at once.
const MAX_TRACK_MS: i64 = 31 * 86_400_000;
/// Records read for one track; behind them it is cut, and says so.
const MAX_RECORDS: usize = 50_000;
const READ: usize = 5000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VehicleQuery {
    /// Tax code of the operator.
    operator: Option<String>,
    /// Part of a plate, an id or a device.
    q: Option<String>,
    /// `moving`, `stopped` or `silent`.
    status: Option<String>,
    /// 1 to 1000; 100 when left out.
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Vehicles with last position, driver and status; sources without a vehicle are among them.
#[utoipa::path(get, path = "/api/v1/vehicles", tag = "vehicles", params(VehicleQuery),
    responses((status = 200, body = Page<VehicleView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(q): Params<VehicleQuery>,
) -> Result<Json<Page<VehicleView>>, ApiError> {
    let limit = limit(q.limit.as_deref())?;
    let after = match q.cursor.as_deref() {
        None => None,
        Some(c) => Some(unpack::<1>(c).ok_or_else(|| bad("cursor", "is not one of ours"))?),
    };
    let known = |t: &str| {
        ["moving", "stopped", "silent"]
            .into_iter()
            .find(|s| *s == t)
    };
    let status = named("status", q.status.as_deref(), known)?;
    let wanted = q.q.as_deref().map(normal);
    let fleet = app.fleet.list(&app).await?;
    let begin = after.map_or(0, |[id]| fleet.partition_point(|v| v.id <= id));
    let matches = |v: &&VehicleView| {
        q.operator
            .as_deref()
            .is_none_or(|o| v.operator.as_deref() == Some(o))
            && status.is_none_or(|s| v.status == s)
            && wanted.as_deref().is_none_or(|w| found(v, w))
    };
    let mut items: Vec<VehicleView> = fleet[begin..]
        .iter()
        .filter(matches)
        .take(limit + 1)
        .cloned()
        .collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|v| pack(&[&v.id]));
    Ok(Json(Page { items, next }))
}

fn normal(text: &str) -> String {
    waywarden_model::Plate::new(text).as_str().to_lowercase()
}

fn found(v: &VehicleView, wanted: &str) -> bool {
    [Some(&v.id), v.vehicle.as_ref(), v.source.as_ref()]
        .into_iter()
        .flatten()
        .any(|t| normal(t).contains(wanted))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TrackQuery {
    /// First instant.
    from: String,
    /// Behind the last instant; at most 31 days later.
    to: String,
    /// At most so many points, evenly taken; all when left out.
    max_points: Option<String>,
    /// Why it is read; recorded. `operations` when left out.
    purpose: Option<String>,
}

/// A vehicle's points in order of time.
#[derive(Serialize, ToSchema)]
pub(super) struct TrackView {
    id: String,
    points: Vec<PointView>,
    /// Points before thinning.
    total: usize,
    /// There are more behind the last point than are read at once: ask again from there.
    truncated: bool,
}

/// Where a vehicle was.
#[utoipa::path(get, path = "/api/v1/vehicles/{id}/track", tag = "vehicles",
    params(("id" = String, Path, description = "vehicle id, plate, or `source:` and a device's id"), TrackQuery),
    responses((status = 200, body = TrackView), (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn track(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Path(id): Path<String>,
    Params(q): Params<TrackQuery>,
    headers: HeaderMap,
) -> Result<Json<TrackView>, ApiError> {
    let missing = || ApiError::NotFound("vehicle");
    let from = time("from", Some(&q.from))?.ok_or_else(missing)?;
    let to = time("to", Some(&q.to))?.ok_or_else(missing)?;
    if !(0..=MAX_TRACK_MS).contains(&to.since(from)) {
        return Err(bad("to", "must lie behind `from`, by at most 31 days"));
    }
    let max = number(
        "max_points",
        q.max_points.as_deref(),
        MAX_RECORDS,
        MAX_RECORDS,
    )?;
    let registry = app.registry().await?;
    let parts = pieces(&registry, &id, from, to).ok_or_else(missing)?;
    app.record(
        &me.name,
        "track",
        &format!("{id} {from} {to}"),
        &purpose(&headers, q.purpose.as_deref()),
    )
    .await?;
    let (points, truncated) = read(&app, &parts).await?;
    let total = points.len();
    Ok(Json(TrackView {
        id,
        points: thin(points, max),
        total,
        truncated,
    }))
}

/// Which source served the vehicle, and when, within the span.
fn pieces(
    r: &Registry,
    id: &str,
    from: Timestamp,
    to: Timestamp,
) -> Option<Vec<(SourceId, Timestamp, Timestamp)>> {
    if let Some(source) = id.strip_prefix("source:") {
        return Some(vec![(source.into(), from, to)]);
    }
    let plate = waywarden_model::Plate::new(id);
    let registers = r.registers();
    let vehicle = registers
        .vehicles
        .iter()
        .find(|v| v.id.as_str() == id)
        .or_else(|| registers.vehicles.iter().rfind(|v| v.plate == plate))?;
    let mut out: Vec<_> = registers
        .fittings
        .iter()
        .filter(|f| f.vehicle == vehicle.id && f.primary)
        .map(|f| {
            let (a, b) = (f.validity.from.max(from), f.validity.until.min(to));
            (f.source.clone(), a, b)
        })
        .filter(|(_, a, b)| a < b)
        .collect();
    out.sort_by_key(|p| p.1);
    Some(out)
}

async fn read(
    app: &App,
    parts: &[(SourceId, Timestamp, Timestamp)],
) -> Result<(Vec<PointView>, bool), ApiError> {
    let mut points = Vec::new();
    let mut records = 0;
    for (source, from, to) in parts {
        let mut page = PositionPage {
            source: source.clone(),
            from: *from,
            to: *to,
            after: None,
            limit: READ,
        };
        loop {
            let rows = app.store.positions(&page).await?;
            records += rows.len();
            points.extend(rows.iter().filter_map(PointView::of));
            let Some(last) = rows.last().filter(|_| rows.len() == READ) else {
                break;
            };
            if records >= MAX_RECORDS {
                return Ok((points, true));
            }
            page.after = Some((last.record.time, last.hash));
        }
    }
    Ok((points, false))
}

/// At most `max` points, evenly taken, the first and the last among them.
fn thin(points: Vec<PointView>, max: usize) -> Vec<PointView> {
    let n = points.len();
    if n <= max || max == 0 {
        return points;
    }
    if max == 1 {
        return points.into_iter().next_back().into_iter().collect();
    }
    let mut wanted = (0..max).map(|i| i * (n - 1) / (max - 1)).peekable();
    points
        .into_iter()
        .enumerate()
        .filter(|(i, _)| wanted.next_if_eq(i).is_some())
        .map(|(_, p)| p)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_both_ends_and_the_bound() {
        let point = |i: i64| PointView {
            source: "s".into(),
            time: Timestamp::from_secs(i),
            lat: 0.0,
            lon: 0.0,
            speed_kmh: None,
            course_deg: None,
            valid: true,
            reason: None,
        };
        for n in [0, 1, 2, 7, 100] {
            for max in [1, 2, 3, 50] {
                let got = thin((0..n).map(point).collect(), max);
                assert_eq!(got.len(), usize::try_from(n).unwrap().min(max));
                if n > 0 {
                    assert_eq!(got.last().unwrap().time, Timestamp::from_secs(n - 1));
                }
                if n > 0 && max > 1 {
                    assert_eq!(got[0].time, Timestamp::from_secs(0));
                }
            }
        }
    }
}
