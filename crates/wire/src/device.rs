//! The device's side of a protocol: for the simulator, for replays and for tests.

use std::fmt;
use waywarden_model::Record;

/// What the server's bytes meant to the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeviceEvent {
    /// The log-in was accepted: data may be sent.
    Accepted,
    /// The log-in was refused.
    Refused,
    /// The frame that [`DeviceSide::data`] gave this tag is acknowledged.
    Acknowledged { tag: u64 },
    /// The server took fewer records than the frame held: send it again.
    Rejected { tag: u64 },
}

/// A device of a protocol, without its socket.
pub trait DeviceSide: Send + fmt::Debug {
    /// Bytes to send on connecting, before anything else. Forgets what was in flight.
    fn connect(&mut self) -> Vec<u8>;

    /// Whether [`DeviceEvent::Accepted`] must come before data may be sent.
    fn waits_for_acceptance(&self) -> bool;

    /// Most records that one frame can hold.
    fn max_records(&self) -> usize;

    /// A frame with `records` (1 to `max_records`) and the tag by which its acknowledgement will
    /// be reported. Tags grow.
    fn data(&mut self, records: &[Record]) -> (u64, Vec<u8>);

    /// A heartbeat, where the protocol has one.
    fn heartbeat(&mut self) -> Option<Vec<u8>>;

    /// Reads the server's bytes; gives how many were consumed and what they meant.
    fn receive(&mut self, input: &[u8], out: &mut Vec<DeviceEvent>) -> usize;
}
