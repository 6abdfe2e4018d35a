//! Checked reads from a frame's content: nothing here can run past the end.

use super::decode::Fault;
use waywarden_model::Timestamp;

/// Reads big-endian fields one after the other; `None` once the content is used up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    read: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(content: &'a [u8]) -> Self {
        Self {
            rest: content,
            read: 0,
        }
    }

    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Bytes read so far.
    pub(super) const fn at(&self) -> usize {
        self.read
    }

    pub(super) fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        self.read += n;
        Some(head)
    }

    pub(super) fn skip(&mut self, n: usize) -> Option<()> {
        self.bytes(n).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<u32> {
        self.array::<3>()
            .map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    /// Six bytes year (from 2000), month, day, hour, minute, second on a clock `offset_s` seconds
    /// east of UTC. Six zeros are a clock that was never set: `Ok(None)`.
    pub(super) fn date(&mut self, offset_s: i32) -> Result<Option<Timestamp>, Fault> {
        let at = self.read;
        let date: [u8; 6] = self.array().ok_or(Fault::truncated(at))?;
        instant(date, offset_s, at)
    }

    /// The same in binary-coded decimal.
    pub(super) fn bcd_date(&mut self, offset_s: i32) -> Result<Option<Timestamp>, Fault> {
        let at = self.read;
        let coded: [u8; 6] = self.array().ok_or(Fault::truncated(at))?;
        if coded.iter().any(|b| b >> 4 > 9 || b & 15 > 9) {
            return Err(Fault::bad_value("not a decimal date", at));
        }
        instant(coded.map(|b| (b >> 4) * 10 + (b & 15)), offset_s, at)
    }
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
        let date = [17, 8, 25, 17, 2, 22];
        let t = Reader::new(&date).date(8 * 3600).unwrap().unwrap();
        assert_eq!(t.to_string(), "2017-08-25T09:02:22Z");
        let leap = Reader::new(&[24, 2, 29, 0, 0, 0]).date(0).unwrap().unwrap();
        assert_eq!(leap.to_string(), "2024-02-29T00:00:00Z");
        let last = Reader::new(&[99, 12, 31, 23, 59, 59]).date(0).unwrap();
        assert_eq!(last.unwrap().to_string(), "2099-12-31T23:59:59Z");
    }

    #[test]
    fn decimal_dates() {
        let coded = [0x19, 0x01, 0x21, 0x05, 0x09, 0x03];
        let t = Reader::new(&coded).bcd_date(0).unwrap().unwrap();
        assert_eq!(t.to_string(), "2019-01-21T05:09:03Z");
        let fault = Reader::new(&[0x1a, 1, 1, 0, 0, 0]).bcd_date(0).unwrap_err();
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
            let fault = Reader::new(&bad).date(0).unwrap_err();
            assert_eq!(fault.kind, FrameErrorKind::BadValue, "{bad:?}");
        }
        assert_eq!(Reader::new(&[0; 6]).date(3600), Ok(None));
        let fault = Reader::new(&[17, 1, 1]).date(0).unwrap_err();
        assert_eq!(fault.kind, FrameErrorKind::Truncated);
    }
}
