//! GT06: Concox, Jimi and the many that copied them. Binary, 7878 or 7979 in front, 0D0A behind;
//! the device names itself once, at log-in.
//!
//! [`frame`] finds the frames, [`decode`] turns each into a reading and an answer, [`Gt06`] keeps
//! who is logged in, and [`Gt06Device`] is the other side. Dialects are told by kind and length
//! where that suffices, and by the register (`DeviceProfile::dialect`: `standard`, `lw`,
//! `seeworld`, `r11`, `vl`) where it does not.

mod alarm;
mod camera;
mod date;
mod decode;
mod encode;
mod extended;
mod frame;
mod location;
mod status;
mod tail;
mod text;

pub use encode::Gt06Device;

use crate::session::{DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Session};
use crate::{Reading, Short};
use decode::{Context, Dialect, Fault, Meaning};
use frame::{Frame, Step};
use waywarden_model::{DeviceProfile, Protocol, Standing};

/// One connection of a GT06 device.
#[derive(Debug, Default)]
pub struct Gt06 {
    login: Option<Login>,
    refused: bool,
}

#[derive(Debug)]
struct Login {
    device: DeviceProfile,
    /// Seconds east of UTC, where the log-in says so.
    told_offset_s: Option<i32>,
    dialect: Dialect,
}

impl Login {
    fn new(device: DeviceProfile, told_offset_s: Option<i32>) -> Self {
        Self {
            dialect: Dialect::named(device.dialect.as_deref()),
            told_offset_s,
            device,
        }
    }

    /// Seconds east of UTC: from the log-in where it says so, else from the register, else 0.
    fn offset_s(&self) -> i32 {
        self.told_offset_s
            .or(self.device.utc_offset_s)
            .unwrap_or_default()
    }
}

impl Gt06 {
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection on which the device has logged in, and said this of its zone.
    pub(crate) fn logged_in(device: DeviceProfile, told_offset_s: Option<i32>) -> Self {
        Self {
            login: Some(Login::new(device, told_offset_s)),
            refused: false,
        }
    }

    /// Log-in: IMEI (8 bytes, 16 decimal digits of which the first is filling), sort of unit (2),
    /// zone and language (2). The last two are not always there.
    fn log_in(&mut self, frame: &Frame<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        let Some(imei) = frame.content.get(..8).and_then(imei) else {
            let fault = match frame.content.len() {
                0..8 => Fault::from(Short { at: 0 }),
                _ => Fault::bad_value("an identifier that is not decimal", 0),
            };
            return out.push(error(&fault, frame));
        };
        let candidates = vec![imei];
        let device = env.directory.look_up(&candidates);
        out.push(Event::Identified {
            candidates,
            device: device.clone(),
        });
        if device.standing == Standing::Refused {
            self.refused = true;
            self.login = None;
            return;
        }
        self.login = Some(Login::new(device, offset(frame.content)));
        out.push(Event::Reply(decode::short_answer(frame)));
    }

    fn data(&self, frame: &Frame<'_>, env: &Env<'_>, out: &mut Vec<Event>) {
        let Some(login) = &self.login else {
            let fault = Fault {
                kind: FrameErrorKind::NotLoggedIn,
                what: "data before log-in",
                at: 0,
            };
            return out.push(error(&fault, frame));
        };
        let context = Context {
            now: env.now,
            offset_s: login.offset_s(),
            dialect: login.dialect,
        };
        match decode::decode(frame, &context) {
            Err(fault) => out.push(error(&fault, frame)),
            Ok(Meaning::Answer(reply)) => out.push(Event::Reply(reply)),
            Ok(Meaning::Unknown(label)) => out.push(Event::Unknown {
                label,
                raw: frame.raw.to_vec(),
            }),
            Ok(Meaning::Said(reading, answer)) => said(login, frame, reading, answer, out),
        }
    }
}

/// A record is acknowledged when it is durable; what is not filed, at once.
fn said(
    login: &Login,
    frame: &Frame<'_>,
    reading: Reading,
    answer: Option<Vec<u8>>,
    out: &mut Vec<Event>,
) {
    let (at_once, durable_reply) = match reading {
        Reading::Timed(_) => (None, answer),
        Reading::Untimed(_) => (answer, None),
    };
    out.extend(at_once.map(Event::Reply));
    out.push(Event::Frame(DecodedFrame {
        device: login.device.clone(),
        readings: reading.into(),
        raw: frame.raw.to_vec(),
        told_offset_s: login.told_offset_s,
        durable_reply,
        reply_is_tagged: true,
    }));
}

fn error(fault: &Fault, frame: &Frame<'_>) -> Event {
    let content_at = frame.content.as_ptr().addr() - frame.raw.as_ptr().addr();
    Event::Error(FrameError {
        kind: fault.kind,
        what: fault.what,
        at: content_at + fault.at,
        raw: frame.raw.to_vec(),
    })
}

fn imei(coded: &[u8]) -> Option<String> {
    let digits = hex::encode(coded).split_off(1);
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)
}

/// The zone that a log-in tells: bits 4 to 15 hours times 100 plus minutes, bit 3 west.
fn offset(content: &[u8]) -> Option<i32> {
    let &[a, b] = content.get(10..12)? else {
        return None;
    };
    let word = u16::from_be_bytes([a, b]);
    let (hours, minutes) = (i32::from(word >> 4) / 100, i32::from(word >> 4) % 100);
    // Beyond the clocks of the earth it is no zone.
    let seconds = (hours <= 14 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
    Some(if word & 8 != 0 { -seconds } else { seconds })
}

impl Session for Gt06 {
    fn protocol(&self) -> Protocol {
        Protocol::Gt06
    }

    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let mut consumed = 0;
        while !self.refused {
            let rest = &input[consumed..];
            match frame::next(rest, env.settings.max_frame) {
                Step::NeedMore => return Progress::NeedMore { consumed },
                Step::Broken { kind, what, skip } => {
                    out.push(Event::Error(FrameError {
                        kind,
                        what,
                        at: 0,
                        raw: rest[..skip].to_vec(),
                    }));
                    consumed += skip;
                }
                Step::Frame(frame)
                    if !env.settings.lenient_checksums && !frame.checksum_holds() =>
                {
                    let end = frame.resume_at();
                    out.push(Event::Error(FrameError {
                        kind: FrameErrorKind::BadChecksum,
                        what: "CRC-16/X-25 differs",
                        at: frame.raw.len() - 4,
                        raw: frame.raw[..end].to_vec(),
                    }));
                    consumed += end;
                }
                Step::Frame(frame) => {
                    match frame.kind {
                        // The long form has another 01, which nobody sends.
                        0x01 if frame.form != frame::Form::Long => self.log_in(&frame, env, out),
                        _ => self.data(&frame, env, out),
                    }
                    consumed += frame.raw.len();
                }
            }
        }
        Progress::Close {
            consumed: input.len(),
            reason: FrameErrorKind::Refused,
        }
    }
}
