//! Each role of `deploy/compose.yaml` and `deploy/kubernetes` starts with a configuration that the
//! program takes: its file, its variables, and the secrets that it is given and no others.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_waywarden");

/// Keys of the secrets that are made by hand (docs/operations.md, 'On Kubernetes').
const MADE: [(&str, &[&str]); 3] = [
    ("waywarden-store", &["store-password", "store-ca.pem"]),
    ("waywarden-auth-key", &["auth-key"]),
    ("waywarden-console-tls", &["tls.crt", "tls.key"]),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

fn documents(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(deploy().join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value) -> Vec<String> {
    list(value).iter().map(|w| text(w).to_owned()).collect()
}

/// One process as it is deployed.
#[derive(Default)]
struct Deployed {
    /// Below `deploy`.
    config: &'static str,
    variables: BTreeMap<String, String>,
    /// Files that it is given.
    secrets: Vec<String>,
    /// What it is started with, behind the program's name.
    command: Vec<String>,
}

impl Deployed {
    /// What `check-config` says to it, in a folder in place of `/`.
    fn check(&self) -> (Option<i32>, String) {
        let dir = tempfile::tempdir().unwrap();
        for secret in &self.secrets {
            let file = dir.path().join(secret.trim_start_matches('/'));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            match secret.ends_with("store-ca.pem") {
                true => std::fs::copy(fixture("ca.pem"), file).map(drop),
                false => std::fs::write(file, [b'k'; 32]),
            }
            .unwrap();
        }
        let here = |text: &str| {
            let inside = |p: &str| format!("{}{p}", dir.path().display());
            ["/run/secrets/", "/etc/waywarden/"]
                .iter()
                .fold(text.to_owned(), |text, p| text.replace(p, &inside(p)))
        };
        let config = std::fs::read_to_string(deploy().join(self.config)).unwrap();
        let file = dir.path().join("waywarden.toml");
        std::fs::write(&file, here(&config)).unwrap();
        let done = Command::new(PROGRAM)
            .args(["check-config", "--config"])
            .arg(&file)
            .env_clear()
            .env("WAYWARDEN__DATA", dir.path().join("data"))
            .envs(self.variables.iter().map(|(k, v)| (k, here(v))))
            .output()
            .unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        (done.status.code(), said)
    }
}

/// Services of the compose file that run the program.
fn composed() -> BTreeMap<String, Deployed> {
    let compose = documents("compose.yaml").remove(0);
    let image = &compose["x-program"]["image"];
    let mut found = BTreeMap::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        if &service["image"] != image {
            continue;
        }
        let secrets = list(&service["secrets"]).iter();
        let variables = service["environment"].as_object().cloned();
        let variables = variables.unwrap_or_default().into_iter();
        let deployed = Deployed {
            command: words(&service["command"]),
            config: "compose/waywarden.toml",
            variables: variables.map(|(k, v)| (k, text(&v).to_owned())).collect(),
            secrets: secrets
                .map(|s| format!("/run/secrets/{}", text(s)))
                .collect(),
        };
        found.insert(name.clone(), deployed);
    }
    found
}

/// Pods of the manifests.
fn orchestrated() -> BTreeMap<String, Deployed> {
    let mut found = BTreeMap::new();
    for file in ["migrate", "gateway", "worker", "console"] {
        let all = documents(&format!("kubernetes/{file}.yaml"));
        let makes = |m: &&Value| !m["spec"]["template"].is_null();
        let spec = &all.iter().find(makes).unwrap()["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        let mut deployed = Deployed {
            command: words(&container["args"]),
            config: "kubernetes/waywarden.toml",
            ..Deployed::default()
        };
        for variable in list(&container["env"]) {
            // What the cluster fills in is the pod's name.
            let value = variable["value"].as_str().unwrap_or("gateway-0");
            let name = text(&variable["name"]).to_owned();
            deployed.variables.insert(name, value.to_owned());
        }
        for mount in list(&container["volumeMounts"]) {
            let mut volumes = list(&spec["volumes"]).iter();
            let volume = volumes.find(|v| v["name"] == mount["name"]);
            let secret = volume.map_or("", |v| text(&v["secret"]["secretName"]));
            let keys = MADE.iter().find(|(name, _)| *name == secret);
            for key in keys.map_or(&[][..], |(_, keys)| keys) {
                let path = format!("{}/{key}", text(&mount["mountPath"]));
                deployed.secrets.push(path);
            }
        }
        found.insert(file.to_owned(), deployed);
    }
    found
}

#[test]
fn every_role_starts_with_a_configuration_that_is_taken() {
    let composed = composed();
    assert_eq!(composed.len(), 6, "{:?}", composed.keys());
    for (name, deployed) in &composed {
        let (code, said) = deployed.check();
        assert_eq!(code, Some(0), "{name}: {said}");
        // One broker and the plain way to the store are doubted, as the file says; nothing else is.
        let known = |l: &&str| !l.contains("`log.min_in_sync`") && !l.contains("`store.server`");
        assert_eq!(said.lines().filter(known).count(), 0, "{name}: {said}");
    }
    for (name, deployed) in &orchestrated() {
        assert_eq!(deployed.check(), (Some(0), String::new()), "{name}");
    }
}

#[test]
fn a_role_without_its_secret_does_not_start() {
    for (mut all, name, secret) in [
        (composed(), "gateway-1", "auth-key"),
        (composed(), "console", "console-key"),
        (orchestrated(), "gateway", "auth-key"),
        (orchestrated(), "console", "tls.key"),
        (orchestrated(), "worker", "store-ca.pem"),
    ] {
        let deployed = all.get_mut(name).unwrap();
        deployed.secrets.retain(|s| !s.ends_with(secret));
        let (code, said) = deployed.check();
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains(secret), "{name}: {said}");
    }
}

/// Commands of the units.
fn units() -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(deploy().join("systemd")).unwrap() {
        let path = entry.unwrap().path();
        let unit = std::fs::read_to_string(&path).unwrap();
        for line in unit.lines().filter_map(|l| l.strip_prefix("ExecStart")) {
            let (_, command) = line.split_once("=/usr/local/bin/waywarden ").unwrap();
            let name = format!("{} {command}", path.display());
            found.insert(name, command.split(' ').map(ToOwned::to_owned).collect());
        }
    }
    found
}

#[test]
fn the_program_has_every_command_that_is_deployed() {
    let mut all = units();
    assert_eq!(all.len(), 8, "{all:?}");
    for (name, deployed) in composed().into_iter().chain(orchestrated()) {
        all.insert(name, deployed.command);
    }
    for (name, command) in all {
        // Help is given when everything before it is known.
        let done = Command::new(PROGRAM).args(&command).arg("--help").output();
        let done = done.unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{name} {command:?}: {said}");
        let help = String::from_utf8_lossy(&done.stdout);
        assert!(help.contains("--config <FILE>"), "{name}: {help}");
    }
}
