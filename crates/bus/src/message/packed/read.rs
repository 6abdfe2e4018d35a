//! Difference by difference, each refused where it is none.

use crate::message::DecodeError;
use crate::message::differences::{At, change, nothing};
use crate::message::proto::{Difference, difference::Driver};
use waywarden_model::Record;

/// Bytes of a difference of which a packed record has about as many, or more.
const FEW: usize = 6;

/// Reads the records behind what is among them.
pub(in crate::message) fn read(bytes: &[u8], records: &mut Vec<Record>) -> Result<(), DecodeError> {
    records.reserve(bytes.len() / FEW);
    let mut left = Left(bytes);
    let (mut said, mut at, mut passed) = (nothing(), At::NOWHERE, 0);
    while !left.0.is_empty() {
        let d = left.difference(passed)?;
        passed = d.time_ms;
        at = change(&mut said, at, d)?;
        records.push(said.clone());
    }
    Ok(())
}

/// What is left to be read.
struct Left<'a>(&'a [u8]);

impl Left<'_> {
    /// `passed`: the time of the one before.
    fn difference(&mut self, passed: i64) -> Result<Difference, DecodeError> {
        let mut said = self.number_32()?;
        let mut d = Difference {
            time_ms: passed,
            ..Difference::default()
        };
        while said != 0 {
            let field = said.trailing_zeros() + 1;
            said &= said - 1;
            self.field(field, &mut d)?;
        }
        Ok(d)
    }

    fn field(&mut self, field: u32, d: &mut Difference) -> Result<(), DecodeError> {
        match field {
            1 => d.time_ms = self.signed()?,
            2 => d.lat_e7 = self.signed()?,
            3 => d.lon_e7 = self.signed()?,
            4 => d.speed_centi = Some(self.signed_32()?),
            5 => d.course_centi = Some(self.number_32()?),
            6 => d.altitude_dm = Some(self.signed_32()?),
            7 => d.odometer_m = Some(self.signed()?),
            8 => d.satellites = Some(self.number_32()?),
            9 => d.external_voltage_mv = Some(self.number_32()?),
            10 => d.ignition = Some(self.flag()?),
            11 => d.motion = Some(self.flag()?),
            12 => d.event = Some(self.number_32()?),
            13 => d.valid = Some(self.flag()?),
            14 => d.unsaid = self.number_32()?,
            15 => d.lat = Some(self.double()?),
            16 => d.lon = Some(self.double()?),
            17 => d.kind = Some(self.number_32()?),
            18 => d.stored = Some(self.flag()?),
            19 => d.door = Some(self.flag()?),
            20 => d.alarms = Some(self.number()?),
            21 => d.driver = Some(Driver::NotSaid(self.flag()?)),
            22 => d.driver = Some(Driver::Nobody(self.flag()?)),
            23 => d.driver = Some(Driver::Card(self.text()?)),
            24 => d.driver = Some(Driver::Licence(self.text()?)),
            25 => d.fuel_centi = Some(self.signed_32()?),
            26 => d.engine_ms = Some(self.number()?),
            27 => d.vin = Some(self.text()?),
            _ => return Err(DecodeError::Malformed),
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (n, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7F) << (7 * n);
            if *byte < 0x80 {
                self.0 = &self.0[n + 1..];
                // Of the tenth one bit is left.
                return match (n, byte) {
                    (9, 2..) => Err(DecodeError::Malformed),
                    _ => Ok(value),
                };
            }
        }
        Err(DecodeError::Malformed)
    }

    fn number_32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.number()?).map_err(|_| DecodeError::Malformed)
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.number()?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    fn signed_32(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.signed()?).map_err(|_| DecodeError::Malformed)
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed),
        }
    }

    fn double(&mut self) -> Result<f64, DecodeError> {
        let (bytes, left) = self.0.split_first_chunk().ok_or(DecodeError::Malformed)?;
        self.0 = left;
        Ok(f64::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let len = usize::try_from(self.number()?).map_err(|_| DecodeError::Malformed)?;
        let (bytes, left) = self.0.split_at_checked(len).ok_or(DecodeError::Malformed)?;
        self.0 = left;
        let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Malformed)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bytes: &[u8]) -> Result<Vec<Record>, DecodeError> {
        let mut records = Vec::new();
        read(bytes, &mut records).map(|()| records)
    }

    fn times(bytes: &[u8]) -> Vec<i64> {
        let records = records(bytes).unwrap();
        records.iter().map(|r| r.time.millis()).collect()
    }

    #[test]
    fn a_time_that_is_as_before_is_left_out() {
        assert!(times(&[]).is_empty());
        assert_eq!(times(&[0]), [0]);
        assert_eq!(
            times(&[1, 20, 0, 0, 1, 1, 0, 1, 0, 0]),
            [10, 20, 30, 29, 28, 28, 28]
        );
    }

    #[test]
    fn what_is_no_difference_is_refused() {
        // Bits without a field; a field that is not there, cut, too long or too large.
        let wrong: [&[u8]; 12] = [
            &[0x80, 0x80, 0x80, 0x40],
            &[0xFF, 0xFF, 0xFF, 0xFF, 0x1F],
            &[1],
            &[1, 0x80],
            &[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2],
            &[8, 0x80, 0x80, 0x80, 0x80, 0x20],
            &[0x80, 1, 0x80, 0x80, 0x80, 0x80, 0x10],
            // Ignition is neither on nor off.
            &[0x80, 4, 2],
            // Half a double.
            &[0x80, 0x80, 1, 0, 0, 0, 0],
            // A card of three letters, of which there are two; one that is no text.
            &[0x80, 0x80, 0x80, 2, 3, b'a', b'b'],
            &[0x80, 0x80, 0x80, 2, 1, 0xFF],
            &[0x80],
        ];
        for bytes in wrong {
            assert_eq!(records(bytes), Err(DecodeError::Malformed), "{bytes:?}");
        }
        // A course beyond the circle.
        let course = [16, 0xA0, 0x99, 2];
        assert_eq!(records(&course), Err(DecodeError::Value("course")));
    }
}
