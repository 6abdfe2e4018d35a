//! CSV with a header, its columns in any order.

use super::row::{Names, Row, Text};
use super::{InputError, Records};
use std::borrow::Cow;

#[derive(Debug, Clone, Copy)]
enum Column {
    Vehicle,
    Device,
    Time,
    Lat,
    Lon,
    SpeedKmh,
    CourseDeg,
    Ignition,
    DriverId,
    OdometerM,
    Door,
}

const COLUMNS: [(&str, Column); 11] = [
    ("vehicle", Column::Vehicle),
    ("device", Column::Device),
    ("time", Column::Time),
    ("lat", Column::Lat),
    ("lon", Column::Lon),
    ("speed_kmh", Column::SpeedKmh),
    ("course_deg", Column::CourseDeg),
    ("ignition", Column::Ignition),
    ("driver_id", Column::DriverId),
    ("odometer_m", Column::OdometerM),
    ("door", Column::Door),
];

/// The columns of a file, in its order.
#[derive(Debug)]
pub(super) struct Header {
    columns: Vec<(&'static str, Column)>,
    /// Where the lines behind it begin, in bytes.
    pub ends: usize,
    /// Lines up to there.
    pub lines: usize,
}

fn reader(text: &str, headers: bool) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .has_headers(headers)
        // Each line is held against the header instead.
        .flexible(true)
        .from_reader(text.as_bytes())
}

impl Header {
    /// # Errors
    /// A column that records do not have, or have twice.
    pub fn read(text: &str) -> Result<Self, InputError> {
        let mut reader = reader(text, true);
        let wrong = |what: String| InputError { line: 1, what };
        let names = reader.headers().map_err(|e| wrong(e.to_string()))?.clone();
        let mut columns: Vec<(&'static str, Column)> = Vec::with_capacity(names.len());
        for name in &names {
            let known = COLUMNS.into_iter().find(|(known, _)| *known == name);
            let Some(column) = known else {
                let all = COLUMNS.map(|(name, _)| name).join(", ");
                return Err(wrong(format!("unknown column `{name}`; there are {all}")));
            };
            if columns.iter().any(|(there, _)| *there == name) {
                return Err(wrong(format!("column `{name}` is there twice")));
            }
            columns.push(column);
        }
        let position = reader.position();
        Ok(Self {
            columns,
            ends: usize::try_from(position.byte())
                .unwrap_or(text.len())
                .min(text.len()),
            lines: usize::try_from(position.line())
                .unwrap_or(1)
                .saturating_sub(1),
        })
    }

    /// Records of lines behind the header; errors count lines from 1 where `text` begins.
    pub fn records(&self, text: &str) -> Result<Records, InputError> {
        let mut reader = reader(text, false);
        let mut line = csv::StringRecord::new();
        let (mut found, mut names) = (Records::new(), Names::default());
        loop {
            let begun = reader.position().line();
            let at = |line: &csv::StringRecord| {
                let line = line.position().map_or(begun, csv::Position::line);
                usize::try_from(line).unwrap_or(usize::MAX)
            };
            match reader.read_record(&mut line) {
                Ok(true) => {
                    let record = self.row(&line).and_then(|row| row.record(&mut names));
                    let (source, record) = record.map_err(|what| InputError {
                        line: at(&line),
                        what,
                    })?;
                    found.entry(source).or_default().push(record);
                }
                Ok(false) => return Ok(found),
                Err(e) => {
                    let what = e.to_string();
                    return Err(InputError {
                        line: at(&line),
                        what,
                    });
                }
            }
        }
    }

    fn row<'a>(&self, line: &'a csv::StringRecord) -> Result<Row<'a>, String> {
        let (is, wanted) = (line.len(), self.columns.len());
        if is != wanted {
            return Err(format!("{is} fields where the header has {wanted}"));
        }
        let mut row = Row::default();
        for ((name, column), field) in self.columns.iter().zip(line) {
            if field.is_empty() {
                continue;
            }
            let text = || Some(Text(Cow::Borrowed(field)));
            match column {
                Column::Vehicle => row.vehicle = text(),
                Column::Device => row.device = text(),
                Column::Time => row.time = text(),
                Column::DriverId => row.driver_id = text(),
                Column::Lat => row.lat = read(name, field, "a number")?,
                Column::Lon => row.lon = read(name, field, "a number")?,
                Column::SpeedKmh => row.speed_kmh = read(name, field, "a number")?,
                Column::CourseDeg => row.course_deg = read(name, field, "a number")?,
                Column::OdometerM => row.odometer_m = read(name, field, "a whole number")?,
                Column::Ignition => row.ignition = read(name, field, "true or false")?,
                Column::Door => row.door = read(name, field, "true or false")?,
            }
        }
        Ok(row)
    }
}

fn read<T: std::str::FromStr>(
    column: &str,
    field: &str,
    what: &'static str,
) -> Result<Option<T>, String> {
    let value = field.parse();
    value
        .map(Some)
        .map_err(|_| format!("`{column}`: `{field}` is not {what}"))
}
