//! The invariants of the architecture that a program can check by reading the tree.

#![allow(clippy::unwrap_used)] // a test that cannot read the tree has failed

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use waywarden_tests::{files, root};

/// Crates without input or output: time is an argument.
const PURE: [&str; 4] = ["model", "wire", "roads", "rules"];

/// Which crates of ours a crate may depend on (ARCHITECTURE.md).
const MAY_USE: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("wire", &["model"]),
    ("roads", &["model"]),
    ("rules", &["model", "roads"]),
    ("bus", &["model"]),
    ("store", &["model"]),
    ("gateway", &["model", "wire", "bus"]),
    ("worker", &["model", "rules", "roads", "bus", "store"]),
    ("console", &["model", "store", "bus"]),
    ("simulator", &["model", "wire", "roads"]),
    (
        "waywarden",
        &[
            "model",
            "wire",
            "roads",
            "rules",
            "bus",
            "store",
            "gateway",
            "worker",
            "console",
            "simulator",
        ],
    ),
];

/// Libraries that do input or output, read a clock or draw numbers.
const IMPURE: [&str; 12] = [
    "tokio",
    "tokio-util",
    "rusqlite",
    "axum",
    "rand",
    "rand_chacha",
    "prometheus",
    "socket2",
    "futures",
    "tracing",
    "ureq",
    "rdkafka",
];

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let table: toml::Table = text.parse().unwrap();
    table
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

fn crates() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    for name in crates() {
        let allowed = MAY_USE.iter().find(|(n, _)| *n == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} is in no row of the table"));
        for dep in dependencies(&root().join("crates").join(&name).join("Cargo.toml")) {
            if let Some(ours) = dep.strip_prefix("waywarden-") {
                assert!(allowed.contains(&ours), "{name} must not depend on {ours}");
            }
        }
    }
}

#[test]
fn pure_crates_use_no_impure_library() {
    for name in PURE
        .iter()
        .filter(|n| root().join("crates").join(n).exists())
    {
        let deps = dependencies(&root().join("crates").join(name).join("Cargo.toml"));
        for bad in IMPURE {
            assert!(!deps.contains(bad), "{name} depends on {bad}");
        }
    }
}

#[test]
fn pure_crates_read_no_clock_and_touch_no_world() {
    const BANNED: [&str; 12] = [
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "Timestamp::now",
        "Zoned::now",
        ".sin()",
        ".cos()",
        ".acos()",
        "println!",
    ];
    for name in PURE
        .iter()
        .filter(|n| root().join("crates").join(n).exists())
    {
        for file in files(&root().join("crates").join(name).join("src"), "rs").unwrap() {
            if file.ends_with("tests.rs") {
                continue; // a module of tests in a file of its own
            }
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (n, line) in code.lines().enumerate() {
                let line = line.split("//").next().unwrap_or_default();
                for bad in BANNED {
                    assert!(!line.contains(bad), "{}:{}: `{bad}`", file.display(), n + 1);
                }
            }
        }
    }
}

#[test]
fn paths_named_in_documents_exist() {
    let mut documents = files(&root(), "md").unwrap();
    documents.retain(|p| !p.ends_with("DEADLINES_MOVED.md"));
    assert!(
        documents.iter().any(|p| p.ends_with("README.md")),
        "there is a README"
    );
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/')
                && !word.contains([' ', '*', '<', ':', '$', '{', '\n'])
                && !word.starts_with(['/', '-', '.']);
            let first = word.split('/').next().unwrap_or_default();
            let ours = ["crates", "proto", "deploy", "benches", "tests", "docs"].contains(&first);
            if is_path && ours {
                let path = root().join(word.trim_end_matches('/'));
                assert!(
                    path.exists(),
                    "{} names {word}, which is not there",
                    document.display()
                );
            }
        }
    }
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let mut manifests = files(&root().join("crates"), "toml").unwrap();
    manifests.retain(|p| p.ends_with("Cargo.toml") && !p.to_string_lossy().contains("fuzz"));
    assert!(!manifests.is_empty());
    for manifest in manifests {
        let table: toml::Table = fs::read_to_string(&manifest).unwrap().parse().unwrap();
        let lints = table.get("lints").and_then(|l| l.get("workspace"));
        assert_eq!(
            lints,
            Some(&toml::Value::Boolean(true)),
            "{}",
            manifest.display()
        );
    }
}
