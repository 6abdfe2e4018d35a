//! Bytes to frames to records, and replies; the device's side too. No input or output, no clock.
//!
//! The driver (the gateway, a test, a file reader) owns the bytes: it hands the session all that
//! it has not consumed yet, and drops as many as the session says. A session holds framing and
//! log-in, and nothing that a rule reads.

pub mod again;
pub mod auto;
pub mod cursor;
pub mod device;
pub mod gt06;
pub mod json;
pub mod jt808;
pub mod session;
pub mod teltonika;

pub use again::{Kept, decode_again};
pub use cursor::{Cursor, Short};
pub use device::{DeviceEvent, DeviceSide};
pub use session::{
    DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Reading, Readings, Session,
    Settings, Transport,
};

use waywarden_model::Protocol;

/// A session for one connection (or one datagram) of a protocol; None where the protocol is not
/// spoken over that transport.
pub fn session(protocol: Protocol, transport: Transport) -> Option<Box<dyn Session>> {
    match (protocol, transport) {
        (Protocol::Teltonika, _) => Some(Box::new(teltonika::Teltonika::on(transport))),
        (Protocol::Gt06, Transport::Tcp) => Some(Box::new(gt06::Gt06::new())),
        (Protocol::Jt808, _) => Some(Box::new(jt808::Jt808::new())),
        (Protocol::Gt06, Transport::Udp) => None,
    }
}

/// The device's side of a protocol with this identifier: an IMEI, or the phone number of a
/// JT/T 808 terminal.
pub fn device_side(protocol: Protocol, id: &str) -> Box<dyn DeviceSide> {
    match protocol {
        Protocol::Teltonika => Box::new(teltonika::TeltonikaDevice::new(id)),
        Protocol::Gt06 => Box::new(gt06::Gt06Device::new(id)),
        Protocol::Jt808 => Box::new(jt808::Jt808Device::new(id)),
    }
}
