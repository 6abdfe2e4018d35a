//! Who may do what, and how a page signs in.

use crate::fixture::{Fixture, T0, bearer};
use waywarden_console::auth::{PERMISSIONS, Permission};
use waywarden_console::{ConsoleConfig, ConsoleError, page_is_built};
use waywarden_store::{AdminStore, Role};

fn concrete(path: &str) -> String {
    path.replace("{id}", "00000000000000000000000000000000")
        .replace("{kind}", "routes")
}

#[test]
fn every_role_at_every_route() {
    let f = Fixture::new();
    for role in Role::ALL {
        let token = bearer(&f.token(role));
        for (method, path, needed) in PERMISSIONS {
            // The stream never ends; its own test reads it.
            if *path == "/api/v1/live" && needed.allows(role) {
                continue;
            }
            let headers = [("authorization", token.as_str())];
            let got = f.send(method, &concrete(path), &headers, None).status;
            let refused = got == 403;
            assert_eq!(
                refused,
                !needed.allows(role),
                "{role:?} {method} {path}: {got}"
            );
            assert_ne!(got, 405, "{method} {path} is not routed");
        }
    }
}

#[test]
fn without_a_token_only_what_is_open_answers() {
    let f = Fixture::new();
    for (method, path, needed) in PERMISSIONS {
        let got = f.send(method, &concrete(path), &[], None);
        if *needed == Permission::Open {
            assert!(
                [200, 503, 400].contains(&got.status),
                "{path}: {}",
                got.status
            );
        } else {
            assert_eq!(got.status, 401, "{path}");
            assert_eq!(got.json()["error"], "unauthorised");
        }
    }
}

#[test]
fn expired_withdrawn_and_invented_tokens_are_refused() {
    let f = Fixture::new();
    let expired = f.token_until(Role::Viewer, T0);
    assert_eq!(f.get("/api/v1/session", &expired).status, 401);
    let good = f.token(Role::Viewer);
    assert_eq!(f.get("/api/v1/session", &good).status, 200);
    let name = f.get("/api/v1/session", &good).json()["name"].clone();
    f.runtime
        .block_on(f.store.withdraw_token(
            name.as_str().unwrap(),
            waywarden_model::Timestamp::from_millis(T0),
        ))
        .unwrap();
    assert_eq!(f.get("/api/v1/session", &good).status, 401);
    assert_eq!(f.get("/api/v1/session", "00").status, 401);
}

#[test]
fn guessing_has_to_wait() {
    let f = Fixture::with(ConsoleConfig {
        max_failures: 3,
        ..ConsoleConfig::default()
    });
    let good = f.token(Role::Viewer);
    for _ in 0..3 {
        assert_eq!(f.get("/api/v1/session", "guess").status, 401);
    }
    let blocked = f.get("/api/v1/session", &good);
    assert_eq!(blocked.status, 429);
    assert_eq!(blocked.header("retry-after"), "61");
    f.now
        .fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(f.get("/api/v1/session", &good).status, 200);
}

#[test]
fn a_link_signs_a_page_in_once() {
    let f = Fixture::new();
    let link = f.console.one_use_link(Role::Operator);
    let path = link.strip_prefix(&f.base).unwrap().to_owned();
    let entered = f.send("GET", &path, &[], None);
    assert_eq!((entered.status, entered.header("location")), (303, "/"));
    let set = entered.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    assert_eq!(f.send("GET", &path, &[], None).status, 401);

    let cookie = set.split(';').next().unwrap();
    let me = f.send("GET", "/api/v1/session", &[("cookie", cookie)], None);
    assert_eq!(me.json()["role"], "operator");

    // A write with the cookie must come from the page itself.
    let end = |extra: &[(&str, &str)]| {
        let mut headers = vec![("cookie", cookie)];
        headers.extend(extra);
        f.send("POST", "/api/v1/session/end", &headers, None).status
    };
    assert_eq!(end(&[]), 403);
    assert_eq!(end(&[("sec-fetch-site", "cross-site")]), 403);
    assert_eq!(end(&[("origin", "http://evil.example")]), 403);
    assert_eq!(end(&[("origin", &f.base)]), 204);
    let me = f.send("GET", "/api/v1/session", &[("cookie", cookie)], None);
    assert_eq!(me.status, 401);
}

