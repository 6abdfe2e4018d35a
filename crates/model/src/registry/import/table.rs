//! CSV to rows of named values, with exact line numbers.

use super::Source;
use super::error::{At, Errors, Problem};
use super::fields::{Fields, Value};
use crate::time::TimeZone;

/// Columns of a register.
pub(super) struct Columns {
    pub(super) all: &'static [&'static str],
    pub(super) needed: &'static [&'static str],
}

/// Gives each row of `source` to `take`. Fields are trimmed; empty lines do not count as rows.
pub(super) fn each_row(
    source: &Source<'_>,
    columns: &Columns,
    zone: &TimeZone,
    errors: &mut Errors,
    mut take: impl FnMut(&mut Fields<'_>),
) {
    let mut lines = Lines::new(source.text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(source.text))
        .from_reader(source.text.as_bytes());
    let mut header: Option<Vec<&'static str>> = None;
    let mut record = csv::StringRecord::new();
    loop {
        let before = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        let at = source.at(lines.of_row_after(before));
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(e) => {
                errors.push(&at, "", Problem::Syntax(e.to_string()));
                return;
            }
        }
        if record.iter().all(str::is_empty) {
            continue;
        }
        let Some(names) = &header else {
            match read_header(&record, columns, &at, errors) {
                Some(names) => header = Some(names),
                None => return,
            }
            continue;
        };
        if record.len() != names.len() {
            let what = Problem::FieldCount {
                found: record.len(),
                header: names.len(),
            };
            errors.push(&at, "", what);
            continue;
        }
        let values = names.iter().zip(record.iter()).map(|(name, text)| Value {
            name,
            text: text.to_owned(),
            line: at.line,
        });
        let values = values.collect();
        take(&mut Fields {
            at,
            path: String::new(),
            values,
            zone,
            errors,
            broken: false,
        });
    }
    if header.is_none() {
        errors.push(&source.at(0), "", Problem::NoHeader);
    }
}

/// Spreadsheets of some countries separate by semicolons.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start().lines().next().unwrap_or("");
    if header.contains(';') && !header.contains(',') {
        b';'
    } else {
        b','
    }
}

fn read_header(
    record: &csv::StringRecord,
    columns: &Columns,
    at: &At,
    errors: &mut Errors,
) -> Option<Vec<&'static str>> {
    let mut names = Vec::with_capacity(record.len());
    let mut good = true;
    for given in record {
        match columns.all.iter().find(|c| **c == given) {
            Some(name) if names.contains(name) => {
                errors.push(at, given, Problem::RepeatedColumn);
                good = false;
            }
            Some(name) => names.push(*name),
            None => {
                errors.push(at, given, Problem::UnknownColumn(columns.all.join(", ")));
                good = false;
            }
        }
    }
    for missing in columns.needed.iter().filter(|c| !names.contains(c)) {
        errors.push(at, *missing, Problem::MissingColumn);
        good = false;
    }
    good.then_some(names)
}

/// Line numbers of rows by where they begin; only ever asked forwards.
struct Lines<'a> {
    bytes: &'a [u8],
    seen: usize,
    line: u32,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            seen: 0,
            line: 1,
        }
    }

    /// The reader skips empty lines silently, so the row begins after them.
    fn of_row_after(&mut self, byte: usize) -> u32 {
        while let Some(b) = self.bytes.get(self.seen) {
            if self.seen >= byte && !matches!(b, b'\r' | b'\n') {
                break;
            }
            self.line += u32::from(*b == b'\n');
            self.seen += 1;
        }
        self.line
    }
}
