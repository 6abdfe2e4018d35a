//! A reader of bytes whose every read is checked, so that no input can make a decoder panic.

/// A read went past the end. `at` is the offset at which the read began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the input ends within a field (at byte {at})")]
pub struct Short {
    pub at: usize,
}

/// A place in a slice of bytes. Numbers are big-endian (network order) unless the name says `_le`.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

macro_rules! number {
    ($name:ident, $name_le:ident, $type:ty) => {
        #[inline]
        pub fn $name(&mut self) -> Result<$type, Short> {
            self.array().map(<$type>::from_be_bytes)
        }

        #[inline]
        pub fn $name_le(&mut self) -> Result<$type, Short> {
            self.array().map(<$type>::from_le_bytes)
        }
    };
}

impl<'a> Cursor<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next byte from the start of the slice.
    pub const fn at(&self) -> usize {
        self.at
    }

    pub const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub const fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The byte `ahead` places from here, without reading it.
    pub fn peek(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`Short`] when fewer are left; then nothing is read. So for all reads below.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Short> {
        let taken = self.rest().get(..n).ok_or(Short { at: self.at })?;
        self.at += n;
        Ok(taken)
    }

    pub fn skip(&mut self, n: usize) -> Result<(), Short> {
        self.take(n).map(drop)
    }

    /// A cursor over the next `n` bytes, which are read by this.
    pub fn sub(&mut self, n: usize) -> Result<Self, Short> {
        self.take(n).map(Self::new)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, _) = self
            .rest()
            .split_first_chunk::<N>()
            .ok_or(Short { at: self.at })?;
        self.at += N;
        Ok(*head)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Short> {
        self.array::<1>().map(|[b]| b)
    }

    number!(u16, u16_le, u16);
    number!(u32, u32_le, u32);
    number!(u64, u64_le, u64);
    number!(i16, i16_le, i16);
    number!(i32, i32_le, i32);
    number!(i64, i64_le, i64);

    /// An unsigned number of `n` bytes, 0 to 8; longer ones count as [`Short`].
    #[inline]
    pub fn uint(&mut self, n: usize) -> Result<u64, Short> {
        match n {
            1 => self.u8().map(u64::from),
            2 => self.u16().map(u64::from),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            9.. => Err(Short { at: self.at }),
            n => {
                let bytes = self.take(n)?;
                Ok(bytes.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_both_orders() {
        let mut c = Cursor::new(&[1, 2, 3, 4, 0xFF, 0xFE, 7, 8, 9]);
        assert_eq!(c.u16(), Ok(0x0102));
        assert_eq!(c.u16_le(), Ok(0x0403));
        assert_eq!(c.peek(1), Some(0xFE));
        assert_eq!(c.i16(), Ok(-2));
        assert_eq!(c.uint(3), Ok(0x07_08_09));
        assert!(c.is_empty());
        assert_eq!(c.uint(0), Ok(0));
    }

    #[test]
    fn a_short_read_reads_nothing() {
        let mut c = Cursor::new(&[1, 2, 3]);
        assert_eq!(c.u8(), Ok(1));
        assert_eq!(c.u32(), Err(Short { at: 1 }));
        assert_eq!(c.sub(3).unwrap_err(), Short { at: 1 });
        assert_eq!(c.uint(9), Err(Short { at: 1 }));
        assert_eq!((c.at(), c.rest()), (1, &[2, 3][..]));
    }
}
