//! What an expression of `PromQL` names. Whether it is one at all, promtool says
//! (`deploy/check.sh`).

use crate::metrics::{Kind, OF_SCRAPE, Series};
use std::collections::{BTreeMap, BTreeSet};

/// What stands in an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named {
    pub selectors: Vec<Selector>,
    /// Labels of `by`, `on` and their like.
    pub grouped: BTreeSet<String>,
    /// Whether labels are lost: only those of `by` are left then.
    pub aggregates: bool,
}

/// A series that is selected.
#[derive(Debug, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    pub labels: BTreeSet<String>,
    /// The function that is called with it at once, or nothing.
    pub within: String,
}

const AGGREGATES: [&str; 8] = [
    "sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile",
];
const GROUPING: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];
const WORDS: [&str; 8] = [
    "and", "or", "unless", "offset", "bool", "inf", "nan", "atan2",
];

impl Named {
    /// Reads an expression that is one.
    pub fn in_expression(text: &str) -> Self {
        let tokens = tokens(text);
        let at = |n: usize| tokens.get(n).map_or("", String::as_str);
        let (mut named, mut n) = (Self::default(), 0);
        while n < tokens.len() {
            let (word, next) = (at(n), at(n + 1));
            if GROUPING.contains(&word) {
                if next == "(" {
                    let end = close(&tokens, n + 1, ")");
                    let labels = tokens[n + 2..end].iter().filter(|t| is_name(t));
                    named.grouped.extend(labels.cloned());
                    n = end;
                }
            } else if word == "{" {
                // A selector without a name takes anything.
                named.select(String::new(), &tokens, n, String::new());
                n = close(&tokens, n, "}");
            } else if is_name(word) && !WORDS.contains(&word) {
                if next == "(" || GROUPING.contains(&next) {
                    named.aggregates |= AGGREGATES.contains(&word);
                } else {
                    let called = n >= 2 && at(n - 1) == "(" && is_name(at(n - 2));
                    let within = if called { at(n - 2) } else { "" };
                    named.select(word.to_owned(), &tokens, n + 1, within.to_owned());
                    if next == "{" {
                        n = close(&tokens, n + 1, "}");
                    }
                }
            }
            n += 1;
        }
        named
    }

    fn select(&mut self, name: String, tokens: &[String], open: usize, within: String) {
        let mut labels = BTreeSet::new();
        if tokens.get(open).is_some_and(|t| t == "{") {
            let inside = &tokens[open + 1..close(tokens, open, "}")];
            labels.extend(inside.iter().filter(|t| is_name(t)).cloned());
        }
        self.selectors.push(Selector {
            name,
            labels,
            within,
        });
    }

    /// What does not fit to the series that there are; `shown` are labels that a text or a legend
    /// takes from the result.
    pub fn problems(&self, known: &BTreeMap<String, Series>, shown: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        let mut all: BTreeSet<&str> = OF_SCRAPE.into();
        for selector in &self.selectors {
            let name = &selector.name;
            let Some(series) = known.get(name) else {
                found.push(format!("no crate registers `{name}`"));
                continue;
            };
            all.extend(series.labels.iter().map(String::as_str));
            for label in &selector.labels {
                if !series.labels.contains(label) && !OF_SCRAPE.contains(&label.as_str()) {
                    found.push(format!("`{name}` has no label `{label}`"));
                }
            }
            let only = match selector.within.as_str() {
                "rate" | "increase" | "irate" => Some(Kind::Counter),
                "deriv" | "delta" | "predict_linear" => Some(Kind::Gauge),
                _ => None,
            };
            if only.is_some_and(|kind| kind != series.kind) {
                let (within, kind) = (&selector.within, series.kind);
                found.push(format!("`{name}` is a {kind:?}, `{within}` is not for it"));
            }
        }
        for label in self.grouped.iter().filter(|l| !all.contains(l.as_str())) {
            found.push(format!("nothing here has a label `{label}`"));
        }
        for label in shown {
            let left = if self.aggregates {
                self.grouped.contains(label)
            } else {
                all.contains(label.as_str())
            };
            if !left {
                found.push(format!("the result has no label `{label}`"));
            }
        }
        found
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Where the bracket at `open` closes; these do not nest.
fn close(tokens: &[String], open: usize, bracket: &str) -> usize {
    let found = tokens[open..].iter().position(|t| t == bracket);
    found.map_or(tokens.len(), |n| open + n)
}

/// Names, numbers with their units, and marks. Texts are left out, as is what stands in `[...]`;
/// a variable of Grafana is a mark.
fn tokens(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '$');
        let (taken, keep) = match first {
            '"' | '\'' => (quoted(rest, first), false),
            '[' => (rest.find(']').map_or(rest.len(), |n| n + 1), false),
            '#' => (rest.find('\n').unwrap_or(rest.len()), false),
            c if in_word(c) => {
                let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                (end, true)
            }
            c => (c.len_utf8(), !c.is_whitespace()),
        };
        if keep {
            found.push(rest[..taken].to_owned());
        }
        rest = &rest[taken..];
    }
    found
}

/// Length of the text in quotes at the beginning.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (n, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return n + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
#[path = "promql/tests.rs"]
mod tests;
