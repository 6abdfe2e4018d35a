//! The subject stage: continuous, daily and weekly driving over all vehicles of a driver
//! (TT 71/2024 Annex III, 36/2024 art. 64; readings D6 to D17, D19). A pure function of the
//! subject's set of periods.

mod hours;
mod two_vehicles;
mod unidentified;

use crate::profile::Profiles;
use hours::Counted;
use std::collections::BTreeMap;
use waywarden_model::{
    Distance, DriverDay, Figures, Kind, LocalDay, Period, Span, Subject, Timestamp, Violation,
};

/// What the periods of a subject show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubjectResult {
    /// The first period may continue one before the window: read from here on and judge again.
    pub need_from: Option<Timestamp>,
    pub violations: Vec<Violation>,
    pub driver_days: Vec<DriverDay>,
}

const DAY_MS: i64 = 86_400_000;
/// Any break of any profile is shorter: a period that begins this long behind the window's start
/// continues nothing before it.
const LONGEST_BREAK_MS: i64 = 3_600_000;

/// Where to begin reading when a subject's periods changed from `from` on: the start of the local
/// week, in which all three counts begin anew (a continuous one that reaches back over it makes
/// [`judge`] ask for more).
pub fn window_start(profiles: &Profiles, from: Timestamp) -> Timestamp {
    let zone = profiles.zone();
    zone.start_of(zone.day_of(from).monday())
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
    let reaches_back = sorted
        .first()
        .is_some_and(|p| p.start.since(window) < LONGEST_BREAK_MS);
    if reaches_back && window > Timestamp::MIN {
        let need_from = Some(window.plus_millis(-7 * DAY_MS));
        return SubjectResult {
            need_from,
            ..SubjectResult::default()
        };
    }
    let pieces = union(&sorted);
    let mut violations = continuous(profiles, subject, &pieces);
    violations.extend(by_day(profiles, subject, &pieces));
    violations.extend(by_week(profiles, subject, &pieces));
    violations.extend(unidentified::judge(profiles, subject, &pieces));
    violations.extend(two_vehicles::judge(profiles, subject, &sorted));
    SubjectResult {
        need_from: None,
        violations,
        driver_days: driver_days(profiles, subject, &sorted),
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

/// Driving between two sufficient breaks, of which only driving counts (D6, D8 to D10).
fn continuous(profiles: &Profiles, subject: &Subject, pieces: &[Piece<'_>]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut chain: Vec<Piece<'_>> = Vec::new();
    let mut judge_chain = |chain: &mut Vec<Piece<'_>>| {
        let counted = Counted::of(profiles, chain, |p| Some(p.driving.continuous_s * 1000));
        found.extend(counted.map(|c| violation(Kind::ContinuousDriving, subject, chain, &c)));
        chain.clear();
    };
    for piece in pieces {
        if chain.last().is_some_and(|last| rested(last, piece)) {
            judge_chain(&mut chain);
        }
        chain.push(*piece);
    }
    judge_chain(&mut chain);
    found
}

/// Whether the pause between two pieces is a sufficient break (D8).
fn rested(before: &Piece<'_>, next: &Piece<'_>) -> bool {
    let pause = next.start.since(before.end);
    pause > 0 && pause >= before.period.break_ms
}

/// Driving in a local day, judged by the law of that day (D7, D11, D16).
fn by_day(profiles: &Profiles, subject: &Subject, pieces: &[Piece<'_>]) -> Vec<Violation> {
    let days = split(profiles, pieces, |d| d);
    let judge_day = |(day, pieces): (&LocalDay, &Vec<Piece<'_>>)| {
        let law = profiles.at(profiles.zone().start_of(*day));
        let counted = Counted::by(law, pieces, law.driving.day_s * 1000)?;
        Some(violation(Kind::DailyDriving, subject, pieces, &counted))
    };
    days.iter().filter_map(judge_day).collect()
}

/// Driving from Monday to Sunday, judged by the law in force when the limit is passed (D12, D16).
fn by_week(profiles: &Profiles, subject: &Subject, pieces: &[Piece<'_>]) -> Vec<Violation> {
    let weeks = split(profiles, pieces, LocalDay::monday);
    let judge_week = |pieces: &Vec<Piece<'_>>| {
        let counted = Counted::of(profiles, pieces, |p| p.driving.week_s.map(|s| s * 1000))?;
        Some(violation(Kind::WeeklyDriving, subject, pieces, &counted))
    };
    weeks.values().filter_map(judge_week).collect()
}

/// Pieces by day or week, cut at local midnights.
fn split<'a>(
    profiles: &Profiles,
    pieces: &[Piece<'a>],
    key: impl Fn(LocalDay) -> LocalDay,
) -> BTreeMap<LocalDay, Vec<Piece<'a>>> {
    let zone = profiles.zone();
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
    for (day, pieces) in split(profiles, &union(sorted), |d| d) {
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

/// Start and end are those of the driving counted (D17); vehicle and profile those of the instant
/// at which the limit was passed (D19, D16).
fn violation(kind: Kind, subject: &Subject, pieces: &[Piece<'_>], c: &Counted<'_>) -> Violation {
    let (first, last) = (c.first, c.last);
    let driver = match subject {
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
        rule: None,
        subject: subject.clone(),
        vehicle: c.passed_in.vehicle.clone(),
        plate: c.passed_in.plate.clone(),
        driver,
        operator: c.passed_in.operator.clone(),
        start: first,
        end: last,
        open: pieces.iter().any(|p| p.period.open),
        band: None,
        limit: None,
        limit_source: None,
        max_excess: None,
        distance: None,
        duration_ms: c.driven_ms,
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
