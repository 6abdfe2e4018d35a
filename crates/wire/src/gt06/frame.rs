//! Where a frame begins and ends: 7878 with a length of one byte, 7979 with one of two, both
//! closed by 0D0A; the checksum; and the frames that a server answers with.
//!
//! Every decision rests on bytes whose number the frame itself tells, never on how many have come
//! so far: the same bytes in other pieces give the same frames.

use crate::FrameErrorKind;
use crc::{CRC_16_IBM_SDLC, Crc};

/// CRC-16/X-25.
const X25: Crc<u16> = Crc::<u16>::new(&CRC_16_IBM_SDLC);

const TRAILER: [u8; 2] = [0x0d, 0x0a];

/// Bytes that begin no frame are reported in pieces of at most this many.
const GARBAGE_PIECE: usize = 64;

/// How the frame is built, which decides what closes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// 7878, length of one byte, serial, checksum.
    Short,
    /// 7979, length of two bytes, serial, checksum.
    Long,
    /// The Wi-Fi trackers' variety of 7878: no serial and no checksum.
    Bare,
}

/// One frame as it stands in the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// From the header to 0D0A.
    pub raw: &'a [u8],
    pub form: Form,
    pub kind: u8,
    /// The frame's own length field.
    pub length: u16,
    /// What stands between the kind and the serial.
    pub content: &'a [u8],
}

impl Frame<'_> {
    /// The serial that the reply repeats. A bare frame has none; the bytes in its place are what
    /// such units have always been answered with.
    pub(super) fn serial(&self) -> [u8; 2] {
        // Every form is at least six bytes long.
        let from = self.raw.len().saturating_sub(6);
        match self.raw.get(from..from + 2) {
            Some(&[a, b]) => [a, b],
            _ => [0, 0],
        }
    }

    pub(super) fn checksum_holds(&self) -> bool {
        let end = self.raw.len().saturating_sub(4);
        match (self.form, self.raw.get(2..end), self.raw.get(end..)) {
            (Form::Bare, _, _) => true,
            (_, Some(covered), Some(&[a, b, ..])) => {
                X25.checksum(covered) == u16::from_be_bytes([a, b])
            }
            _ => false,
        }
    }

    /// Where reading goes on when the checksum is wrong: at a frame that a damaged length
    /// swallowed, else behind this one.
    pub(super) fn resume_at(&self) -> usize {
        self.raw
            .windows(4)
            .position(|w| w[..2] == TRAILER && is_header(w[2], w[3]))
            .map_or(self.raw.len(), |at| at + 2)
    }
}

/// What the input begins with.
#[derive(Debug)]
pub(super) enum Step<'a> {
    NeedMore,
    Frame(Frame<'a>),
    /// `skip` bytes are no frame.
    Broken {
        kind: FrameErrorKind,
        what: &'static str,
        skip: usize,
    },
}

/// Looks at the front of `input`.
pub(super) fn next(input: &[u8], max_frame: usize) -> Step<'_> {
    match input {
        [] | [0x78 | 0x79] => Step::NeedMore,
        [0x78, 0x78, ..] => short(input, max_frame),
        [0x79, 0x79, ..] => long(input, max_frame),
        _ => garbage(input),
    }
}

const fn is_header(a: u8, b: u8) -> bool {
    matches!((a, b), (0x78, 0x78) | (0x79, 0x79))
}

fn garbage(input: &[u8]) -> Step<'_> {
    let next = input.windows(2).position(|w| is_header(w[0], w[1]));
    let skip = match next {
        Some(at) => at.min(GARBAGE_PIECE),
        None if input.len() > GARBAGE_PIECE => GARBAGE_PIECE,
        None => return Step::NeedMore,
    };
    Step::Broken {
        kind: FrameErrorKind::Garbage,
        what: "bytes that begin no frame",
        skip,
    }
}

