//! A session that recognises the protocol by the first bytes, for the one listener that takes all.

use crate::session::{Env, Event, FrameError, FrameErrorKind, Progress, Session, Transport};
use waywarden_model::Protocol;

/// What the first bytes of a connection or datagram are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recognised {
    Protocol(Protocol),
    /// Too few bytes to tell.
    NeedMore,
    /// No protocol begins with the first `shown` bytes.
    Nothing {
        shown: usize,
    },
}

/// Recognises a protocol by its first bytes.
///
/// GT06 begins with 78 78 or 79 79, JT/T 808 with 7E (or E7, its dialect). Teltonika on TCP
/// begins with a log-in of 1 to 32 bytes or a packet's four zeros, or with a ping; on UDP with
/// the length of the packet and, behind the packet's id, the byte 01.
pub fn recognise(input: &[u8], transport: Transport) -> Recognised {
    use Recognised::{NeedMore, Nothing};
    match (input, transport) {
        ([], _) | ([0x78 | 0x79], _) => NeedMore,
        ([0x78, 0x78, ..] | [0x79, 0x79, ..], _) => Recognised::Protocol(Protocol::Gt06),
        ([0x78 | 0x79, ..], _) if !is_teltonika_datagram(input, transport) => Nothing { shown: 2 },
        ([0x7E | 0xE7, ..], _) if !is_teltonika_datagram(input, transport) => {
            Recognised::Protocol(Protocol::Jt808)
        }
        ([0xFF, ..] | [0, 0..=32, ..], Transport::Tcp) => Recognised::Protocol(Protocol::Teltonika),
        ([0], Transport::Tcp) => NeedMore,
        ([0, ..], Transport::Tcp) => Nothing { shown: 2 },
        ([0xFF], Transport::Udp) => Recognised::Protocol(Protocol::Teltonika),
        _ if is_teltonika_datagram(input, transport) => Recognised::Protocol(Protocol::Teltonika),
        _ => Nothing { shown: 1 },
    }
}

fn is_teltonika_datagram(input: &[u8], transport: Transport) -> bool {
    let [a, b, _, _, 1, ..] = input else {
        return false;
    };
    transport == Transport::Udp && usize::from(u16::from_be_bytes([*a, *b])) + 2 <= input.len()
}

/// A session of whichever protocol the first bytes show. What shows none is closed.
#[derive(Debug)]
pub struct Auto {
    transport: Transport,
    chosen: Option<Box<dyn Session>>,
}

impl Auto {
    pub const fn new(transport: Transport) -> Self {
        Self {
            transport,
            chosen: None,
        }
    }

    /// The protocol, once it is recognised.
    pub fn recognised(&self) -> Option<Protocol> {
        self.chosen.as_deref().map(Session::protocol)
    }

    fn unknown(
        &self,
        kind: FrameErrorKind,
        input: &[u8],
        shown: usize,
        out: &mut Vec<Event>,
    ) -> Progress {
        out.push(Event::Error(FrameError {
            kind,
            what: "no protocol that is spoken here begins so",
            at: 0,
            raw: input[..shown].to_vec(),
        }));
        match self.transport {
            Transport::Udp => Progress::NeedMore {
                consumed: input.len(),
            },
            Transport::Tcp => Progress::Close {
                consumed: shown,
                reason: kind,
            },
        }
    }
}

impl Session for Auto {
    /// Teltonika until the first bytes have shown the protocol; no event tells anything before.
    fn protocol(&self) -> Protocol {
        self.recognised().unwrap_or(Protocol::Teltonika)
    }

    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let transport = self.transport;
        let session = match &mut self.chosen {
            Some(session) => session,
            None => match recognise(input, transport) {
                Recognised::Protocol(p) => match crate::session(p, transport) {
                    Some(session) => self.chosen.insert(session),
                    None => return self.unknown(FrameErrorKind::Unsupported, input, 1, out),
                },
                Recognised::Nothing { shown } => {
                    return self.unknown(FrameErrorKind::Garbage, input, shown, out);
                }
                Recognised::NeedMore if transport == Transport::Udp && !input.is_empty() => {
                    return self.unknown(FrameErrorKind::Garbage, input, input.len(), out);
                }
                Recognised::NeedMore => return Progress::NeedMore { consumed: 0 },
            },
        };
        session.receive(input, env, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_show_the_protocol() {
        use Protocol::{Gt06, Jt808, Teltonika};
        for (bytes, protocol) in [
            (&[0, 15, b'8'][..], Teltonika),
            (&[0, 0, 0, 0], Teltonika),
            (&[0xFF], Teltonika),
            (&[0x78, 0x78], Gt06),
            (&[0x79, 0x79, 0], Gt06),
            (&[0x7E], Jt808),
            (&[0xE7, 0x01], Jt808),
        ] {
            let found = recognise(bytes, Transport::Tcp);
            assert_eq!(found, Recognised::Protocol(protocol), "{bytes:02X?}");
        }
        for bytes in [&[][..], &[0], &[0x78]] {
            assert_eq!(recognise(bytes, Transport::Tcp), Recognised::NeedMore);
        }
        for bytes in [
            &[0, 33][..],
            &[0x78, 0x79],
            b"GET /",
            b"*HQ,1",
            b"\x16\x03\x01",
        ] {
            let found = recognise(bytes, Transport::Tcp);
            assert!(matches!(found, Recognised::Nothing { .. }), "{bytes:02X?}");
        }
    }

    #[test]
    fn a_datagram_of_teltonika_may_have_any_length_in_front() {
        let mut bytes = vec![0; 0x7E02];
        (bytes[0], bytes[4]) = (0x7E, 1);
        let found = recognise(&bytes, Transport::Udp);
        assert_eq!(found, Recognised::Protocol(Protocol::Teltonika));
        // As long as this, the same begin is no length of it.
        let found = recognise(&bytes[..100], Transport::Udp);
        assert_eq!(found, Recognised::Protocol(Protocol::Jt808));
    }
}
