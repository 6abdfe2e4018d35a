//! What a process tells at `/metrics`.

use std::collections::BTreeMap;

/// Figures at one moment, by name and labels as they are told.
#[derive(Clone, Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub fn read(text: &str) -> Self {
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        let figure = |l: &str| {
            let (name, value) = l.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(figure).collect())
    }

    /// Sum over the labels that hold this text. A figure that is not told is no 0.
    pub fn of(&self, name: &str, label: &str) -> u64 {
        let named = |key: &&String| {
            let rest = key.strip_prefix(name);
            rest.is_some_and(|r| r.is_empty() || r.starts_with('{')) && key.contains(label)
        };
        let found: Vec<_> = self.0.keys().filter(named).collect();
        assert!(!found.is_empty(), "{name} with {label:?} is not told");
        found.iter().map(|key| self.0[*key] as u64).sum()
    }

    /// A counter of the gateway over all labels, 0 where nothing was told yet.
    pub fn counted(&self, name: &str) -> u64 {
        match self.0.is_empty() {
            true => 0,
            false => self.gateway(name),
        }
    }

    /// A figure of the gateway, over all labels.
    pub fn gateway(&self, name: &str) -> u64 {
        self.of(&format!("waywarden_gateway_{name}"), "")
    }
}