fn short(input: &[u8], max_frame: usize) -> Step<'_> {
    let &[_, _, length, kind, ..] = input else {
        return Step::NeedMore;
    };
    match (length, kind) {
        (0x0d, 0x01) => login(input, max_frame),
        (0..=4, 0x17 | 0x69) => bare_wifi(input, max_frame),
        (1, _) => closed(input, 6, Form::Bare, max_frame),
        (0..=4, _) => broken(input, 4, "length too small"),
        (_, 0x17 | 0x69) => match closed(input, usize::from(length) + 5, Form::Short, max_frame) {
            // In the bare variety the length field counts the access points instead.
            Step::Broken { .. } => bare_wifi(input, max_frame),
            step => step,
        },
        _ => closed(input, usize::from(length) + 5, Form::Short, max_frame),
    }
}

/// The Wi-Fi trackers' log-in claims the usual 18 bytes and has 15.
fn login(input: &[u8], max_frame: usize) -> Step<'_> {
    match input.get(13..15) {
        None => Step::NeedMore,
        Some(end) if end == TRAILER => closed(input, 15, Form::Bare, max_frame),
        Some(_) => closed(input, 18, Form::Short, max_frame),
    }
}

/// 7878, number of access points n, kind, date (6), n x 7, number of cells m, country and network
/// (3), m x 5, 0D0A.
fn bare_wifi(input: &[u8], max_frame: usize) -> Step<'_> {
    let cells_at = 10 + 7 * usize::from(input.get(2).copied().unwrap_or(0));
    match input.get(cells_at) {
        None => Step::NeedMore,
        Some(&cells) => closed(
            input,
            cells_at + 6 + 5 * usize::from(cells),
            Form::Bare,
            max_frame,
        ),
    }
}

fn long(input: &[u8], max_frame: usize) -> Step<'_> {
    let &[_, _, a, b, ..] = input else {
        return Step::NeedMore;
    };
    let length = usize::from(u16::from_be_bytes([a, b]));
    if length < 5 {
        broken(input, 4, "length too small")
    } else {
        closed(input, length + 6, Form::Long, max_frame)
    }
}

/// A frame of `total` bytes, if 0D0A closes it.
fn closed(input: &[u8], total: usize, form: Form, max_frame: usize) -> Step<'_> {
    if total > max_frame {
        return Step::Broken {
            kind: FrameErrorKind::TooLong,
            what: "frame longer than the limit",
            skip: 4.min(input.len()),
        };
    }
    let Some(raw) = input.get(..total) else {
        return Step::NeedMore;
    };
    if !raw.ends_with(&TRAILER) {
        return broken(input, total, "length does not land on 0D0A");
    }
    let (length, head, tail) = match form {
        Form::Short => (u16::from(raw[2]), 4, 6),
        Form::Bare => (u16::from(raw[2]), 4, 2),
        Form::Long => (u16::from_be_bytes([raw[2], raw[3]]), 5, 6),
    };
    match raw.get(head..total - tail) {
        Some(content) => Step::Frame(Frame {
            raw,
            form,
            kind: raw[head - 1],
            length,
            content,
        }),
        None => broken(input, total, "length too small"),
    }
}

/// Gives up on the header in front: on to the next one within the `known` bytes that the decision
/// rested on.
fn broken<'a>(input: &[u8], known: usize, what: &'static str) -> Step<'a> {
    let known = &input[..known.min(input.len())];
    let next = known
        .windows(2)
        .skip(2)
        .position(|w| is_header(w[0], w[1]))
        .map(|at| at + 2);
    let half_header = usize::from(matches!(known.last(), Some(0x78 | 0x79)));
    Step::Broken {
        kind: FrameErrorKind::BadLength,
        what,
        skip: next.unwrap_or(known.len() - half_header).max(1),
    }
}

/// A 7878 frame with its checksum. `content` is at most 250 bytes.
pub(super) fn build_short(kind: u8, content: &[u8], serial: [u8; 2]) -> Vec<u8> {
    debug_assert!(content.len() <= 250);
    let mut out = Vec::with_capacity(content.len() + 10);
    #[allow(clippy::cast_possible_truncation)] // at most 250, see above
    out.extend_from_slice(&[0x78, 0x78, content.len() as u8 + 5, kind]);
    close(out, content, serial)
}

