//! The stream of positions and violations.

use crate::error::{ApiError, Problem};
use crate::live::Client;
use crate::state::App;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Server-sent events: `position`, `violation` (with an id), and `reload` when the client fell
/// behind and has to load the lists again. `Last-Event-ID` gives the violations missed meanwhile.
#[utoipa::path(get, path = "/api/v1/live", tag = "live",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn live(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let last = match headers.get("last-event-id") {
        None => None,
        Some(v) => Some(
            v.to_str()
                .ok()
                .and_then(|t| t.parse().ok())
                .ok_or_else(|| ApiError::BadRequest("`Last-Event-ID` is not one of ours".into()))?,
        ),
    };
    let permit = Arc::clone(&app.viewers)
        .try_acquire_owned()
        .map_err(|_| ApiError::Busy)?;
    let client = Client::new(app, last, permit).await?;
    let mut response = Sse::new(client.events())
        .keep_alive(KeepAlive::default())
        .into_response();
    // A proxy must not collect events before it passes them on.
    response
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
