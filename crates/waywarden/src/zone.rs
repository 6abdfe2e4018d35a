//! Time zones by name, from the database that the program bundles, as tables for the engine; and
//! instants as commands take them.

use crate::exit::Ending;
use anyhow::{Context, Result};
use waywarden_model::{LocalDay, TimeZone, Timestamp};

/// The zone with all its changes between 1970 and 2100.
///
/// # Errors
/// A name that the database lacks.
pub fn by_name(name: &str) -> Result<TimeZone> {
    let zone = jiff::tz::TimeZone::get(name).with_context(|| format!("time zone `{name}`"))?;
    let end = jiff::Timestamp::from_second(4_102_444_800)?;
    let before = zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds();
    let changes = zone
        .following(jiff::Timestamp::UNIX_EPOCH)
        .take_while(|t| t.timestamp() < end)
        .map(|t| {
            (
                Timestamp::from_millis(t.timestamp().as_millisecond()),
                t.offset().seconds(),
            )
        })
        .collect();
    Ok(TimeZone::with_transitions(name, before, changes))
}

/// An instant with its offset, or the beginning of a day in `zone`.
///
/// # Errors
/// [`Ending::Usage`] that names the flag.
pub fn instant(flag: &str, text: &str, zone: &TimeZone) -> Result<Timestamp> {
    let day = || LocalDay::parse(text).map(|day| zone.start_of(day));
    let found = Timestamp::parse_rfc3339(text).or_else(|_| day());
    found.map_err(|_| {
        let why = format!(
            "{flag} `{text}` is neither a time with its offset (2026-03-10T08:00:00+07:00) nor a \
             day (2026-03-10)"
        );
        Ending::Usage(why).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_known_instants() {
        let at = |zone: &str, t: &str| {
            by_name(zone)
                .unwrap()
                .offset_at(Timestamp::parse_rfc3339(t).unwrap())
        };
        assert_eq!(at("Asia/Ho_Chi_Minh", "2026-03-10T00:00:00Z"), 7 * 3600);
        assert_eq!(at("Europe/Paris", "2026-03-29T00:59:59Z"), 3600);
        assert_eq!(at("Europe/Paris", "2026-03-29T01:00:00Z"), 7200);
        assert!(by_name("Asia/Nowhere").is_err());
    }

    #[test]
    fn days_begin_in_the_zone() {
        let zone = TimeZone::vietnam();
        let read = |text| instant("--from", text, &zone).map(|t| t.to_string());
        assert_eq!(read("2026-03-10").unwrap(), "2026-03-09T17:00:00Z");
        assert_eq!(
            read("2026-03-10T08:00:00+07:00").unwrap(),
            "2026-03-10T01:00:00Z"
        );
        for wrong in ["", "2026-03-10T08:00:00", "2026-02-30", "10/3/2026"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
