//! Framing: delimiters, escapes, checksum and header, of the standard and of the dialect with E7.

use crate::cursor::{Cursor, Short};
use crate::session::FrameErrorKind;
use std::borrow::Cow;

/// Delimiter of the standard's frames (JT/T 808 clause 4.4.1).
pub const STANDARD: u8 = 0x7E;
/// Delimiter of a dialect with escapes of its own and an id of 7 bytes.
pub const DIALECT: u8 = 0xE7;
/// Longest text in parentheses.
const MAX_TEXT: usize = 1024;
/// Garbage that is looked at before it is reported.
pub const SHOWN: usize = 64;

/// What stands at the front of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step<'a> {
    NeedMore,
    /// A delimiter that closes what is behind us.
    Stray,
    /// From delimiter to delimiter, both included; still escaped.
    Frame(&'a [u8]),
    /// Plain text with its parentheses.
    Text(&'a [u8]),
    /// No frame ends within the limit.
    TooLong,
    /// No frame begins here; these bytes can be shown.
    Garbage(&'a [u8]),
}

/// The next thing in `input`, decided from the same bytes however they are split.
pub fn next(input: &[u8], max_frame: usize) -> Step<'_> {
    match input.first() {
        None => Step::NeedMore,
        Some(&d @ (STANDARD | DIALECT)) => delimited(input, d, max_frame),
        Some(b'(') => text(input).unwrap_or_else(|| garbage(input)),
        Some(_) => garbage(input),
    }
}

/// Number of bytes up to the next delimiter of the stream, all of them where there is none.
pub fn garbage_len(input: &[u8], delimiter: u8) -> usize {
    find(input, delimiter).unwrap_or(input.len())
}

fn find(input: &[u8], byte: u8) -> Option<usize> {
    input.iter().position(|b| *b == byte)
}

fn delimited(input: &[u8], delimiter: u8, max_frame: usize) -> Step<'_> {
    let window = &input[..input.len().min(max_frame)];
    match find(window.get(1..).unwrap_or_default(), delimiter) {
        Some(0) => Step::Stray,
        Some(at) => Step::Frame(&input[..at + 2]),
        None if input.len() >= max_frame => Step::TooLong,
        None => Step::NeedMore,
    }
}

/// None when it is no text: a delimiter comes before the parenthesis, or it is too long.
fn text(input: &[u8]) -> Option<Step<'_>> {
    let window = &input[..input.len().min(MAX_TEXT)];
    let end = window.iter().position(|b| matches!(*b, b')' | STANDARD));
    match end {
        Some(at) if window[at] == b')' => Some(Step::Text(&input[..=at])),
        None if input.len() < MAX_TEXT => Some(Step::NeedMore),
        _ => None,
    }
}

fn garbage(input: &[u8]) -> Step<'_> {
    let end = input.iter().take(SHOWN).position(|b| *b == STANDARD);
    match end {
        Some(at) => Step::Garbage(&input[..at]),
        None if input.len() >= SHOWN => Step::Garbage(&input[..SHOWN]),
        None => Step::NeedMore,
    }
}

/// What is wrong with a frame, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wrong {
    pub kind: FrameErrorKind,
    pub what: &'static str,
    pub at: usize,
}

impl Wrong {
    pub const fn new(kind: FrameErrorKind, what: &'static str, at: usize) -> Self {
        Self { kind, what, at }
    }
}

impl From<Short> for Wrong {
    fn from(short: Short) -> Self {
        let what = "the message ends within a field";
        Self::new(FrameErrorKind::Truncated, what, short.at)
    }
}

/// The inside of a frame without delimiters and escapes; copied only where there are escapes.
pub fn unescape(frame: &[u8]) -> Result<Cow<'_, [u8]>, Wrong> {
    let inside = frame.get(1..frame.len() - 1).unwrap_or_default();
    let dialect = frame.first() == Some(&DIALECT);
    let marks = |b: u8| {
        if dialect {
            matches!(b, 0xE6 | 0x3E)
        } else {
            b == 0x7D
        }
    };
    let Some(first) = inside.iter().position(|b| marks(*b)) else {
        return Ok(Cow::Borrowed(inside));
    };
    let mut plain = Vec::with_capacity(inside.len());
    plain.extend_from_slice(&inside[..first]);
    let mut rest = inside[first..].iter();
    while let Some(&b) = rest.next() {
        plain.push(if marks(b) {
            match (b, rest.next()) {
                (0x7D, Some(1)) => 0x7D,
                (0x7D, Some(2)) => 0x7E,
                (0xE6, Some(1)) => 0xE6,
                (0xE6, Some(2)) => 0xE7,
                (0x3E, Some(1)) => 0x3E,
                (0x3E, Some(2)) => 0x3D,
                _ => {
                    let at = frame.len() - 1 - rest.len();
                    let what = "a byte behind an escape";
                    return Err(Wrong::new(FrameErrorKind::BadValue, what, at));
                }
            }
        } else {
            b
        });
    }
    Ok(Cow::Owned(plain))
}

/// One part of a split packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    pub total: u16,
    /// From 1.
    pub index: u16,
}

/// A message of which the frame is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    pub delimiter: u8,
    pub id: u16,
    /// Version byte of a header of 2019.
    pub version: Option<u8>,
    /// The device's number, packed decimal, as it stands in the header.
    pub phone: &'a [u8],
    pub serial: u16,
    /// Any of the three encryption bits.
    pub encrypted: bool,
    pub part: Option<Part>,
    /// Bit 15 of the properties, with which the dialect of 0x5501 asks for an answer.
    pub asks_answer: bool,
    pub body: &'a [u8],
}

