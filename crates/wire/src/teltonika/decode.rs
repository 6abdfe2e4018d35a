//! Codec data to readings.

use super::parameters::{self, Models};
use crate::cursor::{Cursor, Short};
use crate::session::{FrameErrorKind, Readings};
use waywarden_model::{CardId, Course, Position, Record, RecordKind, Speed, Timestamp};

const CODEC_7: u8 = 0x07;
const CODEC_8: u8 = 0x08;
pub const CODEC_8_EXTENDED: u8 = 0x8E;
const CODEC_16: u8 = 0x10;

/// 2007-01-01T00:00:00Z, from which Codec 7 counts seconds.
const CODEC_7_EPOCH_S: i64 = 1_167_609_600;

/// Bytes of a record before its parameters: time, priority, and the GPS element.
const HEAD: usize = 24;

/// What codec data hold.
pub enum Content {
    Records(Readings),
    /// Not data: answers to commands (Codecs 12 to 15), or a codec that nobody knows.
    Other(&'static str),
}

pub struct Wrong {
    pub kind: FrameErrorKind,
    pub what: &'static str,
    pub at: usize,
}

impl From<Short> for Wrong {
    fn from(short: Short) -> Self {
        Self {
            kind: FrameErrorKind::Truncated,
            what: "the packet ends within a record",
            at: short.at,
        }
    }
}

/// How to read a device's records.
pub struct Options {
    /// A block of 16-byte parameters follows the 8-byte ones; None: not said.
    extended: bool,
    models: Models,
    now: Timestamp,
}

impl Options {
    pub fn of(dialect: Option<&str>, now: Timestamp) -> Self {
        let has = |word| dialect.is_some_and(|d| d.split([',', ' ']).any(|w| w == word));
        Self {
            extended: has("extended"),
            models: if has("fmb") { Models::Fmb } else { Models::Any },
            now,
        }
    }
}

/// Reads codec, count, records and second count; all of `body` must be used up.
pub fn content(body: &[u8], options: &Options) -> Result<Content, Wrong> {
    let codec = body.first().copied().unwrap_or_default();
    match codec {
        CODEC_7 | CODEC_8 | CODEC_8_EXTENDED | CODEC_16 => {}
        0x0C => return Ok(Content::Other("codec_12")),
        0x0D => return Ok(Content::Other("codec_13")),
        0x0E => return Ok(Content::Other("codec_14")),
        0x0F => return Ok(Content::Other("codec_15")),
        _ => return Ok(Content::Other("codec_unknown")),
    }
    let read = |extended| {
        Reader {
            c: Cursor::new(body),
            layout: Layout::of(codec, extended),
            models: options.models,
            now: options.now,
            card: None,
        }
        .records()
    };
    match read(options.extended) {
        // Some firmware writes the block of 16-byte parameters without being told to by its
        // codec. The second count makes a misreading as good as impossible.
        Err(wrong) if codec == CODEC_8 && !options.extended => read(true).or(Err(wrong)),
        done => done,
    }
    .map(Content::Records)
}

#[derive(Clone, Copy)]
struct Layout {
    codec_7: bool,
    wide_ids: bool,
    wide_counts: bool,
    generation: bool,
    sixteens: bool,
    variable: bool,
}

impl Layout {
    const fn of(codec: u8, extended: bool) -> Self {
        Self {
            codec_7: codec == CODEC_7,
            wide_ids: matches!(codec, CODEC_8_EXTENDED | CODEC_16),
            wide_counts: codec == CODEC_8_EXTENDED,
            generation: codec == CODEC_16,
            sixteens: extended,
            variable: codec == CODEC_8_EXTENDED,
        }
    }
}

struct Reader<'a> {
    c: Cursor<'a>,
    layout: Layout,
    models: Models,
    now: Timestamp,
    /// The last card read: a packet's records mostly name the same one.
    card: Option<(u64, CardId)>,
}

