//! The subject stage: driving hours and rests over all vehicles of a driver (TT 71/2024 Annex III,
//! 36/2024 art. 64; readings D6 to D19; other regimes: readings F1 to F18). A pure function of the
//! subject's set of periods.

mod ahead;
mod calendar;
mod continuous;
mod counted;
mod cycle;
mod daily_rest;
mod rolling;
mod shift;
mod two_vehicles;
mod unidentified;
mod weekly_rest;
mod window;

pub use ahead::{ahead, driven_until};

use crate::profile::{Profile, Profiles};
use counted::Counted;
use std::collections::BTreeMap;
use waywarden_model::{
    Distance, DriverDay, Figures, Kind, LocalDay, Period, Rule, Span, Subject, TimeZone, Timestamp,
    Violation,
};

/// What the periods of a subject show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubjectResult {
    /// The first period may continue one before the window: read from here on and judge again.
    pub need_from: Option<Timestamp>,
    /// The violations that begin here or later are those that all periods of the subject show.
    pub settled_from: Timestamp,
    pub violations: Vec<Violation>,
    pub driver_days: Vec<DriverDay>,
}

const DAY_MS: i64 = 86_400_000;

/// Where to begin reading when a subject's periods changed from `from` on. Where that does not
/// suffice, [`judge`] asks for more.
pub fn window_start(profiles: &Profiles, from: Timestamp) -> Timestamp {
    window::start(profiles, from)
}

/// All violations and driver days of `periods`, which are the subject's periods that start at
/// `window` or later.
pub fn judge(
    profiles: &Profiles,
    subject: &Subject,
    window: Timestamp,
    periods: &[Period],
) -> SubjectResult {
    let mut sorted: Vec<&Period> = periods.iter().filter(|p| p.end > p.start).collect();
    sorted.sort_by(|a, b| (a.start, a.end, &a.source).cmp(&(b.start, b.end, &b.source)));
    let pieces = union(&sorted);
    let need = |from| SubjectResult {
        need_from: Some(from),
        ..SubjectResult::default()
    };
    let settled_from = match window::settled(profiles, window, &pieces) {
        Ok(settled) => settled,
        Err(earlier) => return need(earlier),
    };
    let case = |before| Case {
        profiles,
        subject,
        pieces: &pieces,
        before,
    };
    let known = if window > Timestamp::MIN {
        Before::Rest(window)
    } else {
        Before::Unknown
    };
    let mut violations = case(known).violations(settled_from);
    // Whether anything was driven before the window cannot be seen in it: where that would make a
    // difference to the weeks behind a rest that begins with it, it must be looked up.
    let leads = pieces.first().is_some_and(|p| settled_from <= p.start);
    let asks = leads && case(known).any(|p| p.hours.weekly_rest.is_some());
    if known != Before::Unknown
        && asks
        && violations != case(Before::Unknown).violations(settled_from)
    {
        return need(Timestamp::MIN);
    }
    let at_once = two_vehicles::judge(profiles, subject, &sorted);
    violations.extend(at_once.into_iter().filter(|v| v.start >= settled_from));
    SubjectResult {
        need_from: None,
        settled_from,
        violations,
        driver_days: driver_days(profiles, subject, &sorted),
    }
}

/// What there was before the first piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing is known: a daily and a weekly rest are taken to end at the first activity (F11).
    Unknown,
    /// Nothing was driven from here on.
    Rest(Timestamp),
}

/// One subject's driving, before the law.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub profiles: &'a Profiles,
    pub subject: &'a Subject,
    /// In order, without overlap.
    pub pieces: &'a [Piece<'a>],
    pub before: Before,
}

