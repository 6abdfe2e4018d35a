//! Health, readiness, figures and the document of the API.

use crate::error::{ApiError, Problem};
use crate::state::{App, ServiceStatus};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use waywarden_model::Timestamp;
use waywarden_store::StoreError;

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", security(()),
    responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    /// Short labels of what is missing.
    reasons: Vec<String>,
}

/// The service takes and judges data.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut reasons = app.status.status().not_ready;
    if let Err(e) = app.store.last_change().await {
        reasons.push(refused(&e));
    }
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Readiness { ready, reasons })).into_response()
}

/// The reason not to be ready that a store gives which does not answer.
fn refused(error: &StoreError) -> String {
    format!("store_{}", error.label())
}

/// Figures in the text format of Prometheus. Those of what is on file are missing while the store
/// does not answer; the others are there.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 401, body = Problem)))]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let (service, store) = (app.status.status(), app.store.status().await);
    let mut reasons = service.not_ready.clone();
    reasons.extend(store.as_ref().err().map(refused));
    let own = prometheus::Registry::new();
    let failed = |e: prometheus::Error| StoreError::Failed(e.to_string());
    crate::metrics::tell(&own, &reasons, &service, store.as_ref().ok()).map_err(failed)?;
    let mut out = Vec::new();
    for families in [app.metrics.gather(), own.gather()] {
        let encoder = TextEncoder::new();
        encoder.encode(&families, &mut out).map_err(failed)?;
    }
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], out).into_response())
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, content_type = "application/json"), (status = 401, body = Problem)))]
pub(super) async fn openapi_json(State(app): State<Arc<App>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        app.openapi.clone(),
    )
        .into_response()
}

#[derive(Serialize, ToSchema)]
pub(super) struct StatusView {
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    version: &'static str,
    ready: bool,
    /// When the last record was received.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_received: Option<Timestamp>,
    sources: u64,
    /// Devices that wait for approval.
    devices_held: u64,
    violations_open: u64,
    /// Alerts that go on, by kind.
    alerts_open: BTreeMap<&'static str, u64>,
    /// Sources with late data that await a rebuild.
    marks: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_mark: Option<Timestamp>,
    dirty_subjects: u64,
    /// Messages of the log that could not be read.
    poison: u64,
    /// Messages in the log that are not yet judged, all partitions; null where the log is not
    /// known here.
    backlog: Option<u64>,
    partitions: Vec<PartitionView>,
    service: ServiceStatus,
}

#[derive(Serialize, ToSchema)]
struct PartitionView {
    partition: u32,
    position: u64,
    backlog: Option<u64>,
    registry: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated: Option<Timestamp>,
    counters: CountersView,
}

/// read = filed + repeated + aside + refused.
#[derive(Serialize, ToSchema)]
struct CountersView {
    read: u64,
    filed: u64,
    repeated: u64,
    aside: u64,
    refused: u64,
    late: u64,
}

/// How the service stands.
#[utoipa::path(get, path = "/api/v1/status", tag = "status",
    responses((status = 200, body = StatusView), (status = 401, body = Problem)))]
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Json<StatusView>, ApiError> {
    let s = app.store.status().await?;
    let service = app.status.status();
    let partitions: Vec<PartitionView> = s
        .partitions
        .iter()
        .map(|p| PartitionView {
            partition: p.partition,
            position: p.position,
            backlog: service
                .log
                .iter()
                .find(|l| l.partition == p.partition)
                .map(|l| l.head.saturating_sub(p.position)),
            registry: p.registry,
            updated: p.updated,
            counters: CountersView {
                read: p.counters.read,
                filed: p.counters.filed,
                repeated: p.counters.repeated,
                aside: p.counters.aside,
                refused: p.counters.refused,
                late: p.counters.late,
            },
        })
        .collect();
    Ok(Json(StatusView {
        now: app.now(),
        version: env!("CARGO_PKG_VERSION"),
        ready: service.not_ready.is_empty(),
        last_received: s.last_received,
        sources: s.sources,
        devices_held: s.held,
        violations_open: s.violations_open,
        alerts_open: s.alerts_open.iter().map(|(k, n)| (k.name(), *n)).collect(),
        marks: s.marks,
        oldest_mark: s.oldest_mark,
        dirty_subjects: s.dirty_subjects,
        poison: s.poison,
        backlog: partitions.iter().map(|p| p.backlog).sum(),
        partitions,
        service,
    }))
}
