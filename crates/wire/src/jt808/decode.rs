//! What a message holds: readings, and what was wrong with parts of it.

use super::frame::{Message, Wrong};
use super::location::{self, Context};
use super::{compact, driver_card, transparent};
use crate::cursor::Cursor;
use crate::session::{FrameErrorKind, Reading};
use waywarden_model::{Record, Timestamp};

/// A reading, or the item that could not be read.
pub type Item<'a> = Result<Reading, (Wrong, &'a [u8])>;

/// Items of a message with data, in their order; None when nothing in it is known.
///
/// # Errors
/// [`Wrong`] when the message as a whole cannot be read.
pub fn items<'a>(message: &Message<'a>, ctx: &Context) -> Result<Option<Vec<Item<'a>>>, Wrong> {
    let body = message.body;
    let one = |reading: Reading| Some(vec![Ok(reading)]);
    let timed = |record: Record| one(Reading::Timed(record));
    Ok(match message.id {
        0x0200 => timed(location::read(body, ctx)?),
        0x0201 => timed(location::read(body.get(2..).unwrap_or_default(), ctx)?),
        0x0702 => one(driver_card::read(body, ctx)?),
        0x0704 => Some(batch(body, ctx)?),
        0x0210 if body.len() == 7 => {
            let mut c = Cursor::new(body);
            c.skip(1)?;
            timed(Record::status(ctx.time(&mut c)?))
        }
        0x0210 => Some(short_batch(body, ctx)?),
        0x0900 => transparent::read(body, ctx)?.and_then(one),
        0x5501 | compact::BLIND => timed(compact::read(message.id, body)?),
        0x0104 => one(parameters_answer(body, ctx.now)),
        // Attributes, texts, answers to commands, series of a sensor: a sign of life.
        _ => one(Reading::Untimed(Record::status(ctx.now))),
    })
}

/// Batch 0x0704: number of items, 1 when they were stored in a blind area, items of two bytes of
/// length each.
fn batch<'a>(body: &'a [u8], ctx: &Context) -> Result<Vec<Item<'a>>, Wrong> {
    let mut c = Cursor::new(body);
    let (count, stored) = (usize::from(c.u16()?), c.u8()? > 0);
    // An item takes 30 bytes at least, so that a wrong count cannot take memory.
    let mut items = Vec::with_capacity(count.min(c.left() / 30));
    while !c.is_empty() {
        let len = usize::from(c.u16()?);
        items.push(item(c.take(len)?, ctx, stored));
    }
    if items.len() != count {
        let what = "number of items";
        return Err(Wrong::new(FrameErrorKind::BadLength, what, 0));
    }
    Ok(items)
}

/// Batch 0x0210 of a dialect: items of one byte of length each.
fn short_batch<'a>(body: &'a [u8], ctx: &Context) -> Result<Vec<Item<'a>>, Wrong> {
    let mut c = Cursor::new(body);
    let mut items = Vec::with_capacity(c.left() / 29);
    while !c.is_empty() {
        let len = usize::from(c.u8()?);
        items.push(item(c.take(len)?, ctx, false));
    }
    Ok(items)
}

fn item<'a>(bytes: &'a [u8], ctx: &Context, stored: bool) -> Item<'a> {
    match location::read(bytes, ctx) {
        Ok(mut record) => {
            record.stored = stored;
            Ok(Reading::Timed(record))
        }
        Err(wrong) => Err((wrong, bytes)),
    }
}

/// Answer to a query of parameters: of these only the odometer (0x80, 0.1 km) is a reading.
fn parameters_answer(body: &[u8], now: Timestamp) -> Reading {
    let mut record = Record::status(now);
    let mut rest = body.get(3..).unwrap_or_default();
    while let [a, b, c, d, len, after @ ..] = rest {
        let Some((value, next)) = after.split_at_checked(usize::from(*len)) else {
            break;
        };
        if u32::from_be_bytes([*a, *b, *c, *d]) == 0x80 {
            record.odometer_m = Cursor::new(value).u32().ok().map(|n| u64::from(n) * 100);
        }
        rest = next;
    }
    Reading::Untimed(record)
}
