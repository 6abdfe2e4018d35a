//! The compose file, and who is asked by Prometheus.

use crate::kubernetes::{manifests, of_kind};
use crate::{documents, list, read, text, toml};
use serde_json::Value;
use std::collections::BTreeSet;
use waywarden_tests::root;

#[test]
fn compose_names_what_is_there() {
    let compose = &documents("deploy/compose.yaml")[0];
    for config in compose["configs"].as_object().unwrap().values() {
        read(&format!("deploy/{}", text(&config["file"])));
    }
    let made = read("deploy/compose/secrets.sh");
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        assert_eq!(text(&secret["file"]), format!("./compose/secrets/{name}"));
        assert!(made.contains(name), "{name} is not made");
    }
    assert!(read(".gitignore").contains("\n/deploy/compose/secrets\n"));
    let volumes = list(&compose["services"]["grafana"]["volumes"])
        .iter()
        .map(text);
    for folder in volumes.filter_map(|v| v.strip_prefix("./")) {
        let folder = root()
            .join("deploy")
            .join(folder.split(':').next().unwrap());
        assert!(folder.is_dir(), "{}", folder.display());
    }
}

/// `host:port` of all targets of a file for Prometheus.
fn targets(path: &str, list_of: &str, names: &str) -> BTreeSet<String> {
    let jobs = documents(path)[0]["scrape_configs"].take();
    let mut found = BTreeSet::new();
    for place in list(&jobs).iter().flat_map(|j| list(&j[list_of])) {
        let port = place["port"].as_u64().map(|p| format!(":{p}"));
        for name in list(&place[names]) {
            found.insert(format!(
                "{}{}",
                text(name),
                port.clone().unwrap_or_default()
            ));
        }
    }
    found
}

#[test]
fn prometheus_asks_every_role() {
    let compose = &documents("deploy/compose.yaml")[0];
    let config = toml("deploy/compose/waywarden.toml");
    let own = config["telemetry"]["listen"].as_str().unwrap();
    let mut roles = BTreeSet::new();
    for (name, service) in compose["services"].as_object().unwrap() {
        let listen = match text(&service["command"][0]) {
            "gateway" | "worker" => own,
            "console" => text(&service["environment"]["WAYWARDEN__CONSOLE__LISTEN"]),
            _ => continue,
        };
        roles.insert(format!("{name}:{}", listen.rsplit(':').next().unwrap()));
    }
    assert_eq!(roles.len(), 5, "two gateways, two workers and the console");
    let path = "deploy/prometheus/prometheus.yml";
    assert_eq!(targets(path, "static_configs", "targets"), roles);

    let all = manifests();
    let headless = of_kind(&all, "Service").filter(|s| s["spec"]["clusterIP"] == "None");
    let address = |s: &Value| {
        let port = &s["spec"]["ports"][0]["port"];
        format!("{}.waywarden.svc:{port}", text(&s["metadata"]["name"]))
    };
    let path = "deploy/prometheus/kubernetes.yml";
    let roles = headless.map(address).collect();
    assert_eq!(targets(path, "dns_sd_configs", "names"), roles);
}

#[test]
fn roles_are_told_apart_by_their_secrets() {
    let compose = &documents("deploy/compose.yaml")[0];
    let secrets = |name: &str| -> BTreeSet<&str> {
        list(&compose["services"][name]["secrets"])
            .iter()
            .map(text)
            .collect()
    };
    assert!(secrets("gateway-1").contains("auth-key"));
    assert!(!secrets("worker-1").contains("auth-key"));
    assert!(!secrets("console").contains("auth-key"));
    assert!(!secrets("gateway-1").contains("console-key"));
    assert_eq!(compose["networks"]["inside"]["internal"], true);
}

/// `deploy/check.sh` holds the dashboards against the types of the Grafana that shows them.
#[test]
fn dashboards_are_checked_for_the_grafana_that_runs() {
    let compose = &documents("deploy/compose.yaml")[0];
    let packages: Value = serde_json::from_str(&read("deploy/check/package.json")).unwrap();
    let schema = text(&packages["dependencies"]["@grafana/schema"]);
    let image = text(&compose["services"]["grafana"]["image"]);
    assert_eq!(image, format!("grafana/grafana:{schema}"));
}
