//! Who a device is: its number in the header, the spellings to look up, its authentication code.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of the HMAC that a code keeps; it is written as twice as many hexadecimal digits.
const CODE_BYTES: usize = 8;

/// Spellings of the number in a header, in the order in which they are looked up: without leading
/// zeros, then with them. A number that is not decimal holds an IMEI without its check digit, in
/// its first six bytes.
pub fn candidates(phone: &[u8]) -> Vec<String> {
    let full = digits(phone);
    let stripped = stripped(&full);
    if stripped.len() == full.len() || stripped.is_empty() {
        return vec![full];
    }
    vec![stripped.to_owned(), full]
}

/// The number as text.
pub fn digits(phone: &[u8]) -> String {
    if phone.iter().all(|b| b >> 4 < 10 && b & 15 < 10) {
        return hex::encode(phone);
    }
    let number = phone.iter().take(6).fold(0, |n, b| n << 8 | u64::from(*b));
    format!("{number}{}", luhn(number))
}

fn stripped(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

/// Check digit of an IMEI (ISO/IEC 7812-1 annex B).
fn luhn(mut number: u64) -> u64 {
    let (mut sum, mut double) = (0, true);
    while number > 0 {
        let digit = number % 10 * if double { 2 } else { 1 };
        sum += digit / 10 + digit % 10;
        double = !double;
        number /= 10;
    }
    (10 - sum % 10) % 10
}

/// The code that a gateway gives on registration: any gateway with the same key can check it.
pub fn code(key: &[u8], phone: &[u8]) -> String {
    let tag = mac(key, phone).finalize().into_bytes();
    hex::encode(&tag[..CODE_BYTES])
}

/// Whether `given` is the code of the phone; compared in constant time.
pub fn is_code(key: &[u8], phone: &[u8], given: &[u8]) -> bool {
    let mut bytes = [0; CODE_BYTES];
    hex::decode_to_slice(given, &mut bytes).is_ok()
        && mac(key, phone).verify_truncated_left(&bytes).is_ok()
}

fn mac(key: &[u8], phone: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
    mac.update(stripped(&digits(phone)).as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hex: &str) -> Vec<String> {
        candidates(&hex::decode(hex).unwrap())
    }

    #[test]
    fn zeros_are_stripped_first() {
        assert_eq!(of("012076463279"), ["12076463279", "012076463279"]);
        assert_eq!(of("740190311185"), ["740190311185"]);
        assert_eq!(of("000000000000"), ["000000000000"]);
        assert_eq!(
            of("00000000013912345678"),
            ["13912345678", "00000000013912345678"]
        );
    }

    #[test]
    fn an_imei_gets_its_check_digit() {
        // 4F07788EF676 is 86893506000502. Doubled from the right: 4 0 1 0 0 0 0 6 1 3 9 8 3 8
        // in digit sums reversed make 40, so the check digit is 0.
        assert_eq!(of("4f07788ef676"), ["868935060005020"]);
        assert_eq!(of("4e5de66fba22"), ["861652050068820"]);
    }

    #[test]
    fn codes_depend_on_key_and_number_and_not_on_the_spelling() {
        let (short, long) = (
            hex::decode("013800000001").unwrap(),
            hex::decode("00000000013800000001").unwrap(),
        );
        let code = code(b"key", &short);
        assert_eq!(code.len(), 16);
        assert!(is_code(b"key", &long, code.as_bytes()));
        assert!(!is_code(b"other", &short, code.as_bytes()));
        assert!(!is_code(b"key", &[1, 0x38, 0, 0, 0, 2], code.as_bytes()));
        assert!(!is_code(b"key", &short, b"") && !is_code(b"key", &short, b"013800000001"));
    }
}
