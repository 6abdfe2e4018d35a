//! How rows are shown: one serializer for the API, the exports and the command line.

pub mod alert;
pub mod day;
pub mod summary;
pub mod transmission;
pub mod vehicle;
pub mod violation;

use serde::{Serialize, Serializer};

/// A duration in seconds: whole where it is whole, else with its milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seconds {
    pub millis: i64,
}

impl Seconds {
    pub const fn from_millis(millis: i64) -> Self {
        Self { millis }
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.millis % 1000 == 0 {
            write!(f, "{}", self.millis / 1000)
        } else {
            write!(f, "{}", self.fraction())
        }
    }
}

impl Seconds {
    #[allow(clippy::cast_precision_loss)] // durations are far below 2^53 ms
    fn fraction(self) -> f64 {
        self.millis as f64 / 1000.0
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.millis % 1000 == 0 {
            s.serialize_i64(self.millis / 1000)
        } else {
            s.serialize_f64(self.fraction())
        }
    }
}

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    JsonLines,
    Csv,
}

impl Format {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// One line of CSV by RFC 4180.
pub(crate) fn csv_line<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut w = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    w.write_record(cells)
        .expect("one record of any length goes into memory");
    w.into_inner().expect("memory takes what is flushed to it")
}

pub(crate) fn json_line<T: Serialize>(row: &T) -> Vec<u8> {
    let mut out = serde_json::to_vec(row).expect("views have text keys and finite numbers");
    out.push(b'\n');
    out
}

/// A cell that names a formula to a spreadsheet is text here.
pub(crate) fn text_cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
