//! Rows of local days, by source and by driver.

use super::params::{Page, Params, bad, day, limit, purpose};
use crate::auth::Identity;
use crate::cursor::{pack, unpack};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::day::{DayRowView, DriverDayView};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use waywarden_model::LocalDay;
use waywarden_store::read::DayFilter;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DayRowQuery {
    /// First local day, YYYY-MM-DD.
    from: String,
    /// Last local day.
    to: String,
    /// Plate or vehicle id.
    vehicle: Option<String>,
    /// Tax code.
    operator: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Days of sources, by day and source.
#[utoipa::path(get, path = "/api/v1/day-rows", tag = "days", params(DayRowQuery),
    responses((status = 200, body = Page<DayRowView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn day_rows(
    State(app): State<Arc<App>>,
    Params(q): Params<DayRowQuery>,
) -> Result<Json<Page<DayRowView>>, ApiError> {
    let filter = DayFilter {
        from: day("from", &q.from)?,
        to: day("to", &q.to)?,
        vehicle: q.vehicle,
        operator: q.operator.as_deref().map(Into::into),
        driver: None,
    };
    let limit = limit(q.limit.as_deref())?;
    let after = key(q.cursor.as_deref())?.map(|(d, id)| (d, id.as_str().into()));
    let mut rows = app.store.day_rows(&filter, after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|r| pack(&[&r.row.day.0.to_string(), r.row.source.as_str()]));
    let items = rows.iter().map(DayRowView::from).collect();
    Ok(Json(Page { items, next }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DriverDayQuery {
    /// First local day, YYYY-MM-DD.
    from: String,
    /// Last local day.
    to: String,
    /// Licence number.
    driver: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    /// Why it is read; recorded. `operations` when left out.
    purpose: Option<String>,
}

/// Days of drivers over all vehicles; the reading is recorded.
#[utoipa::path(get, path = "/api/v1/driver-days", tag = "days", params(DriverDayQuery),
    responses((status = 200, body = Page<DriverDayView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn driver_days(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Params(q): Params<DriverDayQuery>,
    headers: HeaderMap,
) -> Result<Json<Page<DriverDayView>>, ApiError> {
    let filter = DayFilter {
        from: day("from", &q.from)?,
        to: day("to", &q.to)?,
        vehicle: None,
        operator: None,
        driver: q.driver.as_deref().map(Into::into),
    };
    let limit = limit(q.limit.as_deref())?;
    let after = key(q.cursor.as_deref())?.map(|(d, id)| (d, id.as_str().into()));
    let object = q.driver.as_deref().unwrap_or("all");
    let why = purpose(&headers, q.purpose.as_deref());
    app.record(&me.name, "driver", object, &why).await?;
    let mut rows = app.store.driver_days(&filter, after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|r| pack(&[&r.day.0.to_string(), r.driver.as_str()]));
    let items = rows.iter().map(DriverDayView::from).collect();
    Ok(Json(Page { items, next }))
}

fn key(text: Option<&str>) -> Result<Option<(LocalDay, String)>, ApiError> {
    let wrong = || bad("cursor", "is not one of ours");
    text.map(|t| {
        let [day, id] = unpack::<2>(t).ok_or_else(wrong)?;
        Ok((LocalDay(day.parse().map_err(|_| wrong())?), id))
    })
    .transpose()
}
