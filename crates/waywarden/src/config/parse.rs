//! The file and the environment, held against the keys; everything wrong is said at once.

use super::Config;
use super::keys::{KEYS, Key};
use super::value::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

const PREFIX: &str = "WAYWARDEN__";

/// Reads a file's text (named in errors) and variables over it.
///
/// # Errors
/// Every unknown key and wrong value, a line each: where, which key, what would be right.
pub fn load(
    file: Option<(&Path, &str)>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Vec<String>> {
    let (mut config, mut wrong) = (Config::default(), Vec::new());
    if let Some((path, text)) = file {
        match DeTable::parse(text) {
            Ok(table) => {
                let place = Place { path, text };
                take(table.get_ref(), "", &place, &mut config, &mut wrong);
            }
            Err(e) => {
                let line = e.span().map_or(1, |s| line(text, s.start));
                wrong.push(format!("{}:{line}: {}", path.display(), e.message()));
            }
        }
    }
    // In the order of names, so that two runs say the same.
    let variables: BTreeMap<String, String> = variables.into_iter().collect();
    for (name, text) in variables {
        let Some(dotted) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let dotted = dotted.replace("__", ".").to_lowercase();
        set(&dotted, &literal(&text), &name, &mut config, &mut wrong);
    }
    if wrong.is_empty() {
        Ok(config)
    } else {
        Err(wrong)
    }
}

struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

fn line(text: &str, at: usize) -> usize {
    text[..at.min(text.len())].matches('\n').count() + 1
}

fn take(
    table: &DeTable<'_>,
    section: &str,
    place: &Place<'_>,
    config: &mut Config,
    wrong: &mut Vec<String>,
) {
    for (key, value) in table {
        let name = match section {
            "" => key.get_ref().to_string(),
            _ => format!("{section}.{}", key.get_ref()),
        };
        let at = line(place.text, key.span().start);
        let said = format!("{}:{at}", place.path.display());
        let inner = format!("{name}.");
        match value.get_ref() {
            DeValue::Table(table) if KEYS.iter().any(|k| k.name.starts_with(&inner)) => {
                take(table, &name, place, config, wrong);
            }
            value => set(&name, &read(value), &said, config, wrong),
        }
    }
}

fn set(name: &str, value: &Value, said: &str, config: &mut Config, wrong: &mut Vec<String>) {
    let Some(key) = KEYS.iter().find(|k| k.name == name) else {
        wrong.push(format!("{said}: there is no key `{name}`{}", meant(name)));
        return;
    };
    match (key.set)(config, value) {
        Ok(()) => config.told_at(key.name, said),
        Err(why) => wrong.push(format!("{said}: `{name}` {why}")),
    }
}

/// The key that is spelled most like it, where one is near.
fn meant(name: &str) -> String {
    let near = |k: &&Key| strsim::normalized_damerau_levenshtein(k.name, name);
    let best = KEYS.iter().max_by(|a, b| near(a).total_cmp(&near(b)));
    match best.filter(|k| near(k) > 0.6) {
        Some(key) => format!("; did you mean `{}`?", key.name),
        None => "; docs/configuration.md has them all".to_owned(),
    }
}

fn read(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => {
            let digits = n.as_str().replace('_', "");
            i64::from_str_radix(&digits, n.radix())
                .map_or(Value::Other("so large a number"), Value::Whole)
        }
        DeValue::Boolean(b) => Value::Bool(*b),
        DeValue::Array(items) => {
            let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            };
            let all: Option<Vec<String>> = items.iter().map(text).collect();
            all.map_or(Value::Other("a list of something else"), Value::List)
        }
        DeValue::Table(_) => Value::Other("a table"),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
    }
}

/// A variable's text: a number, true, false or a list where it is one, else the text itself.
fn literal(text: &str) -> Value {
    let quoted = |v| {
        matches!(
            v,
            DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Array(_)
        )
    };
    match DeValue::parse(text) {
        Ok(value) if quoted(value.get_ref().clone()) => read(value.get_ref()),
        _ => Value::Text(text.to_owned()),
    }
}

/// docs/configuration.md.
pub fn document() -> String {
    let mut text = "# Configuration\n\n\
        One TOML file, given by `--config FILE`; without one every key has its default. A variable \
        of the\nenvironment stands above the file, a flag of the command above both. Unknown keys \
        and variables are\nrefused, with the line and what was probably meant. `waywarden \
        check-config --config FILE` reads\nthe file and says what is wrong or doubtful; units run \
        it first. Secrets are never in the file: a key\nnames the file that holds one. This page \
        is made from the program.\n\n\
        Durations are written `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"15d\"`; sizes \
        `\"512B\"`, `\"64KiB\"`, `\"32MiB\"`, `\"1GiB\"`.\n"
        .to_owned();
    let (default, mut section) = (Config::default(), "");
    for key in KEYS {
        let of = key.name.rsplit_once('.').map_or("", |(s, _)| s);
        if of != section || key.name == "data" {
            section = of;
            let title = if of.is_empty() { "At the top" } else { of };
            let _ = write!(
                text,
                "\n## {title}\n\n| key | default | meaning | variable |\n|---|---|---|---|\n"
            );
        }
        let about = key.about.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = (key.show)(&default);
        let _ = writeln!(
            text,
            "| `{}` | `{shown}` | {about} | `{}` |",
            key.name,
            key.variable()
        );
    }
    text
}

/// deploy/waywarden.toml: every key with its default, as a comment.
pub fn example() -> String {
    let mut text = "# Every key with its default; take the # away from a line to change it.\n\
        # docs/configuration.md says more.\n"
        .to_owned();
    let (default, mut section) = (Config::default(), "");
    for key in KEYS {
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = write!(text, "\n[{of}]\n");
        }
        let about = key.about.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(text, "# {about}\n# {name} = {}", (key.show)(&default));
    }
    text
}

#[cfg(test)]
mod tests;
