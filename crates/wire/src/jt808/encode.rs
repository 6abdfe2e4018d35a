//! Writing frames: the server's answers, and what a device sends.

use super::frame::{DIALECT, Message};

/// Result codes of the general answer 0x8001 (clause 8.2).
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const WRONG: u8 = 2;
pub const NOT_SUPPORTED: u8 = 3;

/// Serial of every frame that the server sends. Nothing answers it, so it need not count.
const SERVER_SERIAL: u16 = 0;

/// Header of a frame to be written.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    pub delimiter: u8,
    pub id: u16,
    pub version: Option<u8>,
    pub phone: &'a [u8],
    pub serial: u16,
}

/// A whole frame: header, body, checksum, escapes, delimiters. Bodies are shorter than 1,024
/// bytes, the most that the header can say.
pub fn frame(header: &Header<'_>, body: &[u8]) -> Vec<u8> {
    let version_bit = if header.version.is_some() { 0x4000 } else { 0 };
    let properties = u16::try_from(body.len() & 0x3FF).unwrap_or(0) | version_bit;
    let mut w = Writer::new(header.delimiter, body.len());
    w.put(&header.id.to_be_bytes());
    w.put(&properties.to_be_bytes());
    if let Some(version) = header.version {
        w.put(&[version]);
    }
    w.put(header.phone);
    w.put(&header.serial.to_be_bytes());
    w.put(body);
    w.finish()
}

/// An answer to `message`, in its dialect and edition.
pub fn answer(message: &Message<'_>, id: u16, body: &[u8]) -> Vec<u8> {
    let header = Header {
        delimiter: message.delimiter,
        id,
        version: message.version,
        phone: message.phone,
        serial: SERVER_SERIAL,
    };
    frame(&header, body)
}

/// The general answer 0x8001 to the message with this serial.
pub fn general(message: &Message<'_>, serial: u16, result: u8) -> Vec<u8> {
    let ([s0, s1], [i0, i1]) = (serial.to_be_bytes(), message.id.to_be_bytes());
    answer(message, 0x8001, &[s0, s1, i0, i1, result])
}

/// The answer 0x4401 of the dialect with compact reports, whose serial has one byte.
pub fn compact(message: &Message<'_>) -> Vec<u8> {
    let mut w = Writer::new(message.delimiter, 3);
    w.put(&[0x44, 0x01, 0, 3]);
    w.put(message.phone);
    w.put(&[1]);
    w.put(&message.id.to_be_bytes());
    w.put(&[DONE]);
    w.finish()
}

/// Escapes and sums up while it writes.
struct Writer {
    out: Vec<u8>,
    xor: u8,
    delimiter: u8,
}

impl Writer {
    fn new(delimiter: u8, body: usize) -> Self {
        let mut out = Vec::with_capacity(body + 28);
        out.push(delimiter);
        Self {
            out,
            xor: 0,
            delimiter,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.xor ^= b;
            self.escape(*b);
        }
    }

    fn escape(&mut self, b: u8) {
        let pair = match (self.delimiter == DIALECT, b) {
            (false, 0x7D) => [0x7D, 1],
            (false, 0x7E) => [0x7D, 2],
            (true, 0xE6) => [0xE6, 1],
            (true, 0xE7) => [0xE6, 2],
            (true, 0x3E) => [0x3E, 1],
            (true, 0x3D) => [0x3E, 2],
            _ => return self.out.push(b),
        };
        self.out.extend_from_slice(&pair);
    }

    fn finish(mut self) -> Vec<u8> {
        self.escape(self.xor);
        self.out.push(self.delimiter);
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jt808::frame::{STANDARD, message, unescape};

    #[test]
    fn a_general_answer_worked_out_by_hand() {
        // 80^01^00^05^01^20^76^46^32^79^00^00^00^40^02^00^00 = 9C
        let request = hex::decode("020000000120764632790040").unwrap();
        let mut plain = request.clone();
        plain.push(request.iter().fold(0, |x, b| x ^ b));
        let m = message(&plain, STANDARD, false).unwrap();
        let answer = hex::encode(general(&m, m.serial, DONE));
        assert_eq!(answer, "7e80010005012076463279000000400200009c7e");
    }

    #[test]
    fn every_byte_comes_back_in_both_dialects() {
        let body: Vec<u8> = (0..=255).collect();
        for (delimiter, phone, version) in [
            (STANDARD, &[1, 2, 3, 4, 5, 6][..], None),
            (STANDARD, &[0, 0, 0, 0, 1, 2, 3, 4, 5, 6], Some(1)),
            (DIALECT, &[1, 2, 3, 4, 5, 6, 7], None),
        ] {
            let header = Header {
                delimiter,
                id: 0x0200,
                version,
                phone,
                serial: 0xE77E,
            };
            let raw = frame(&header, &body);
            let inside = &raw[1..raw.len() - 1];
            assert!(!inside.contains(&delimiter));
            let plain = unescape(&raw).unwrap();
            let m = message(&plain, delimiter, false).unwrap();
            assert_eq!((m.id, m.version, m.phone), (0x0200, version, phone));
            assert_eq!((m.serial, m.body), (0xE77E, &body[..]));
        }
    }
}
