//! Numbers in as many bytes as they need, as Protobuf has them.

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// `sint32` and `sint64` have the same bytes for the same number.
#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// What is written beyond a number.
pub(super) const SLACK: usize = 3;

/// A number below 2^28 as a varint in so many bytes, and what may follow it.
#[inline]
pub(super) const fn four_groups(value: u32) -> ([u8; 4], usize) {
    let groups = value & 0x7F
        | (value & 0x7F << 7) << 1
        | (value & 0x7F << 14) << 2
        | (value & 0x7F << 21) << 3;
    let len = (38 - (value | 1).leading_zeros()) / 7;
    let go_on = 0x0080_8080 & !(u32::MAX << (8 * (len - 1)));
    ((groups | go_on).to_le_bytes(), len as usize)
}
