//! Recorded GT06 sessions, and small ones of our own.

mod support;

use support::Recorded;
use waywarden_model::Protocol;
use waywarden_wire::gt06::Gt06;

const NO_SPEED: &str = "the camera's alarm has no speed; the reference writes 0";

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Gt06,
        new_session: |_| Box::new(Gt06::new()),
        differences: &[
            (
                "Gt06.testDecode.1.1",
                3,
                "the odometer is read from the modules behind the cell",
            ),
            (
                "Gt06.testDecode.1.1",
                4,
                "the reference takes the battery's level for an alarm and what follows for a flag; \
                 read like the longer form of the same kind",
            ),
            (
                "Gt06.testDecode.1.14",
                3,
                "the engine's time is in hours; the reference leaves its unit",
            ),
            (
                "Gt06.testDecode.1.23",
                2,
                "the reference stops before the status byte, which has the ignition",
            ),
            (
                "Gt06.testDecode.1.39",
                2,
                "recorded with the zone of another session's log-in; this one's tells none",
            ),
            (
                "Gt06.testDecode.1.4",
                4,
                "the reference reads the altitude from the checksum",
            ),
            ("Gt06.testDecode.1.41", 2, NO_SPEED),
            ("Gt06.testDecode.1.41", 3, NO_SPEED),
            ("Gt06.testDecode.1.41", 4, NO_SPEED),
        ],
        bad_checksums: 9,
        without_wire: 0,
    });
}
