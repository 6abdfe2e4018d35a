//! The listener: bounds around every request, security headers, TLS, and the way to stop.

use crate::config::{ConfigError, ConsoleConfig};
use crate::error::ApiError;
use crate::fleet::Fleet;
use crate::live::{self, LivePosition};
use crate::routes;
use crate::sessions::Sessions;
use crate::state::{App, Clock, StatusSource};
use crate::view::summary::BadgeThreshold;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, broadcast};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_model::registry::Registry;
use waywarden_store::{ConsoleStore, Role};

/// For all headers of a request, and between two requests of one connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// What the console is given by the binary.
pub struct Parts {
    pub store: Arc<dyn ConsoleStore>,
    pub status: Arc<dyn StatusSource>,
    /// Positions as the worker files them; every live client subscribes. Its capacity is what a
    /// slow client may lag behind.
    pub positions: broadcast::Sender<LivePosition>,
    pub metrics: prometheus::Registry,
    pub clock: Clock,
    /// By the dates of the law.
    pub badge: Vec<BadgeThreshold>,
    /// Cancelled by the binary to stop the console.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: std::io::Error,
    },
    #[error("certificate or key cannot be used: {0}")]
    Tls(std::io::Error),
    #[error(transparent)]
    Store(#[from] waywarden_store::StoreError),
    #[error("the listener ended: {0}")]
    Ended(String),
}

/// A running console.
#[derive(Debug)]
pub struct ConsoleHandle {
    address: SocketAddr,
    app: Arc<App>,
    task: JoinHandle<std::io::Result<()>>,
}

impl ConsoleHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address that signs a page in: good once, for a bounded time.
    pub fn one_use_link(&self, role: Role) -> String {
        let scheme = if self.app.config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let code = self.app.sessions.link(role, self.app.now());
        format!("{scheme}://{}/enter?code={code}", self.address)
    }

    /// Waits until the console has stopped.
    ///
    /// # Errors
    /// [`ConsoleError::Ended`] when it stopped by itself.
    pub async fn join(self) -> Result<(), ConsoleError> {
        let ended = |e: &dyn std::fmt::Display| ConsoleError::Ended(e.to_string());
        self.task
            .await
            .map_err(|e| ended(&e))?
            .map_err(|e| ended(&e))
    }
}

/// Opens the listener and serves until `parts.shutdown` is cancelled.
///
/// # Errors
/// Settings that would open data to the network, an address that is taken, a bad certificate, a
/// store that cannot be read.
pub async fn serve(config: ConsoleConfig, parts: Parts) -> Result<ConsoleHandle, ConsoleError> {
    config.check()?;
    let tls = load_tls(&config).await?;
    let failed = |error| ConsoleError::Listen {
        address: config.listen,
        error,
    };
    let listener = TcpListener::bind(config.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shutdown = parts.shutdown.clone();
    let grace = config.shutdown_grace;
    let app = Arc::new(build(config, parts));
    let last = app.store.last_change().await?;
    tokio::spawn(live::poll_changes(Arc::clone(&app), last));
    let service = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let handle = axum_server::Handle::new();
    let stop = handle.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        stop.graceful_shutdown(Some(grace));
    });
    let io = |error| ConsoleError::Listen { address, error };
    let task = match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls).map_err(io)?;
            limit_headers(server.http_builder());
            tokio::spawn(server.handle(handle).serve(service))
        }
        None => {
            let mut server = axum_server::from_tcp(listener).map_err(io)?;
            limit_headers(server.http_builder());
            tokio::spawn(server.handle(handle).serve(service))
        }
    };
    Ok(ConsoleHandle { address, app, task })
}

/// A client that does not finish its headers is let go.
pub(crate) fn limit_headers(builder: &mut Builder<TokioExecutor>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
}

async fn load_tls(config: &ConsoleConfig) -> Result<Option<RustlsConfig>, ConsoleError> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    // Another part of the process may have chosen the same one before us.
    let _ = rustls::crypto::ring::default_provider().install_default();
    RustlsConfig::from_pem_file(&tls.certificate, &tls.key)
        .await
        .map(Some)
        .map_err(ConsoleError::Tls)
}

fn build(config: ConsoleConfig, parts: Parts) -> App {
    App {
        sessions: Sessions::new(&config),
        requests: Arc::new(Semaphore::new(config.max_requests)),
        streams: Arc::new(Semaphore::new(config.max_streams)),
        viewers: Arc::new(Semaphore::new(config.max_live)),
        store: parts.store,
        status: parts.status,
        metrics: parts.metrics,
        clock: parts.clock,
        badge: parts.badge,
        positions: parts.positions,
        changes: broadcast::channel(live::QUEUE).0,
        fleet: Fleet::default(),
        registry: Mutex::new(Arc::new(Registry::default())),
        openapi: routes::openapi()
            .to_pretty_json()
            .expect("the document holds text and numbers only"),
        stopping: parts.shutdown,
        config,
    }
}

fn router(app: &Arc<App>) -> Router {
    let (routes, _) = routes::all().split_for_parts();
    routes
        .route_layer(from_fn_with_state(Arc::clone(app), crate::auth::authorise))
        .fallback(crate::page::serve)
        .layer(DefaultBodyLimit::max(app.config.max_body))
        .layer(from_fn_with_state(Arc::clone(app), bounded))
        .layer(from_fn(security_headers))
        .with_state(Arc::clone(app))
}

/// As many requests at once as allowed, each with its time. Streams count until they begin.
async fn bounded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let Ok(_permit) = Arc::clone(&app.requests).try_acquire_owned() else {
        return ApiError::Busy.into_response();
    };
    match tokio::time::timeout(app.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::Timeout.into_response(),
    }
}

/// The map makes its workers from blobs and draws images from memory; nothing comes from outside.
const CSP: &str = "default-src 'self'; script-src 'self'; worker-src 'self' blob:; \
    child-src blob:; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
    connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

async fn security_headers(request: Request, next: Next) -> Response {
    let private = !request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    if private && !headers.contains_key("cache-control") {
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
    }
    response
}
