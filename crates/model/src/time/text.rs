//! The one form of RFC 3339 that nearly all text has, read without the library.

/// Milliseconds since the epoch of `2026-03-10T08:00:00` with `Z` or `+07:00` behind it. None for
/// every other text, whether or not it is a time: the library has the say there.
pub(super) fn whole_seconds(text: &[u8]) -> Option<i64> {
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        o1,
        o2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        offset @ ..,
    ] = text
    else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(o1, o2)?, two(d1, d2)?);
    let clock = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    let east_s = match offset {
        [b'Z'] => 0,
        [b'+', h1, h2, b':', m1, m2] => seconds_of_day(two(h1, h2)?, two(m1, m2)?, 0)?,
        [b'-', h1, h2, b':', m1, m2] => -seconds_of_day(two(h1, h2)?, two(m1, m2)?, 0)?,
        _ => return None,
    };
    // At the ends of the calendar the offset would lead out of what the library reads.
    if !(1..=9998).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > days_in(year, month) {
        return None;
    }
    let seconds = seconds_of_day(clock.0, clock.1, clock.2)?;
    Some((days_since_epoch(year, month, day) * 86_400 + seconds - east_s) * 1000)
}

fn two(tens: &u8, ones: &u8) -> Option<i64> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    both.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// A leap second is the library's to read.
fn seconds_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

const fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The year is 1 or later, the month 1 to 12.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    const FROM_YEAR_1_TO_1970: i64 = 719_162;
    let passed = year - 1;
    let leap_days = passed / 4 - passed / 100 + passed / 400;
    let this_year = i64::from(month > 2 && leap(year));
    let before = usize::try_from(month - 1).map_or(0, |m| BEFORE_MONTH[m]);
    passed * 365 + leap_days + before + this_year + day - 1 - FROM_YEAR_1_TO_1970
}

#[cfg(test)]
mod tests {
    use super::whole_seconds;
    use proptest::prelude::*;

    fn by_the_library(text: &str) -> Option<i64> {
        let read: Result<jiff::Timestamp, _> = text.parse();
        read.ok().map(jiff::Timestamp::as_millisecond)
    }

    #[test]
    fn every_day_of_the_calendar_is_the_librarys() {
        let mut day: jiff::civil::Date = "0001-01-01".parse().unwrap();
        while day.year() < 9999 {
            let text = format!("{day}T23:59:58+14:00");
            let ms = whole_seconds(text.as_bytes());
            assert!(ms.is_some(), "{text}");
            // The library is slow without optimisation: each day of the years in use, of the others
            // what their days have in common with them.
            if (1960..2110).contains(&day.year()) || day.day() == 1 {
                assert_eq!(ms, by_the_library(&text), "{text}");
            }
            day = day.tomorrow().unwrap();
        }
    }

    proptest! {
        /// Digits out of all ranges and other characters in each place.
        #[test]
        fn what_is_read_is_what_the_library_reads(
            digits in proptest::collection::vec(0u32..100, 8),
            changed in proptest::option::of((0usize..26, "[-+:TtZz0-9. \\[]")),
            zulu: bool,
            east: bool,
        ) {
            let d = &digits;
            let sign = if east { '+' } else { '-' };
            let mut text = format!(
                "{:02}{:02}-{:02}-{:02}T{:02}:{:02}:{:02}",
                d[0], d[1], d[2] % 14, d[3] % 33, d[4] % 26, d[5] % 62, d[6] % 62
            );
            text += &if zulu { "Z".to_owned() } else { format!("{sign}{:02}:{:02}", d[7] % 26, d[0] % 62) };
            if let Some((at, other)) = changed
                && at < text.len()
            {
                text.replace_range(at..=at, &other);
            }
            if let Some(ms) = whole_seconds(text.as_bytes()) {
                prop_assert_eq!(Some(ms), by_the_library(&text), "{}", text);
            }
        }

        #[test]
        fn what_is_written_in_whole_seconds_is_read_here(s in -62_000_000_000i64..250_000_000_000) {
            let text = crate::Timestamp::from_secs(s).to_string();
            prop_assert_eq!(whole_seconds(text.as_bytes()), Some(s * 1000), "{}", text);
        }
    }
}
