//! Health, readiness and figures of a role that has no API: three routes, nothing about anybody.

use crate::server::{ConsoleError, limit_headers};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::TextEncoder;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// For answers that are on their way at the end.
const GRACE: Duration = Duration::from_secs(2);

/// What a role tells of itself over HTTP.
#[derive(Clone)]
pub struct Probe {
    /// Where `/healthz`, `/readyz` and `/metrics` are; nothing there asks who calls.
    pub listen: SocketAddr,
    pub metrics: prometheus::Registry,
    /// Short labels of what keeps the role from being ready; none: ready.
    pub not_ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Serves in a task until `shutdown`; gives it and the address that it has.
///
/// # Errors
/// An address that is taken.
pub async fn serve(
    probe: Probe,
) -> Result<(JoinHandle<std::io::Result<()>>, SocketAddr), ConsoleError> {
    let (wanted, stop) = (probe.listen, probe.shutdown.clone());
    let failed = |error| ConsoleError::Listen {
        address: wanted,
        error,
    };
    let listener = TcpListener::bind(wanted).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let routes = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(probe);
    let handle = axum_server::Handle::new();
    let ending = handle.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        ending.graceful_shutdown(Some(GRACE));
    });
    let mut server = axum_server::from_tcp(listener).map_err(failed)?;
    limit_headers(server.http_builder());
    let serving = server.handle(handle).serve(routes.into_make_service());
    Ok((tokio::spawn(serving), address))
}

async fn healthz() -> Response {
    Json(serde_json::json!({ "status": "ok" })).into_response()
}

async fn readyz(State(probe): State<Probe>) -> Response {
    let reasons = (probe.not_ready)();
    let status = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let said = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons });
    (status, Json(said)).into_response()
}

async fn metrics(State(probe): State<Probe>) -> Response {
    match TextEncoder::new().encode_to_string(&probe.metrics.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
