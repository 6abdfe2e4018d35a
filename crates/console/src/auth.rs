//! Who asks, and whether they may: every route has one line in [`PERMISSIONS`], and what has none
//! is refused.

use crate::error::ApiError;
use crate::state::App;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use rand::TryRngCore;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use waywarden_model::Timestamp;
use waywarden_store::{Role, TokenHash};

pub(crate) const COOKIE: &str = "waywarden_session";

/// A new secret (256 bits of the system's randomness, 64 hexadecimal digits) and what is filed of
/// it.
pub fn new_secret() -> (String, TokenHash) {
    let mut bytes = [0u8; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .expect("a system without randomness cannot make secrets");
    let secret = hex::encode(bytes);
    let hash = hash_secret(&secret);
    (secret, hash)
}

/// SHA-256 of a secret's text. Secrets are looked up by it, so comparing tells nothing of them.
pub fn hash_secret(secret: &str) -> TokenHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// What a route needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Nobody is asked: health for probes, and the trade of a link for a session.
    Open,
    /// Any role.
    Any,
    /// Vehicles, tracks, days, registers, the live stream: not for agencies.
    Watch,
    /// Violations and their evidence.
    Violations,
    Review,
    /// The agencies' pull.
    Pull,
}

impl Permission {
    /// Agencies see violations and pull them; administrators may do everything.
    pub const fn allows(self, role: Role) -> bool {
        match self {
            Self::Open | Self::Any | Self::Violations => true,
            Self::Watch => !matches!(role, Role::Agency),
            Self::Review => matches!(role, Role::Operator | Role::Administrator),
            Self::Pull => matches!(role, Role::Agency | Role::Administrator),
        }
    }
}

/// Method, path and what it needs.
pub const PERMISSIONS: &[(&str, &str, Permission)] = &[
    ("GET", "/healthz", Permission::Open),
    ("GET", "/readyz", Permission::Open),
    ("GET", "/enter", Permission::Open),
    ("GET", "/metrics", Permission::Watch),
    ("GET", "/openapi.json", Permission::Any),
    ("GET", "/api/v1/session", Permission::Any),
    ("POST", "/api/v1/session", Permission::Any),
    ("POST", "/api/v1/session/end", Permission::Any),
    ("GET", "/api/v1/status", Permission::Watch),
    ("GET", "/api/v1/vehicles", Permission::Watch),
    ("GET", "/api/v1/vehicles/{id}/track", Permission::Watch),
    ("GET", "/api/v1/day-rows", Permission::Watch),
    ("GET", "/api/v1/driver-days", Permission::Watch),
    ("GET", "/api/v1/summaries", Permission::Watch),
    ("GET", "/api/v1/transmission", Permission::Watch),
    ("GET", "/api/v1/registers/{kind}", Permission::Watch),
    ("GET", "/api/v1/live", Permission::Watch),
    ("GET", "/api/v1/alerts", Permission::Watch),
    ("GET", "/api/v1/violations", Permission::Violations),
    ("GET", "/api/v1/violations/{id}", Permission::Violations),
    (
        "POST",
        "/api/v1/violations/{id}/reviews",
        Permission::Review,
    ),
    ("GET", "/api/v1/changes", Permission::Pull),
];

pub(crate) fn permission(method: &Method, path: &str) -> Option<Permission> {
    // A HEAD request is answered by the handler of GET.
    let method = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    PERMISSIONS
        .iter()
        .find(|(m, p, _)| *m == method && *p == path)
        .map(|(_, _, needed)| *needed)
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// Name of the token, also of a page that it signed in; `page` for one that a link did.
    pub name: String,
    pub role: Role,
    pub expires: Timestamp,
    pub by_cookie: bool,
}

