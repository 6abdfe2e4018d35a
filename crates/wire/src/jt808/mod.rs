//! JT/T 808 in its editions of 2011, 2013 and 2019, with the dialects of the field.
//!
//! Every frame names its device, so that a connection may carry several and nothing has to come
//! before data. Answers carry the serial and the id of what they answer: immediate ones may
//! overtake durable ones. A message in parts is one frame here, acknowledged part by part when
//! the whole is durable.

mod answer;
mod compact;
mod decode;
mod device;
mod driver_card;
mod encode;
mod frame;
mod identity;
mod location;
mod parameters;
mod parts;
mod transparent;

pub use device::Jt808Device;

use crate::session::{
    DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Readings, Session,
};
use answer::{Incoming, acknowledgement};
use frame::{Message, SHOWN, STANDARD, Step, Wrong};
use location::Context;
use parts::{Dropped, Parts};
use waywarden_model::{DeviceProfile, Protocol, Standing};

/// One connection of JT/T 808 devices.
///
/// The dialect of a [`DeviceProfile`] is a list of words: `doors` (the door bits of the status
/// are connected, so that 0 means closed).
#[derive(Debug)]
pub struct Jt808 {
    device: Option<Device>,
    parts: Parts,
    /// Delimiter of the last good frame, at which a lost stream is taken up again.
    delimiter: u8,
    /// Bytes skipped while the stream is lost.
    lost: Option<usize>,
}

/// The device that the last frame named.
#[derive(Debug)]
struct Device {
    phone: Vec<u8>,
    candidates: Vec<String>,
    profile: DeviceProfile,
    /// It registered on this connection, so that it need not know its code yet.
    registered: bool,
}

impl Jt808 {
    pub const fn new() -> Self {
        Self {
            device: None,
            parts: Parts::new(),
            delimiter: STANDARD,
            lost: None,
        }
    }

    /// Skips up to the next delimiter; None when there is none, or the stream has to be given up.
    fn skip(&mut self, rest: &[u8], skipped: usize, max: usize) -> Skip {
        let len = frame::garbage_len(rest, self.delimiter);
        if skipped + len > max {
            return Skip::GiveUp(len);
        }
        if len == rest.len() {
            self.lost = Some(skipped + len);
            return Skip::NeedMore;
        }
        self.lost = None;
        Skip::Found(len)
    }

