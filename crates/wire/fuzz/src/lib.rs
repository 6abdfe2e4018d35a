//! What every target checks: no panic, no byte consumed twice, nothing kept beyond the frame
//! limit, and the same events however the bytes are split.

use waywarden_model::{DeviceDirectory, DeviceProfile, Standing, Timestamp};
use waywarden_wire::{Env, Event, Progress, Session, Settings, Transport};

/// Opens a session; None where the protocol is not spoken over the transport.
pub type Open = fn(Transport) -> Option<Box<dyn Session>>;

/// The first byte chooses the transport, the checksums and the size of the pieces; the rest is
/// the stream.
pub fn check(open: Open, data: &[u8]) {
    let Some((choice, stream)) = data.split_first() else {
        return;
    };
    // Without the switch a fuzzer would have to find checksums before it reached a decoder.
    let lenient = choice & 1 != 0;
    if choice & 2 != 0 {
        if let Some(session) = open(Transport::Udp) {
            run(session, stream, stream.len().max(1), lenient);
        }
        return;
    }
    let Some(session) = open(Transport::Tcp) else {
        return;
    };
    let whole = run(session, stream, stream.len().max(1), lenient);
    if let Some(session) = open(Transport::Tcp) {
        let pieces = run(session, stream, usize::from(choice >> 2) + 1, lenient);
        assert!(whole == pieces, "the split changed the events");
    }
}

#[derive(Debug)]
struct Everybody;

impl DeviceDirectory for Everybody {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        DeviceProfile {
            source: candidates.first().map_or("", String::as_str).into(),
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

fn run(mut session: Box<dyn Session>, stream: &[u8], size: usize, lenient: bool) -> Vec<Event> {
    let settings = Settings {
        lenient_checksums: lenient,
        max_frame: 4096,
        auth_key: b"fuzz".to_vec(),
    };
    let env = Env {
        now: Timestamp::from_secs(1_773_104_400),
        directory: &Everybody,
        settings: &settings,
    };
    let (mut pending, mut events) = (Vec::new(), Vec::new());
    for piece in stream.chunks(size) {
        pending.extend_from_slice(piece);
        match session.receive(&pending, &env, &mut events) {
            Progress::NeedMore { consumed } => {
                pending.drain(..consumed);
                assert!(pending.len() <= settings.max_frame, "kept too much");
            }
            Progress::Close { consumed, .. } => {
                assert!(consumed <= pending.len());
                break;
            }
        }
    }
    events
}
