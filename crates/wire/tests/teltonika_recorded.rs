//! Recorded Teltonika sessions, and the promises of every session.

mod support;

use support::Recorded;
use waywarden_model::Protocol;
use waywarden_wire::teltonika::Teltonika;

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Teltonika,
        new_session: |transport| Box::new(Teltonika::on(transport)),
        differences: &[],
        bad_checksums: 0,
        without_wire: 2,
    });
}
