//! A protocol of lines: small enough to be read in a test, with every case that a session has.

use waywarden_model::{DeviceProfile, Protocol, Record, Standing, Timestamp};
use waywarden_wire::{
    DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Reading, Session,
};

/// `L id` log in; `D n` data, reply `a n` without a tag; `T n` the same with a tag; `N n` data
/// without acknowledgement; `B n` data of 4 KiB; `U n` untimed data; `H` heartbeat; `X` unknown;
/// `E` error; `Q` the stream cannot go on.
#[derive(Default, Debug)]
pub struct LineSession {
    device: Option<DeviceProfile>,
}

impl Session for LineSession {
    fn protocol(&self) -> Protocol {
        Protocol::Gt06
    }

    fn receive(&mut self, input: &[u8], env: &Env<'_>, out: &mut Vec<Event>) -> Progress {
        let mut consumed = 0;
        while let Some(len) = input[consumed..].iter().position(|b| *b == b'\n') {
            let line = &input[consumed..=consumed + len];
            consumed += line.len();
            if let Err(reason) = self.line(line, env, out) {
                return Progress::Close { consumed, reason };
            }
        }
        if input.len() - consumed > env.settings.max_frame {
            let reason = FrameErrorKind::TooLong;
            out.push(error(reason, &input[consumed..]));
            consumed = input.len();
            return Progress::Close { consumed, reason };
        }
        Progress::NeedMore { consumed }
    }
}

impl LineSession {
    fn line(
        &mut self,
        line: &[u8],
        env: &Env<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), FrameErrorKind> {
        let text = std::str::from_utf8(line).unwrap_or("?").trim_end();
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        if kind == "L" {
            return self.log_in(rest, env, out);
        }
        let Some(device) = &self.device else {
            out.push(error(FrameErrorKind::NotLoggedIn, line));
            return Ok(());
        };
        let n: i64 = rest.parse().unwrap_or(0);
        let timed = Reading::Timed(Record::status(Timestamp::from_secs(n)));
        let mut frame = DecodedFrame {
            device: device.clone(),
            readings: timed.into(),
            told_offset_s: None,
            raw: line.to_vec(),
            durable_reply: Some(format!("a {n}\n").into_bytes()),
            reply_is_tagged: kind == "T",
        };
        match kind {
            "D" | "T" => {}
            "N" => frame.durable_reply = None,
            "B" => frame.raw.resize(4096, 0),
            "U" => frame.readings = Reading::Untimed(Record::status(env.now)).into(),
            "H" => {
                out.push(Event::Reply(b"h\n".to_vec()));
                return Ok(());
            }
            "X" => {
                let (label, raw) = ("odd_kind", line.to_vec());
                out.push(Event::Unknown { label, raw });
                return Ok(());
            }
            "Q" => return Err(FrameErrorKind::BadLength),
            _ => {
                out.push(error(FrameErrorKind::BadChecksum, line));
                return Ok(());
            }
        }
        out.push(Event::Frame(frame));
        Ok(())
    }

    fn log_in(
        &mut self,
        id: &str,
        env: &Env<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), FrameErrorKind> {
        let candidates = vec![id.to_owned()];
        let device = env.directory.look_up(&candidates);
        out.push(Event::Identified {
            candidates,
            device: device.clone(),
        });
        if device.standing == Standing::Refused {
            return Err(FrameErrorKind::Refused);
        }
        self.device = Some(device);
        out.push(Event::Reply(b"ok\n".to_vec()));
        Ok(())
    }
}

fn error(kind: FrameErrorKind, raw: &[u8]) -> Event {
    Event::Error(FrameError {
        kind,
        what: "line",
        at: 0,
        raw: raw.to_vec(),
    })
}