impl Reader<'_> {
    fn records(mut self) -> Result<Readings, Wrong> {
        self.c.skip(1)?;
        let count = self.c.u8()?;
        let readings = Readings::read_in_place(count.into(), self.now, |r| {
            if self.layout.codec_7 {
                self.codec_7_record(r)
            } else {
                self.record(r)
            }
        })?;
        let at = self.c.at();
        let wrong = |what| Wrong {
            kind: FrameErrorKind::BadLength,
            what,
            at,
        };
        if self.c.u8()? != count {
            return Err(wrong("the second count is not the first"));
        }
        if !self.c.is_empty() {
            return Err(wrong("bytes behind the second count"));
        }
        Ok(readings)
    }

    /// Fills the record; gives its time in milliseconds, as it came.
    #[inline(always)]
    fn record(&mut self, r: &mut Record) -> Result<i64, Wrong> {
        // Its length is looked at once.
        let mut head = self.c.sub(HEAD)?;
        let time = head.i64()?;
        head.skip(1)?; // priority
        let lon = degrees(head.i32()?);
        let lat = degrees(head.i32()?);
        let altitude = head.i16()?;
        let course = head.u16()?;
        let satellites = head.u8()?;
        let speed = head.u16()?;

        place(r, Position::new(lat, lon));
        r.valid = satellites != 0 && r.position.is_some();
        r.altitude_dm = Some(i32::from(altitude) * 10);
        r.course = Some(Course::from_whole_degrees(course));
        r.satellites = Some(satellites);
        r.speed = Some(Speed::from_kmh(speed.into()));
        r.details.event = Some(self.id()?.into());
        if self.layout.generation {
            self.c.skip(1)?;
        }
        // The total: the blocks' own counts and the second count already leave no freedom.
        self.count()?;
        self.block::<1>(r)?;
        self.block::<2>(r)?;
        self.block::<4>(r)?;
        self.block::<8>(r)?;
        if self.layout.sixteens {
            self.block::<16>(r)?;
        }
        if self.layout.variable {
            self.variable_block(r)?;
        }
        Ok(time)
    }

    fn codec_7_record(&mut self, r: &mut Record) -> Result<i64, Wrong> {
        let seconds = self.c.u32()? & 0x3FFF_FFFF; // above it: priority
        let mask = self.c.u8()?;
        if mask & 1 != 0 {
            self.codec_7_place(r)?;
        }
        for (bit, size) in [(1, 1), (2, 2), (3, 4)] {
            if mask & 1 << bit != 0 {
                let count = self.c.u8()?;
                for _ in 0..count {
                    let id = self.c.u8()?;
                    let value = self.c.uint(size)?;
                    parameters::apply_codec_7(r, id, value);
                }
            }
        }
        Ok((CODEC_7_EPOCH_S + i64::from(seconds)) * 1000)
    }

    /// The GPS element of Codec 7: a mask, and the fields whose bits are set.
    fn codec_7_place(&mut self, r: &mut Record) -> Result<(), Wrong> {
        let mask = self.c.u8()?;
        let has = |bit: u8| mask & 1 << bit != 0;
        if has(0) {
            let lat = f32::from_bits(self.c.u32()?);
            let lon = f32::from_bits(self.c.u32()?);
            place(r, Position::new(lat.into(), lon.into()));
            r.valid = r.position.is_some();
        }
        if has(1) {
            r.altitude_dm = Some(i32::from(self.c.i16()?) * 10);
        }
        if has(2) {
            r.course = Course::from_degrees(f64::from(self.c.u8()?) * 360.0 / 256.0);
        }
        if has(3) {
            r.speed = Some(Speed::from_kmh(self.c.u8()?.into()));
        }
        if has(4) {
            let satellites = self.c.u8()?;
            r.satellites = Some(satellites);
            r.valid &= satellites != 0;
        }
        // Cell, signal and operator.
        for (bit, len) in [(5, 4), (6, 1), (7, 4)] {
            if has(bit) {
                self.c.skip(len)?;
            }
        }
        Ok(())
    }

    /// The parameters of `SIZE` bytes. Whether this and what it calls is one piece with the rest must
    /// not hang on how the crates around it are cut up: it is a third of the decoder's speed.
    #[inline(always)]
    fn block<const SIZE: usize>(&mut self, r: &mut Record) -> Result<(), Wrong> {
        let count = usize::from(self.count()?);
        if self.layout.wide_ids {
            self.parameters::<2, SIZE>(count, r)
        } else {
            self.parameters::<1, SIZE>(count, r)
        }
    }

    /// Their length is looked at once; `ID` bytes of number before each value.
    #[inline(always)]
    fn parameters<const ID: usize, const SIZE: usize>(
        &mut self,
        count: usize,
        r: &mut Record,
    ) -> Result<(), Wrong> {
        let bytes = self.c.take(count * (ID + SIZE))?;
        if SIZE > 8 {
            return Ok(()); // none of these is known
        }
        for parameter in bytes.chunks_exact(ID + SIZE) {
            let (id, value) = parameter.split_at(ID);
            let id = id.iter().fold(0, |id, b| id << 8 | u16::from(*b));
            let value = value.iter().fold(0, |value, b| value << 8 | u64::from(*b));
            match (id, SIZE) {
                (parameters::IBUTTON, 8) => r.driver = parameters::driver(value, &mut self.card),
                _ => parameters::apply(r, id, value, SIZE, self.models),
            }
        }
        Ok(())
    }

    fn variable_block(&mut self, r: &mut Record) -> Result<(), Wrong> {
        for _ in 0..self.count()? {
            let id = self.id()?;
            let len = usize::from(self.c.u16()?);
            parameters::apply_text(r, id, self.c.take(len)?);
        }
        Ok(())
    }

    #[inline(always)]
    fn id(&mut self) -> Result<u16, Short> {
        if self.layout.wide_ids {
            self.c.u16()
        } else {
            self.c.u8().map(u16::from)
        }
    }

    #[inline(always)]
    fn count(&mut self) -> Result<u16, Short> {
        if self.layout.wide_counts {
            self.c.u16()
        } else {
            self.c.u8().map(u16::from)
        }
    }
}

fn degrees(ten_millionths: i32) -> f64 {
    f64::from(ten_millionths) / 1e7
}

/// Coordinates outside the globe leave a record without a place: the instant is still data.
fn place(r: &mut Record, position: Option<Position>) {
    if position.is_some() {
        r.kind = RecordKind::Fix;
    }
    r.position = position;
}
