//! Events as JSON, for `waywarden decode` and for the comparison with recorded frames.

use crate::session::{Event, FrameError, Progress};
use serde_json::{Map, Value, json};
use waywarden_model::{DriverSaid, Position, Record};

/// What one line of input meant: `device_ids`, `records`, `replies_hex`, and `error` (its label
/// and text) where there was one.
///
/// `replies_hex` has immediate and durable replies in the order in which they go out when every
/// frame is durable at once. Of several errors the first is shown. A stream that cannot go on is
/// an error too.
pub fn line(events: &[Event], progress: &Progress) -> Value {
    let mut shown = Line::default();
    for event in events {
        shown.add(event);
    }
    if let Progress::Close { reason, .. } = progress {
        let text = "the stream cannot go on";
        shown
            .error
            .get_or_insert_with(|| json!({ "label": reason.label(), "text": text }));
    }
    shown.into_value()
}

/// A record with the field names of the recorded frames; what is not known is left out.
///
/// Units: metres, km/h, degrees, volts, milliseconds. `time` is null where the device gave none
/// (`timed` is false).
pub fn record(r: &Record, timed: bool) -> Value {
    let mut out = Map::new();
    out.insert("time".into(), if timed { time(r) } else { Value::Null });
    if r.position.is_none() {
        out.insert("no_fix".into(), true.into());
    }
    out.insert("valid".into(), r.valid.into());
    motion(r, &mut out);
    details(r, &mut out);
    Value::Object(out)
}

#[derive(Default)]
struct Line {
    device_ids: Vec<String>,
    records: Vec<Value>,
    replies: Vec<String>,
    error: Option<Value>,
}

impl Line {
    fn add(&mut self, event: &Event) {
        match event {
            Event::Identified { candidates, .. } => {
                for id in candidates {
                    if !self.device_ids.contains(id) {
                        self.device_ids.push(id.clone());
                    }
                }
            }
            Event::Reply(bytes) => self.replies.push(hex::encode(bytes)),
            Event::Frame(frame) => {
                let read = frame.readings.iter();
                self.records.extend(read.map(|(r, timed)| record(r, timed)));
                self.replies
                    .extend(frame.durable_reply.iter().map(hex::encode));
            }
            Event::Unknown { .. } => {}
            Event::Error(e) => {
                self.error.get_or_insert_with(|| error(e));
            }
        }
    }

    fn into_value(self) -> Value {
        let mut out = json!({
            "device_ids": self.device_ids,
            "records": self.records,
            "replies_hex": self.replies,
        });
        if let (Some(error), Value::Object(map)) = (self.error, &mut out) {
            map.insert("error".into(), error);
        }
        out
    }
}

fn error(e: &FrameError) -> Value {
    json!({ "label": e.kind.label(), "text": e.to_string() })
}

/// Milliseconds are always written, as the recorded frames do.
fn time(r: &Record) -> Value {
    let text = r.time.to_string();
    match text.strip_suffix('Z') {
        Some(whole) if !whole.contains('.') => format!("{whole}.000Z").into(),
        _ => text.into(),
    }
}

fn motion(r: &Record, out: &mut Map<String, Value>) {
    put(out, "lat", r.position.map(Position::lat));
    put(out, "lon", r.position.map(Position::lon));
    put(
        out,
        "altitude_m",
        r.altitude_dm.map(|v| f64::from(v) / 10.0),
    );
    put(out, "speed_kmh", r.speed.map(|v| v.kmh()));
    put(out, "course_deg", r.course.map(|v| v.degrees()));
    put(out, "satellites", r.satellites);
    put(out, "ignition", r.ignition);
    put(out, "motion", r.motion);
    put(out, "odometer_m", r.odometer_m);
    put(out, "door", r.door);
}

fn details(r: &Record, out: &mut Map<String, Value>) {
    let driver = match &r.driver {
        DriverSaid::NotSaid | DriverSaid::Nobody => None,
        DriverSaid::Card(id) => Some(id.as_str()),
        DriverSaid::Licence(id) => Some(id.as_str()),
    };
    put(out, "driver_id", driver);
    let alarms: Vec<&str> = r.alarms.iter().map(|a| a.name()).collect();
    put(out, "alarm", (!alarms.is_empty()).then(|| alarms.join(",")));
    put(out, "stored", r.stored.then_some(true));
    let d = &r.details;
    let volts = d.external_voltage_mv.map(|v| f64::from(v) / 1000.0);
    put(out, "external_voltage", volts);
    put(out, "fuel", d.fuel_centi.map(|v| f64::from(v) / 100.0));
    put(out, "vin", d.vin.as_deref());
    put(out, "engine_ms", d.engine_ms);
    put(out, "event", d.event);
}

fn put<T: Into<Value>>(out: &mut Map<String, Value>, name: &str, value: Option<T>) {
    if let Some(value) = value {
        out.insert(name.into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::FrameErrorKind;
    use waywarden_model::{Alarm, Speed, Timestamp};

    #[test]
    fn absent_fields_are_left_out_and_times_have_milliseconds() {
        let place = Position::new(20.95, 107.08).unwrap();
        let mut r = Record::fix(Timestamp::from_millis(1_773_104_405_000), place);
        r.speed = Some(Speed::from_centi(5_012));
        r.alarms.insert(Alarm::Sos);
        r.alarms.insert(Alarm::HardBraking);
        assert_eq!(
            record(&r, true),
            json!({
                "time": "2026-03-10T01:00:05.000Z", "valid": true, "lat": 20.95, "lon": 107.08,
                "speed_kmh": 50.12, "alarm": "sos,hardBraking",
            })
        );
    }

    #[test]
    fn a_record_without_time_and_place_says_so() {
        let r = Record::status(Timestamp::from_millis(0));
        assert_eq!(
            record(&r, false),
            json!({ "time": null, "no_fix": true, "valid": false })
        );
    }

    #[test]
    fn the_first_error_is_shown() {
        let e = |kind, what| {
            Event::Error(FrameError {
                kind,
                what,
                at: 3,
                raw: Vec::new(),
            })
        };
        let events = [
            e(FrameErrorKind::BadChecksum, "crc"),
            e(FrameErrorKind::Garbage, "x"),
        ];
        let shown = line(
            &events,
            &Progress::Close {
                consumed: 0,
                reason: FrameErrorKind::Refused,
            },
        );
        assert_eq!(
            shown,
            json!({
                "device_ids": [], "records": [], "replies_hex": [],
                "error": { "label": "bad_checksum", "text": "bad_checksum: crc (at byte 3)" },
            })
        );
    }
}
