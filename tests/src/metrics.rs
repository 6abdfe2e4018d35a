//! Metrics that the crates register, as their sources say.

use crate::{files, root};
use std::collections::{BTreeMap, BTreeSet};

/// What may be done with the figures of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows: it has a rate.
    Counter,
    /// Goes up and down: it has a slope.
    Gauge,
}

/// One series, as it stands in `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    pub kind: Kind,
    /// Its own labels, without those of the scrape.
    pub labels: BTreeSet<String>,
}

/// Labels that the scrape adds.
pub const OF_SCRAPE: [&str; 2] = ["instance", "job"];

/// How the crates make metrics: in files called metrics.rs, by these calls; elsewhere by the
/// library's own, with the whole name.
const CALLS: [(&str, Made); 5] = [
    ("m.counters(", Made::Series(Kind::Counter)),
    ("m.counter(", Made::Series(Kind::Counter)),
    ("m.gauges(", Made::Series(Kind::Gauge)),
    ("m.gauge(", Made::Series(Kind::Gauge)),
    ("m.histogram(", Made::Histogram),
];

#[derive(Clone, Copy)]
enum Made {
    Series(Kind),
    Histogram,
}

/// All series by name, with `up`, which the scrape itself makes.
///
/// # Errors
/// What the file system said.
pub fn registered() -> std::io::Result<BTreeMap<String, Series>> {
    let mut found = BTreeMap::new();
    let crates = root().join("crates");
    for file in files(&crates, "rs")? {
        let below = file.strip_prefix(&crates).unwrap_or(&file);
        let krate = below.iter().next().unwrap_or_default().to_string_lossy();
        let source = std::fs::read_to_string(&file)?;
        if file.ends_with("metrics.rs") {
            read(&source, &krate, &mut found);
        } else {
            read_whole_names(&source, &mut found);
        }
    }
    let up = Series {
        kind: Kind::Gauge,
        labels: BTreeSet::new(),
    };
    found.insert("up".to_owned(), up);
    Ok(found)
}

fn read(source: &str, krate: &str, found: &mut BTreeMap<String, Series>) {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    for (call, made) in CALLS {
        for behind in code.split(call).skip(1) {
            let texts: Vec<&str> = behind.split('"').collect();
            let Some(name) = texts.get(1) else { continue };
            let name = format!("waywarden_{krate}_{name}");
            match made {
                Made::Series(kind) => {
                    let labels = labels(behind);
                    found.insert(name, Series { kind, labels });
                }
                Made::Histogram => {
                    for (end, label) in [("bucket", Some("le")), ("sum", None), ("count", None)] {
                        let labels = label.map(ToOwned::to_owned).into_iter().collect();
                        let kind = Kind::Counter;
                        found.insert(format!("{name}_{end}"), Series { kind, labels });
                    }
                }
            }
        }
    }
}

/// Metrics without labels whose whole name stands in the call.
fn read_whole_names(source: &str, found: &mut BTreeMap<String, Series>) {
    for (call, kind) in [
        ("IntGauge::new(", Kind::Gauge),
        ("IntCounter::new(", Kind::Counter),
    ] {
        for behind in source.split(call).skip(1) {
            let name = behind.trim_start().strip_prefix('"');
            let name = name.and_then(|n| n.split('"').next()).unwrap_or_default();
            if name.starts_with("waywarden_") {
                let labels = BTreeSet::new();
                found.insert(name.to_owned(), Series { kind, labels });
            }
        }
    }
}

/// The texts in the list that stands in the call, if there is one.
fn labels(behind: &str) -> BTreeSet<String> {
    let call = behind.split(")?").next().unwrap_or_default();
    let list = call.split_once("&[").map_or("", |(_, list)| list);
    let inside = list.split(']').next().unwrap_or_default();
    let texts = inside.split('"').skip(1).step_by(2);
    texts.map(ToOwned::to_owned).collect()
}
