//! One row's values by name, with every error put where it stands.

use super::error::{At, Errors, Problem};
use super::value::{self, Read};
use crate::registry::{Permit, Validity};
use crate::time::{TimeZone, Timestamp};

/// A value as text, where it was found.
pub(super) struct Value {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) line: u32,
}

/// The values of one row. Reading a value that is wrong reports it and marks the row as broken.
pub(super) struct Fields<'a> {
    pub(super) at: At,
    /// Put before a name in errors: empty for CSV, a path for GeoJSON.
    pub(super) path: String,
    pub(super) values: Vec<Value>,
    pub(super) zone: &'a TimeZone,
    pub(super) errors: &'a mut Errors,
    pub(super) broken: bool,
}

impl Fields<'_> {
    /// The value read by `read`; None when there is none, or when it is wrong.
    pub(super) fn get<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Read<T>) -> Option<T> {
        let value = self
            .values
            .iter()
            .find(|v| v.name == name && !v.text.is_empty())
            .map(|v| read(&v.text))?;
        value.map_err(|what| self.wrong(name, what)).ok()
    }

    /// Like [`Fields::get`], where the value must be there.
    pub(super) fn need<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Read<T>) -> Option<T> {
        let there = |v: &Value| v.name == name && !v.text.is_empty();
        if !self.values.iter().any(there) {
            self.wrong(name, Problem::Missing);
            return None;
        }
        self.get(name, read)
    }

    pub(super) fn wrong(&mut self, name: &str, what: Problem) {
        self.broken = true;
        let column = match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        };
        let line = self.values.iter().find(|v| v.name == name);
        let at = At {
            file: self.at.file.clone(),
            line: line.map_or(self.at.line, |v| v.line),
        };
        self.errors.push(&at, column, what);
    }

    /// The columns `from` and `until`; empty is always.
    pub(super) fn validity(&mut self) -> Validity {
        let zone = self.zone;
        let from = self.get("from", |v| value::time(v, zone));
        let until = self.get("until", |v| value::time(v, zone));
        let validity = Validity {
            from: from.unwrap_or(Timestamp::MIN),
            until: until.unwrap_or(Timestamp::MAX),
        };
        if validity.until <= validity.from {
            self.wrong("until", Problem::EndsBeforeStart);
        }
        validity
    }

    /// A permit by the names of its columns: the last day on which it is valid, and the first on
    /// which it is taken away.
    pub(super) fn permit(&mut self, expires: &str, withdrawn: &str) -> Permit {
        let zone = self.zone;
        Permit {
            expires: self.get(expires, |v| value::end_of(v, zone)),
            withdrawn: self.get(withdrawn, |v| value::time(v, zone)),
        }
    }

    /// The row, unless one of its values was wrong.
    pub(super) fn whole<T>(&self, row: Option<T>) -> Option<T> {
        row.filter(|_| !self.broken)
    }
}
