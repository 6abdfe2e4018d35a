//! Rest within 24 hours of the end of the rest before (EU 561/2006 art. 8.2 and 8.4; readings F5 to
//! F8, F11).

use super::counted::driven_at;
use super::shift::shifts;
use super::{Case, Counted, DAY_MS, Piece};
use crate::profile::{DailyRest, Profile};
use waywarden_model::{Kind, Rule, Timestamp, Violation};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    if !case.any(|p| p.hours.daily_rest.is_some()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut reduced = 0;
    let shifts = shifts(case.profiles, case.pieces);
    for (n, shift) in shifts.iter().enumerate() {
        let law = case.profiles.at(shift[0].start);
        // The rest that runs at the end of the data goes on (F11).
        let next = shifts.get(n + 1).map_or(Timestamp::MAX, |s| s[0].start);
        let taken = law.hours.daily_rest.as_ref();
        let taken = taken.map(|rule| (rule, Taken::of(shift, next, rule)));
        let weekly = next.since(shift[shift.len() - 1].end) >= weekly_ms(law);
        if let Some((rule, taken)) = taken {
            let fault = match taken.kind {
                Rest::Insufficient => Some((Rule::Insufficient, rule.reduced_s)),
                // A weekly rest is no reduction (F8).
                Rest::Reduced if !weekly => {
                    reduced += 1;
                    let too_many = reduced > rule.reduced_at_most;
                    too_many.then_some((Rule::MoreThanThreeReduced, rule.regular_s))
                }
                Rest::Reduced | Rest::Regular => None,
            };
            if let Some((broken, limit_s)) = fault {
                // When it was too late to take it within the window.
                let passed = shift[0].start.plus_millis((rule.window_s - limit_s) * 1000);
                let counted = Counted {
                    first: shift[0].start,
                    last: shift[shift.len() - 1].end,
                    ms: taken.ms,
                    limit_ms: limit_s * 1000,
                    passed_in: driven_at(shift, passed).unwrap_or(&shift[0]).period,
                    profile: law,
                };
                found.push(case.violation(Kind::DailyRest, Some(broken), shift, &counted));
            }
        }
        if weekly {
            reduced = 0;
        }
    }
    found
}

/// From how much on a rest is a weekly one, milliseconds.
pub(super) fn weekly_ms(law: &Profile) -> i64 {
    let weekly = law.hours.weekly_rest.as_ref();
    weekly.map_or(DAY_MS, |w| w.reduced_s * 1000)
}

enum Rest {
    Regular,
    Reduced,
    Insufficient,
}

/// The rest of one window.
struct Taken {
    kind: Rest,
    /// The longest uninterrupted one of it.
    ms: i64,
}

impl Taken {
    /// Of a rest only the part within the window counts (F5). A shift is without rests of the
    /// reduced length, so whatever is one follows it.
    fn of(shift: &[Piece<'_>], next: Timestamp, rule: &DailyRest) -> Self {
        let end = shift[0].start.plus_millis(rule.window_s * 1000);
        let inside = |from: Timestamp, to: Timestamp| to.min(end).since(from).max(0);
        let last = inside(shift[shift.len() - 1].end, next);
        let within = shift.windows(2).map(|w| inside(w[0].end, w[1].start));
        let longest = within.max().unwrap_or(0);
        let [first, second] = rule.split_s.map(|s| s * 1000);
        let kind = if last >= rule.regular_s * 1000 || (longest >= first && last >= second) {
            Rest::Regular
        } else if last >= rule.reduced_s * 1000 {
            Rest::Reduced
        } else {
            Rest::Insufficient
        };
        Self {
            kind,
            ms: longest.max(last),
        }
    }
}
