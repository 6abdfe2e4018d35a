//! How far back a subject's periods must be read, so that what is judged from there on is what all
//! of them show.
//!
//! Where the law counts by local day and week alone, from the local week. Else from a rest that
//! ends everything which is counted over it, and at whose end no sum over the last days is above
//! its limit: nothing that begins before depends on what is driven after, and the other way round.
//! It lies before the change, and so far behind the window's beginning that the sums are whole.

use super::{DAY_MS, Piece, rolling};
use crate::profile::{Hours, Profile, Profiles};
use waywarden_model::Timestamp;

/// Any break of any profile that counts by day and week alone is shorter: a period that begins this
/// long behind the window's start continues nothing before it.
const LONGEST_BREAK_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * DAY_MS;

pub(super) fn start(profiles: &Profiles, from: Timestamp) -> Timestamp {
    let zone = profiles.zone();
    match Reach::of(profiles) {
        // All three counts begin anew in the week (a continuous one that reaches back over it asks
        // for more).
        None => zone.start_of(zone.day_of(from).monday()),
        Some(reach) => from.plus_millis(-reach.back_ms),
    }
}

/// From where on the pieces read from `window` on show the same as all of the subject's.
///
/// # Errors
/// From where they must be read instead.
pub(super) fn settled(
    profiles: &Profiles,
    window: Timestamp,
    pieces: &[Piece<'_>],
) -> Result<Timestamp, Timestamp> {
    if window == Timestamp::MIN {
        return Ok(window);
    }
    let Some(reach) = Reach::of(profiles) else {
        let first = pieces.first();
        let continues = first.is_some_and(|p| p.start.since(window) < LONGEST_BREAK_MS);
        return if continues {
            Err(window.plus_millis(-WEEK_MS))
        } else {
            Ok(window)
        };
    };
    // What changed lies at least `back_ms` behind the window's start.
    let latest = window.plus_millis(reach.back_ms);
    let ends = pieces.iter().map(|p| (p.start, p.end));
    let ends = ends.take_while(|(start, _)| *start < latest);
    let mut from = window;
    let mut rests: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (start, end) in ends.chain([(latest, latest)]) {
        if start > from {
            rests.push((from, start));
        }
        from = from.max(end);
    }
    let anew = |rest: (Timestamp, Timestamp)| {
        let mut all = profiles.iter();
        rest.0 < rest.1 && all.all(|p| begins_anew(profiles, p, rest))
    };
    let below = |rest: &&(Timestamp, Timestamp)| {
        let mut all = profiles.iter();
        all.all(|p| below_limits(p, pieces, **rest))
    };
    let quiet = rests.iter().rev().filter(|r| anew(**r)).find(below);
    // A sum that passes its limit behind the quiet end of a rest may begin its time before it, and
    // is whole in what is read.
    let settled = quiet.map(|(_, to)| to.plus_millis(-reach.memory_ms));
    let whole = |t: &Timestamp| {
        let begun = rests.iter().any(|(from, to)| anew((*from, (*to).min(*t))));
        *t >= window.plus_millis(reach.memory_ms) && begun
    };
    settled
        .filter(whole)
        .ok_or_else(|| window.plus_millis(-reach.step_ms()))
}

/// What the profiles of a regime count over time.
struct Reach {
    /// Longest sum over the last days, milliseconds.
    memory_ms: i64,
    /// Milliseconds before a change at which to begin reading.
    back_ms: i64,
    /// A rest over the boundary of two windows is seen whole in one of them.
    overlap_ms: i64,
}

impl Reach {
    /// None where local days and weeks are all that is counted.
    fn of(profiles: &Profiles) -> Option<Self> {
        let more = |h: &Hours| *h != Hours::default();
        profiles.iter().any(|p| more(&p.hours)).then(|| {
            let memory_ms = profiles.iter().map(|p| memory_ms(p)).max().unwrap_or(0);
            let weeks = profiles.iter().any(|p| counts_weeks(p));
            let (least, overlap_ms) = if weeks {
                (13 * WEEK_MS, 2 * WEEK_MS)
            } else {
                (5 * WEEK_MS, 2 * DAY_MS)
            };
            Self {
                memory_ms,
                back_ms: least.max(2 * memory_ms + 3 * WEEK_MS),
                overlap_ms,
            }
        })
    }

    fn step_ms(&self) -> i64 {
        self.back_ms - 2 * self.memory_ms - self.overlap_ms
    }
}

fn memory_ms(p: &Profile) -> i64 {
    let rolling = p.hours.rolling.iter().map(|r| r.within_s * 1000);
    let cycle = p.hours.cycle.as_ref();
    let cycle = cycle.map(|c| (i64::from(c.days) + 1) * DAY_MS);
    rolling.chain(cycle).max().unwrap_or(0)
}

fn counts_weeks(p: &Profile) -> bool {
    let h = &p.hours;
    h.weekly_rest.is_some() || h.weeks.is_some() || p.driving.week_s.is_some()
}

/// Whether a rest ends all that is counted from rest to rest and from day to day.
fn begins_anew(profiles: &Profiles, p: &Profile, (from, to): (Timestamp, Timestamp)) -> bool {
    let (ms, h) = (to.since(from), &p.hours);
    let monday = |weeks_before: i32| {
        let zone = profiles.week_zone();
        zone.start_of(zone.day_of(to).monday().plus(-7 * weeks_before))
    };
    let midnight = profiles.zone().start_of(profiles.zone().day_of(to));
    let chain = h.breaks.as_ref().map_or(LONGEST_BREAK_MS, |b| b.whole_ms());
    let extensions = h.shift.as_ref().is_some_and(|s| s.extended_per_week > 0);
    let shift = h.shift.as_ref().map_or(0, |s| s.rest_s * 1000);
    let reductions = h
        .daily_rest
        .as_ref()
        .map_or(0, |_| super::daily_rest::weekly_ms(p));
    let by_week = p.driving.week_s.is_some() || extensions;
    let two_weeks = h.weeks.as_ref().is_some_and(|w| w.two_s.is_some());
    ms >= chain.max(shift).max(reductions)
        && (p.driving.day_s.is_none() || from <= midnight)
        && (!by_week || from <= monday(0))
        && (!two_weeks || from <= monday(1))
        && h.weekly_rest.as_ref().is_none_or(|w| {
            // A regular one in each week that it touches, of which one is touched by nothing else,
            // and the hours to pay whatever is owed.
            let touched = (monday(0).since(from).max(0) + WEEK_MS - 1) / WEEK_MS + 1;
            let debt = (w.regular_s - w.reduced_s) * (i64::from(w.compensate_weeks) + 1);
            from <= monday(1) && ms >= 1000 * (w.regular_s * touched + debt)
        })
}

/// Whether no sum over the last days is above its limit at the end of a rest.
fn below_limits(p: &Profile, pieces: &[Piece<'_>], (from, to): (Timestamp, Timestamp)) -> bool {
    let below = |within_ms, limit_s: i64| rolling::sum(pieces, to, within_ms) <= limit_s * 1000;
    let rolling = p.hours.rolling.iter();
    let mut rolling = rolling.map(|r| below(r.within_s * 1000, r.driving_s));
    let cycle = p.hours.cycle.as_ref();
    rolling.all(|b| b)
        && cycle.is_none_or(|c| {
            let days = (i64::from(c.days) + 1) * DAY_MS;
            to.since(from) >= c.restart_s * 1000 || below(days, c.driving_s)
        })
}
