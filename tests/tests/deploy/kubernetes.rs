//! The manifests of Kubernetes.

use crate::{documents, list, read, text, toml};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use waywarden_tests::{files, root};

/// All manifests of Kubernetes.
pub fn manifests() -> Vec<Value> {
    let listed = &documents("deploy/kubernetes/kustomization.yaml")[0]["resources"];
    let paths = list(listed)
        .iter()
        .map(|f| format!("deploy/kubernetes/{}", text(f)));
    paths.flat_map(|p| documents(&p)).collect()
}

pub fn of_kind<'a>(all: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    all.iter().filter(move |m| m["kind"] == kind)
}

/// Name of a workload and the pod that it makes.
fn pods(all: &[Value]) -> BTreeMap<String, Value> {
    let makes = |m: &&Value| !m["spec"]["template"].is_null();
    let named = |m: &Value| {
        (
            text(&m["metadata"]["name"]).to_owned(),
            m["spec"]["template"].clone(),
        )
    };
    all.iter().filter(makes).map(named).collect()
}

/// Names of the ports of a pod's first container.
fn ports(pod: &Value) -> BTreeSet<String> {
    let ports = list(&pod["spec"]["containers"][0]["ports"]);
    ports.iter().map(|p| text(&p["name"]).to_owned()).collect()
}

/// Those of the pods that a selector takes.
fn taken<'a>(pods: &'a BTreeMap<String, Value>, labels: &Value) -> Vec<&'a Value> {
    let labels = labels.as_object().cloned().unwrap_or_default();
    let fits = |pod: &&Value| {
        let has = &pod["metadata"]["labels"];
        labels.iter().all(|(key, value)| &has[key] == value)
    };
    pods.values().filter(fits).collect()
}

#[test]
fn every_manifest_is_applied() {
    let kustomization = &documents("deploy/kubernetes/kustomization.yaml")[0];
    let named = list(&kustomization["resources"])
        .iter()
        .map(|f| text(f).to_owned());
    let named: BTreeSet<String> = named.collect();
    let there = files(&root().join("deploy/kubernetes"), "yaml").unwrap();
    let there = there
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned());
    let there: BTreeSet<String> = there.filter(|f| f != "kustomization.yaml").collect();
    assert_eq!(named, there);
}

#[test]
fn services_and_budgets_find_their_pods() {
    let all = manifests();
    let pods = pods(&all);
    assert_eq!(pods.len(), 4, "migrate, gateway, worker, console");
    for service in of_kind(&all, "Service") {
        let name = &service["metadata"]["name"];
        let found = taken(&pods, &service["spec"]["selector"]);
        assert_eq!(found.len(), 1, "{name}");
        for port in list(&service["spec"]["ports"]) {
            let target = text(&port["targetPort"]);
            assert!(ports(found[0]).contains(target), "{name}: {target}");
        }
    }
    for budget in of_kind(&all, "PodDisruptionBudget") {
        let found = taken(&pods, &budget["spec"]["selector"]["matchLabels"]);
        assert_eq!(found.len(), 1, "{}", budget["metadata"]["name"]);
    }
    for policy in of_kind(&all, "NetworkPolicy") {
        let found = taken(&pods, &policy["spec"]["podSelector"]["matchLabels"]);
        let open: BTreeSet<String> = found.iter().flat_map(|p| ports(p)).collect();
        let rules = list(&policy["spec"]["ingress"]).iter();
        for port in rules
            .flat_map(|r| list(&r["ports"]))
            .map(|p| text(&p["port"]))
        {
            assert!(
                open.contains(port),
                "{}: {port}",
                policy["metadata"]["name"]
            );
        }
    }
}

/// What the namespace enforces would refuse the pod only when it is made.
#[test]
fn pods_are_probed_and_keep_the_strictest_rules() {
    for (name, pod) in pods(&manifests()) {
        let (spec, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
        let (of_pod, own) = (&spec["securityContext"], &container["securityContext"]);
        assert_eq!(of_pod["runAsNonRoot"], true, "{name}");
        assert_eq!(of_pod["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
        assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(own["capabilities"]["drop"][0], "ALL", "{name}");
        assert!(
            container["resources"]["limits"]["memory"].is_string(),
            "{name}"
        );
        let volumes = list(&spec["volumes"]).iter();
        let volumes: BTreeSet<&str> = volumes.map(|v| text(&v["name"])).collect();
        for mount in list(&container["volumeMounts"]) {
            let name = text(&mount["name"]);
            assert!(volumes.contains(name) || name == "spool", "{name}");
        }
        if name == "migrate" {
            continue;
        }
        for (probe, path) in [
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], path, "{name} {probe}");
            assert!(ports(&pod).contains(text(&get["port"])), "{name} {probe}");
        }
    }
}

/// The default of a key, as docs/configuration.md has it.
fn default_of(key: &str) -> String {
    let document = read("docs/configuration.md");
    let row = format!("| `{key}` | `\"");
    let (_, behind) = document.split_once(&row).unwrap();
    behind.split('"').next().unwrap().to_owned()
}

#[test]
fn workers_are_scaled_by_the_lag_of_their_own_group() {
    let all = manifests();
    let scaled = of_kind(&all, "ScaledObject").next().unwrap();
    let trigger = &scaled["spec"]["triggers"][0]["metadata"];
    assert_eq!(text(&trigger["topic"]), default_of("log.topic"));
    assert_eq!(text(&trigger["consumerGroup"]), default_of("log.group"));
    let config = toml("deploy/kubernetes/waywarden.toml");
    let brokers = config["log"]["brokers"].as_str().unwrap();
    assert_eq!(text(&trigger["bootstrapServers"]), brokers);
    let partitions = config["log"]["partitions"].as_integer();
    assert_eq!(scaled["spec"]["maxReplicaCount"].as_i64(), partitions);
    let target = &scaled["spec"]["scaleTargetRef"]["name"];
    let mut workers = of_kind(&all, "Deployment").filter(|d| &d["metadata"]["name"] == target);
    let worker = workers.next().unwrap();
    assert!(
        worker["spec"]["replicas"].is_null(),
        "an apply would undo the scaling"
    );
}
