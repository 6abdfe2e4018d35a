//! Teltonika: AVL data in Codec 7, 8, 8 Extended and 16, over TCP and UDP.
//!
//! TCP: log-in (length, IMEI) answered by one byte; data packets acknowledged by the number of
//! records, as four bytes that name no packet, so these replies keep their order. UDP: each
//! datagram carries the IMEI and an id, and is acknowledged by that id.

mod crc;
mod decode;
mod device;
mod encode;
mod frame;
mod parameters;

pub use device::TeltonikaDevice;
pub use encode::datagram;

use crate::session::{
    DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Session, Transport,
};
use decode::{Content, Options};
use frame::{Packet, Step};
use waywarden_model::{DeviceProfile, Protocol, Standing};

/// Bytes of something wrong that are reported with it.
const SHOWN: usize = 64;

/// One connection, or one datagram, of a Teltonika device.
///
/// The dialect of a [`DeviceProfile`] is a list of words: `extended` (a block of 16-byte
/// parameters behind the 8-byte ones; recognised where it is not said), `fmb` (the device is of
/// the FMB family, so that its model-dependent parameters are known).
#[derive(Debug)]
pub struct Teltonika {
    transport: Transport,
    device: Option<DeviceProfile>,
    /// Bytes skipped since the stream was last in step; 0 when it is.
    skipped: usize,
}

impl Teltonika {
    /// A session of a TCP connection.
    pub const fn new() -> Self {
        Self::on(Transport::Tcp)
    }

    /// A TCP connection on which the device has logged in.
    pub(crate) const fn logged_in(device: DeviceProfile) -> Self {
        Self {
            transport: Transport::Tcp,
            device: Some(device),
            skipped: 0,
        }
    }

    pub const fn on(transport: Transport) -> Self {
        Self {
            transport,
            device: None,
            skipped: 0,
        }
    }

    fn stream(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            let step = if self.skipped == 0 {
                frame::next(rest, env.settings.max_frame)
            } else {
                frame::resume(rest, env.settings.max_frame)
            };
            let len = match step {
                Step::NeedMore => return Progress::NeedMore { consumed },
                Step::Ping => 1,
                Step::LogIn { imei, len } => {
                    if !self.log_in(imei, env, out) {
                        return Progress::Close {
                            consumed: consumed + len,
                            reason: FrameErrorKind::Refused,
                        };
                    }
                    len
                }
                Step::Packet(packet) => {
                    self.packet(&packet, env, out);
                    packet.raw.len()
                }
                Step::Wrong(wrong) => {
                    if self.skipped == 0 {
                        out.push(error(wrong.kind, wrong.what, wrong.at, wrong.raw));
                    }
                    self.skipped += 1;
                    consumed += 1;
                    if self.skipped > env.settings.max_frame {
                        return Progress::Close {
                            consumed,
                            reason: FrameErrorKind::Garbage,
                        };
                    }
                    continue;
                }
            };
            consumed += len;
            self.skipped = 0;
        }
    }

    /// Whether the connection may go on.
    fn log_in(&mut self, imei: &str, env: &Env<'_>, out: &mut Vec<Event>) -> bool {
        let (device, identified) = identify(imei, env);
        let refused = device.standing == Standing::Refused;
        out.push(identified);
        out.push(Event::Reply(vec![u8::from(!refused)]));
        self.device = (!refused).then_some(device);
        !refused
    }

    fn packet(&self, packet: &Packet<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        if !env.settings.lenient_checksums && packet.crc != u32::from(crc::of(packet.body)) {
            let at = packet.raw.len() - 4;
            let what = "CRC-16 of the data packet";
            out.push(error(FrameErrorKind::BadChecksum, what, at, packet.raw));
            return;
        }
        let Some(device) = &self.device else {
            let what = "data before the log-in";
            out.push(error(FrameErrorKind::NotLoggedIn, what, 0, packet.raw));
            return;
        };
        let acknowledge = |count: u8| u32::from(count).to_be_bytes().to_vec();
        out.push(meaning(
            packet.body,
            packet.raw,
            device,
            env,
            false,
            acknowledge,
        ));
    }

    /// A datagram may hold several packets, each with an IMEI and an id of its own.
    fn datagram(input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let mut rest = input;
        while !rest.is_empty() {
            // A lone FF keeps the path through the network open.
            if rest == [frame::PING] {
                break;
            }
            match frame::datagram(rest) {
                Ok(d) => {
                    Self::udp_packet(&d, env, out);
                    rest = &rest[d.raw.len()..];
                }
                Err(wrong) => {
                    out.push(error(wrong.kind, wrong.what, wrong.at, rest));
                    break;
                }
            }
        }
        Progress::NeedMore {
            consumed: input.len(),
        }
    }

    fn udp_packet(d: &frame::Datagram<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        let (device, identified) = identify(d.imei, env);
        out.push(identified);
        if device.standing == Standing::Refused {
            let what = "the device is refused";
            out.push(error(FrameErrorKind::Refused, what, 0, d.raw));
            return;
        }
        let acknowledge = |count: u8| {
            let [high, low] = d.id.to_be_bytes();
            vec![0, 5, high, low, 1, d.avl_id, count]
        };
        out.push(meaning(d.body, d.raw, &device, env, true, acknowledge));
    }
}

impl Default for Teltonika {
    fn default() -> Self {
        Self::new()
    }
}

impl Session for Teltonika {
    fn protocol(&self) -> Protocol {
        Protocol::Teltonika
    }

    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        match self.transport {
            Transport::Tcp => self.stream(input, env, out),
            Transport::Udp => Self::datagram(input, env, out),
        }
    }
}

fn identify(imei: &str, env: &Env<'_>) -> (DeviceProfile, Event) {
    let candidates = vec![imei.to_owned()];
    let device = env.directory.look_up(&candidates);
    let identified = Event::Identified {
        candidates,
        device: device.clone(),
    };
    (device, identified)
}

/// What the codec data (codec to second count) of a whole packet mean.
fn meaning(
    body: &[u8],
    raw: &[u8],
    device: &DeviceProfile,
    env: &Env<'_>,
    reply_is_tagged: bool,
    acknowledge: impl FnOnce(u8) -> Vec<u8>,
) -> Event {
    let options = Options::of(device.dialect.as_deref(), env.now);
    match decode::content(body, &options) {
        Ok(Content::Records(readings)) => Event::Frame(DecodedFrame {
            device: device.clone(),
            // The decoder has checked that the count is one byte on the wire.
            durable_reply: Some(acknowledge(body[1])),
            readings,
            raw: raw.to_vec(),
            told_offset_s: None,
            reply_is_tagged,
        }),
        Ok(Content::Other(label)) => Event::Unknown {
            label,
            raw: raw.to_vec(),
        },
        Err(wrong) => error(wrong.kind, wrong.what, wrong.at, raw),
    }
}

fn error(kind: FrameErrorKind, what: &'static str, at: usize, raw: &[u8]) -> Event {
    Event::Error(FrameError {
        kind,
        what,
        at,
        raw: raw[..raw.len().min(SHOWN)].to_vec(),
    })
}
