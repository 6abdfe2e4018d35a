//! Dates of six bytes, on the device's own clock.

use super::decode::Fault;
use crate::Cursor;
use waywarden_model::Timestamp;

/// Year (from 2000), month, day, hour, minute, second on a clock `offset_s` seconds east of UTC.
/// Six zeros are a clock that was never set: `Ok(None)`.
pub(super) fn date(r: &mut Cursor<'_>, offset_s: i32) -> Result<Option<Timestamp>, Fault> {
    let at = r.at();
    instant(r.array()?, offset_s, at)
}

/// The same in binary-coded decimal.
pub(super) fn bcd_date(r: &mut Cursor<'_>, offset_s: i32) -> Result<Option<Timestamp>, Fault> {
    let at = r.at();
    let coded: [u8; 6] = r.array()?;
    if coded.iter().any(|b| b >> 4 > 9 || b & 15 > 9) {
        return Err(Fault::bad_value("not a decimal date", at));
    }
    instant(coded.map(|b| (b >> 4) * 10 + (b & 15)), offset_s, at)
}

fn instant(date: [u8; 6], offset_s: i32, at: usize) -> Result<Option<Timestamp>, Fault> {
    if date == [0; 6] {
        return Ok(None);
    }
    let [year, month, day, hour, minute, second] = date.map(i64::from);
    let year = 2000 + year;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return Err(Fault::bad_value("no such date", at));
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Fault::bad_value("no such time of day", at));
    }
    let seconds = days_before(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Ok(Some(Timestamp::from_secs(seconds - i64::from(offset_s))))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March here, so that
/// the leap day is the last of its year.
const fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let in_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FrameErrorKind;

    #[test]
    fn dates_are_local_to_the_device() {
        let local = [17, 8, 25, 17, 2, 22];
        let t = date(&mut Cursor::new(&local), 8 * 3600).unwrap().unwrap();
        assert_eq!(t.to_string(), "2017-08-25T09:02:22Z");
        let leap = date(&mut Cursor::new(&[24, 2, 29, 0, 0, 0]), 0)
            .unwrap()
            .unwrap();
        assert_eq!(leap.to_string(), "2024-02-29T00:00:00Z");
        let last = date(&mut Cursor::new(&[99, 12, 31, 23, 59, 59]), 0).unwrap();
        assert_eq!(last.unwrap().to_string(), "2099-12-31T23:59:59Z");
    }

    #[test]
    fn decimal_dates() {
        let coded = [0x19, 0x01, 0x21, 0x05, 0x09, 0x03];
        let t = bcd_date(&mut Cursor::new(&coded), 0).unwrap().unwrap();
        assert_eq!(t.to_string(), "2019-01-21T05:09:03Z");
        let fault = bcd_date(&mut Cursor::new(&[0x1a, 1, 1, 0, 0, 0]), 0).unwrap_err();
        assert_eq!(fault.kind, FrameErrorKind::BadValue);
    }

    #[test]
    fn impossible_dates_are_faults_and_an_unset_clock_is_none() {
        for bad in [
            [17, 13, 1, 0, 0, 0],
            [17, 0, 1, 0, 0, 0],
            [17, 2, 29, 0, 0, 0],
            [17, 4, 31, 0, 0, 0],
            [17, 1, 1, 24, 0, 0],
            [17, 1, 1, 0, 60, 0],
            [17, 1, 1, 0, 0, 60],
        ] {
            let fault = date(&mut Cursor::new(&bad), 0).unwrap_err();
            assert_eq!(fault.kind, FrameErrorKind::BadValue, "{bad:?}");
        }
        assert_eq!(date(&mut Cursor::new(&[0; 6]), 3600), Ok(None));
        let fault = date(&mut Cursor::new(&[17, 1, 1]), 0).unwrap_err();
        assert_eq!(fault.kind, FrameErrorKind::Truncated);
    }
}
