//! What a caller is told when something is refused: a label to act on, and a sentence to read.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use waywarden_store::StoreError;

/// Body of every refusal.
#[derive(Serialize, ToSchema, Debug)]
pub(crate) struct Problem {
    /// `bad_request`, `unauthorised`, `forbidden`, `not_found`, `conflict`, `still_open`,
    /// `too_many`, `unavailable`, `timeout` or `failed`.
    pub error: &'static str,
    pub message: String,
    /// With `conflict`: the violation as it now stands, and who decided and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub current: Option<serde_json::Value>,
}

#[derive(Debug)]
pub(crate) enum ApiError {
    BadRequest(String),
    Unauthorised,
    Forbidden(&'static str),
    NotFound(&'static str),
    Conflict {
        message: String,
        current: serde_json::Value,
    },
    StillOpen,
    TooMany(u64),
    Busy,
    Timeout,
    Store(StoreError),
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound { what, .. } => Self::NotFound(what),
            StoreError::StillOpen => Self::StillOpen,
            e => Self::Store(e),
        }
    }
}

impl ApiError {
    fn parts(self) -> (StatusCode, Problem) {
        let (status, error, message, current) = match self {
            Self::BadRequest(m) => (StatusCode::BAD_REQUEST, "bad_request", m, None),
            Self::Unauthorised => (
                StatusCode::UNAUTHORIZED,
                "unauthorised",
                "a token or a session is needed".into(),
                None,
            ),
            Self::Forbidden(m) => (StatusCode::FORBIDDEN, "forbidden", m.into(), None),
            Self::NotFound(what) => (
                StatusCode::NOT_FOUND,
                "not_found",
                format!("no such {what}"),
                None,
            ),
            Self::Conflict { message, current } => {
                (StatusCode::CONFLICT, "conflict", message, Some(current))
            }
            Self::StillOpen => (
                StatusCode::CONFLICT,
                "still_open",
                "only closed violations are reviewed".into(),
                None,
            ),
            Self::TooMany(s) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too_many",
                format!("too many refused attempts; try again in {s} s"),
                None,
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "as many requests as allowed are being answered".into(),
                None,
            ),
            Self::Timeout => (
                StatusCode::SERVICE_UNAVAILABLE,
                "timeout",
                "the answer took too long".into(),
                None,
            ),
            Self::Store(e) => {
                tracing::error!(label = e.label(), error = %e, "the store refused a request");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "failed",
                    "the store could not answer".into(),
                    None,
                )
            }
        };
        let problem = Problem {
            error,
            message,
            current,
        };
        (status, problem)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry = match self {
            Self::TooMany(s) => Some(s),
            Self::Busy | Self::Timeout => Some(1),
            _ => None,
        };
        let (status, problem) = self.parts();
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        if let Some(s) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(s));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"waywarden\""),
            );
        }
        response
    }
}
