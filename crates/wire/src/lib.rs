//! Bytes to frames to records, and replies; the device's side too. No input or output, no clock.
//!
//! The driver (the gateway, a test, a file reader) owns the bytes: it hands the session all that
//! it has not consumed yet, and drops as many as the session says. A session holds framing and
//! log-in, and nothing that a rule reads.

pub mod cursor;
pub mod device;
pub mod gt06;
pub mod json;
pub mod session;
pub mod teltonika;

pub use cursor::{Cursor, Short};
pub use device::{DeviceEvent, DeviceSide};
pub use session::{
    DecodedFrame, Env, Event, FrameError, FrameErrorKind, Progress, Reading, Session, Settings,
    Transport,
};
