//! What can be wrong with an import, told by file, line and column.

use super::RegisterKind;
use std::fmt;
use std::sync::Arc;

/// Errors that one import reports one by one; the rest are counted.
pub const MOST_ERRORS: usize = 200;

/// One error (or warning) of an import.
#[derive(Clone, PartialEq, Debug)]
pub struct RegisterError {
    pub file: Arc<str>,
    /// Counted from 1; 0 where it is about the file as a whole.
    pub line: u32,
    /// Name of the column, path of the property, or empty where the whole line is meant.
    pub column: String,
    pub what: Problem,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.column.is_empty() {
            write!(f, ": {}", self.column)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for RegisterError {}

/// What is wrong. Numbers of licences stand in no message: the line and column lead to them.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Problem {
    #[error("the register cannot be told from the name; known are {0}")]
    NoKind(String),
    #[error("the register {0} is given twice")]
    TwoFiles(RegisterKind),
    #[error("the file is larger than {0} MiB")]
    TooLarge(usize),
    #[error("not UTF-8 text (byte 0x{0:02X}); save the file as UTF-8")]
    Encoding(u8),
    #[error("not well formed: {0}")]
    Syntax(String),
    #[error("the file has no header line")]
    NoHeader,
    #[error("unknown column; known are {0}")]
    UnknownColumn(String),
    #[error("the column is missing")]
    MissingColumn,
    #[error("the column stands twice")]
    RepeatedColumn,
    #[error("{found} fields where the header has {header}")]
    FieldCount { found: usize, header: usize },
    #[error("a value is missing")]
    Missing,
    #[error("longer than {0} characters, or with control characters")]
    BadText(usize),
    #[error("a text, a number, true or false is expected")]
    NotScalar,
    #[error("`{value}` is none of {good}")]
    BadCode { value: String, good: String },
    #[error("`{value}` is no number from {least} to {most}")]
    BadNumber {
        value: String,
        least: f64,
        most: f64,
    },
    #[error("`{0}` is no time (2026-03-10T08:00:00+07:00) and no date (2026-03-10)")]
    BadTime(String),
    #[error("`{0}` is no offset from UTC such as +07:00")]
    BadOffset(String),
    #[error("`{0}` are no hours such as 06:00-09:00,16:30-20:00")]
    BadHours(String),
    #[error("`{0}` is no number plate")]
    BadPlate(String),
    #[error("a licence number must not begin with `card:`")]
    LicenceLikeCard,
    #[error("a phone number of JT/T 808 is written without leading zeros")]
    LeadingZero,
    #[error("`until` is not after `from`")]
    EndsBeforeStart,
    #[error("the same key as {0}, at overlapping dates")]
    Duplicate(Place),
    #[error("the plate is another vehicle's at overlapping dates: {0}")]
    PlateTaken(Place),
    #[error("not in the register {0}")]
    UnknownReference(RegisterKind),
    #[error("{count} rows of the register {register} refer to what this file leaves out")]
    StillReferred {
        register: RegisterKind,
        count: usize,
    },
    #[error("the vehicle has another primary source at overlapping dates: {0}")]
    PrimaryOverlap(Place),
    #[error("the source serves another vehicle at overlapping dates: {0}")]
    SourceOverlap(Place),
    #[error("a GeoJSON FeatureCollection is expected")]
    NotACollection,
    #[error("`{found}` is no geometry of this register; known are {good}")]
    BadGeometry { found: String, good: &'static str },
    #[error("a position is [longitude, latitude] in degrees")]
    BadPosition,
    #[error("a line has at least two different positions")]
    ShortLine,
    #[error("a polygon has at least one ring")]
    NoRing,
    #[error("a ring has at least four positions")]
    ShortRing,
    #[error("the ring is not closed: its last position is not its first")]
    OpenRing,
    #[error("the ring crosses or touches itself")]
    CrossedRing,
    #[error("more than {0} positions")]
    TooManyPositions(usize),
    #[error("a sign drawn as a line has its own length")]
    LengthOfLine,
    #[error("neither a limit nor a setting nor a ban")]
    EmptyZone,
    #[error("outside Vietnam; are longitude and latitude in this order?")]
    OutsideVietnam,
    #[error("and {0} more errors")]
    More(usize),
}

/// Where another row stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    Line(u32),
    /// In the registers before the import.
    OnFile,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(n) => write!(f, "line {n}"),
            Self::OnFile => f.write_str("a row on file"),
        }
    }
}

/// A line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct At {
    pub(super) file: Arc<str>,
    pub(super) line: u32,
}

/// Collects errors up to the bound and counts the rest.
#[derive(Debug, Default)]
pub(super) struct Errors {
    found: Vec<RegisterError>,
    more: usize,
}

impl Errors {
    pub(super) fn push(&mut self, at: &At, column: impl Into<String>, what: Problem) {
        if self.found.len() >= MOST_ERRORS {
            self.more += 1;
            return;
        }
        self.found.push(RegisterError {
            file: at.file.clone(),
            line: at.line,
            column: column.into(),
            what,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the files and lines; a last one counts those beyond the bound.
    pub(super) fn finish(mut self) -> Vec<RegisterError> {
        self.found
            .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if let (Some(last), true) = (self.found.last(), self.more > 0) {
            let file = last.file.clone();
            self.found.push(RegisterError {
                file,
                line: 0,
                column: String::new(),
                what: Problem::More(self.more),
            });
        }
        self.found
    }
}
