//! What the page is built and tested with.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use semver::{Version, VersionReq};
use serde_json::Value;
use waywarden_tests::root;

/// Debian 12's own.
const NODE: Version = Version::new(18, 19, 0);

/// Whether a range of package.json takes the version: alternatives of ranges.
fn takes(range: &str, version: &Version) -> bool {
    range.split("||").any(|one| {
        let commas = one.trim().replace(" <", ", <");
        VersionReq::parse(&commas).unwrap().matches(version)
    })
}

#[test]
fn every_package_runs_on_debians_node() {
    assert!(takes("^18.0.0 || >=20.0.0", &NODE) && takes(">= 14.16", &NODE));
    assert!(!takes("^20.19.0 || >=22.12.0", &NODE) && takes(">=16 <19", &NODE));
    let lock = root().join("crates/console/web/package-lock.json");
    let lock: Value = serde_json::from_str(&std::fs::read_to_string(lock).unwrap()).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    assert!(packages.len() > 50);
    for (name, package) in packages {
        assert!(package.get("resolved").is_none(), "{name} names a registry");
        if let Some(range) = package["engines"]["node"].as_str() {
            assert!(takes(range, &NODE), "{name} needs node {range}");
        }
    }
}
