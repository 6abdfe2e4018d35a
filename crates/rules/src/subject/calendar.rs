//! Driving in a local day, a week and two weeks (36/2024 art. 64; EU 561/2006 art. 6.2 and 6.3;
//! readings D7, D11, D12, D16, F2, F15).

use super::{Case, Counted, Piece, split};
use waywarden_model::{Kind, LocalDay, Violation};

/// Judged by the law of the day (D16).
pub(super) fn by_day(case: &Case<'_>) -> Vec<Violation> {
    let zone = case.profiles.zone();
    let days = split(zone, case.pieces, |d| d);
    let judge_day = |(day, pieces): (&LocalDay, &Vec<Piece<'_>>)| {
        let law = case.profiles.at(zone.start_of(*day));
        let counted = Counted::by(law, pieces, law.driving.day_s? * 1000)?;
        Some(case.violation(Kind::DailyDriving, None, pieces, &counted))
    };
    days.iter().filter_map(judge_day).collect()
}

/// From Monday to Sunday, by the law in force when the limit is passed (D16).
pub(super) fn by_week(case: &Case<'_>) -> Vec<Violation> {
    let weeks = split(case.profiles.week_zone(), case.pieces, LocalDay::monday);
    let judge_week = |pieces: &Vec<Piece<'_>>| {
        let counted = Counted::of(case.profiles, pieces, |p| {
            p.driving.week_s.map(|s| s * 1000)
        })?;
        Some(case.violation(Kind::WeeklyDriving, None, pieces, &counted))
    };
    weeks.values().filter_map(judge_week).collect()
}

/// Two weeks one after the other, of which partial ones count as well: a lower bound is already a
/// violation (F15). The first of them is one that was driven in; else the next pair says the same.
pub(super) fn by_two_weeks(case: &Case<'_>) -> Vec<Violation> {
    if !case.any(|p| p.hours.weeks.as_ref().is_some_and(|w| w.two_s.is_some())) {
        return Vec::new();
    }
    let weeks = split(case.profiles.week_zone(), case.pieces, LocalDay::monday);
    let judge_two = |(monday, first): (&LocalDay, &Vec<Piece<'_>>)| {
        let mut pieces = first.clone();
        pieces.extend(weeks.get(&monday.plus(7)).into_iter().flatten());
        let counted = Counted::of(case.profiles, &pieces, |p| {
            p.hours.weeks.as_ref()?.two_s.map(|s| s * 1000)
        })?;
        Some(case.violation(Kind::TwoWeeklyDriving, None, &pieces, &counted))
    };
    weeks.iter().filter_map(judge_two).collect()
}
