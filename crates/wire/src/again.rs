//! A frame that is kept, decoded again: as it would be today, by today's settings of its device.

use crate::gt06::Gt06;
use crate::session::{Env, Event, Session, Settings, Transport};
use crate::teltonika::Teltonika;
use waywarden_model::{DeviceDirectory, DeviceProfile, Protocol, Record, Standing, Timestamp};

/// What is kept of a frame beside its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept<'a> {
    pub protocol: Protocol,
    /// Time of receipt, by which the frame was decoded the first time.
    pub received: Timestamp,
    /// Seconds east of UTC that the device said at its log-in.
    pub told_offset_s: Option<i32>,
    /// The bytes as they came, all parts of a split packet one after the other.
    pub raw: &'a [u8],
}

/// Decodes a kept frame as one of `device`, whatever identifier its bytes hold; gives its records.
/// Its checksum was looked at when it came.
///
/// # Errors
/// A bounded label of why the bytes are no frame with records: that of the error, of the kind that
/// the decoder does not know, or `no_records`.
pub fn decode_again(kept: &Kept<'_>, device: &DeviceProfile) -> Result<Vec<Record>, &'static str> {
    let device = DeviceProfile {
        standing: Standing::Known,
        ..device.clone()
    };
    let mut session = session(kept, &device).ok_or("unsupported")?;
    let settings = Settings {
        lenient_checksums: true,
        max_frame: kept.raw.len().max(Settings::default().max_frame),
        ..Settings::default()
    };
    let directory = Only(device);
    let env = Env {
        now: kept.received,
        directory: &directory,
        settings: &settings,
    };
    let mut events = Vec::new();
    session.receive(kept.raw, &env, &mut events);
    let (mut records, mut why) = (Vec::new(), "no_records");
    for event in events {
        match event {
            Event::Frame(frame) => records.extend(frame.readings.into_timed()),
            Event::Error(error) => why = error.kind.label(),
            Event::Unknown { label, .. } => why = label,
            Event::Identified { .. } | Event::Reply(_) => {}
        }
    }
    if records.is_empty() {
        Err(why)
    } else {
        Ok(records)
    }
}

/// A session behind the log-in of the device.
fn session(kept: &Kept<'_>, device: &DeviceProfile) -> Option<Box<dyn Session>> {
    match kept.protocol {
        Protocol::Gt06 => Some(Box::new(Gt06::logged_in(
            device.clone(),
            kept.told_offset_s,
        ))),
        // A packet of a connection begins with four zeros, a datagram with its length.
        Protocol::Teltonika if kept.raw.starts_with(&[0; 4]) => {
            Some(Box::new(Teltonika::logged_in(device.clone())))
        }
        Protocol::Teltonika => crate::session(kept.protocol, Transport::Udp),
        Protocol::Jt808 => crate::session(kept.protocol, Transport::Tcp),
    }
}

/// Knows one device only.
struct Only(DeviceProfile);

impl DeviceDirectory for Only {
    fn look_up(&self, _candidates: &[String]) -> DeviceProfile {
        self.0.clone()
    }
}
