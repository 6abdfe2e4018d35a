//! Weekly rest: when it must begin, how much of it two weeks hold, what a reduced one costs
//! (EU 561/2006 art. 8.6 and 8.9; readings F11, F13 to F15).

mod assign;
mod compensate;

use super::counted::driven_at;
use super::daily_rest::weekly_ms;
use super::{Before, Case, Counted, DAY_MS, Piece};
use crate::profile::{Profile, WeeklyRest};
use assign::{Calendar, Shares};
use waywarden_model::{Kind, LocalDay, Rule, TimeZone, Timestamp, Violation};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let Some(week) = Week::of(case) else {
        return Vec::new();
    };
    let mut found = late(case);
    let rests = rests(case, &week);
    let shares = assign::shares(&rests, &week.calendar, week.rule);
    found.extend(two_weeks(case, &week, &rests, &shares));
    found.extend(compensate::judge(case, &week, &rests, &shares));
    found
}

/// The rest that runs at the end of the data goes on (F11): longer than any debt is open.
const RUNS_ON_MS: i64 = 12 * 7 * DAY_MS;

/// What the rules on weeks share: the regime's clause and its weeks.
struct Week<'a> {
    law: &'a Profile,
    rule: &'a WeeklyRest,
    calendar: Calendar,
}

impl<'a> Week<'a> {
    /// None where there is no clause, or nothing was driven. The clause is the last profile's that
    /// has one: weeks are told apart over years, which no change of it divides.
    fn of(case: &Case<'a>) -> Option<Self> {
        let mut laws = case.profiles.iter();
        let law = laws.rfind(|p| p.hours.weekly_rest.is_some())?;
        let rule = law.hours.weekly_rest.as_ref()?;
        let (first, last) = (case.pieces.first()?, case.pieces.last()?);
        // A weekly rest is taken to have ended at the first activity (F11).
        let begin = match case.before {
            Before::Unknown => first.start.plus_millis(-1000 * rule.regular_s),
            Before::Rest(from) => from,
        };
        let known = match case.before {
            Before::Unknown => first.start,
            Before::Rest(from) => from,
        };
        let calendar = Calendar::new(case.profiles.week_zone(), begin, known, last.end);
        Some(Self {
            law,
            rule,
            calendar,
        })
    }
}

/// An uninterrupted rest as long as a daily one that ends a driving day, or longer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rest {
    from: Timestamp,
    to: Timestamp,
}

impl Rest {
    fn ms(&self) -> i64 {
        self.to.since(self.from)
    }
}

/// All rests in order, the one before the first activity and the one that runs at the end too.
fn rests(case: &Case<'_>, week: &Week<'_>) -> Vec<Rest> {
    let shift = week.law.hours.shift.as_ref();
    let least = shift.map_or(week.rule.reduced_s, |s| s.rest_s) * 1000;
    let pauses = case.pieces.windows(2);
    let pauses = pauses.map(|w| Rest {
        from: w[0].end,
        to: w[1].start,
    });
    let first = case.pieces.first().map(|p| Rest {
        from: week.calendar.begin,
        to: p.start,
    });
    let last = case.pieces.last().map(|p| Rest {
        from: p.end,
        to: p.end.plus_millis(RUNS_ON_MS),
    });
    let all = first.into_iter().chain(pauses).chain(last);
    all.filter(|r| r.ms() >= least).collect()
}

/// From the end of a weekly rest to the beginning of the next. A rest that runs at the end of the
/// data goes on (F11).
fn late(case: &Case<'_>) -> Vec<Violation> {
    let weekly = |a: &Piece<'_>, b: &Piece<'_>| a.pause(b) >= weekly_ms(case.profiles.at(a.end));
    let mut found = Vec::new();
    for run in case.pieces.chunk_by(|a, b| !weekly(a, b)) {
        let law = case.profiles.at(run[0].start);
        let Some(rule) = &law.hours.weekly_rest else {
            continue;
        };
        let (first, last) = (run[0].start, run[run.len() - 1].end);
        let due = first.plus_millis(rule.within_s * 1000);
        let Some(passed) = driven_at(run, due).filter(|_| last > due) else {
            continue;
        };
        let counted = Counted {
            first,
            last,
            ms: last.since(first),
            limit_ms: rule.within_s * 1000,
            passed_in: passed.period,
            profile: law,
        };
        found.push(case.violation(Kind::WeeklyRest, Some(Rule::Late), run, &counted));
    }
    found
}

/// Two weekly rests in two weeks, one of them a regular one.
fn two_weeks(case: &Case<'_>, week: &Week<'_>, rests: &[Rest], shares: &Shares) -> Vec<Violation> {
    let judge_two = |n: usize| {
        let (from, to) = (week.calendar.start(n), week.calendar.start(n + 2));
        let pieces = between(case.pieces, from, to);
        let (first, last) = (pieces.first()?, pieces.last()?);
        // In a week without driving nothing is owed: it is the second one of the pair before.
        (first.start < week.calendar.start(n + 1)).then_some(())?;
        let regular = shares.weeks[n].regular + shares.weeks[n + 1].regular > 0;
        let (limit, rested) = if regular {
            // What there is of a second one.
            let uncounted = |(i, r): (usize, &Rest)| {
                let outside = r.to <= from || r.from >= to || shares.counted[i].any();
                (!outside).then(|| r.to.min(to).since(r.from.max(from)))
            };
            let most = rests.iter().enumerate().filter_map(uncounted).max();
            (week.rule.reduced_s, most.unwrap_or(0))
        } else {
            let both = shares.weeks[n].reduced.iter();
            let both = both.chain(&shares.weeks[n + 1].reduced);
            (
                week.rule.regular_s,
                both.map(|(_, ms)| *ms).max().unwrap_or(0),
            )
        };
        let counted = Counted {
            first: first.start,
            last: last.end,
            ms: rested,
            limit_ms: limit * 1000,
            passed_in: last.period,
            profile: week.law,
        };
        Some(case.violation(Kind::WeeklyRest, Some(Rule::TwoWeeks), &pieces, &counted))
    };
    let failed = week.calendar.judged().filter(|n| shares.fails(*n));
    failed.filter_map(judge_two).collect()
}

/// What was driven between two instants.
fn between<'a>(pieces: &[Piece<'a>], from: Timestamp, to: Timestamp) -> Vec<Piece<'a>> {
    let first = pieces.partition_point(|p| p.end <= from);
    let inside = pieces[first..].iter().take_while(|p| p.start < to);
    inside
        .map(|p| Piece {
            start: p.start.max(from),
            end: p.end.min(to),
            ..*p
        })
        .collect()
}

/// Monday of the week in which an instant lies.
fn monday(zone: &TimeZone, t: Timestamp) -> LocalDay {
    zone.day_of(t).monday()
}