    /// Takes a frame; gives how much of it is done with, or that the device is refused.
    fn frame(&mut self, raw: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Result<usize, Refused> {
        let checked = frame::unescape(raw);
        let lenient = env.settings.lenient_checksums;
        let message = checked
            .as_deref()
            .map_err(|wrong| *wrong)
            .and_then(|plain| frame::message(plain, raw[0], lenient));
        let message = match message {
            Ok(message) => message,
            Err(wrong) => {
                out.push(error(wrong, raw));
                // The delimiter at the end may begin the next frame.
                return Ok(raw.len() - 1);
            }
        };
        self.delimiter = message.delimiter;
        self.identify(&message, env, out)?;
        for _ in 0..self.parts.age() {
            out.push(error(dropped(Dropped::Incomplete), &[]));
        }
        self.message(&message, raw, env, out);
        Ok(raw.len())
    }

    fn identify(
        &mut self,
        message: &Message<'_>,
        env: &Env<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Refused> {
        if self
            .device
            .as_ref()
            .is_none_or(|d| d.phone != message.phone)
        {
            let candidates = identity::candidates(message.phone);
            let profile = env.directory.look_up(&candidates);
            self.device = Some(Device {
                phone: message.phone.to_vec(),
                candidates,
                profile,
                registered: false,
            });
        }
        let Some(device) = &self.device else {
            return Ok(());
        };
        out.push(Event::Identified {
            candidates: device.candidates.clone(),
            device: device.profile.clone(),
        });
        if device.profile.standing == Standing::Refused {
            return Err(Refused);
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, raw: &[u8], env: &Env<'_>, out: &mut Vec<Event>) {
        let serials = [message.serial];
        let incoming = Incoming {
            message: *message,
            raw,
            serials: &serials,
        };
        if message.encrypted {
            let what = "the body is encrypted";
            let wrong = Wrong::new(FrameErrorKind::Unsupported, what, 2);
            out.push(error(wrong, raw));
            out.push(Event::Reply(incoming.answer(encode::NOT_SUPPORTED)));
            return;
        }
        let Some(part) = message.part else {
            return self.whole(&incoming, env, out);
        };
        let mut gone = Vec::new();
        let whole = self.parts.add(message, part, raw, &mut gone);
        out.extend(gone.into_iter().map(|why| error(dropped(why), raw)));
        if let Some(whole) = whole {
            let incoming = Incoming {
                message: Message {
                    body: &whole.body,
                    part: None,
                    ..*message
                },
                raw: &whole.raw,
                serials: &whole.serials,
            };
            self.whole(&incoming, env, out);
        }
    }

    fn whole(&mut self, incoming: &Incoming<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        let message = &incoming.message;
        let reply = match message.id {
            0x0100 => self.register(message, env),
            0x0102 => incoming.answer(self.authenticate(message, env)),
            0x0003 => {
                if let Some(device) = &mut self.device {
                    device.registered = false;
                }
                incoming.answer(encode::DONE)
            }
            0x0004 => encode::answer(message, 0x8004, &answer::clock_bcd(env)),
            0x0109 => encode::answer(message, 0x8109, &answer::clock(env)),
            // Heartbeats, and a question for the time zone that asks no more than an answer.
            0x0002 | 0x0506 | 0x1007 => incoming.answer(encode::DONE),
            // A photo of a dialect: nothing in it is kept.
            0x8888 => incoming.answer(encode::NOT_SUPPORTED),
            // The device's general answer is to nothing that is sent here.
            0x0001 => return,
            id if holds_data(id) => return self.data(incoming, env, out),
            _ => {
                out.push(unknown("message", incoming.raw));
                incoming.answer(encode::NOT_SUPPORTED)
            }
        };
        out.push(Event::Reply(reply));
    }

    fn register(&mut self, message: &Message<'_>, env: &Env<'_>) -> Vec<u8> {
        if let Some(device) = &mut self.device {
            device.registered = true;
        }
        let [s0, s1] = message.serial.to_be_bytes();
        let mut body = vec![s0, s1, encode::DONE];
        body.extend(identity::code(&env.settings.auth_key, message.phone).bytes());
        encode::answer(message, 0x8100, &body)
    }

    /// Result of the authentication. A refusal makes a device register, which gives it its code.
    fn authenticate(&self, message: &Message<'_>, env: &Env<'_>) -> u8 {
        let key = &env.settings.auth_key;
        let registered = self.device.as_ref().is_some_and(|d| d.registered);
        if key.is_empty()
            || registered
            || identity::is_code(key, message.phone, answer::code(message))
        {
            encode::DONE
        } else {
            encode::FAILED
        }
    }

    fn data(&mut self, incoming: &Incoming<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        let Some(device) = &self.device else { return };
        let message = &incoming.message;
        let ctx = context(&device.profile, env);
        let items = match decode::items(message, &ctx) {
            Ok(Some(items)) => items,
            Ok(None) => {
                out.push(unknown("transparent", incoming.raw));
                out.push(Event::Reply(incoming.answer(encode::NOT_SUPPORTED)));
                return;
            }
            Err(wrong) => {
                out.push(error(wrong, incoming.raw));
                out.extend(acknowledgement(incoming, encode::WRONG).map(Event::Reply));
                return;
            }
        };
        let mut readings = Readings::with_capacity(items.len());
        for item in items {
            match item {
                Ok(reading) => readings.push(reading),
                Err((wrong, bytes)) => out.push(error(wrong, bytes)),
            }
        }
        if readings.is_empty() {
            out.extend(acknowledgement(incoming, encode::WRONG).map(Event::Reply));
            return;
        }
        out.push(Event::Frame(DecodedFrame {
            device: device.profile.clone(),
            readings,
            raw: incoming.raw.to_vec(),
            told_offset_s: None,
            durable_reply: acknowledgement(incoming, encode::DONE),
            reply_is_tagged: true,
        }));
    }

    fn text(&self, text: &[u8], env: &Env<'_>, out: &mut Vec<Event>) {
        let words = std::str::from_utf8(text).unwrap_or_default();
        if words.contains("BASE,2") {
            let now = env.now.to_string();
            let digits: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
            out.push(Event::Reply(words.replace("TIME", &digits).into_bytes()));
        } else {
            out.push(unknown("text", text));
        }
    }
}

impl Default for Jt808 {
    fn default() -> Self {
        Self::new()
    }
}

impl Session for Jt808 {
    fn protocol(&self) -> Protocol {
        Protocol::Jt808
    }

    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let mut consumed = 0;
        let max = env.settings.max_frame;
        loop {
            let rest = &input[consumed..];
            if let Some(skipped) = self.lost {
                match self.skip(rest, skipped, max) {
                    Skip::NeedMore => {
                        let consumed = input.len();
                        return Progress::NeedMore { consumed };
                    }
                    Skip::GiveUp(len) => return close(consumed + len, FrameErrorKind::Garbage),
                    Skip::Found(len) => consumed += len,
                }
                continue;
            }
            consumed += match frame::next(rest, max) {
                Step::NeedMore => return Progress::NeedMore { consumed },
                Step::Stray => 1,
                Step::Frame(raw) => match self.frame(raw, env, out) {
                    Ok(len) => len,
                    Err(Refused) => return close(consumed + raw.len(), FrameErrorKind::Refused),
                },
                Step::Text(text) => {
                    self.text(text, env, out);
                    text.len()
                }
                Step::TooLong => {
                    let what = "no end of the frame within the limit";
                    let wrong = Wrong::new(FrameErrorKind::TooLong, what, 0);
                    out.push(error(wrong, &rest[..rest.len().min(max).min(SHOWN)]));
                    self.lost = Some(0);
                    1
                }
                Step::Garbage(shown) => {
                    let what = "no frame begins here";
                    let wrong = Wrong::new(FrameErrorKind::Garbage, what, 0);
                    out.push(error(wrong, shown));
                    self.lost = Some(0);
                    0
                }
            };
        }
    }
}

enum Skip {
    NeedMore,
    Found(usize),
    GiveUp(usize),
}

struct Refused;

/// Ids of messages that become readings.
const fn holds_data(id: u16) -> bool {
    matches!(
        id,
        0x0104
            | 0x0107
            | 0x0200
            | 0x0201
            | 0x0210
            | 0x0701
            | 0x0702
            | 0x0704
            | 0x0900
            | 0x1300
            | 0x2070
            | 0x5501
            | 0x5502
            | 0x6006
    )
}

fn context(device: &DeviceProfile, env: &Env<'_>) -> Context {
    let words = device.dialect.as_deref().unwrap_or_default();
    Context {
        now: env.now,
        offset_s: device.utc_offset_s.unwrap_or(location::DEFAULT_OFFSET_S),
        doors: words.split_whitespace().any(|w| w == "doors"),
    }
}

const fn close(consumed: usize, reason: FrameErrorKind) -> Progress {
    Progress::Close { consumed, reason }
}

fn dropped(why: Dropped) -> Wrong {
    let (kind, what) = match why {
        Dropped::Impossible => (FrameErrorKind::BadLength, "number of a part"),
        Dropped::Incomplete => (FrameErrorKind::Unsupported, "a part never came"),
        Dropped::TooLarge => (FrameErrorKind::TooLong, "the parts are too large"),
    };
    Wrong::new(kind, what, 0)
}

fn error(wrong: Wrong, raw: &[u8]) -> Event {
    Event::Error(FrameError {
        kind: wrong.kind,
        what: wrong.what,
        at: wrong.at,
        raw: raw.to_vec(),
    })
}

fn unknown(label: &'static str, raw: &[u8]) -> Event {
    Event::Unknown {
        label,
        raw: raw.to_vec(),
    }
}
