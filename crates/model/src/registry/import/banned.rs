//! What a zone forbids, from its properties.

use super::error::Problem;
use super::fields::Fields;
use super::value::{self, Read};
use crate::registry::{Ban, Class, Hours};
use crate::units::Course;

/// Means every class of vehicles.
pub(in crate::registry) const ALL: &str = "all";
/// Spans of hours in one zone.
const MOST_HOURS: usize = 24;

/// A ban names at least its classes, so that none comes about by a slip.
pub(super) fn ban(f: &mut Fields<'_>) -> Option<Ban> {
    let classes = f.get("banned_classes", classes);
    let hours = f.get("banned_hours", hours);
    let direction = f.get("banned_direction_deg", |v| value::number(v, 0.0, 360.0));
    if classes.is_none() && (hours.is_some() || direction.is_some()) && !f.broken {
        f.wrong("banned_classes", Problem::Missing);
    }
    classes.map(|classes| Ban {
        classes,
        hours: hours.unwrap_or_default(),
        direction: direction.and_then(Course::from_degrees),
    })
}

/// `all`, or classes separated by commas.
fn classes(text: &str) -> Read<Vec<Class>> {
    if text == ALL {
        return Ok(Vec::new());
    }
    let code = |c: &str| value::code(c.trim(), &Class::ALL, Class::name);
    text.split(',').map(code).collect()
}

/// `06:00-09:00, 16:30-20:00`.
fn hours(text: &str) -> Read<Vec<Hours>> {
    let bad = || Problem::BadHours(text.to_owned());
    let span = |span: &str| {
        let (from, until) = span.trim().split_once('-')?;
        let (from, until) = (minute(from)?, minute(until)?);
        (from < 1440 && from != until).then_some(Hours { from, until })
    };
    let all: Option<Vec<Hours>> = text.split(',').map(span).collect();
    all.filter(|h| h.len() <= MOST_HOURS).ok_or_else(bad)
}

/// `06:30` to `24:00`, in minutes.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1440).then_some(minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_spans_of_the_day() {
        let read = |text| hours(text).map(|h| h.iter().map(|h| (h.from, h.until)).collect());
        assert_eq!(read("06:00-09:00"), Ok(vec![(360, 540)]));
        assert_eq!(
            read("22:30-05:00,12:00-24:00"),
            Ok(vec![(1350, 300), (720, 1440)])
        );
        for bad in [
            "",
            "6:00-9:00",
            "06:00",
            "06:00-06:00",
            "06:60-09:00",
            "24:00-05:00",
            "06:00-24:01",
            "06:00-09:00;",
            "+6:00-09:00",
        ] {
            assert_eq!(read(bad), Err(Problem::BadHours(bad.to_owned())), "{bad}");
        }
        let many = ["06:00-07:00"; MOST_HOURS + 1].join(",");
        assert!(hours(&many).is_err());
    }

    #[test]
    fn classes_are_named_or_all() {
        assert_eq!(classes("all"), Ok(vec![]));
        assert_eq!(
            classes("truck_over_3_5t, tanker"),
            Ok(vec![Class::TruckOver3_5t, Class::Tanker])
        );
        assert!(classes("lorry").is_err() && classes("").is_err());
    }
}
