//! One recorded frame against what was read from it, with the tolerances of the recordings.

use serde_json::Value;

const COORDINATE: f64 = 1e-5;
const TENTH: f64 = 0.1;
const THOUSANDTH: f64 = 0.001;
const CENTI: f64 = 0.01;
/// Metres and milliseconds are whole numbers here, and at times fractions in the recordings.
const WHOLE: f64 = 1.0;

/// What differs, in words; empty when nothing does.
pub fn frame(recorded: &Value, read: &Value) -> Vec<String> {
    let mut found = Vec::new();
    lists(recorded, read, "device_ids", &mut found);
    if recorded["clock_dependent"] != true {
        lists(recorded, read, "replies_hex", &mut found);
    }
    let (want, got) = (list(recorded, "records"), list(read, "records"));
    if want.len() == got.len() {
        for (n, (want, got)) in want.iter().zip(got).enumerate() {
            record(
                n,
                want,
                got,
                recorded["clock_dependent"] == true,
                &mut found,
            );
        }
    } else {
        found.push(format!("records: want {want:?}, got {got:?}"));
    }
    if !found.is_empty() && !read["error"].is_null() {
        found.push(format!("error {}", read["error"]));
    }
    found
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn lists(recorded: &Value, read: &Value, name: &str, found: &mut Vec<String>) {
    let (want, got) = (list(recorded, name), list(read, name));
    if want != got {
        found.push(format!("{name}: want {want:?}, got {got:?}"));
    }
}

fn record(n: usize, want: &Value, got: &Value, clock_dependent: bool, found: &mut Vec<String>) {
    let names = |v: &Value| -> Vec<String> {
        v.as_object()
            .map_or(Vec::new(), |o| o.keys().cloned().collect())
    };
    let mut all = names(want);
    all.extend(names(got));
    all.sort();
    all.dedup();
    // The reference calls a report without a position valid; for us it has no fix to be valid.
    let no_fix = want["no_fix"] == true && got["no_fix"] == true;
    for name in all {
        // Nor does it show the instant of such a report, unless it came in a position's place.
        let untimed = no_fix && name == "time" && want["time"].is_null();
        let skip = (no_fix && name == "valid") || untimed || (clock_dependent && name == "time");
        if !skip && !same(&name, &want[&name], &got[&name]) {
            found.push(format!(
                "record {n} {name}: want {}, got {}",
                want[&name], got[&name]
            ));
        }
    }
}

fn alarms(value: &Value) -> std::collections::BTreeSet<&str> {
    value
        .as_str()
        .into_iter()
        .flat_map(|s| s.split(','))
        .collect()
}

fn same(name: &str, want: &Value, got: &Value) -> bool {
    let tolerance = match name {
        // The reference says `false`, or an alarm twice, where we say nothing, or it once.
        "stored" => return (want == true) == (got == true),
        "alarm" => return alarms(want) == alarms(got),
        "odometer_m" | "engine_ms" => WHOLE,
        "lat" | "lon" => COORDINATE,
        "speed_kmh" | "course_deg" | "altitude_m" => TENTH,
        "external_voltage" => THOUSANDTH,
        "fuel" => CENTI,
        _ => return want == got,
    };
    // The reference leaves an altitude of 0 out.
    let number = |v: &Value| match v {
        Value::Null if name == "altitude_m" => Some(0.0),
        v => v.as_f64(),
    };
    match (number(want), number(got)) {
        (Some(a), Some(b)) => {
            let apart = (a - b).abs();
            // A heading of 359.95 and one of 0 are near.
            let apart = if name == "course_deg" {
                apart.min(360.0 - apart)
            } else {
                apart
            };
            apart <= tolerance + 1e-9
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}
