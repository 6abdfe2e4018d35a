//! Deciding on a violation: of two who decide at once, the second is told.

use super::params::{Body, bad};
use super::violations::ReviewView;
use crate::auth::Identity;
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::violation::ViolationView;
use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use waywarden_model::ViolationId;
use waywarden_store::StoreError;
use waywarden_store::read::Decision;

const MAX_REASON: usize = 2000;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewRequest {
    /// `confirm` or `dismiss`.
    #[schema(example = "confirm")]
    decision: String,
    /// 1 to 2000 characters; kept.
    reason: String,
    /// Revision that the decision is made on: the newest, or it is refused.
    revision: u32,
}

/// Confirms or dismisses a closed violation.
#[utoipa::path(post, path = "/api/v1/violations/{id}/reviews", tag = "violations",
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    request_body = ReviewRequest,
    responses((status = 201, body = ViolationView), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem, description = "still open, or decided or changed meanwhile: `current` says by whom")))]
pub(super) async fn decide(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Path(id): Path<String>,
    Body(request): Body<ReviewRequest>,
) -> Result<(StatusCode, Json<ViolationView>), ApiError> {
    let missing = || ApiError::NotFound("violation");
    let id = ViolationId::parse(&id).ok_or_else(missing)?;
    let decision = match request.decision.as_str() {
        "confirm" => Decision::Confirmed,
        "dismiss" => Decision::Dismissed,
        _ => return Err(bad("decision", "must be confirm or dismiss")),
    };
    let reason = request.reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        return Err(bad("reason", "must have 1 to 2000 characters"));
    }
    let done = app
        .store
        .review(id, request.revision, decision, reason, &me.name, app.now())
        .await;
    match done {
        Ok(_) => {
            let row = app.store.violation(id).await?.ok_or_else(missing)?;
            Ok((StatusCode::CREATED, Json((&row).into())))
        }
        Err(StoreError::Conflict { expected, on_file }) => {
            Err(conflict(&app, id, expected, on_file).await?)
        }
        Err(e) => Err(e.into()),
    }
}

/// Says how the violation stands now and who decided last.
async fn conflict(
    app: &App,
    id: ViolationId,
    expected: u32,
    on_file: u32,
) -> Result<ApiError, ApiError> {
    let row = app
        .store
        .violation(id)
        .await?
        .ok_or(ApiError::NotFound("violation"))?;
    let (_, reviews) = app.store.history(id).await?;
    let last = reviews.last().map(ReviewView::from);
    let message = match reviews.last() {
        Some(r) if r.revision >= expected => {
            format!("{} decided at {}: {}", r.by, r.at, r.decision.name())
        }
        _ => format!("revision {expected} was named, {on_file} is on file"),
    };
    Ok(ApiError::Conflict {
        message,
        current: serde_json::json!({
            "violation": ViolationView::from(&row),
            "review": last,
        }),
    })
}
