//! Alert rules and dashboards name what the code registers, and say what to do.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use waywarden_tests::metrics::{Kind, registered};
use waywarden_tests::promql::Named;
use waywarden_tests::{files, root};

fn yaml(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// All rules of all groups.
fn alerts() -> Vec<Value> {
    let groups = yaml("deploy/prometheus/alerts.yml")["groups"].take();
    let rules = |g: &Value| g["rules"].as_array().unwrap().clone();
    groups.as_array().unwrap().iter().flat_map(rules).collect()
}

/// Names behind `mark` in a template, such as `$labels.` in `{{ $labels.job }}`.
fn shown(template: &str, mark: &str) -> Vec<String> {
    let cells = template.split("{{").skip(1);
    let cells = cells.filter_map(|c| c.split("}}").next()?.trim().strip_prefix(mark));
    let in_name = |c: &char| c.is_alphanumeric() || *c == '_';
    cells
        .map(|c| c.chars().take_while(in_name).collect())
        .collect()
}

#[test]
fn the_code_is_read_as_it_is() {
    let known = registered().unwrap();
    let labels =
        |name: &str| -> Vec<&str> { known[name].labels.iter().map(String::as_str).collect() };
    assert_eq!(
        labels("waywarden_gateway_frame_errors_total"),
        ["protocol", "reason"]
    );
    assert_eq!(labels("waywarden_gateway_durable_seconds_bucket"), ["le"]);
    assert_eq!(labels("waywarden_console_ready_state"), [""; 0]);
    assert_eq!(
        known["waywarden_console_backlog_messages"].kind,
        Kind::Gauge
    );
    assert_eq!(
        known["waywarden_worker_stopped_partitions"].kind,
        Kind::Gauge
    );
    let outcomes = "waywarden_console_judged_records_total";
    assert_eq!(labels(outcomes), ["outcome", "partition"]);
    assert_eq!(known[outcomes].kind, Kind::Counter);
}

#[test]
fn alerts_name_what_is_registered_and_say_what_to_do() {
    let known = registered().unwrap();
    let (rules, mut wrong) = (alerts(), Vec::new());
    assert!(rules.len() > 10);
    for rule in &rules {
        let name = text(&rule["alert"]);
        let mut say = |what: String| wrong.push(format!("{name}: {what}"));
        let notes = rule["annotations"].as_object().unwrap();
        let summary = notes.get("summary").map_or("", text);
        if !name.starts_with("Waywarden") || summary.len() < 20 || !summary.ends_with('.') {
            say("has no name of ours or no sentence as summary".to_owned());
        }
        if !["page", "ticket"].contains(&text(&rule["labels"]["severity"])) {
            say("has no severity `page` or `ticket`".to_owned());
        }
        if text(&rule["for"]).is_empty() {
            say("has no `for`: one bad reading would call somebody".to_owned());
        }
        let runbook = notes.get("runbook").map_or("", text);
        if !heading_exists(runbook) {
            say(format!("its runbook `{runbook}` is not there"));
        }
        let named = Named::in_expression(text(&rule["expr"]));
        let labels = shown(summary, "$labels.");
        named.problems(&known, &labels).into_iter().for_each(say);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether `file#heading` is a file with that heading.
fn heading_exists(place: &str) -> bool {
    let Some((file, anchor)) = place.split_once('#') else {
        return false;
    };
    let document = fs::read_to_string(root().join(file)).unwrap_or_default();
    let headings = document.lines().filter_map(|l| l.strip_prefix("## "));
    headings
        .map(|h| h.to_lowercase().replace(' ', "-"))
        .any(|h| h == anchor)
}

#[test]
fn every_alert_has_its_row_with_its_severity() {
    let document = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, chapter) = document.split_once("\n## Alerts\n").unwrap();
    let chapter = chapter.split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for row in chapter.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert!(cells.len() == 6 && cells[4].len() > 12, "{row}");
        rows.insert(cells[1].trim_matches('`').to_owned(), cells[2].to_owned());
    }
    let severity = |r: &Value| text(&r["labels"]["severity"]).to_owned();
    let rules = alerts();
    let told = rules
        .iter()
        .map(|r| (text(&r["alert"]).to_owned(), severity(r)));
    assert_eq!(rows, told.collect());
}

/// promtool runs the cases (`deploy/check.sh`); here is that none is left out.
#[test]
fn every_alert_is_seen_to_fire_and_to_be_silent() {
    let cases = yaml("deploy/prometheus/alerts.test.yml");
    let (mut fire, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for test in cases["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let expected = case["exp_alerts"].as_array().unwrap();
            let seen = if expected.is_empty() {
                &mut silent
            } else {
                &mut fire
            };
            seen.insert(text(&case["alertname"]).to_owned());
        }
    }
    let rules = alerts();
    let all: BTreeSet<String> = rules.iter().map(|r| text(&r["alert"]).to_owned()).collect();
    assert_eq!(fire, all);
    assert_eq!(silent, all);
}

fn dashboards() -> Vec<(String, Value)> {
    let found = files(&root().join("deploy/grafana"), "json").unwrap();
    let read = |p: &Path| {
        let name = p.file_name().unwrap().to_string_lossy().into_owned();
        let board = serde_json::from_str(&fs::read_to_string(p).unwrap());
        (
            name.clone(),
            board.unwrap_or_else(|e| panic!("{name}: {e}")),
        )
    };
    found.iter().map(|p| read(p)).collect()
}

#[test]
fn dashboards_show_what_is_registered() {
    let known = registered().unwrap();
    let source = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let uid = &source["datasources"][0]["uid"];
    let (boards, mut wrong, mut ids) = (dashboards(), Vec::new(), BTreeSet::new());
    assert!(boards.len() >= 2);
    for (file, board) in &boards {
        assert!(
            ids.insert(board["uid"].to_string()),
            "{file}: its uid is taken"
        );
        let mut panels = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let title = text(&panel["title"]);
            let mut say = |what: String| wrong.push(format!("{file}, {title}: {what}"));
            if !panels.insert(panel["id"].as_u64().unwrap()) {
                say("its id is taken".to_owned());
            }
            let targets = panel["targets"].as_array();
            let queries = targets.map_or(&[][..], Vec::as_slice);
            let asks = !["row", "alertlist"].contains(&text(&panel["type"]));
            if asks == queries.is_empty() {
                say("shows nothing".to_owned());
            }
            for query in queries {
                if &query["datasource"]["uid"] != uid {
                    say("asks a source that is not provisioned".to_owned());
                }
                let named = Named::in_expression(text(&query["expr"]));
                let labels = shown(text(&query["legendFormat"]), "");
                named
                    .problems(&known, &labels)
                    .into_iter()
                    .for_each(&mut say);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
