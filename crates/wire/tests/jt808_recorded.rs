//! Recorded JT/T 808 sessions, compared with what the reference read from them.

mod support;

use support::{Difference, Recorded};
use waywarden_model::Protocol;
use waywarden_wire::jt808::Jt808;

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Jt808,
        new_session: |_| Box::new(Jt808::new()),
        differences: DIFFERENCES,
        bad_checksums: 0,
        without_wire: 0,
    });
}

const OUR_CODE: &str = "a registration is answered with our own code, not with the phone number";
const WRONG_CODE: &str = "the code is not the one that this server gives: result 1";

/// Our own serial is 0 in every answer, as the reference's: nothing answers it.
const DIFFERENCES: &[Difference] = &[
    ("Jt808.testDecode.1.22", 0, WRONG_CODE),
    ("Jt808.testDecode.1.9", 1, WRONG_CODE),
    ("Jt808.testDecode.1.22", 1, OUR_CODE),
    ("Jt808.testDecode.1.13", 3, OUR_CODE),
    (
        "Jt808.testDecode.1.22",
        2,
        "18 bytes of well-formed items, which the reference takes for the tail without items",
    ),
    (
        "Jt808.testDecode.1.4",
        1,
        "the standard answers 0x0701 with the general answer",
    ),
    (
        "Jt808.testDecode.1.11",
        3,
        "a VIN stands in item F3, where the reference loses step over a length",
    ),
];
