//! What entitles to drive or to carry: until when it is valid, and whether it was taken away.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A licence, badge or certificate of a row. What is not known of it accuses nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Permit {
    /// First instant at which it is no longer valid.
    pub expires: Option<Timestamp>,
    /// From when on it is taken away; given back, it is a new row.
    pub withdrawn: Option<Timestamp>,
}

/// Why a permit does not entitle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lapse {
    Expired,
    Withdrawn,
}

impl Permit {
    /// Why it does not entitle at `t`; of both reasons the withdrawal, which somebody decided.
    pub fn lapse(&self, t: Timestamp) -> Option<Lapse> {
        let since = |from: Option<Timestamp>| from.is_some_and(|from| from <= t);
        if since(self.withdrawn) {
            Some(Lapse::Withdrawn)
        } else if since(self.expires) {
            Some(Lapse::Expired)
        } else {
            None
        }
    }

    /// The first instant at which one of two permits lapses and the other does not, or for another
    /// reason.
    pub(crate) fn first_difference(&self, other: &Self) -> Option<Timestamp> {
        let pairs = [
            (self.expires, other.expires),
            (self.withdrawn, other.withdrawn),
        ];
        let differ = pairs.into_iter().filter(|(a, b)| a != b);
        differ.flat_map(|(a, b)| a.into_iter().chain(b)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(i64) -> Timestamp = Timestamp::from_secs;

    fn permit(expires: Option<i64>, withdrawn: Option<i64>) -> Permit {
        Permit {
            expires: expires.map(AT),
            withdrawn: withdrawn.map(AT),
        }
    }

    #[test]
    fn it_lapses_from_its_instant_on() {
        let p = permit(Some(20), Some(10));
        assert_eq!(p.lapse(AT(9)), None);
        assert_eq!(p.lapse(AT(10)), Some(Lapse::Withdrawn));
        assert_eq!(p.lapse(AT(20)), Some(Lapse::Withdrawn));
        assert_eq!(permit(Some(20), None).lapse(AT(20)), Some(Lapse::Expired));
        assert_eq!(permit(None, None).lapse(Timestamp::MAX), None);
    }

    #[test]
    fn no_lapse_differs_before_the_first_difference() {
        let some = [None, Some(10), Some(20)];
        let all = || some.into_iter().flat_map(|e| some.map(|w| permit(e, w)));
        for (a, b) in all().flat_map(|a| all().map(move |b| (a, b))) {
            let from = a.first_difference(&b).unwrap_or(Timestamp::MAX);
            for t in [0, 9, 10, 15, 20, 30].map(AT) {
                assert!(t >= from || a.lapse(t) == b.lapse(t), "{a:?} {b:?} {t}");
            }
        }
    }
}
