//! Violations by filter, and one with its evidence and history.

use super::params::{Page, Params, bad, flag, limit, named, purpose, time};
use crate::auth::Identity;
use crate::cursor::{pack_violation, unpack_violation};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::violation::{ChangeHead, ViolationView};
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use waywarden_model::{Band, Kind, Timestamp, ViolationId};
use waywarden_store::read::{Review, Status, ViolationFilter};

#[derive(Deserialize, IntoParams, Default)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ViolationQuery {
    /// Start at or after, RFC 3339.
    from: Option<String>,
    /// Start before.
    to: Option<String>,
    kind: Option<String>,
    /// Plate or vehicle id.
    vehicle: Option<String>,
    /// Tax code.
    operator: Option<String>,
    /// Licence number; the reading is recorded.
    driver: Option<String>,
    /// `<5`, `5-10`, `10-20`, `20-35` or `>35`.
    band: Option<String>,
    /// `new`, `confirmed`, `dismissed` or `withdrawn`.
    status: Option<String>,
    open: Option<String>,
    /// 1 to 1000; 100 when left out.
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Why it is read; recorded where a driver is named.
    purpose: Option<String>,
}

impl ViolationQuery {
    fn filter(&self) -> Result<ViolationFilter, ApiError> {
        Ok(ViolationFilter {
            from: time("from", self.from.as_deref())?,
            to: time("to", self.to.as_deref())?,
            kind: named("kind", self.kind.as_deref(), Kind::from_name)?,
            vehicle: self.vehicle.clone(),
            operator: self.operator.as_deref().map(Into::into),
            driver: self.driver.as_deref().map(Into::into),
            band: named("band", self.band.as_deref(), Band::from_name)?
                .map(|b| b.name().to_owned()),
            status: named("status", self.status.as_deref(), Status::from_name)?,
            open: flag("open", self.open.as_deref())?,
        })
    }
}

/// Violations, newest start first, in pages that rows added meanwhile do not shift.
#[utoipa::path(get, path = "/api/v1/violations", tag = "violations", params(ViolationQuery),
    responses((status = 200, body = Page<ViolationView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Params(q): Params<ViolationQuery>,
    headers: HeaderMap,
) -> Result<Json<Page<ViolationView>>, ApiError> {
    let filter = q.filter()?;
    let limit = limit(q.limit.as_deref())?;
    let after = match q.cursor.as_deref() {
        None => None,
        Some(c) => Some(unpack_violation(c).ok_or_else(|| bad("cursor", "is not one of ours"))?),
    };
    if let Some(driver) = &filter.driver {
        let why = purpose(&headers, q.purpose.as_deref());
        app.record(&me.name, "driver", driver.as_str(), &why)
            .await?;
    }
    let mut rows = app.store.violations(&filter, after, limit + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| more)
        .map(|v| pack_violation(v.violation.start, v.id));
    let items = rows.iter().map(ViolationView::from).collect();
    Ok(Json(Page { items, next }))
}

/// Copies frozen when the violation closed.
#[derive(Serialize, ToSchema)]
pub(super) struct EvidenceView {
    /// Revision with which it was frozen.
    revision: u32,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// SHA-256 of `body`, of exactly its bytes as they stand in this answer.
    sha256: String,
    /// The violation, the records and raw frames (hex) it rests on, and driving periods.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReviewView {
    /// Revision on which it was decided.
    revision: u32,
    /// `confirmed` or `dismissed`.
    decision: &'static str,
    reason: String,
    by: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<&Review> for ReviewView {
    fn from(r: &Review) -> Self {
        Self {
            revision: r.revision,
            decision: r.decision.name(),
            reason: r.reason.clone(),
            by: r.by.clone(),
            at: r.at,
        }
    }
}

/// One violation with all that is known of it.
#[derive(Serialize, ToSchema)]
pub(super) struct DetailView {
    #[serde(flatten)]
    violation: ViolationView,
    /// Registry version by which it was judged.
    registry: u32,
    /// Null until it closes.
    evidence: Option<EvidenceView>,
    changes: Vec<ChangeHead>,
    reviews: Vec<ReviewView>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PurposeQuery {
    /// Why it is read; recorded. `operations` when left out.
    purpose: Option<String>,
}

/// One violation with its evidence and history; the reading is recorded.
#[utoipa::path(get, path = "/api/v1/violations/{id}", tag = "violations",
    params(("id" = String, Path, description = "32 hexadecimal digits"), PurposeQuery),
    responses((status = 200, body = DetailView), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn one(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Path(id): Path<String>,
    Params(q): Params<PurposeQuery>,
    headers: HeaderMap,
) -> Result<Json<DetailView>, ApiError> {
    let missing = || ApiError::NotFound("violation");
    let id = ViolationId::parse(&id).ok_or_else(missing)?;
    let row = app.store.violation(id).await?.ok_or_else(missing)?;
    let why = purpose(&headers, q.purpose.as_deref());
    app.record(&me.name, "evidence", &id.to_string(), &why)
        .await?;
    let evidence = match app.store.evidence(id).await? {
        None => None,
        Some(e) => Some(EvidenceView {
            revision: e.revision,
            at: e.at,
            sha256: hex::encode(e.sha256),
            body: RawValue::from_string(e.body)
                .map_err(|_| waywarden_store::StoreError::Corrupt("evidence".into()))?,
        }),
    };
    let (changes, reviews) = app.store.history(id).await?;
    Ok(Json(DetailView {
        registry: row.violation.registry,
        violation: (&row).into(),
        evidence,
        changes: changes.iter().map(ChangeHead::from).collect(),
        reviews: reviews.iter().map(ReviewView::from).collect(),
    }))
}
