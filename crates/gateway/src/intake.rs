//! From a decoded frame to what the log takes.

use crate::metrics::Metrics;
use crate::shared::Shared;
use bytes::Bytes;
use waywarden_bus::encode;
use waywarden_model::hash::partition_of;
use waywarden_model::{Frame, Message, Protocol, Standing, Timestamp};
use waywarden_wire::DecodedFrame;

/// What is to be done with a frame.
#[derive(Debug)]
pub(crate) enum Intake {
    /// Publish, then reply.
    Publish(Publish),
    /// Nothing in it has a time: the reply goes out without the log.
    ReplyOnly(Option<Vec<u8>>),
    /// Not taken and not answered; the connection ends.
    Turn(Turned),
}

/// Why a frame is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turned {
    /// The directory refuses the device.
    Refused,
    /// A held device is at its bound for today.
    HeldFull,
}

/// A message on its way to the log, and the reply that waits for it.
#[derive(Debug)]
pub(crate) struct Publish {
    pub(crate) protocol: Protocol,
    pub(crate) partition: u32,
    pub(crate) payload: Bytes,
    pub(crate) reply: Option<Vec<u8>>,
    /// Immediate replies may overtake the reply.
    pub(crate) tagged: bool,
    /// Its records that come late.
    pub(crate) late: u32,
}

impl Publish {
    /// Bytes that it holds until it is durable.
    pub(crate) fn size(&self) -> usize {
        self.payload.len() + self.reply.as_ref().map_or(0, Vec::len) + OVERHEAD
    }
}

/// The structures around a message in flight: its slot, its receipt, its place in the queue.
const OVERHEAD: usize = 256;

/// What a read gave, for the counters: those are shared by all cores, and told of once a read.
#[derive(Debug, Default)]
pub(crate) struct Given {
    frames: u64,
    untimed: u64,
    records: u64,
    late: u64,
}

impl Given {
    pub(crate) fn tell(self, metrics: &Metrics, protocol: Protocol) {
        let of = metrics.of(protocol);
        for (counter, count) in [
            (&of.frames, self.frames),
            (&of.untimed, self.untimed),
            (&of.records, self.records),
            (&metrics.late, self.late),
        ] {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }
}

pub(crate) fn take(
    shared: &Shared,
    protocol: Protocol,
    received: Timestamp,
    frame: DecodedFrame,
    given: &mut Given,
) -> Intake {
    given.frames += 1;
    let held = match frame.device.standing {
        Standing::Known => false,
        Standing::Held => true,
        Standing::Refused => return Intake::Turn(Turned::Refused),
    };
    let records = frame.readings.into_timed();
    if records.is_empty() {
        given.untimed += 1;
        return Intake::ReplyOnly(frame.durable_reply);
    }
    let source = frame.device.source;
    if held {
        if !shared.held.take(&source, received) {
            return Intake::Turn(Turned::HeldFull);
        }
        shared.metrics.held.inc();
    }
    given.records += records.len() as u64;
    let late = shared.pace.late(&records, received);
    given.late += u64::from(late);
    let partition = partition_of(&source, shared.partitions);
    let message = Message::Frame(Frame {
        source,
        protocol,
        received,
        held,
        told_offset_s: frame.told_offset_s,
        records,
        raw: frame.raw,
    });
    Intake::Publish(Publish {
        protocol,
        partition,
        payload: encode(&message),
        reply: frame.durable_reply,
        tagged: frame.reply_is_tagged,
        late,
    })
}
