//! Records and vehicles as files hold them: JSON Lines or CSV, with errors by line and column.

mod comma;
mod parts;
mod row;

use comma::Header;
use row::{Names, Row};
use std::collections::HashMap;
use waywarden_model::registry::{ImportFile, RegisterKind, Registers};
use waywarden_model::{Record, SourceId, TimeZone};

/// The records of each source, in the order of the input.
pub type Records = HashMap<SourceId, Vec<Record>>;

/// What is wrong with a line of input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InputError {
    /// From 1, the header of a CSV file counted.
    pub line: usize,
    pub what: String,
}

/// Records as a text holds them: one a line; a line that begins with `{` makes it JSON Lines, else
/// it is CSV with a header. Empty lines are passed over.
#[derive(Debug)]
pub struct Input<'a> {
    lines: &'a str,
    /// Number of the first of the lines.
    first: usize,
    /// None: JSON Lines.
    header: Option<Header>,
}

/// Some of the lines.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    lines: &'a str,
    first: usize,
    header: Option<&'a Header>,
}

impl<'a> Input<'a> {
    /// # Errors
    /// A header that is none of records.
    pub fn new(text: &'a str) -> Result<Self, InputError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim_start().starts_with('{') {
            return Ok(Self {
                lines: text,
                first: 1,
                header: None,
            });
        }
        let header = Header::read(text)?;
        Ok(Self {
            lines: &text[header.ends..],
            first: header.lines + 1,
            header: Some(header),
        })
    }

    /// At least one and at most so many, to be read in any order.
    pub fn parts(&self, most: usize) -> Vec<Part<'_>> {
        // Within quotes a field may go on over the end of a line.
        let quoted = self.header.is_some() && self.lines.contains('"');
        let most = if quoted { 1 } else { most };
        let part = |(first, lines)| Part {
            lines,
            first,
            header: self.header.as_ref(),
        };
        let parts = parts::numbered(self.lines, self.first, most);
        parts.into_iter().map(part).collect()
    }
}

impl Part<'_> {
    /// # Errors
    /// The first line that is no record, with what is wrong in it.
    pub fn read(&self) -> Result<Records, InputError> {
        let read = match self.header {
            Some(header) => header.records(self.lines),
            None => json_lines(self.lines),
        };
        read.map_err(|error| InputError {
            line: self.first + error.line - 1,
            ..error
        })
    }
}

/// What was read of the parts of an input, in their order.
///
/// # Errors
/// The first of theirs.
pub fn together(
    parts: impl IntoIterator<Item = Result<Records, InputError>>,
) -> Result<Records, InputError> {
    let mut all = Records::new();
    for part in parts {
        let part = part?;
        if all.is_empty() {
            all = part;
            continue;
        }
        for (source, mut records) in part {
            all.entry(source).or_default().append(&mut records);
        }
    }
    Ok(all)
}

/// All records of a text, see [`Input`].
///
/// # Errors
/// The first line that is no record, with what is wrong in it.
pub fn records(text: &str) -> Result<Records, InputError> {
    together(Input::new(text)?.parts(1).iter().map(Part::read))
}

fn json_lines(text: &str) -> Result<Records, InputError> {
    let (mut found, mut names) = (Records::new(), Names::default());
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: String| InputError { line: n + 1, what };
        let row: Row<'_> = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let (source, record) = row.record(&mut names).map_err(wrong)?;
        found.entry(source).or_default().push(record);
    }
    Ok(found)
}

