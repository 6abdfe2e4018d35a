//! Split packets: parts are held until all are there, within bounds.

use super::frame::{Message, Part};

/// Split packets that may be open on one connection.
const MAX_OPEN: usize = 4;
/// Most parts of one packet.
const MAX_PARTS: u16 = 255;
/// Most bytes that all held parts of a connection may have on the wire.
const MAX_BYTES: usize = 256 * 1024;
/// Messages of the connection after which a packet without a new part is given up.
const MAX_AGE: u32 = 256;

/// Why parts were dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// Number or index of the part cannot be.
    Impossible,
    /// A part never came, or the packet began again with another number of parts.
    Incomplete,
    /// The packet is larger than what is held.
    TooLarge,
}

/// A packet of which all parts are there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whole {
    pub body: Vec<u8>,
    /// All parts as they came on the wire, in the order of their index.
    pub raw: Vec<u8>,
    /// Serials of the parts, in the order of their index.
    pub serials: Vec<u16>,
}

#[derive(Debug)]
struct Held {
    body: Vec<u8>,
    raw: Vec<u8>,
    serial: u16,
}

#[derive(Debug)]
struct Open {
    phone: Vec<u8>,
    id: u16,
    parts: Vec<Option<Held>>,
    touched: u32,
}

impl Open {
    fn bytes(&self) -> usize {
        self.parts.iter().flatten().map(|p| p.raw.len()).sum()
    }

    fn is(&self, message: &Message<'_>) -> bool {
        self.phone == message.phone && self.id == message.id
    }
}

/// The packets of a connection that are not complete. Empty, it owns no memory.
#[derive(Debug)]
pub struct Parts {
    open: Vec<Open>,
    messages: u32,
}

impl Parts {
    pub const fn new() -> Self {
        Self {
            open: Vec::new(),
            messages: 0,
        }
    }

    /// Counts a message of the connection; gives how many packets are given up for their age.
    pub fn age(&mut self) -> usize {
        if self.open.is_empty() {
            return 0;
        }
        self.messages = self.messages.wrapping_add(1);
        let (now, before) = (self.messages, self.open.len());
        self.open.retain(|o| now.wrapping_sub(o.touched) <= MAX_AGE);
        before - self.open.len()
    }

    /// Takes a part that came as `raw`: the whole packet when it was the last one missing. Of a
    /// part that comes again the bytes stay and the serial is the newer one.
    pub fn add(
        &mut self,
        message: &Message<'_>,
        part: Part,
        raw: &[u8],
        dropped: &mut Vec<Dropped>,
    ) -> Option<Whole> {
        if part.index == 0 || part.index > part.total || part.total > MAX_PARTS {
            dropped.push(Dropped::Impossible);
            return None;
        }
        let at = self.find_or_open(message, part.total, dropped);
        let touched = self.messages;
        let open = &mut self.open[at];
        open.touched = touched;
        let slot = &mut open.parts[usize::from(part.index) - 1];
        match slot {
            Some(held) => held.serial = message.serial,
            None => {
                *slot = Some(Held {
                    body: message.body.to_vec(),
                    raw: raw.to_vec(),
                    serial: message.serial,
                });
            }
        }
        if open.parts.iter().all(Option::is_some) {
            let done = self.open.swap_remove(at);
            self.release();
            return Some(whole(done));
        }
        if self.open.iter().map(Open::bytes).sum::<usize>() > MAX_BYTES {
            self.open.swap_remove(at);
            dropped.push(Dropped::TooLarge);
        }
        None
    }

    fn find_or_open(
        &mut self,
        message: &Message<'_>,
        total: u16,
        dropped: &mut Vec<Dropped>,
    ) -> usize {
        let total = usize::from(total);
        if let Some(at) = self.open.iter().position(|o| o.is(message)) {
            if self.open[at].parts.len() == total {
                return at;
            }
            self.open.swap_remove(at);
            dropped.push(Dropped::Incomplete);
        }
        if self.open.len() == MAX_OPEN {
            let now = self.messages;
            let oldest = (0..MAX_OPEN).max_by_key(|i| now.wrapping_sub(self.open[*i].touched));
            self.open.swap_remove(oldest.unwrap_or(0));
            dropped.push(Dropped::Incomplete);
        }
        let mut parts = Vec::new();
        parts.resize_with(total, || None);
        self.open.push(Open {
            phone: message.phone.to_vec(),
            id: message.id,
            parts,
            touched: self.messages,
        });
        self.open.len() - 1
    }

    fn release(&mut self) {
        if self.open.is_empty() {
            self.open = Vec::new();
        }
    }
}

fn whole(open: Open) -> Whole {
    let mut whole = Whole {
        body: Vec::new(),
        raw: Vec::new(),
        serials: Vec::with_capacity(open.parts.len()),
    };
    for part in open.parts.into_iter().flatten() {
        whole.body.extend_from_slice(&part.body);
        whole.raw.extend_from_slice(&part.raw);
        whole.serials.push(part.serial);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jt808::frame::STANDARD;

    fn message(serial: u16, body: &[u8]) -> Message<'_> {
        Message {
            delimiter: STANDARD,
            id: 0x0704,
            version: None,
            phone: &[1, 0x38, 0, 0, 0, 1],
            serial,
            encrypted: false,
            part: None,
            asks_answer: false,
            body,
        }
    }

    #[test]
    fn any_order_and_repeated_parts() {
        let (mut parts, mut dropped) = (Parts::new(), Vec::new());
        let mut add = |serial, index, body: &[u8]| {
            let part = Part { total: 3, index };
            parts.add(&message(serial, body), part, body, &mut dropped)
        };
        assert_eq!(add(12, 3, b"c"), None);
        assert_eq!(add(10, 1, b"a"), None);
        assert_eq!(add(13, 1, b"a"), None);
        let whole = add(11, 2, b"b").unwrap();
        assert_eq!(
            (whole.body, whole.serials),
            (b"abc".to_vec(), vec![13, 11, 12])
        );
        assert!(dropped.is_empty());
    }

    #[test]
    fn what_is_held_is_bounded_and_ages() {
        let (mut parts, mut dropped) = (Parts::new(), Vec::new());
        let part = |total, index| Part { total, index };
        for (total, index) in [(0, 0), (3, 0), (3, 4), (256, 1)] {
            parts.add(&message(1, b"x"), part(total, index), b"x", &mut dropped);
        }
        assert_eq!(dropped, [Dropped::Impossible; 4]);
        dropped.clear();
        parts.add(&message(1, b"x"), part(3, 1), b"x", &mut dropped);
        parts.add(&message(2, b"x"), part(2, 1), b"x", &mut dropped);
        assert_eq!(dropped, [Dropped::Incomplete]);
        assert_eq!((0..MAX_AGE).map(|_| parts.age()).sum::<usize>(), 0);
        assert_eq!(parts.age(), 1);
        dropped.clear();
        let large = vec![0; MAX_BYTES];
        parts.add(&message(1, &large), part(2, 1), &large, &mut dropped);
        parts.add(&message(1, b"x"), part(3, 2), b"x", &mut dropped);
        assert_eq!(parts.open.len(), 1);
        assert_eq!(dropped, [Dropped::Incomplete]);
    }
}