/// A 7979 frame with its checksum. `content` is at most 65,530 bytes.
pub(super) fn build_long(kind: u8, content: &[u8], serial: [u8; 2]) -> Vec<u8> {
    debug_assert!(content.len() <= 65_530);
    let mut out = Vec::with_capacity(content.len() + 11);
    #[allow(clippy::cast_possible_truncation)] // at most 65,530, see above
    let [a, b] = (content.len() as u16 + 5).to_be_bytes();
    out.extend_from_slice(&[0x79, 0x79, a, b, kind]);
    close(out, content, serial)
}

fn close(mut out: Vec<u8>, content: &[u8], serial: [u8; 2]) -> Vec<u8> {
    out.extend_from_slice(content);
    out.extend_from_slice(&serial);
    let sum = X25.checksum(&out[2..]);
    out.extend_from_slice(&sum.to_be_bytes());
    out.extend_from_slice(&TRAILER);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    fn frame(input: &[u8]) -> Frame<'_> {
        match next(input, 1024) {
            Step::Frame(f) => f,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_built_frame_is_read_and_holds() {
        let wire = build_short(0x13, &[0x44, 6, 4, 0, 2], [1, 0xba]);
        assert_eq!(wire, bytes("78780a13440604000201baaf540d0a"));
        let f = frame(&wire);
        assert_eq!(
            (f.kind, f.content, f.serial()),
            (0x13, &[0x44, 6, 4, 0, 2][..], [1, 0xba])
        );
        assert!(f.checksum_holds());
        let wire = build_long(0x32, &[], [1, 0x21]);
        assert_eq!(wire, bytes("79790005320121bb650d0a"));
        assert!(frame(&wire).checksum_holds());
    }

    #[test]
    fn bare_frames_end_where_their_counts_say() {
        let beat = bytes("787801080d0a");
        assert_eq!((frame(&beat).form, frame(&beat).kind), (Form::Bare, 8));
        let login = bytes("78780d010359339075005244340d0a");
        assert_eq!(frame(&login).form, Form::Bare);
        assert_eq!(frame(&login).serial(), [0, 0x52]);
        let wifi = bytes("7878006919012105090303028f01007549e05a00bc9c5c5a007a8d1a5a0d0a");
        assert_eq!(frame(&wifi).raw.len(), wifi.len());
    }

    #[test]
    fn a_wrong_length_gives_way_to_the_next_frame() {
        let good = build_short(0x13, &[0x44, 6, 4, 0, 2], [0, 1]);
        let mut input = good.clone();
        input[2] += 3;
        input.extend_from_slice(&good);
        let Step::Broken { kind, skip, .. } = next(&input, 1024) else {
            panic!()
        };
        assert_eq!((kind, skip), (FrameErrorKind::BadLength, good.len()));
        assert_eq!(frame(&input[skip..]).raw, good);
    }

    #[test]
    fn a_swallowed_frame_is_found_again() {
        let good = build_short(0x13, &[0x44, 6, 4, 0, 2], [0, 1]);
        let mut input = [good.clone(), good.clone()].concat();
        input[2] += 15;
        let f = frame(&input);
        assert!(!f.checksum_holds());
        assert_eq!(f.resume_at(), good.len());
    }

    #[test]
    fn too_long_and_too_short_are_told_at_once() {
        let Step::Broken { kind, .. } = next(&[0x79, 0x79, 0xff, 0xff], 1024) else {
            panic!()
        };
        assert_eq!(kind, FrameErrorKind::TooLong);
        let Step::Broken { kind, skip, .. } = next(&[0x78, 0x78, 0x03, 0x13], 1024) else {
            panic!()
        };
        assert_eq!((kind, skip), (FrameErrorKind::BadLength, 4));
    }

    #[test]
    fn garbage_comes_in_pieces_that_do_not_depend_on_the_split() {
        assert!(matches!(next(&[1; 64], 1024), Step::NeedMore));
        assert!(matches!(
            next(&[1; 65], 1024),
            Step::Broken { skip: 64, .. }
        ));
        assert!(matches!(
            next(&[1, 2, 0x78, 0x78], 1024),
            Step::Broken { skip: 2, .. }
        ));
    }
}
