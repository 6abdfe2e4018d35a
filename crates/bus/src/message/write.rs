//! A frame written in one pass: the generated code would want a copy of what it writes, and measure
//! it before. A gateway does little else with a frame. What is not packed is byte for byte as the
//! generated code writes it (a property test holds them against each other).

use super::packed;
use super::varint::{varint, zigzag};
use std::cell::RefCell;
use waywarden_model::Frame;

/// Wire types of Protobuf.
const VARINT: u8 = 0;
const LENGTH: u8 = 2;

/// What the vector of a thread keeps between frames.
const KEEP: usize = 256 * 1024;

thread_local! {
    /// The parts of the frame being written, but for its raw bytes.
    static PARTS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An envelope of this version around the frame.
pub(super) fn frame(version: u32, frame: &Frame) -> Vec<u8> {
    PARTS.with_borrow_mut(|parts| {
        parts.clear();
        packed::write(parts, &frame.records);
        let records = parts.len();
        put_head(parts, frame);
        let head = parts.len();
        if let Some(offset) = frame.told_offset_s {
            signed(parts, 7, offset.into());
        }
        if records > 0 {
            key(parts, 9, LENGTH);
            varint(parts, records as u64);
        }
        let inner = parts.len() + frame.raw.len();
        let mut out = Vec::with_capacity(inner + 16);
        number(&mut out, 1, version.into());
        key(&mut out, 2, LENGTH);
        varint(&mut out, inner as u64);
        out.extend_from_slice(&parts[records..head]);
        out.extend_from_slice(&frame.raw);
        out.extend_from_slice(&parts[head..]);
        out.extend_from_slice(&parts[..records]);
        if parts.capacity() > KEEP {
            *parts = Vec::new();
        }
        out
    })
}

/// What stands before the raw bytes.
fn put_head(out: &mut Vec<u8>, frame: &Frame) {
    if !frame.source.as_str().is_empty() {
        text(out, 1, frame.source.as_str());
    }
    number(out, 2, u64::from(frame.protocol as u8));
    if frame.received.millis() != 0 {
        signed(out, 3, frame.received.millis());
    }
    flag(out, 4, frame.held);
    if !frame.raw.is_empty() {
        key(out, 6, LENGTH);
        varint(out, frame.raw.len() as u64);
    }
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    varint(out, u64::from(field) << 3 | u64::from(wire));
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn signed(out: &mut Vec<u8>, field: u8, value: i64) {
    number(out, field, zigzag(value));
}

/// A field of `proto3` without `optional`: not written when it is false.
fn flag(out: &mut Vec<u8>, field: u8, value: bool) {
    if value {
        number(out, field, 1);
    }
}

fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    key(out, field, LENGTH);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}
