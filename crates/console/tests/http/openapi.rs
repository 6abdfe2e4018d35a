//! The document, the table of permissions and the routes say the same.

use crate::fixture::Fixture;
use std::collections::BTreeSet;
use waywarden_console::auth::PERMISSIONS;
use waywarden_store::Role;

#[test]
fn every_route_is_documented_and_every_document_routed() {
    let f = Fixture::new();
    let served = f.get("/openapi.json", &f.token(Role::Viewer)).json();
    let mut documented = BTreeSet::new();
    for (path, item) in served["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert((method.to_uppercase(), path.clone()));
        }
    }
    let routed: BTreeSet<_> = PERMISSIONS
        .iter()
        .map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned()))
        .collect();
    // That each of these is routed is shown by the test of all roles: no 404 of the router, no 405.
    assert_eq!(documented, routed);
}

#[test]
fn the_written_document_names_every_route() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap().replace("\\|", "|");
    for (_, path, _) in PERMISSIONS {
        let named =
            text.contains(path) || text.contains(&path.replace("{kind}", "{routes|zones|signs}"));
        assert!(named, "{path}");
    }
}

#[test]
fn a_violation_is_documented_with_all_its_fields() {
    let f = Fixture::new();
    let served = f.get("/openapi.json", &f.token(Role::Viewer)).json();
    let fields = &served["components"]["schemas"]["ViolationView"]["properties"];
    for name in [
        "id",
        "kind",
        "rule",
        "vehicle",
        "driver_id",
        "operator",
        "start",
        "end",
        "band",
        "limit_kmh",
        "limit_source",
        "max_excess_kmh",
        "distance_km",
        "duration_s",
        "limit_s",
        "profile",
        "status",
        "open",
        "revision",
        "figures",
    ] {
        assert!(fields.get(name).is_some(), "{name}");
    }
}
