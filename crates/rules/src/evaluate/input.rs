//! Records and vehicles as files hold them: JSON Lines or CSV, with errors by line and column.

use serde::Deserialize;
use waywarden_model::registry::{ImportFile, RegisterKind, Registers};
use waywarden_model::{
    Course, DriverId, DriverSaid, Plate, Position, Record, SourceId, Speed, TimeZone, Timestamp,
};

/// What is wrong with a line of input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct InputError {
    /// From 1, the header of a CSV file counted.
    pub line: usize,
    pub what: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    vehicle: Option<String>,
    device: Option<String>,
    time: Timestamp,
    lat: f64,
    lon: f64,
    speed_kmh: Option<f64>,
    course_deg: Option<f64>,
    ignition: Option<bool>,
    driver_id: Option<String>,
    odometer_m: Option<u64>,
    door: Option<bool>,
}

/// Reads one record a line; a line that begins with `{` makes it JSON Lines, else it is CSV with a
/// header. Empty lines are passed over.
///
/// # Errors
/// The first line that is no record, with what is wrong in it.
pub fn records(text: &str) -> Result<Vec<(SourceId, Record)>, InputError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{') {
        json_lines(text)
    } else {
        comma_separated(text)
    }
}

fn json_lines(text: &str) -> Result<Vec<(SourceId, Record)>, InputError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.trim().is_empty());
    lines
        .map(|(n, line)| {
            let wrong = |what: String| InputError { line: n + 1, what };
            let row: Row = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            row.record().map_err(wrong)
        })
        .collect()
}

fn comma_separated(text: &str) -> Result<Vec<(SourceId, Record)>, InputError> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut found = Vec::new();
    for (n, row) in reader.deserialize().enumerate() {
        let wrong = |what: String| InputError { line: n + 2, what };
        let row: Row = row.map_err(|e| wrong(e.to_string()))?;
        found.push(row.record().map_err(wrong)?);
    }
    Ok(found)
}

impl Row {
    fn record(self) -> Result<(SourceId, Record), String> {
        let source = match (self.device, self.vehicle) {
            (Some(device), _) => SourceId::new(device),
            (None, Some(vehicle)) => SourceId::from(Plate::new(&vehicle).as_str()),
            (None, None) => return Err("neither `vehicle` nor `device` is given".to_owned()),
        };
        let position = Position::new(self.lat, self.lon)
            .ok_or_else(|| format!("{}, {} is no place on the globe", self.lat, self.lon))?;
        let driver = match self.driver_id.as_deref() {
            None | Some("") => DriverSaid::Nobody,
            Some(id) => DriverSaid::Licence(DriverId::from(id)),
        };
        let record = Record {
            speed: self.speed_kmh.map(Speed::from_kmh_f64),
            course: self.course_deg.and_then(Course::from_degrees),
            ignition: self.ignition,
            door: self.door,
            odometer_m: self.odometer_m,
            driver,
            ..Record::fix(self.time, position)
        };
        Ok((source, record))
    }
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

    #[test]
    fn both_forms_read_alike() {
        let json = r#"{"vehicle":"14C-123.45","time":"2026-03-10T08:00:00+07:00","lat":21.0,"lon":107.0,"speed_kmh":60.5,"driver_id":"220000000001"}"#;
        let csv = "vehicle,time,lat,lon,speed_kmh,driver_id\n14C12345,2026-03-10T01:00:00Z,21.0,107.0,60.5,220000000001\n";
        assert_eq!(records(json), records(csv));
        assert_eq!(
            records(csv).unwrap()[0].1.speed,
            Some(Speed::from_centi(6050))
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let head = "vehicle,time,lat,lon,speed_kmh\n";
        for (line, error) in [
            (
                "14C12345,10/03/2026,21.0,107.0,60",
                "line 2: CSV deserialize error",
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
}
