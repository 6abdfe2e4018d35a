//! Fuzzes Teltonika: `cargo fuzz run -s none teltonika`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waywarden_model::Protocol;

fuzz_target!(|data: &[u8]| {
    waywarden_wire_fuzz::check(
        |transport| waywarden_wire::session(Protocol::Teltonika, transport),
        data,
    );
});
