//! The fixed hashes: they decide where data lives and what it is called, so they never change.

use crate::ids::{SourceId, Subject};
use crate::record::{DriverSaid, Record};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Partition of a source among `partitions`, the same on every bus.
pub fn partition_of(source: &SourceId, partitions: u32) -> u32 {
    slot(source.as_str().as_bytes(), partitions)
}

/// Partition whose owner judges a subject.
pub fn partition_of_subject(subject: &Subject, partitions: u32) -> u32 {
    slot(subject.key().as_bytes(), partitions)
}

fn slot(bytes: &[u8], partitions: u32) -> u32 {
    debug_assert!(partitions > 0);
    // A remainder of a u32 fits a u32.
    #[allow(clippy::cast_possible_truncation)]
    let n = (xxh3_64(bytes) % u64::from(partitions.max(1))) as u32;
    n
}

/// Hash of bytes as they are: tells one message of a log from another.
pub fn bytes_hash(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Hash of what a record says, the third part of its filing key.
///
/// What depends on the transmission and not on the instant told about (the flag `stored`) is left
/// out, so that a position sent live and again from the device's memory is one record.
pub fn content_hash(r: &Record) -> u64 {
    let mut h = Xxh3::new();
    h.update(&[r.kind as u8]);
    opt(
        &mut h,
        r.position
            .map(|p| [p.lat().to_bits(), p.lon().to_bits()])
            .as_ref(),
        |h, p| {
            h.update(&p[0].to_le_bytes());
            h.update(&p[1].to_le_bytes());
        },
    );
    h.update(&[u8::from(r.valid)]);
    opt(&mut h, r.altitude_dm.as_ref(), |h, v| {
        h.update(&v.to_le_bytes());
    });
    opt(&mut h, r.speed.as_ref(), |h, v| {
        h.update(&v.centi().to_le_bytes());
    });
    opt(&mut h, r.course.as_ref(), |h, v| {
        h.update(&v.centi().to_le_bytes());
    });
    opt(&mut h, r.satellites.as_ref(), |h, v| h.update(&[*v]));
    for flag in [r.ignition, r.motion, r.door] {
        h.update(&[flag.map_or(2, u8::from)]);
    }
    opt(&mut h, r.odometer_m.as_ref(), |h, v| {
        h.update(&v.to_le_bytes());
    });
    let (tag, text): (u8, &str) = match &r.driver {
        DriverSaid::NotSaid => (0, ""),
        DriverSaid::Nobody => (1, ""),
        DriverSaid::Card(c) => (2, c.as_str()),
        DriverSaid::Licence(d) => (3, d.as_str()),
    };
    h.update(&[tag]);
    text_of(&mut h, text);
    h.update(&r.alarms.bits().to_le_bytes());
    let d = &r.details;
    opt(&mut h, d.external_voltage_mv.as_ref(), |h, v| {
        h.update(&v.to_le_bytes());
    });
    opt(&mut h, d.fuel_centi.as_ref(), |h, v| {
        h.update(&v.to_le_bytes());
    });
    opt(&mut h, d.engine_ms.as_ref(), |h, v| {
        h.update(&v.to_le_bytes());
    });
    opt(&mut h, d.event.as_ref(), |h, v| h.update(&v.to_le_bytes()));
    opt(&mut h, d.vin.as_ref(), |h, v| text_of(h, v));
    h.digest()
}

fn opt<T: ?Sized>(h: &mut Xxh3, v: Option<&T>, put: impl FnOnce(&mut Xxh3, &T)) {
    h.update(&[u8::from(v.is_some())]);
    if let Some(v) = v {
        put(h, v);
    }
}

fn text_of(h: &mut Xxh3, text: &str) {
    h.update(&(text.len() as u64).to_le_bytes());
    h.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_never_move() {
        // Frozen: a change here would send a device's next record to another partition.
        let got: Vec<u32> = ["352093081429150", "12076463279", "864717003283581"]
            .iter()
            .map(|s| partition_of(&(*s).into(), 32))
            .collect();
        assert_eq!(got, FROZEN);
    }

    const FROZEN: [u32; 3] = [26, 11, 27];
}
