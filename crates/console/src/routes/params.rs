//! Reading of queries and bodies: what is wrong is said by the parameter's name.

use crate::error::ApiError;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use waywarden_model::{LocalDay, Timestamp};

pub(super) const DEFAULT_LIMIT: usize = 100;
pub(super) const MAX_LIMIT: usize = 1000;

/// A query; unknown parameters are refused, since a misspelt filter must not widen an answer.
#[derive(Debug)]
pub(super) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let axum::Json(value) = axum::Json::from_request(request, state).await?;
        Ok(Self(value))
    }
}

impl From<QueryRejection> for ApiError {
    fn from(r: QueryRejection) -> Self {
        Self::BadRequest(r.body_text())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(r: JsonRejection) -> Self {
        Self::BadRequest(r.body_text())
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    /// Give it as `cursor` to read on; null at the end.
    pub next: Option<String>,
}

pub(super) fn bad(name: &str, what: &str) -> ApiError {
    ApiError::BadRequest(format!("`{name}` {what}"))
}

pub(super) fn limit(text: Option<&str>) -> Result<usize, ApiError> {
    number("limit", text, DEFAULT_LIMIT, MAX_LIMIT)
}

pub(super) fn number(
    name: &str,
    text: Option<&str>,
    default: usize,
    max: usize,
) -> Result<usize, ApiError> {
    match text {
        None => Ok(default),
        Some(t) => t
            .parse()
            .ok()
            .filter(|n| (1..=max).contains(n))
            .ok_or_else(|| bad(name, &format!("must be a number from 1 to {max}"))),
    }
}

pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|t| {
        Timestamp::parse_rfc3339(t).map_err(|_| {
            bad(
                name,
                "must be an RFC 3339 time with an offset (write a `+` as %2B)",
            )
        })
    })
    .transpose()
}

pub(super) fn day(name: &str, text: &str) -> Result<LocalDay, ApiError> {
    LocalDay::parse(text).map_err(|_| bad(name, "must be a day as YYYY-MM-DD"))
}

pub(super) fn flag(name: &str, text: Option<&str>) -> Result<Option<bool>, ApiError> {
    text.map(|t| match t {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(name, "must be true or false")),
    })
    .transpose()
}

/// A name of a closed list.
pub(super) fn named<T>(
    name: &str,
    text: Option<&str>,
    of: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    text.map(|t| of(t).ok_or_else(|| bad(name, "is not one of the known names")))
        .transpose()
}

/// Why personal data is read: the header `Waywarden-Purpose`, else the parameter.
pub(super) fn purpose(headers: &HeaderMap, text: Option<&str>) -> String {
    let said = headers
        .get("waywarden-purpose")
        .and_then(|v| v.to_str().ok())
        .or(text)
        .map(str::trim)
        .filter(|t| !t.is_empty());
    said.unwrap_or("operations").chars().take(200).collect()
}
