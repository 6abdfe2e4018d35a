//! Signing a page in and out.

use super::params::Params;
use crate::auth::{COOKIE, Identity, client, cookie, token_hash};
use crate::error::{ApiError, Problem};
use crate::page::page_is_built;
use crate::state::App;
use axum::Json;
use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use waywarden_model::Timestamp;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EnterQuery {
    /// Good once, for ten minutes.
    code: String,
}

/// Trades a one-use code for a session cookie and goes to the page.
#[utoipa::path(get, path = "/enter", tag = "session", params(EnterQuery), security(()),
    responses((status = 303, description = "to the page, with the cookie"),
        (status = 401, body = Problem), (status = 429, body = Problem)))]
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let now = app.now();
    let address = client(&app, &request);
    if let Some(wait) = app.sessions.blocked(address, now) {
        return Err(ApiError::TooMany(wait));
    }
    let (mut parts, _) = request.into_parts();
    let Params(query) = Params::<EnterQuery>::from_request_parts(&mut parts, &app).await?;
    let Some(secret) = app.sessions.enter(&query.code, now) else {
        app.sessions.failed(address, now);
        return Err(ApiError::Unauthorised);
    };
    let age = app.config.session_lifetime.as_secs();
    let cookie = set_cookie(&app, &secret, age);
    Ok((
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, "/".to_owned()),
            (header::SET_COOKIE, cookie),
        ],
    )
        .into_response())
}

fn set_cookie(app: &App, value: &str, age_s: u64) -> String {
    let secure = if app.config.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age_s}{secure}")
}

#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Name of the token, or `page`.
    name: String,
    /// `viewer`, `operator`, `agency` or `administrator`.
    role: &'static str,
    may_review: bool,
    #[schema(value_type = String, format = DateTime)]
    expires: Timestamp,
    /// Language before the user chooses: `vi` or `en`.
    language: String,
    version: &'static str,
    page_is_built: bool,
}

/// Who am I.
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, body = SessionView), (status = 401, body = Problem)))]
pub(super) async fn session(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
) -> Json<SessionView> {
    Json(SessionView {
        may_review: crate::auth::Permission::Review.allows(me.role),
        name: me.name,
        role: me.role.name(),
        expires: me.expires,
        language: app.config.language.clone(),
        version: env!("CARGO_PKG_VERSION"),
        page_is_built: page_is_built(),
    })
}

/// Trades a token for a session cookie, so that what the page does is done in the token's name.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", security(("token" = [])),
    responses((status = 204, description = "with the cookie"),
        (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let token = token_hash(&headers).ok_or(ApiError::Unauthorised)?;
    let secret = app.sessions.open(me.role, Some(token), app.now());
    let cookie = set_cookie(&app, &secret, app.config.session_lifetime.as_secs());
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Signs the page out; a token is not touched by it.
#[utoipa::path(post, path = "/api/v1/session/end", tag = "session",
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn end(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Some(secret) = cookie(&headers) {
        app.sessions.end(secret);
    }
    (
        StatusCode::NO_CONTENT,
        [(header::SET_COOKIE, set_cookie(&app, "", 0))],
    )
        .into_response()
}
