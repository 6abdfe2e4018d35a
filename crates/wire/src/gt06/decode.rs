//! From a frame's kind to what it means and how it is answered.

use super::date::{bcd_date, date};
use super::frame::{Form, Frame, build_long, build_short};
use super::{camera, extended, location, status};
use crate::{Cursor, Short};
use crate::{FrameErrorKind, Reading};
use waywarden_model::{Record, Timestamp};

/// What a frame cannot mean, with the offset within its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    pub kind: FrameErrorKind,
    pub what: &'static str,
    pub at: usize,
}

impl Fault {
    pub(super) const fn bad_value(what: &'static str, at: usize) -> Self {
        Self {
            kind: FrameErrorKind::BadValue,
            what,
            at,
        }
    }
}

impl From<Short> for Fault {
    fn from(short: Short) -> Self {
        Self {
            kind: FrameErrorKind::Truncated,
            what: "the content ends within a field",
            at: short.at,
        }
    }
}

/// Makers whose frames look like everybody's and mean something else. Only the register can tell
/// them (`DeviceProfile::dialect`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Dialect {
    /// Told by kind and length alone.
    #[default]
    Recognised,
    /// No layouts but the common ones.
    Standard,
    Lw,
    Seeworld,
    R11,
    Vl,
}

impl Dialect {
    /// By its name in the register; an unknown name leaves it to the frames.
    pub(super) fn named(name: Option<&str>) -> Self {
        match name {
            Some("standard") => Self::Standard,
            Some("lw") => Self::Lw,
            Some("seeworld") => Self::Seeworld,
            Some("r11") => Self::R11,
            Some("vl") => Self::Vl,
            _ => Self::Recognised,
        }
    }
}

/// What decoding needs beside the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub now: Timestamp,
    /// Seconds east of UTC of the device's clock.
    pub offset_s: i32,
    pub dialect: Dialect,
}