/// Middleware of all routes but the page's files.
pub(crate) async fn authorise(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let needed = permission(request.method(), path.as_str())
        .ok_or(ApiError::Forbidden("no role may use this method here"))?;
    if needed != Permission::Open {
        let address = client(&app, &request);
        let identity = identify(&app, address, request.headers()).await?;
        if !needed.allows(identity.role) {
            return Err(ApiError::Forbidden("the role does not allow this"));
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if identity.by_cookie && !reads && !same_origin(request.headers()) {
            return Err(ApiError::Forbidden("the request comes from another site"));
        }
        request.extensions_mut().insert(identity);
    }
    Ok(next.run(request).await)
}

async fn identify(app: &App, address: IpAddr, headers: &HeaderMap) -> Result<Identity, ApiError> {
    let now = app.now();
    if let Some(wait) = app.sessions.blocked(address, now) {
        return Err(ApiError::TooMany(wait));
    }
    let found = match bearer(headers) {
        Some(secret) => of_token(app, secret, now).await?,
        None => match cookie(headers) {
            Some(secret) => of_session(app, secret, now).await?,
            // Nothing was tried, so nothing failed.
            None => return Err(ApiError::Unauthorised),
        },
    };
    found.ok_or_else(|| {
        app.sessions.failed(address, now);
        ApiError::Unauthorised
    })
}

async fn of_token(app: &App, secret: &str, now: Timestamp) -> Result<Option<Identity>, ApiError> {
    let token = app.store.find_token(hash_secret(secret)).await?;
    Ok(token.filter(|t| t.is_valid_at(now)).map(|t| Identity {
        name: t.name,
        role: t.role,
        expires: t.expires,
        by_cookie: false,
    }))
}

async fn of_session(app: &App, secret: &str, now: Timestamp) -> Result<Option<Identity>, ApiError> {
    let Some(session) = app.sessions.find(secret, now) else {
        return Ok(None);
    };
    let page = Identity {
        name: "page".into(),
        role: session.role,
        expires: session.expires,
        by_cookie: true,
    };
    let Some(hash) = session.token else {
        return Ok(Some(page));
    };
    // A token that was withdrawn takes its pages with it.
    let token = app.store.find_token(hash).await?;
    Ok(token.filter(|t| t.is_valid_at(now)).map(|t| Identity {
        name: t.name,
        role: t.role,
        expires: t.expires.min(page.expires),
        ..page
    }))
}

/// Hash of the token that a request carries.
pub(crate) fn token_hash(headers: &HeaderMap) -> Option<waywarden_store::TokenHash> {
    bearer(headers).map(hash_secret)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    (scheme.eq_ignore_ascii_case("bearer") && secret.len() <= 256).then_some(secret)
}

pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Whose address counts failures: the peer, or behind a trusted proxy the client that it names.
pub(crate) fn client(app: &App, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::from([0, 0, 0, 0]), |c| c.0.ip());
    if !app.config.trusted_proxies.contains(&peer) {
        return peer;
    }
    request
        .headers()
        .get("x-forwarded-for")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.rsplit(',').next())
        .and_then(|v| v.trim().parse().ok())
        .unwrap_or(peer)
}

/// A browser says where a request comes from; one that says nothing is not believed.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let (Some(origin), Some(host)) = (text("origin"), text("host")) else {
        return false;
    };
    origin
        .split_once("://")
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_256_bits_and_never_twice() {
        let (a, hash) = new_secret();
        assert_eq!(a.len(), 64);
        assert_eq!(hash, hash_secret(&a));
        assert_ne!(a, new_secret().0);
    }

    #[test]
    fn origins() {
        let check = |pairs: &[(&'static str, &'static str)]| {
            let mut h = HeaderMap::new();
            for (n, v) in pairs {
                h.insert(*n, axum::http::HeaderValue::from_static(v));
            }
            same_origin(&h)
        };
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(check(&[("origin", "http://a:80"), ("host", "a:80")]));
        assert!(!check(&[("origin", "http://b:80"), ("host", "a:80")]));
        assert!(!check(&[("host", "a:80")]));
    }
}
