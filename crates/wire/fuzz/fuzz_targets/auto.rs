//! Fuzzes the session that recognises the protocol: `cargo fuzz run -s none auto`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    waywarden_wire_fuzz::check(
        |transport| Some(Box::new(waywarden_wire::auto::Auto::new(transport))),
        data,
    );
});