/// Reads a register of vehicles, of which only `plate` is required; each is fitted with a source
/// that bears its plate. Dates without a zone are Vietnamese.
///
/// # Errors
/// The first line that is no vehicle, with what is wrong in it.
pub fn vehicles(text: &str) -> Result<Registers, InputError> {
    let file = ImportFile {
        name: "vehicles",
        kind: Some(RegisterKind::Vehicles),
        bytes: text.as_bytes(),
    };
    Registers::for_evaluation(&[file], &TimeZone::vietnam()).map_err(|errors| {
        let first = errors.first();
        InputError {
            line: first.map_or(0, |e| e.line as usize),
            what: first.map_or(String::new(), |e| format!("`{}`: {}", e.column, e.what)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::Speed;

    #[test]
    fn both_forms_read_alike() {
        let json = r#"{"vehicle":"14C-123.45","time":"2026-03-10T08:00:00+07:00","lat":21.0,"lon":107.0,"speed_kmh":60.5,"driver_id":"220000000001"}"#;
        let csv = "vehicle,time,lat,lon,speed_kmh,driver_id\n14C12345,2026-03-10T01:00:00Z,21.0,107.0,60.5,220000000001\n";
        assert_eq!(records(json), records(csv));
        let read = records(csv).unwrap();
        assert_eq!(read["14C12345"][0].speed, Some(Speed::from_centi(6050)));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "vehicle,time,lat,lon,speed_kmh\n";
        for (line, error) in [
            ("14C12345,10/03/2026,21.0,107.0,60", "line 2: `time`: "),
            (
                "14C12345,2026-03-10T01:00:00Z,21,107.0,fast",
                "line 2: `speed_kmh`: `fast` is not a number",
            ),
            (
                "14C12345,2026-03-10T01:00:00Z,,107.0,60",
                "line 2: `lat` is not given",
            ),
            (
                "14C12345,2026-03-10T01:00:00Z,21",
                "line 2: 3 fields where the header has 5",
            ),
            (
                "14C12345,2026-03-10T01:00:00Z,91,107.0,60",
                "line 2: 91, 107 is no place",
            ),
            (
                ",2026-03-10T01:00:00Z,21,107.0,60",
                "line 2: neither `vehicle` nor `device`",
            ),
        ] {
            let text = records(&format!("{head}{line}\n")).unwrap_err().to_string();
            assert!(text.starts_with(error), "{text}");
        }
        let error = records("vehicle,when\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 1: unknown column `when`"),
            "{error}"
        );
        let error = records("time,lat,time\n").unwrap_err().to_string();
        assert_eq!(error, "line 1: column `time` is there twice");
        let error = records("{\"vehicle\":\"a\",\"speed\":1}")
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `speed`"), "{error}");
        let error = vehicles("plate,class\n14C1,truck\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("line 2") && error.contains("truck_over_3_5t"),
            "{error}"
        );
        let error = vehicles("plate\n14C1\n14c-1\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 3: ")
                && error.ends_with("the same key as line 2, at overlapping dates"),
            "{error}"
        );
    }

    /// A file that is read in parts is read as the same lines one by one; empty lines, the last
    /// line without its end, and fields with a line end in them change nothing.
    #[test]
    fn a_large_file_reads_as_its_lines_do() {
        let records = |text: &str| {
            let input = Input::new(text)?;
            let parts = input.parts(3);
            assert!(parts.len() > 1 || text.len() < 1_000_000 || text.contains("\"14C-\n"));
            together(parts.iter().map(Part::read))
        };
        let head = "vehicle,time,lat,lon,speed_kmh\n";
        let csv = |n: usize| {
            format!(
                "14C-{:05},2026-03-10T01:00:{:02}Z,21,107.5,6\n",
                n % 9,
                n % 60
            )
        };
        let json = |n: usize| {
            let (vehicle, second) = (n % 9, n % 60);
            format!(
                "{{\"vehicle\":\"14C-{vehicle:05}\",\"time\":\"2026-03-10T01:00:{second:02}Z\",\
                 \"lat\":21,\"lon\":107.5,\"speed_kmh\":6}}\n"
            )
        };
        let alone = |n| records(&format!("{head}{}", csv(n))).unwrap();
        let distinct: Vec<Records> = (0..180).map(alone).collect();
        let (mut commas, mut lines) = (head.to_owned(), String::new());
        let mut one_by_one = Records::new();
        for n in 0..30_000 {
            commas += &csv(n);
            lines += &json(n);
            for (source, records) in distinct[n % 180].clone() {
                one_by_one.entry(source).or_default().extend(records);
            }
            if n == 20_000 {
                commas.push('\n');
                lines.push('\n');
            }
        }
        assert_eq!(records(commas.trim_end()).unwrap(), one_by_one);
        assert_eq!(records(lines.trim_end()).unwrap(), one_by_one);
        // Header, records and the empty line stand before it.
        let wrong = records(&format!("{commas}x,y,21,107,6\n")).unwrap_err();
        assert_eq!(wrong.line, 30_003);
        let wrong = records(&format!("{lines}{{}}\n")).unwrap_err();
        assert_eq!(wrong.line, 30_002);
        let quoted = format!("{commas}\"14C-\n00001\",2026-03-10T01:00:00Z,21,107.5,6\n");
        let all = records(&quoted).unwrap();
        assert_eq!(all.values().map(Vec::len).sum::<usize>(), 30_001);
        let wrong = records(&format!("{quoted}x,y,21,107,6\n")).unwrap_err();
        assert_eq!(wrong.line, 30_005);
    }
}
