//! Cursors: opaque to callers, checked when they come back.

use waywarden_model::{Alert, AlertId, Timestamp, ViolationId};
use waywarden_store::AlertKey;
use waywarden_store::read::ViolationKey;

/// Kept-back changes that one pull cursor may name.
pub(crate) const MAX_HELD: usize = 200;

/// Text form of a list's key: hexadecimal, so that it passes through any URL.
pub(crate) fn pack(parts: &[&str]) -> String {
    hex::encode(parts.join("\u{1f}"))
}

pub(crate) fn unpack<const N: usize>(text: &str) -> Option<[String; N]> {
    if text.len() > 2048 {
        return None;
    }
    let plain = String::from_utf8(hex::decode(text).ok()?).ok()?;
    let parts: Vec<String> = plain.split('\u{1f}').map(str::to_owned).collect();
    parts.try_into().ok()
}

pub(crate) fn pack_violation(start: Timestamp, id: ViolationId) -> String {
    pack(&[&start.millis().to_string(), &id.to_string()])
}

pub(crate) fn unpack_violation(text: &str) -> Option<ViolationKey> {
    let [start, id] = unpack::<2>(text)?;
    Some(ViolationKey {
        start: Timestamp::from_millis(start.parse().ok()?),
        id: ViolationId::parse(&id)?,
    })
}

pub(crate) fn pack_alert(a: &Alert) -> String {
    pack(&[&a.start.millis().to_string(), &a.id().to_string()])
}

pub(crate) fn unpack_alert(text: &str) -> Option<AlertKey> {
    let [start, id] = unpack::<2>(text)?;
    Some(AlertKey {
        start: Timestamp::from_millis(start.parse().ok()?),
        id: AlertId::parse(&id)?,
    })
}

/// Where an agency stands: everything up to `seen` but what is `held`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct PullCursor {
    pub seen: i64,
    pub held: Vec<i64>,
}

impl PullCursor {
    /// `c1-<seen>[-<held>.<held>...]`.
    pub fn pack(&self) -> String {
        let mut out = format!("c1-{}", self.seen);
        for (i, seq) in self.held.iter().enumerate() {
            out.push(if i == 0 { '-' } else { '.' });
            out.push_str(&seq.to_string());
        }
        out
    }

    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("c1-")?.splitn(2, '-');
        let seen: i64 = parts.next()?.parse().ok().filter(|n| *n >= 0)?;
        let held = match parts.next() {
            None => Vec::new(),
            Some(list) => list
                .split('.')
                .map(|n| n.parse().ok().filter(|n| (1..=seen).contains(n)))
                .collect::<Option<Vec<i64>>>()?,
        };
        (held.len() <= MAX_HELD && held.is_sorted()).then_some(Self { seen, held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_cursors_come_back() {
        for c in [
            PullCursor::default(),
            PullCursor {
                seen: 1204,
                held: vec![7, 900],
            },
        ] {
            assert_eq!(PullCursor::parse(&c.pack()), Some(c));
        }
        for bad in ["", "c1-", "c1--1", "c1-5-6", "c1-9-4.3", "12", "c1-1-x"] {
            assert_eq!(PullCursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn keys_come_back_and_rubbish_does_not() {
        let id = ViolationId::from_bytes([7; 16]);
        let key = unpack_violation(&pack_violation(Timestamp::from_millis(-5), id)).unwrap();
        assert_eq!((key.start.millis(), key.id), (-5, id));
        for bad in ["", "zz", "00", &"ab".repeat(2000)] {
            assert!(unpack_violation(bad).is_none());
        }
    }
}
