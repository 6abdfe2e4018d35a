//! Since when all gateways have listened, from their ticks: a span without ticks is an outage of
//! ours and not a silence of the vehicles.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use waywarden_model::{Tick, Timestamp};

/// Between two ticks of a gateway that listens there is less than this; by default one comes every
/// 10 s.
const BROKEN_MS: i64 = 60_000;
/// A gateway that has not been heard of for this long behind the others was taken away. Until
/// then it is missed, and nobody can be called silent: the frames do not say through whom a vehicle
/// would have come.
const FORGOTTEN_MS: i64 = 86_400_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listening {
    gateways: BTreeMap<String, Ear>,
    /// No earlier than this, whatever the gateways say: one was missed until then.
    floor: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Ear {
    since: Timestamp,
    now: Timestamp,
}

impl Listening {
    pub fn tick(&mut self, tick: &Tick) {
        let ear = self.gateways.entry(tick.gateway.clone());
        let ear = ear.or_insert_with(|| Ear {
            since: tick.listening_since,
            now: tick.now,
        });
        if tick.now.since(ear.now) > BROKEN_MS {
            ear.since = tick.now;
        }
        // It says itself when it began anew, or heard nobody meanwhile.
        ear.since = ear.since.max(tick.listening_since);
        ear.now = ear.now.max(tick.now);
        self.forget(tick.now);
    }

    fn forget(&mut self, now: Timestamp) {
        let before = self.gateways.len();
        self.gateways
            .retain(|_, ear| now.since(ear.now) <= FORGOTTEN_MS);
        if self.gateways.len() != before {
            self.floor = Some(now);
        }
    }

    /// From when until when everybody listened without a break. Ends with the gateway that has said
    /// least: what another one's spool holds back is waited for.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let ears = || self.gateways.values();
        let since = ears().map(|ear| ear.since).max().max(self.floor)?;
        let now = ears().map(|ear| ear.now).min()?;
        Some((since, now))
    }

    /// The saved form.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a growing vector takes every state")
    }

    /// Reads the saved form; one that cannot be read counts for none, which only defers alerts.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        postcard::from_bytes(bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_secs(1_773_100_800 + s)
    }

    fn ticks(listening: &mut Listening, gateway: &str, since: i64, range: std::ops::Range<i64>) {
        for s in range.step_by(10) {
            listening.tick(&Tick {
                gateway: gateway.to_owned(),
                listening_since: at(since),
                now: at(s),
            });
        }
    }

    #[test]
    fn a_gap_in_the_ticks_begins_anew() {
        let mut heard = Listening::default();
        ticks(&mut heard, "a", 0, 0..100);
        assert_eq!(heard.span(), Some((at(0), at(90))));
        // Kafka was away: the gateway says nothing of it.
        ticks(&mut heard, "a", 0, 400..450);
        assert_eq!(heard.span(), Some((at(400), at(440))));
        // It was started again, so quickly that no tick is missing.
        ticks(&mut heard, "a", 445, 450..500);
        assert_eq!(heard.span(), Some((at(445), at(490))));
    }

    #[test]
    fn the_gateway_that_said_least_is_waited_for_and_then_forgotten() {
        let mut heard = Listening::default();
        ticks(&mut heard, "a", 0, 0..100);
        ticks(&mut heard, "b", 20, 20..4000);
        assert_eq!(heard.span(), Some((at(20), at(90))));
        ticks(&mut heard, "b", 20, 4000..90_000);
        let missed_until = 90 + 86_400;
        assert_eq!(heard.span(), Some((at(missed_until + 10), at(89_990))));
    }

    #[test]
    fn a_saved_form_comes_back_and_rubbish_is_none() {
        let mut heard = Listening::default();
        ticks(&mut heard, "a", 0, 0..100);
        assert_eq!(Listening::from_bytes(&heard.to_bytes()), heard);
        assert_eq!(Listening::from_bytes(&[0xff; 3]), Listening::default());
    }
}
