//! Recorded JT/T 808 sessions, compared with what the reference read from them.

mod support;

use support::Recorded;
use waywarden_model::Protocol;
use waywarden_wire::jt808::Jt808;

#[test]
fn recorded_frames_are_read_as_recorded() {
    support::replay(&Recorded {
        protocol: Protocol::Jt808,
        new_session: |_| Box::new(Jt808::new()),
        differences: &[],
        bad_checksums: 0,
        without_wire: 0,
    });
}
