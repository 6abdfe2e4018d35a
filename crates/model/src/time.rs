//! Time as integers: instants in milliseconds, local days as counts, zones as tables.

mod text;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Serialized as RFC 3339 text in human-readable formats and as an integer in binary ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 instant with an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time with an offset, such as 2026-03-10T08:00:00+07:00")]
pub struct BadTime(pub String);

impl Timestamp {
    /// Earliest instant that arithmetic on days supports; older than any device.
    pub const MIN: Self = Self(i64::MIN / 4);
    /// Latest instant that arithmetic on days supports.
    pub const MAX: Self = Self(i64::MAX / 4);

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn from_secs(s: i64) -> Self {
        Self(s * 1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Instant `ms` later (earlier when negative), held within the supported range.
    #[must_use]
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads RFC 3339 with `Z` or a numeric offset; digits below a millisecond are cut.
    ///
    /// # Errors
    /// [`BadTime`] with the text when it is no such instant.
    pub fn parse_rfc3339(text: &str) -> Result<Self, BadTime> {
        if let Some(ms) = text::whole_seconds(text.as_bytes()) {
            return Ok(Self(ms));
        }
        let bad = || BadTime(text.to_owned());
        // The library also takes the space-separated and the bracketed forms; we do not.
        if text.contains('[') || !text.contains(['T', 't']) {
            return Err(bad());
        }
        let t: jiff::Timestamp = text.parse().map_err(|_| bad())?;
        Ok(Self(t.as_millisecond()))
    }
}

/// RFC 3339 in UTC: whole seconds without a fraction, else three digits.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) if self.0 % 1000 == 0 => write!(f, "{t:.0}"),
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.collect_str(self)
        } else {
            s.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            d.deserialize_str(InText)
        } else {
            i64::deserialize(d).map(Self)
        }
    }
}

/// Reads the text where it lies.
struct InText;

impl serde::de::Visitor<'_> for InText {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::parse_rfc3339(text).map_err(E::custom)
    }
}

/// A calendar day in some time zone: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LocalDay(pub i32);

impl LocalDay {
    /// Monday of the week (ISO 8601) in which the day lies.
    #[must_use]
    pub const fn monday(self) -> Self {
        // 1970-01-01 was a Thursday.
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }

    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    /// (year, month 1 to 12, day 1 to 31) in the proleptic Gregorian calendar.
    pub fn civil(self) -> (i32, u32, u32) {
        let t = jiff::Timestamp::from_second(i64::from(self.0) * 86_400)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC);
        // Months and days of the library are positive by its own contract.
        (
            i32::from(t.year()),
            t.month().unsigned_abs().into(),
            t.day().unsigned_abs().into(),
        )
    }

    /// Reads `YYYY-MM-DD`.
    ///
    /// # Errors
    /// [`BadTime`] with the text when it is no date.
    pub fn parse(text: &str) -> Result<Self, BadTime> {
        // The library also takes a day with a time behind it, and drops the time.
        if text.len() != "2026-03-10".len() {
            return Err(BadTime(text.to_owned()));
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| BadTime(text.to_owned()))?;
        let t = date
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|_| BadTime(text.to_owned()))?;
        let days = t.timestamp().as_second().div_euclid(86_400);
        i32::try_from(days)
            .map(Self)
            .map_err(|_| BadTime(text.to_owned()))
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.civil();
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

/// A time zone as a table: the offset in seconds east of UTC from each instant on.
///
/// The table is filled by the program from a pinned copy of the time-zone database, so that the
/// engine stays free of input and every machine counts the same days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone {
    name: Arc<str>,
    before: i32,
    transitions: Arc<[(Timestamp, i32)]>,
}

impl TimeZone {
    pub fn utc() -> Self {
        Self::fixed("UTC", 0)
    }

    /// Asia/Ho_Chi_Minh: UTC+7 without changes since 1975-06-13.
    pub fn vietnam() -> Self {
        Self::fixed("Asia/Ho_Chi_Minh", 7 * 3600)
    }

    /// A zone whose offset (seconds east of UTC) never changes.
    pub fn fixed(name: &str, offset_s: i32) -> Self {
        Self {
            name: name.into(),
            before: offset_s,
            transitions: Arc::from([]),
        }
    }

    /// A zone with changes; `transitions` are sorted here by instant.
    pub fn with_transitions(
        name: &str,
        before: i32,
        mut transitions: Vec<(Timestamp, i32)>,
    ) -> Self {
        transitions.sort_unstable();
        Self {
            name: name.into(),
            before,
            transitions: transitions.into(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC at `t`.
    pub fn offset_at(&self, t: Timestamp) -> i32 {
        match self.transitions.partition_point(|(from, _)| *from <= t) {
            0 => self.before,
            n => self.transitions[n - 1].1,
        }
    }

    /// The local day in which `t` lies.
    pub fn day_of(&self, t: Timestamp) -> LocalDay {
        let local_ms = t.0 + i64::from(self.offset_at(t)) * 1000;
        let day = local_ms
            .div_euclid(86_400_000)
            .clamp(i32::MIN.into(), i32::MAX.into());
        #[allow(clippy::cast_possible_truncation)] // clamped on the line above
        LocalDay(day as i32)
    }

    /// The first instant of `day`.
    pub fn start_of(&self, day: LocalDay) -> Timestamp {
        let midnight = i64::from(day.0) * 86_400_000;
        let guess = Timestamp(midnight - i64::from(self.offset_at(Timestamp(midnight))) * 1000);
        // The offset at the guess is right but for the hours around a change of clocks.
        Timestamp(midnight - i64::from(self.offset_at(guess)) * 1000)
    }

    /// Seconds into the local day, 0 to 86,399.
    pub fn second_of_day(&self, t: Timestamp) -> u32 {
        let local_ms = t.0 + i64::from(self.offset_at(t)) * 1000;
        u32::try_from(local_ms.rem_euclid(86_400_000) / 1000).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-03-10T01:00:05Z", 1_773_104_405_000),
            ("2026-03-10T01:00:05.250Z", 1_773_104_405_250),
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text).unwrap().millis(),
                ms,
                "{text}"
            );
            assert_eq!(Timestamp::from_millis(ms).to_string(), text);
        }
        assert_eq!(
            Timestamp::parse_rfc3339("2026-03-10T08:00:05+07:00")
                .unwrap()
                .millis(),
            1_773_104_405_000
        );
        for bad in [
            "",
            "2026-03-10",
            "2026-03-10T08:00:05",
            "10/03/2026 08:00",
            "2026-03-10 08:00:05Z",
        ] {
            assert!(Timestamp::parse_rfc3339(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_of_vietnam_begin_at_17_utc() {
        let zone = TimeZone::vietnam();
        let before = Timestamp::parse_rfc3339("2026-03-10T16:59:59.999Z").unwrap();
        let at = Timestamp::parse_rfc3339("2026-03-10T17:00:00Z").unwrap();
        assert_eq!(zone.day_of(before).to_string(), "2026-03-10");
        assert_eq!(zone.day_of(at).to_string(), "2026-03-11");
        assert_eq!(zone.start_of(zone.day_of(at)), at);
        assert_eq!(
            LocalDay::parse("2026-03-15").unwrap().monday(),
            LocalDay::parse("2026-03-09").unwrap()
        );
        assert_eq!(
            LocalDay::parse("2026-03-09").unwrap().monday(),
            LocalDay::parse("2026-03-09").unwrap()
        );
        assert_eq!(
            LocalDay::parse("1969-12-29").unwrap().monday(),
            LocalDay::parse("1969-12-29").unwrap()
        );
    }
}