/// What a frame meant.
#[derive(Debug)]
pub(super) enum Meaning {
    /// A reading, and the answer to it where its kind has one.
    Said(Reading, Option<Vec<u8>>),
    /// Nothing to keep; only this answer.
    Answer(Vec<u8>),
    /// Of a kind that is not read.
    Unknown(&'static str),
}

impl Meaning {
    /// What a report without a position said: `time` as the frame told it, else that of receipt.
    pub(super) fn report(
        mut record: Record,
        time: Option<Timestamp>,
        answer: Option<Vec<u8>>,
    ) -> Self {
        match time {
            Some(time) => {
                record.time = time;
                Self::Said(Reading::Timed(record), answer)
            }
            None => Self::Said(Reading::Untimed(record), answer),
        }
    }
}

/// Kind and serial in the 7878 form: the answer to nearly everything.
pub(super) fn short_answer(frame: &Frame<'_>) -> Vec<u8> {
    build_short(frame.kind, &[], frame.serial())
}

/// Reads any frame but the log-in.
pub(super) fn decode(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    match frame.form {
        Form::Short => short(frame, context),
        Form::Long => extended::decode(frame, context),
        Form::Bare => bare(frame, context),
    }
}

fn short(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let length = frame.length;
    match frame.kind {
        0x08 | 0x1f => Ok(Meaning::Answer(short_answer(frame))),
        0x13 => Ok(status::status(frame, context)),
        0x15 => Ok(untimed(context, Some(short_answer(frame)))),
        0x19 if length >= 0x17 => Ok(Meaning::Unknown("gt06_multiple_cells")),
        0x19 | 0xa5 | 0xa7 => Ok(status::cell_status(frame, context)),
        0x23 => Ok(status::heartbeat(frame, context)),
        0x2a => Ok(Meaning::Answer(no_address(frame))),
        0x36 => Ok(status::modular_status(frame, context)),
        0x40 => battery(frame, context),
        0x8a => Ok(Meaning::Answer(server_time(frame, context))),
        0x94 => Ok(status::voltage(frame, context)),
        0x95 => camera::alarm(frame, context),
        0xa3 if matches!(length, 0x0c | 0x18) => Ok(status::asset_status(frame, context)),
        0xf3 => dated(frame, context, None),
        0x24 if length == 0x2e => location::decode(frame, context),
        0x34 if length != 0x37 => location::with_driver(frame, context),
        0x18 | 0x24 | 0x28 | 0x2c | 0x2e | 0x33 | 0x34 | 0xa1 => {
            dated(frame, context, Some(short_answer(frame)))
        }
        0xa2 if length != 0x40 => dated(frame, context, Some(short_answer(frame))),
        0x17 if length != 0x28 => Ok(Meaning::Unknown("gt06_wifi")),
        0x10..=0x12
        | 0x16
        | 0x17
        | 0x1a
        | 0x1e
        | 0x22
        | 0x25..=0x27
        | 0x2d
        | 0x31
        | 0x32
        | 0x37
        | 0x61
        | 0xa0
        | 0xa2..=0xa4 => location::decode(frame, context),
        0x80..=0x82 => Ok(Meaning::Unknown("gt06_command_result")),
        0x35 => Ok(Meaning::Unknown("gt06_photo")),
        _ => Ok(Meaning::Unknown("gt06_short")),
    }
}

/// The Wi-Fi trackers: a heartbeat, and scans with a decimal date in UTC. They want their own date
/// back.
fn bare(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    if !matches!(frame.kind, 0x17 | 0x69) {
        return Ok(Meaning::Answer(short_answer(frame)));
    }
    let mut r = Cursor::new(frame.content);
    let time = bcd_date(&mut r, 0)?;
    let date = frame.content.get(..6).unwrap_or_default();
    let answer = [&[0x78, 0x78, 0, frame.kind], date, &[0x0d, 0x0a]].concat();
    Ok(Meaning::report(
        Record::status(context.now),
        time,
        Some(answer),
    ))
}

fn untimed(context: &Context, answer: Option<Vec<u8>>) -> Meaning {
    Meaning::report(Record::status(context.now), None, answer)
}

/// Scans of cells and access points: of what they say only the instant is kept.
fn dated(frame: &Frame<'_>, context: &Context, answer: Option<Vec<u8>>) -> Result<Meaning, Fault> {
    let time = date(&mut Cursor::new(frame.content), context.offset_s)?;
    Ok(Meaning::report(Record::status(context.now), time, answer))
}

/// A battery's report: serial number (8), seconds since 1970.
fn battery(frame: &Frame<'_>, context: &Context) -> Result<Meaning, Fault> {
    let mut r = Cursor::new(frame.content);
    r.skip(8)?;
    let seconds = r.u32()?;
    Ok(Meaning::report(
        Record::status(context.now),
        Some(Timestamp::from_secs(i64::from(seconds))),
        Some(short_answer(frame)),
    ))
}

/// The device asks for the street it stands in: not available.
fn no_address(frame: &Frame<'_>) -> Vec<u8> {
    const TEXT: &[u8; 11] = b"NA&&NA&&0##";
    let mut content = vec![11, 0, 0, 0, 0];
    content.extend_from_slice(TEXT);
    build_long(0x97, &content, frame.serial())
}

fn server_time(frame: &Frame<'_>, context: &Context) -> Vec<u8> {
    let seconds = context.now.millis().div_euclid(1000);
    let day = i32::try_from(seconds.div_euclid(86_400)).unwrap_or(0);
    let (year, month, date) = waywarden_model::LocalDay(day).civil();
    let of_day = seconds.rem_euclid(86_400);
    let two = |n: i64| u8::try_from(n).unwrap_or(0);
    let content = [
        two(i64::from(year - 2000)),
        two(i64::from(month)),
        two(i64::from(date)),
        two(of_day / 3600),
        two(of_day / 60 % 60),
        two(of_day % 60),
    ];
    build_short(frame.kind, &content, frame.serial())
}
