//! Time zones by name, from the database that the program bundles, as tables for the engine.

use anyhow::{Context, Result};
use waywarden_model::{TimeZone, Timestamp};

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
}