#[test]
fn answers_carry_the_security_headers() {
    let f = Fixture::new();
    let page = f.send("GET", "/", &[], None);
    assert_eq!(page.status, 200);
    if !page_is_built() {
        assert!(page.text.contains("make web"));
    }
    let csp = page.header("content-security-policy");
    assert!(csp.contains("worker-src 'self' blob:") && !csp.contains("http"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(f.send("GET", "/violations/7", &[], None).status, 200);
    let missing = f.send("GET", "/api/v1/nothing", &[], None);
    assert_eq!(
        (missing.status, missing.header("cache-control")),
        (404, "no-store")
    );
}

#[test]
fn beyond_loopback_it_refuses_to_start_unprotected() {
    let f = Fixture::new();
    let config = ConsoleConfig {
        listen: ([0, 0, 0, 0], 0).into(),
        ..ConsoleConfig::default()
    };
    let refused = f
        .runtime
        .block_on(waywarden_console::serve(config, parts(&f)));
    assert!(
        matches!(refused, Err(ConsoleError::Config(_))),
        "{refused:?}"
    );
}

struct NoStatus;

impl waywarden_console::StatusSource for NoStatus {
    fn status(&self) -> waywarden_console::ServiceStatus {
        waywarden_console::ServiceStatus::default()
    }
}

#[test]
fn a_certificate_that_is_not_there_is_said() {
    let f = Fixture::new();
    let config = ConsoleConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: Some(waywarden_console::Tls {
            certificate: "/nonexistent/cert.pem".into(),
            key: "/nonexistent/key.pem".into(),
        }),
        ..ConsoleConfig::default()
    };
    let refused = f
        .runtime
        .block_on(waywarden_console::serve(config, parts(&f)));
    assert!(matches!(refused, Err(ConsoleError::Tls(_))), "{refused:?}");
}

fn parts(f: &Fixture) -> waywarden_console::Parts {
    waywarden_console::Parts {
        store: std::sync::Arc::new(f.store.clone()),
        status: std::sync::Arc::new(NoStatus),
        positions: f.positions.clone(),
        metrics: prometheus::Registry::new(),
        clock: std::sync::Arc::new(waywarden_model::Timestamp::default),
        badge: Vec::new(),
        shutdown: tokio_util::sync::CancellationToken::new(),
    }
}

/// What a page does that a token signed in is done in the token's name, and ends with the token.
#[test]
fn a_token_signs_a_page_in() {
    let f = Fixture::new();
    let token = f.token(Role::Operator);
    let name = f.get("/api/v1/session", &token).json()["name"].clone();
    assert_eq!(f.send("POST", "/api/v1/session", &[], None).status, 401);
    let signed = f.send(
        "POST",
        "/api/v1/session",
        &[("authorization", &bearer(&token))],
        None,
    );
    assert_eq!(signed.status, 204);
    let set = signed.header("set-cookie");
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Strict"),
        "{set}"
    );
    let cookie = set.split(';').next().unwrap().to_owned();
    let mine = || f.send("GET", "/api/v1/session", &[("cookie", &cookie)], None);
    assert_eq!(mine().json()["name"], name);
    // A cookie alone opens no second session.
    let again = f.send(
        "POST",
        "/api/v1/session",
        &[("cookie", &cookie), ("sec-fetch-site", "same-origin")],
        None,
    );
    assert_eq!(again.status, 401);
    let now = waywarden_model::Timestamp::from_millis(T0);
    let withdrawn = f.store.withdraw_token(name.as_str().unwrap(), now);
    f.runtime.block_on(withdrawn).unwrap();
    assert_eq!(mine().status, 401);
}
