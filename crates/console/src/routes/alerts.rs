//! Alerts by filter.

use super::params::{Page, Params, bad, flag, limit, named, time};
use crate::cursor::{pack_alert, unpack_alert};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::alert::AlertView;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use waywarden_model::AlertKind;
use waywarden_store::AlertFilter;

#[derive(Deserialize, IntoParams, Default)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertQuery {
    /// Start at or after, RFC 3339.
    from: Option<String>,
    /// Start before.
    to: Option<String>,
    /// `silence`, `clock_set_back` or `limit_ahead`.
    kind: Option<String>,
    /// Plate or vehicle id.
    vehicle: Option<String>,
    /// Tax code.
    operator: Option<String>,
    /// `true`: those that go on.
    open: Option<String>,
    /// 1 to 1000; 100 when left out.
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl AlertQuery {
    fn filter(&self) -> Result<AlertFilter, ApiError> {
        Ok(AlertFilter {
            from: time("from", self.from.as_deref())?,
            to: time("to", self.to.as_deref())?,
            kind: named("kind", self.kind.as_deref(), AlertKind::from_name)?,
            vehicle: self.vehicle.clone(),
            operator: self.operator.as_deref().map(Into::into),
            open: flag("open", self.open.as_deref())?,
        })
    }
}

/// What somebody on duty should look at, newest start first. Alerts end, and are never withdrawn.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertQuery),
    responses((status = 200, body = Page<AlertView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(q): Params<AlertQuery>,
) -> Result<Json<Page<AlertView>>, ApiError> {
    let filter = q.filter()?;
    let limit = limit(q.limit.as_deref())?;
    let after = match q.cursor.as_deref() {
        None => None,
        Some(c) => Some(unpack_alert(c).ok_or_else(|| bad("cursor", "is not one of ours"))?),
    };
    let mut rows = app.store.alerts(&filter, after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(pack_alert);
    let items = rows.iter().map(AlertView::from).collect();
    Ok(Json(Page { items, next }))
}