/// Ids of a dialect whose header has a serial of one byte and other bits in the properties.
pub const fn is_compact(id: u16) -> bool {
    matches!(id, 0x5501 | 0x5502)
}

/// Checks the checksum and reads the header (clause 4.4.3) of an unescaped frame.
pub fn message(plain: &[u8], delimiter: u8, lenient: bool) -> Result<Message<'_>, Wrong> {
    let (&checksum, rest) = plain.split_last().unwrap_or((&0, &[]));
    if !lenient && rest.iter().fold(0, |x, b| x ^ b) != checksum {
        let what = "checksum of the frame";
        return Err(Wrong::new(FrameErrorKind::BadChecksum, what, rest.len()));
    }
    let mut c = Cursor::new(rest);
    let id = c.u16()?;
    let properties = c.u16()?;
    let compact = is_compact(id);
    let bit = |n: u8| properties & (1 << n) != 0;
    let version = if bit(14) && !compact {
        Some(c.u8()?)
    } else {
        None
    };
    let phone = c.take(match (version, delimiter) {
        (Some(_), _) => 10,
        (None, DIALECT) => 7,
        (None, _) => 6,
    })?;
    let serial = if compact {
        u16::from(c.u8()?)
    } else {
        c.u16()?
    };
    let part = if bit(13) && !compact {
        let (total, index) = (c.u16()?, c.u16()?);
        Some(Part { total, index })
    } else {
        None
    };
    if c.left() != usize::from(properties & 0x3FF) {
        let what = "length of the body";
        return Err(Wrong::new(FrameErrorKind::BadLength, what, 2));
    }
    Ok(Message {
        delimiter,
        id,
        version,
        phone,
        serial,
        encrypted: properties & 0x1C00 != 0 && !compact,
        part,
        asks_answer: bit(15),
        body: c.rest(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_worked_out_by_hand() {
        // Heartbeat 0002 of phone 013800000001, serial 7E7D: both its bytes are escaped. The
        // checksum is 02 ^ 01 ^ 38 ^ 01 ^ 7E ^ 7D = 39.
        let raw = hex::decode("7e000200000138000000017d027d01397e").unwrap();
        assert_eq!(next(&raw, 100), Step::Frame(&raw));
        assert_eq!(next(&raw[..raw.len() - 1], 100), Step::NeedMore);
        let mut plain = unescape(&raw).unwrap().to_vec();
        let m = message(&plain, STANDARD, false).unwrap();
        assert_eq!((m.id, m.serial, m.body.len()), (2, 0x7E7D, 0));
        *plain.last_mut().unwrap() ^= 1;
        let wrong = message(&plain, STANDARD, false).unwrap_err();
        assert_eq!((wrong.kind, wrong.at), (FrameErrorKind::BadChecksum, 12));
        assert!(message(&plain, STANDARD, true).is_ok());
    }

    #[test]
    fn the_dialect_has_its_own_escapes() {
        let raw = hex::decode("e7e601e6023e013e027d01e7").unwrap();
        let plain = unescape(&raw).unwrap();
        assert_eq!(hex::encode(plain), "e6e73e3d7d01");
        assert!(unescape(&hex::decode("e7e603e7").unwrap()).is_err());
        assert!(unescape(&hex::decode("7e7d7e").unwrap()).is_err());
    }

    #[test]
    fn header_of_2019_and_of_a_part() {
        // 0200, body of 1, bits 13 and 14, version 1, phone of 20 digits, serial 5, part 2 of 3.
        let mut plain = hex::decode("020060010100000000013912345678000500030002aa").unwrap();
        plain.push(plain.iter().fold(0, |x, b| x ^ b));
        let m = message(&plain, STANDARD, false).unwrap();
        assert_eq!(hex::encode(m.phone), "00000000013912345678");
        let part = Part { total: 3, index: 2 };
        assert_eq!((m.version, m.serial, m.part), (Some(1), 5, Some(part)));
        assert_eq!(m.body, [0xAA]);
        plain[3] = 2;
        assert_eq!(
            message(&plain, STANDARD, true).unwrap_err().kind,
            FrameErrorKind::BadLength
        );
    }

    #[test]
    fn text_ends_at_its_parenthesis_and_never_swallows_a_frame() {
        assert_eq!(next(b"(1,BASE)~", 99), Step::Text(b"(1,BASE)"));
        assert_eq!(next(b"(1,B", 99), Step::NeedMore);
        assert_eq!(next(b"(1\x7E)", 99), Step::Garbage(b"(1"));
        assert_eq!(next(&[b'('; MAX_TEXT], 99), Step::Garbage(&[b'('; SHOWN]));
    }

    #[test]
    fn limits() {
        assert_eq!(next(&[0x7E, 0x7E], 9), Step::Stray);
        assert_eq!(next(&[0x7E, 1, 2], 4), Step::NeedMore);
        assert_eq!(next(&[0x7E, 1, 2, 3, 0x7E], 4), Step::TooLong);
        assert_eq!(next(&[1, 2, 0x7E], 9), Step::Garbage(&[1, 2]));
        assert_eq!(next(&[1, 2], 9), Step::NeedMore);
    }
}
