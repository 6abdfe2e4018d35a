//! Where log-ins, pings and data packets begin and end.

use crate::session::FrameErrorKind;

/// A lone byte between packets; not answered.
pub const PING: u8 = 0xFF;

/// Longest identifier in a log-in; an IMEI has 15 digits.
const MAX_ID: usize = 32;
/// Four zero bytes and the length of what the checksum covers.
const HEAD: usize = 8;
const CRC: usize = 4;
/// Codec and two counts.
const MIN_BODY: usize = 3;

/// What the next bytes of a stream are.
pub enum Step<'a> {
    NeedMore,
    Ping,
    LogIn {
        imei: &'a str,
        len: usize,
    },
    Packet(Packet<'a>),
    /// The first byte begins nothing: skip it.
    Wrong(Wrong<'a>),
}

/// A data packet; its checksum is not verified yet.
pub struct Packet<'a> {
    /// Codec, count, records, count.
    pub body: &'a [u8],
    pub crc: u32,
    pub raw: &'a [u8],
}

/// What is wrong, and the fewest bytes that show it (so that no split changes the report).
pub struct Wrong<'a> {
    pub kind: FrameErrorKind,
    pub what: &'static str,
    pub at: usize,
    pub raw: &'a [u8],
}

/// The next step of a stream that is in step.
pub fn next(input: &[u8], max_frame: usize) -> Step<'_> {
    match input {
        [] => Step::NeedMore,
        [PING, ..] => Step::Ping,
        [0] => Step::NeedMore,
        [0, 0, ..] => packet(input, max_frame),
        [0, len, ..] if usize::from(*len) <= MAX_ID => log_in(input, usize::from(*len)),
        [0, ..] => garbage(input, 2),
        _ => garbage(input, 1),
    }
}

/// The next step of a stream that lost its step: only what can hardly be chance counts as a
/// beginning (an IMEI of 15 digits, or a packet of a known codec and sound length).
pub fn resume(input: &[u8], max_frame: usize) -> Step<'_> {
    match input {
        [PING, ..] => garbage(input, 1),
        [0, len, ..] if !matches!(len, 0 | 15) => garbage(input, 2),
        [0, 15, id @ ..] if !id.iter().take(15).all(u8::is_ascii_digit) => garbage(input, 3),
        [0, 0, ..] => match packet(input, max_frame) {
            Step::Wrong(wrong) => Step::Wrong(wrong),
            step => match input.get(HEAD) {
                None => Step::NeedMore,
                Some(7 | 8 | 0x8E | 0x10 | 0x0C..=0x0F) => step,
                Some(_) => garbage(input, HEAD + 1),
            },
        },
        _ => next(input, max_frame),
    }
}

fn garbage(input: &[u8], shown: usize) -> Step<'_> {
    Step::Wrong(Wrong {
        kind: FrameErrorKind::Garbage,
        what: "neither a log-in nor a data packet begins here",
        at: shown - 1,
        raw: &input[..shown.min(input.len())],
    })
}

fn log_in(input: &[u8], len: usize) -> Step<'_> {
    let id = &input[2..input.len().min(2 + len)];
    if let Some(at) = id.iter().position(|b| !b.is_ascii_alphanumeric()) {
        return garbage(input, 2 + at + 1);
    }
    match std::str::from_utf8(id) {
        Ok(imei) if imei.len() == len => Step::LogIn { imei, len: 2 + len },
        _ => Step::NeedMore,
    }
}

fn packet(input: &[u8], max_frame: usize) -> Step<'_> {
    let preamble = &input[..input.len().min(4)];
    if let Some(at) = preamble.iter().position(|b| *b != 0) {
        return garbage(input, at + 1);
    }
    let Some((head, rest)) = input.split_first_chunk::<HEAD>() else {
        return Step::NeedMore;
    };
    let [_, _, _, _, a, b, c, d] = *head;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    let wrong = |kind, what| {
        Step::Wrong(Wrong {
            kind,
            what,
            at: 4,
            raw: head,
        })
    };
    if len < MIN_BODY {
        return wrong(FrameErrorKind::BadLength, "length of a data packet");
    }
    if len > max_frame.saturating_sub(HEAD + CRC) {
        return wrong(FrameErrorKind::TooLong, "length of a data packet");
    }
    let Some((body, [e, f, g, h])) = rest
        .get(..len + CRC)
        .and_then(|rest| rest.split_last_chunk::<CRC>())
    else {
        return Step::NeedMore;
    };
    Step::Packet(Packet {
        body,
        crc: u32::from_be_bytes([*e, *f, *g, *h]),
        raw: &input[..HEAD + len + CRC],
    })
}

/// A packet of a datagram: length, packet id, 01, AVL packet id, IMEI, codec data (no checksum:
/// UDP has its own).
pub struct Datagram<'a> {
    pub id: u16,
    pub avl_id: u8,
    pub imei: &'a str,
    pub body: &'a [u8],
    pub raw: &'a [u8],
}

/// The first packet of a datagram.
pub fn datagram(input: &[u8]) -> Result<Datagram<'_>, Wrong<'_>> {
    let wrong = |kind, what, at| Wrong {
        kind,
        what,
        at,
        raw: input,
    };
    let mut c = crate::Cursor::new(input);
    let mut fields = || {
        let len = usize::from(c.u16()?);
        let mut inner = c.sub(len)?;
        let id = inner.u16()?;
        inner.skip(1)?;
        let avl_id = inner.u8()?;
        let id_len = usize::from(inner.u16()?);
        let imei = inner.take(id_len)?;
        Ok::<_, crate::Short>((id, avl_id, imei, inner.rest(), &input[..2 + len]))
    };
    let (id, avl_id, imei, body, raw) =
        fields().map_err(|e| wrong(FrameErrorKind::Truncated, "datagram", e.at))?;
    let imei = match std::str::from_utf8(imei) {
        Ok(text)
            if !text.is_empty()
                && text.len() <= MAX_ID
                && text.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            text
        }
        _ => return Err(wrong(FrameErrorKind::Garbage, "IMEI of a datagram", 8)),
    };
    Ok(Datagram {
        id,
        avl_id,
        imei,
        body,
        raw,
    })
}
