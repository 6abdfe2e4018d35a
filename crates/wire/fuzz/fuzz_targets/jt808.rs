//! Fuzzes JT/T 808: `cargo fuzz run -s none jt808`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waywarden_model::Protocol;

fuzz_target!(|data: &[u8]| {
    waywarden_wire_fuzz::check(
        |transport| waywarden_wire::session(Protocol::Jt808, transport),
        data,
    );
});
