//! What is answered to whom, and the clock that a device asks for.

use super::encode;
use super::frame::Message;
use crate::session::Env;

/// A message with where it came from: one frame, or the parts that it was put together from.
pub struct Incoming<'a> {
    pub message: Message<'a>,
    pub raw: &'a [u8],
    pub serials: &'a [u16],
}

impl Incoming<'_> {
    /// The general answer to every part.
    pub fn answer(&self, result: u8) -> Vec<u8> {
        let one = |serial: &u16| encode::general(&self.message, *serial, result);
        match self.serials {
            [serial] => one(serial),
            serials => serials.iter().flat_map(one).collect(),
        }
    }
}

/// The answer to a message with data: none to what is itself an answer (parameters, location,
/// command), nor to a series of a sensor.
pub fn acknowledgement(incoming: &Incoming<'_>, result: u8) -> Option<Vec<u8>> {
    match incoming.message.id {
        0x0104 | 0x0201 | 0x1300 | 0x2070 => None,
        0x5501 | 0x5502 => {
            let asked = incoming.message.asks_answer && result == encode::DONE;
            asked.then(|| encode::compact(&incoming.message))
        }
        _ => Some(incoming.answer(result)),
    }
}

/// The code of an authentication: the whole body, since 2019 with its length before it.
pub fn code<'a>(message: &Message<'a>) -> &'a [u8] {
    let code = match (message.version, message.body) {
        (Some(_), [len, rest @ ..]) => rest.get(..usize::from(*len)).unwrap_or(rest),
        (_, body) => body,
    };
    let padding = code.iter().rev().take_while(|b| **b == 0).count();
    &code[..code.len() - padding]
}

/// The time of receipt in UTC as year (2 bytes), month, day, hour, minute, second; a result.
pub fn clock(env: &Env<'_>) -> [u8; 8] {
    let (year, [month, day, hour, minute, second]) = civil(env);
    let [y0, y1] = year.to_be_bytes();
    [y0, y1, month, day, hour, minute, second, encode::DONE]
}

/// The time of receipt in UTC as YYMMDDhhmmss in packed decimal (0x8004 of 2019).
pub fn clock_bcd(env: &Env<'_>) -> [u8; 6] {
    let (year, [month, day, hour, minute, second]) = civil(env);
    let year = u8::try_from(year % 100).unwrap_or(0);
    [year, month, day, hour, minute, second].map(|v| ((v / 10) << 4) | (v % 10))
}

fn civil(env: &Env<'_>) -> (u16, [u8; 5]) {
    let utc = waywarden_model::TimeZone::utc();
    let (year, month, day) = utc.day_of(env.now).civil();
    let second = utc.second_of_day(env.now);
    let fields = [month, day, second / 3600, second / 60 % 60, second % 60];
    (
        u16::try_from(year).unwrap_or(0),
        fields.map(|v| u8::try_from(v).unwrap_or(0)),
    )
}
