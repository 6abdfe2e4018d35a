//! Cases of the law, worked out by hand: those that come with the law's rules, and our own.

#![allow(clippy::unwrap_used)] // a case that cannot be read has failed

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use waywarden_model::registry::{ImportFile, RegisterKind, Registers, Registry};
use waywarden_model::{TimeZone, Timestamp};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{conclude, input, judge, output::Line};
use waywarden_rules::{Context, Library};

/// Those that came with the law's rules stand beside the project, our own in it.
fn theirs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/domain/cases")
}

fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// The registers of a case: those whose files are there.
fn registers(dir: &Path, name: &str) -> Registers {
    use RegisterKind::{Drivers, Routes, Signs, Vehicles, Zones};
    let of = |(kind, end): (RegisterKind, &str)| {
        let name = format!("{name}.{end}");
        let bytes = fs::read(dir.join(&name)).ok()?;
        Some((kind, name, bytes))
    };
    let kinds = [
        (Vehicles, "vehicles.csv"),
        (Drivers, "drivers.csv"),
        (Routes, "routes.geojson"),
        (Zones, "zones.geojson"),
        (Signs, "signs.geojson"),
    ];
    let read: Vec<_> = kinds.into_iter().filter_map(of).collect();
    let mut files = Vec::new();
    for (kind, name, bytes) in &read {
        files.push(ImportFile {
            name,
            kind: Some(*kind),
            bytes,
        });
    }
    Registers::for_evaluation(&files, &TimeZone::vietnam()).unwrap()
}

/// The Vietnamese law by date, or the profile that a case names.
fn judged(dir: &Path, name: &str, profile: Option<&str>, now: &str) -> Vec<Value> {
    let read = |end: &str| fs::read_to_string(dir.join(format!("{name}.records.{end}")));
    let records = read("csv").or_else(|_| read("jsonl")).unwrap();
    let records = input::records(&records).unwrap();
    let registry = Registry::new(1, registers(dir, name));
    let network = Network::build(&registry);
    let law = Library::built_in().law(profile.unwrap_or("vn"), TimeZone::vietnam());
    let profiles = law.unwrap();
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let judged = judge(records, &ctx, Timestamp::parse_rfc3339(now).unwrap());
    let found = conclude([judged], &ctx);
    found
        .violations
        .iter()
        .map(|v| serde_json::to_value(Line::from(v)).unwrap())
        .collect()
}

fn expected(dir: &Path, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.join(format!("{name}.expected.jsonl"))).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// What differs between two violations, in the fields and tolerances by which cases compare.
fn differences(got: &Value, want: &Value) -> Vec<String> {
    let exact = [
        "kind",
        "rule",
        "vehicle",
        "driver_id",
        "start",
        "end",
        "band",
        "limit_kmh",
        "limit_s",
    ];
    let near = [
        ("max_excess_kmh", 0.01),
        ("distance_km", 0.001),
        ("duration_s", 1.0),
    ];
    let mut found = Vec::new();
    for field in exact {
        let same = match (got[field].as_f64(), want[field].as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-9,
            _ => got[field] == want[field],
        };
        if !same {
            found.push(format!(
                "{field}: {} instead of {}",
                got[field], want[field]
            ));
        }
    }
    for (field, tolerance) in near {
        let same = match (got[field].as_f64(), want[field].as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance + 1e-9,
            (a, b) => a == b,
        };
        if !same {
            found.push(format!(
                "{field}: {} instead of {}",
                got[field], want[field]
            ));
        }
    }
    found
}

/// Judges each case of a folder's index; gives how many there are.
fn check(dir: &Path, index: &str) -> usize {
    let mut failed = Vec::new();
    let mut checked = 0;
    for case in index
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
    {
        let name = case["name"].as_str().unwrap();
        let profile = case["profile"].as_str();
        let (got, want) = (
            judged(dir, name, profile, case["now"].as_str().unwrap()),
            expected(dir, name),
        );
        checked += 1;
        if got.len() != want.len() {
            failed.push(format!(
                "{name}: {} violations instead of {}: {got:#?}",
                got.len(),
                want.len()
            ));
            continue;
        }
        for (got, want) in got.iter().zip(&want) {
            failed.extend(
                differences(got, want)
                    .into_iter()
                    .map(|d| format!("{name}: {d}")),
            );
        }
    }
    assert!(
        failed.is_empty(),
        "{}\n{}",
        failed.join("\n"),
        dir.display()
    );
    checked
}

#[test]
fn the_cases_of_every_regime() {
    let dir = theirs();
    let Ok(index) = fs::read_to_string(dir.join("index.jsonl")) else {
        assert!(std::env::var_os("CI").is_none(), "the cases are missing");
        eprintln!("not checked: the cases in {} are not there", dir.display());
        return;
    };
    let checked = check(&dir, &index);
    assert!(checked >= 22, "only {checked} cases were found");
}

#[test]
fn cases_of_our_own() {
    let dir = ours();
    let index = fs::read_to_string(dir.join("index.jsonl")).unwrap();
    let checked = check(&dir, &index);
    // Who knows the law reads them there.
    let readme = fs::read_to_string(dir.join("README.md")).unwrap();
    for line in index.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        for field in ["name", "clause", "title", "why"] {
            let text = case[field].as_str().unwrap();
            assert!(readme.contains(text), "{line}: not in README.md: {text}");
        }
    }
    // None that is not in the index.
    let files = fs::read_dir(&dir).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let expected = names.filter(|n| n.ends_with(".expected.jsonl")).count();
    assert_eq!(checked, expected);
}