impl Case<'_> {
    /// Whether any profile of the regime has a clause.
    fn any(&self, has: impl Fn(&Profile) -> bool) -> bool {
        self.profiles.iter().any(|p| has(p))
    }

    /// Every rule's, of those that begin at `from` or later.
    fn violations(&self, from: Timestamp) -> Vec<Violation> {
        let mut found = continuous::judge(self);
        found.extend(calendar::by_day(self));
        found.extend(calendar::by_week(self));
        found.extend(calendar::by_two_weeks(self));
        found.extend(shift::judge(self));
        found.extend(daily_rest::judge(self));
        found.extend(weekly_rest::judge(self));
        found.extend(rolling::judge(self));
        found.extend(cycle::judge(self));
        found.extend(unidentified::judge(self));
        found.retain(|v| v.start >= from);
        found
    }

    /// Start and end are those of the driving counted (D17); vehicle and profile those of the
    /// instant at which the limit was passed (D19, D16).
    fn violation(
        &self,
        kind: Kind,
        rule: Option<Rule>,
        pieces: &[Piece<'_>],
        c: &Counted<'_>,
    ) -> Violation {
        let driver = match self.subject {
            Subject::Driver(d) => Some(d.clone()),
            Subject::Vehicle(_) | Subject::Source(_) => None,
        };
        let span = |p: &Piece<'_>| Span {
            source: p.period.source.clone(),
            from: p.start,
            to: p.end,
            every: false,
        };
        Violation {
            kind,
            rule,
            subject: self.subject.clone(),
            vehicle: c.passed_in.vehicle.clone(),
            plate: c.passed_in.plate.clone(),
            driver,
            operator: c.passed_in.operator.clone(),
            start: c.first,
            end: c.last,
            open: pieces.iter().any(|p| p.period.open),
            band: None,
            limit: None,
            limit_source: None,
            max_excess: None,
            distance: None,
            duration_ms: c.ms,
            limit_ms: Some(c.limit_ms),
            profile: c.profile.id.clone(),
            registry: c.passed_in.registry,
            figures: Figures {
                periods: u32::try_from(pieces.len()).ok(),
                lower_bound: Some(true),
                ..Figures::default()
            },
            spans: pieces.iter().map(span).collect(),
        }
    }
}

/// A stretch of time driven, with the period that shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub start: Timestamp,
    pub end: Timestamp,
    pub period: &'a Period,
}

impl Piece<'_> {
    pub fn ms(&self) -> i64 {
        self.end.since(self.start)
    }

    /// Milliseconds from its end to the next one's start.
    pub fn pause(&self, next: &Self) -> i64 {
        next.start.since(self.end)
    }
}

/// The union of the times: one card in two vehicles at once counts once (D14).
fn union<'a>(sorted: &[&'a Period]) -> Vec<Piece<'a>> {
    let mut reach = Timestamp::MIN;
    let mut pieces = Vec::with_capacity(sorted.len());
    for period in sorted {
        let start = period.start.max(reach);
        if period.end > start {
            pieces.push(Piece {
                start,
                end: period.end,
                period,
            });
            reach = period.end;
        }
    }
    pieces
}

/// Whether the pause between two pieces is a sufficient break (D8).
fn rested(before: &Piece<'_>, next: &Piece<'_>) -> bool {
    let pause = next.start.since(before.end);
    pause > 0 && pause >= before.period.break_ms
}

/// Pieces by day or week of a zone, cut at its midnights.
fn split<'a>(
    zone: &TimeZone,
    pieces: &[Piece<'a>],
    key: impl Fn(LocalDay) -> LocalDay,
) -> BTreeMap<LocalDay, Vec<Piece<'a>>> {
    let mut map: BTreeMap<LocalDay, Vec<Piece<'a>>> = BTreeMap::new();
    for piece in pieces {
        let mut rest = *piece;
        while rest.start < rest.end {
            let day = zone.day_of(rest.start);
            let end = rest.end.min(zone.start_of(day.plus(1)));
            map.entry(key(day)).or_default().push(Piece { end, ..rest });
            rest.start = end;
        }
    }
    map
}

fn driver_days(profiles: &Profiles, subject: &Subject, sorted: &[&Period]) -> Vec<DriverDay> {
    let Subject::Driver(driver) = subject else {
        return Vec::new();
    };
    let new_day = |day| DriverDay {
        driver: driver.clone(),
        day,
        driving_ms: 0,
        distance: Distance::ZERO,
        periods: 0,
    };
    let mut days: BTreeMap<LocalDay, DriverDay> = BTreeMap::new();
    for (day, pieces) in split(profiles.zone(), &union(sorted), |d| d) {
        let row = days.entry(day).or_insert_with(|| new_day(day));
        row.driving_ms = pieces.iter().map(Piece::ms).sum();
    }
    for period in sorted {
        let day = profiles.zone().day_of(period.start);
        let row = days.entry(day).or_insert_with(|| new_day(day));
        row.distance += period.distance;
        row.periods += 1;
    }
    days.into_values().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(time: &str) -> Timestamp {
        Timestamp::parse_rfc3339(time).unwrap()
    }

    /// Driving of a goods vehicle, in seconds from 2026-03-10T00:00:00Z on.
    pub(crate) fn period(vehicle: &str, driver: Option<&str>, from: i64, to: i64) -> Period {
        let second = |s| at("2026-03-10T00:00:00Z").plus_millis(s * 1000);
        Period {
            source: vehicle.into(),
            start: second(from),
            end: second(to),
            open: false,
            vehicle: Some(vehicle.into()),
            plate: Some(waywarden_model::Plate::new(vehicle)),
            driver: driver.map(Into::into),
            operator: None,
            break_ms: 900_000,
            distance: Distance::ZERO,
            registry: 1,
        }
    }
}
