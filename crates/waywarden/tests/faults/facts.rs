//! What was judged, of an installation or of one process, so that both can be compared.

use super::support::{self, Api, days};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use waywarden_model::Period;
use waywarden_store::{FactStore, SqliteStore, TimescaleOptions, TimescaleStore};

/// Without the number of the registry version in force when something was judged, since a version
/// that says the same of a source does not have it judged again.
#[derive(Debug, PartialEq)]
pub struct Facts {
    violations: BTreeSet<String>,
    /// Of sources and of drivers.
    days: Vec<Value>,
    /// Told by no API: read from the store itself.
    pub periods: Vec<Period>,
}

impl Facts {
    /// All but the periods.
    pub fn of(api: &Api, key: &str) -> Self {
        let plain = |text: &String| {
            let mut item: Value = serde_json::from_str(text).unwrap();
            item.as_object_mut().unwrap().remove("registry");
            item.to_string()
        };
        let mut rows = days(api, key);
        for row in rows
            .iter_mut()
            .flat_map(|r| r["items"].as_array_mut().unwrap())
        {
            row.as_object_mut().unwrap().remove("registry");
        }
        Self {
            violations: support::violations(api, key).iter().map(plain).collect(),
            days: rows.to_vec(),
            periods: Vec::new(),
        }
    }

    /// Says first what is different.
    pub fn must_be(&self, expected: &Self) {
        let (found, wanted) = (&self.violations, &expected.violations);
        for (what, all) in [
            ("missing", wanted.difference(found)),
            ("too many", found.difference(wanted)),
        ] {
            all.for_each(|violation| eprintln!("{what}: {violation}"));
        }
        let (found, wanted) = (&self.periods, &expected.periods);
        for (what, these, those) in [("missing", wanted, found), ("too many", found, wanted)] {
            let other = these.iter().filter(|p| !those.contains(p));
            other.for_each(|period| eprintln!("{what}: {period:?}"));
        }
        assert!(!wanted.is_empty() && !expected.violations.is_empty());
        assert!(self == expected, "what was judged is the same");
    }
}

fn all_periods(reading: impl Future<Output = Vec<Period>>) -> Vec<Period> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut periods = runtime.block_on(reading);
    periods.iter_mut().for_each(|p| p.registry = 0);
    periods
}

const AT_MOST: usize = 100_000;

/// Driving periods in the data folder of a process that has ended.
pub fn periods_in(data: &Path) -> Vec<Period> {
    let store = SqliteStore::open(&data.join("store.db"), waywarden_store::Options::default());
    all_periods(async { store.unwrap().periods_after(None, AT_MOST).await.unwrap() })
}

/// Driving periods on a server.
pub fn periods_at(server: &str) -> Vec<Period> {
    all_periods(async {
        let store = TimescaleStore::open(server, TimescaleOptions::default()).await;
        store.unwrap().periods_after(None, AT_MOST).await.unwrap()
    })
}
