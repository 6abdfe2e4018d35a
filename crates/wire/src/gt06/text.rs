//! The frames whose content is text: results of commands, engine diagnostics, fuel sensors.

use super::date::date;
use super::decode::{Context, Fault, Meaning};
use super::frame::Frame;
use crate::Cursor;
use std::str;
use waywarden_model::{Course, Position, Record, Speed, Timestamp};

/// Kind 21 of the long form: server's mark (4), encoding (1, 1 = ASCII), text. The answer to a
/// question for the position is a fix.
pub(super) fn result(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    r.skip(5)?;
    let found = str::from_utf8(r.rest()).ok().and_then(current_position);
    Ok(match found {
        Some(record) => {
            let time = record.time;
            Meaning::report(record, Some(time), None)
        }
        None => Meaning::report(Record::status(context.now), None, None),
    })
}

/// `Current position!Lat:N..,Lon:E..,Course:..,Speed:..,DateTime:YYYY-MM-DD  hh:mm:ss`, in UTC.
fn current_position(text: &str) -> Option<Record> {
    let rest = text.strip_prefix("Current position!")?;
    let mut fields = rest.splitn(5, ',');
    let lat = hemisphere(fields.next()?.strip_prefix("Lat:")?, "N", "S")?;
    let lon = hemisphere(fields.next()?.strip_prefix("Lon:")?, "E", "W")?;
    let course: f64 = fields.next()?.strip_prefix("Course:")?.parse().ok()?;
    let speed: f64 = fields.next()?.strip_prefix("Speed:")?.parse().ok()?;
    let date = fields.next()?.strip_prefix("DateTime:")?;
    let (day, of_day) = date.split_once(' ')?;
    let time = Timestamp::parse_rfc3339(&format!("{day}T{}Z", of_day.trim())).ok()?;
    let mut record = Record::fix(time, Position::new(lat, lon)?);
    record.course = Course::from_degrees(course);
    record.speed = speed.is_finite().then(|| Speed::from_kmh_f64(speed));
    Some(record)
}

fn hemisphere(text: &str, positive: &str, negative: &str) -> Option<f64> {
    match text.strip_prefix(positive) {
        Some(degrees) => degrees.parse().ok(),
        None => text.strip_prefix(negative)?.parse::<f64>().ok().map(|v| -v),
    }
}

/// Bytes behind the text of kind 8C: course word, latitude, longitude, two more.
const DIAGNOSTICS_TAIL: usize = 12;

/// Kind 8C of the long form: date (6), ignition (1), `key=value` pairs with the value's number in
/// the first two hexadecimal digits of the key. Not acknowledged.
pub(super) fn diagnostics(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    let time = date(&mut r, context.offset_s)?;
    let mut record = Record::status(context.now);
    record.ignition = Some(r.u8()? > 0);
    let length = r.left().saturating_sub(DIAGNOSTICS_TAIL);
    let text = r.take(length).ok().and_then(|b| str::from_utf8(b).ok());
    for (key, value) in text
        .into_iter()
        .flat_map(|t| t.split(','))
        .filter_map(|pair| pair.split_once('='))
    {
        diagnostic(key, value, &mut record);
    }
    Ok(Meaning::report(record, time, None))
}

fn diagnostic(key: &str, value: &str, record: &mut Record) {
    let number = key.get(..2).and_then(|k| u8::from_str_radix(k, 16).ok());
    let hundredths = u32::from_str_radix(value, 16).ok();
    match number {
        Some(0x28) => record.odometer_m = hundredths.map(|v| u64::from(v).div_ceil(100)),
        Some(0x2b) => {
            record.details.fuel_centi = hundredths.and_then(|v| i32::try_from(v).ok());
        }
        // Hundredths of an hour.
        Some(0x49) => record.details.engine_ms = hundredths.map(|v| u64::from(v) * 36_000),
        Some(0x4a) if !value.is_empty() => record.details.vin = Some(value.into()),
        _ => {}
    }
}

/// `!AIOIL,address,output,temperature,version,flags,level,...`: the level in 0.01.
pub(super) fn fuel_centi(text: &[u8]) -> Option<i32> {
    let text = str::from_utf8(text).ok()?;
    let level: f64 = text
        .strip_prefix("!AIOIL,")?
        .split(',')
        .nth(5)?
        .parse()
        .ok()?;
    #[allow(clippy::cast_possible_truncation)] // in range by the filter
    Some(level)
        .filter(|v| (0.0..10_000.0).contains(v))
        .map(|v| (v * 100.0).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_words() {
        let r = current_position(
            "Current position!Lat:S12.5,Lon:W7.25,Course:126.53,Speed:3.5,DateTime:2017-05-26  10:27:47",
        )
        .unwrap();
        let p = r.position.unwrap();
        assert_eq!((p.lat(), p.lon()), (-12.5, -7.25));
        assert_eq!(r.time.to_string(), "2017-05-26T10:27:47Z");
        assert_eq!(r.speed, Some(Speed::from_centi(350)));
        assert!(
            current_position(
                "Current position!Lat:N91,Lon:E0,Course:0,Speed:0,DateTime:2017-05-26 10:27:47"
            )
            .is_none()
        );
        assert!(current_position("OK").is_none());
    }

    #[test]
    fn fuel_in_words() {
        let text = b"!AIOIL,02,002.720,029.500,524J,0100,003.400,0,00,93";
        assert_eq!(fuel_centi(text), Some(340));
        assert_eq!(fuel_centi(b"!AIOIL,02"), None);
    }
}
