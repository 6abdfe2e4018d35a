//! The checksum of a data packet: CRC-16/ARC over codec to second count.

use crc::{CRC_16_ARC, Crc, Table};

// Sixteen tables read sixteen bytes a step: with one table the checksum took as long as the
// decoding itself. Carry-less multiplication in the widest registers takes a quarter of it, and has
// the processor slow down for all else: decoding and writing a frame took longer with it.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_ARC);

pub fn of(body: &[u8]) -> u16 {
    CRC.checksum(body)
}

#[cfg(test)]
mod tests {
    #[test]
    fn check_value_of_the_catalogue() {
        assert_eq!(super::of(b"123456789"), 0xBB3D);
    }
}
