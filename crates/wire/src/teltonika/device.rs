//! The device's side: log-in, packets, and which packet a bare count acknowledges.

use super::encode;
use crate::device::{DeviceEvent, DeviceSide};
use std::collections::VecDeque;
use waywarden_model::Record;

/// A device of Codec 8 Extended on TCP.
///
/// An acknowledgement is a bare number of records: it belongs to the oldest packet in flight.
#[derive(Debug)]
pub struct TeltonikaDevice {
    imei: String,
    accepted: bool,
    next_tag: u64,
    /// Tag and number of records of the packets in flight, oldest first.
    in_flight: VecDeque<(u64, u32)>,
}

impl TeltonikaDevice {
    pub fn new(imei: &str) -> Self {
        Self {
            imei: imei.to_owned(),
            accepted: false,
            next_tag: 0,
            in_flight: VecDeque::new(),
        }
    }

    fn answer_to_log_in(&mut self, byte: u8) -> DeviceEvent {
        self.accepted = byte == 1;
        if self.accepted {
            DeviceEvent::Accepted
        } else {
            DeviceEvent::Refused
        }
    }
}

impl DeviceSide for TeltonikaDevice {
    fn connect(&mut self) -> Vec<u8> {
        self.accepted = false;
        self.in_flight.clear();
        encode::log_in(&self.imei)
    }

    fn waits_for_acceptance(&self) -> bool {
        true
    }

    fn max_records(&self) -> usize {
        encode::MAX_RECORDS
    }

    fn data(&mut self, records: &[Record]) -> (u64, Vec<u8>) {
        let tag = self.next_tag;
        self.next_tag += 1;
        let count = records.len().min(encode::MAX_RECORDS);
        self.in_flight
            .push_back((tag, u32::try_from(count).unwrap_or(0)));
        (tag, encode::packet(records))
    }

    fn heartbeat(&mut self) -> Option<Vec<u8>> {
        Some(vec![super::frame::PING])
    }

    fn receive(&mut self, input: &[u8], out: &mut Vec<DeviceEvent>) -> usize {
        let mut rest = input;
        if !self.accepted {
            let Some((byte, after)) = rest.split_first() else {
                return 0;
            };
            out.push(self.answer_to_log_in(*byte));
            rest = after;
        }
        while let Some((count, after)) = rest.split_first_chunk::<4>() {
            rest = after;
            let taken = u32::from_be_bytes(*count);
            match self.in_flight.pop_front() {
                Some((tag, sent)) if taken >= sent => out.push(DeviceEvent::Acknowledged { tag }),
                Some((tag, _)) => out.push(DeviceEvent::Rejected { tag }),
                None => {}
            }
        }
        input.len() - rest.len()
    }
}
