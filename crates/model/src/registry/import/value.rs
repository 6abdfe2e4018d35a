//! Single values of a register, from their text; the same for a CSV field and a GeoJSON property.

use super::error::Problem;
use crate::ids::Plate;
use crate::time::{LocalDay, TimeZone, Timestamp};
use crate::units::Speed;
use std::sync::Arc;

/// Longest identifier or name.
const LONGEST: usize = 200;
const MINUTE_MS: f64 = 60_000.0;

pub(super) type Read<T> = Result<T, Problem>;

/// Any text: names, addresses, identifiers.
pub(super) fn text(value: &str) -> Read<String> {
    let good = value.chars().count() <= LONGEST && !value.chars().any(char::is_control);
    good.then(|| value.to_owned())
        .ok_or(Problem::BadText(LONGEST))
}

pub(super) fn shared(value: &str) -> Read<Arc<str>> {
    text(value).map(Into::into)
}

/// Letters and digits, at least one digit, 4 to 12 of them once normalised.
pub(super) fn plate(value: &str) -> Read<Plate> {
    let plate = Plate::new(value);
    let normal = plate.as_str();
    let good = (4..=12).contains(&normal.chars().count())
        && normal.chars().all(char::is_alphanumeric)
        && normal.chars().any(|c| c.is_ascii_digit());
    good.then_some(plate)
        .ok_or_else(|| Problem::BadPlate(value.to_owned()))
}

/// `card:` is what marks a card that nobody registered.
pub(super) fn licence(value: &str) -> Read<String> {
    if value.starts_with("card:") {
        return Err(Problem::LicenceLikeCard);
    }
    text(value)
}

/// One of `all`, by its name.
pub(super) fn code<T: Copy>(value: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Read<T> {
    all.iter()
        .copied()
        .find(|c| name(*c) == value)
        .ok_or_else(|| {
            let good: Vec<&str> = all.iter().map(|c| name(*c)).collect();
            Problem::BadCode {
                value: value.to_owned(),
                good: good.join(", "),
            }
        })
}

pub(super) fn flag(value: &str) -> Read<bool> {
    match value {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Problem::BadCode {
            value: value.to_owned(),
            good: "true, false, yes, no, 1, 0".to_owned(),
        }),
    }
}

pub(super) fn number(value: &str, least: f64, most: f64) -> Read<f64> {
    let bad = || Problem::BadNumber {
        value: value.to_owned(),
        least,
        most,
    };
    // The library also takes `inf` and `nan`; the range keeps them out.
    let n: f64 = value.parse().map_err(|_| bad())?;
    (least..=most).contains(&n).then_some(n).ok_or_else(bad)
}

/// km/h, 1 to 200, two decimals kept.
pub(super) fn speed(value: &str) -> Read<Speed> {
    number(value, 1.0, 200.0).map(Speed::from_kmh_f64)
}

/// Minutes up to a day, as milliseconds.
pub(super) fn minutes(value: &str) -> Read<i64> {
    let minutes = number(value, 1.0, 1440.0)?;
    #[allow(clippy::cast_possible_truncation)] // at most 86,400,000
    Ok((minutes * MINUTE_MS).round() as i64)
}

/// An instant with an offset, or the first instant of a date in `zone`.
pub(super) fn time(value: &str, zone: &TimeZone) -> Read<Timestamp> {
    if let Ok(t) = Timestamp::parse_rfc3339(value) {
        return Ok(t);
    }
    date(value).map(|day| zone.start_of(day))
}

/// The first instant at which what is valid through a date (or until an instant) no longer is.
pub(super) fn end_of(value: &str, zone: &TimeZone) -> Read<Timestamp> {
    match date(value) {
        Ok(day) => Ok(zone.start_of(day.plus(1))),
        Err(_) => time(value, zone),
    }
}

/// `YYYY-MM-DD` and nothing else: the library would also take a time of day and cut it.
fn date(value: &str) -> Read<LocalDay> {
    let bad = || Problem::BadTime(value.to_owned());
    if value.len() != 10 {
        return Err(bad());
    }
    LocalDay::parse(value).map_err(|_| bad())
}

/// `+07:00` as seconds east of UTC.
pub(super) fn offset(value: &str) -> Read<i32> {
    let bad = || Problem::BadOffset(value.to_owned());
    let (sign, rest) = match value.as_bytes().first() {
        Some(b'+') => (1, &value[1..]),
        Some(b'-') => (-1, &value[1..]),
        _ => return Err(bad()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(bad)?;
    let two = |text: &str, most: i32| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let n: i32 = text.parse().ok()?;
        (digits && n <= most).then_some(n)
    };
    let hours = two(hours, 14).ok_or_else(bad)?;
    let minutes = two(minutes, 59).ok_or_else(bad)?;
    Ok(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_begin_in_the_zone_and_times_carry_their_own() {
        let zone = TimeZone::vietnam();
        let at = |text| time(text, &zone).map(|t| t.to_string());
        assert_eq!(at("2026-03-10"), Ok("2026-03-09T17:00:00Z".to_owned()));
        assert_eq!(
            at("2026-03-10T00:00:00+09:00"),
            Ok("2026-03-09T15:00:00Z".to_owned())
        );
        assert_eq!(
            end_of("2026-03-10", &zone).map(|t| t.to_string()),
            Ok("2026-03-10T17:00:00Z".to_owned())
        );
        for bad in [
            "10/03/2026",
            "2026-02-30",
            "2026-03-10 08:00",
            "2026-03-10T08:00:00",
        ] {
            assert_eq!(at(bad), Err(Problem::BadTime(bad.to_owned())));
        }
    }

    #[test]
    fn offsets_have_a_sign_and_two_digits() {
        assert_eq!(offset("+07:00"), Ok(25_200));
        assert_eq!(offset("-03:30"), Ok(-12_600));
        for bad in ["7", "+7:00", "+15:00", "+07:60", "é", "+0é:0"] {
            assert_eq!(offset(bad), Err(Problem::BadOffset(bad.to_owned())));
        }
    }

    #[test]
    fn plates_have_letters_and_digits_only() {
        assert_eq!(plate("14c-123.45").unwrap().as_str(), "14C12345");
        assert!(plate("14MĐ1-234.56").is_ok());
        for bad in ["14C", "xe khách", "14C/12345", "14C-123.456.789.01"] {
            assert_eq!(plate(bad), Err(Problem::BadPlate(bad.to_owned())));
        }
    }
}
