//! What is deployed fits together: names that one file takes from another are there, and are what
//! the program has by default. Each file by itself is checked by `deploy/check.sh`.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod compose;
mod kubernetes;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use waywarden_tests::{files, root};

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn toml(path: &str) -> toml::Table {
    read(path).parse().unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn the_image_is_this_version_on_this_compiler() {
    let workspace = toml("Cargo.toml");
    let package = &workspace["workspace"]["package"];
    let version = package["version"].as_str().unwrap();
    let tag = &documents("deploy/kubernetes/kustomization.yaml")[0]["images"][0]["newTag"];
    assert_eq!(text(tag), version);
    let compose = &documents("deploy/compose.yaml")[0];
    let image = format!("waywarden:{version}");
    assert_eq!(text(&compose["x-program"]["image"]), image);
    let made = read("deploy/Dockerfile");
    assert!(made.contains(&format!("-t {image} ")));
    let compiler = package["rust-version"].as_str().unwrap();
    assert!(made.contains(&format!("FROM rust:{compiler}-bookworm ")));
    // What the build takes is let through to it.
    let ignored = read(".dockerignore");
    let kept: BTreeSet<&str> = ignored
        .lines()
        .filter_map(|l| l.strip_prefix('!'))
        .collect();
    for member in list(&serde_json::to_value(&workspace["workspace"]["members"]).unwrap()) {
        let folder = text(member).trim_end_matches("/*");
        assert!(kept.contains(folder), "{folder}");
    }
    assert!(kept.contains("proto") && kept.contains("Cargo.lock"));
}

/// Lines of a unit without what is each role's own.
fn hardening(unit: &str) -> Vec<&str> {
    let own = [
        "#",
        "Description=",
        "ExecStart=",
        "Environment=",
        "StateDirectory=",
    ];
    let common = |l: &&str| !own.iter().any(|o| l.starts_with(o));
    unit.lines().filter(common).collect()
}

#[test]
fn units_are_hardened_alike_and_check_what_they_start_with() {
    let units = files(&root().join("deploy/systemd"), "service").unwrap();
    assert_eq!(units.len(), 4);
    let first = fs::read_to_string(&units[0]).unwrap();
    for path in units {
        let (unit, name) = (fs::read_to_string(&path).unwrap(), path.display());
        assert_eq!(hardening(&unit), hardening(&first), "{name}");
        let line = |key: &str| unit.lines().find_map(|l| l.strip_prefix(key)).unwrap();
        let config = |l: &str| {
            l.split_once("--config ")
                .unwrap()
                .1
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        };
        let check = line("ExecStartPre=");
        assert!(check.contains(" check-config "), "{name}");
        assert_eq!(config(check), config(line("ExecStart=")), "{name}");
        let data = format!("WAYWARDEN__DATA=/var/lib/{}", line("StateDirectory="));
        assert_eq!(line("Environment="), data, "{name}");
    }
}

/// The commands of docs/operations.md, which the engineer types as they are.
#[test]
fn commands_name_files_that_are_there() {
    let document = read("docs/operations.md");
    let blocks = document.split("```sh\n").skip(1);
    let commands = blocks.map(|b| b.split("```").next().unwrap());
    let mut count = 0;
    for word in commands.flat_map(str::split_whitespace) {
        let ours = word.starts_with("deploy/") || word.starts_with("docs/");
        if ours && !word.starts_with("deploy/compose/secrets/") {
            assert!(root().join(word).exists(), "{word}");
            count += 1;
        }
    }
    assert!(count > 5);
}
