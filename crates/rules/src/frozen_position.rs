//! A position that stands still while the odometer runs: a sign of tampering (the antenna is
//! shielded, or another device answers for it). The numbers are our own.
//!
//! A receiver's position is never the same twice while it moves, so only exactly the same place
//! counts; what happens while nothing is sent does not.

use crate::profile::{Profile, Tampering};
use crate::state::Anchor;
use crate::step::Served;
use crate::whom::Whom;
use serde::{Deserialize, Serialize};
use waywarden_model::{Distance, Figures, Kind, Position, Rule, SourceId, Timestamp, Violation};

/// The place at which the last valid records stood, and the odometer there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FrozenState(Option<Still>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Still {
    /// The last record before the odometer ran.
    start: Timestamp,
    /// The last one with which it had run on.
    end: Timestamp,
    seen: Timestamp,
    at: Position,
    from_m: u64,
    to_m: u64,
    needs_m: i64,
    /// From when the odometer runs on: a vehicle at rest is no case, and its state is the same by
    /// whatever registers it was judged.
    whom: Option<Box<Whom>>,
    fresh: bool,
}

/// Takes one valid fix with the odometer that it tells of; gives the violation it closes.
pub(crate) fn take(
    state: &mut FrozenState,
    source: &SourceId,
    fix: &Anchor,
    odometer_m: Option<u64>,
    served: &Served<'_>,
    profile: &Profile,
) -> Option<Violation> {
    let (Some(rule), Some(metres)) = (&profile.tampering, odometer_m) else {
        return close(state, source);
    };
    let goes_on = |still: &&mut Still| still.goes_on(fix, metres, profile);
    if let Some(still) = state.0.as_mut().filter(goes_on) {
        still.grow(fix, metres, served, profile);
        return None;
    }
    let ended = close(state, source);
    state.0 = Some(Still::begin(fix, metres, rule));
    ended
}

/// Ends what goes on.
pub(crate) fn close(state: &mut FrozenState, source: &SourceId) -> Option<Violation> {
    let still = state.0.take()?;
    still.violation(source, false)
}

/// The violation that goes on, where it has grown since it was last asked for.
pub(crate) fn growing(state: &mut FrozenState, source: &SourceId) -> Option<Violation> {
    let still = state.0.as_mut().filter(|still| still.fresh)?;
    let violation = still.violation(source, true)?;
    still.fresh = false;
    Some(violation)
}

impl FrozenState {
    pub(crate) fn give_out_again(&mut self) {
        self.0.iter_mut().for_each(|s| s.fresh = true);
    }
}

impl Still {
    fn begin(fix: &Anchor, metres: u64, rule: &Tampering) -> Self {
        Self {
            start: fix.time,
            end: fix.time,
            seen: fix.time,
            at: fix.position,
            from_m: metres,
            to_m: metres,
            needs_m: rule.frozen_m,
            whom: None,
            fresh: true,
        }
    }

    /// In the same place, without a gap, and with an odometer that runs as one can: another reading
    /// is of another odometer or of one that was set.
    fn goes_on(&self, fix: &Anchor, metres: u64, profile: &Profile) -> bool {
        let ms = fix.time.since(self.seen);
        let Some(on) = metres
            .checked_sub(self.to_m)
            .and_then(|m| i64::try_from(m).ok())
        else {
            return false;
        };
        let reach_m = i64::from(profile.filter.implied_speed_kmh).saturating_mul(ms) / 3600;
        // Where the regime has no rule on gaps, none is too long.
        let gap_s = profile
            .transmission
            .as_ref()
            .map_or(i64::MAX / 1000, |t| t.gap_s);
        fix.position == self.at && ms <= gap_s * 1000 && on <= reach_m
    }

    fn grow(&mut self, fix: &Anchor, metres: u64, served: &Served<'_>, profile: &Profile) {
        let t = fix.time;
        self.seen = t;
        if metres > self.to_m {
            self.end = t;
            self.to_m = metres;
            self.fresh = true;
            let driver = fix.driver.as_ref();
            self.whom
                .get_or_insert_with(|| Box::new(Whom::of(served, driver, profile)));
        } else if metres == self.from_m {
            (self.start, self.end) = (t, t);
        }
    }

    fn ran_m(&self) -> i64 {
        i64::try_from(self.to_m - self.from_m).unwrap_or(i64::MAX)
    }

    fn violation(&self, source: &SourceId, open: bool) -> Option<Violation> {
        let whom = self
            .whom
            .as_ref()
            .filter(|_| self.ran_m() >= self.needs_m)?;
        let times = (self.start, self.end);
        Some(Violation {
            rule: Some(Rule::FrozenPosition),
            distance: Some(Distance::from_metres(self.ran_m())),
            figures: Figures {
                at: Some((self.at.lat(), self.at.lon())),
                ..Figures::default()
            },
            ..whom.violation(Kind::Tampering, source, times, open)
        })
    }
}
