//! Hours in so many consecutive local days, begun anew by a long rest (49 CFR 395.3(b) and (c),
//! 395.5(b)); of the hours on duty records prove the driving.

use super::{Case, Counted, Piece, split};
use crate::profile::{Cycle, Profile};
use waywarden_model::{Kind, LocalDay, Violation};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for law in case.profiles.iter() {
        let Some(rule) = &law.hours.cycle else {
            continue;
        };
        let restart = rule.restart_s * 1000;
        for run in case.pieces.chunk_by(|a, b| a.pause(b) < restart) {
            found.extend(by_run(case, law, rule, run));
        }
    }
    found
}

/// Days over the limit are one violation until a day begins at which the sum is back at it.
fn by_run(case: &Case<'_>, law: &Profile, rule: &Cycle, run: &[Piece<'_>]) -> Vec<Violation> {
    let limit = rule.driving_s * 1000;
    let days: Vec<(LocalDay, Vec<Piece<'_>>)> = split(case.profiles.zone(), run, |d| d)
        .into_iter()
        .collect();
    let driven = |pieces: &[Piece<'_>]| pieces.iter().map(Piece::ms).sum::<i64>();
    let mut found: Vec<(usize, usize, i64)> = Vec::new();
    let mut going = false;
    for (n, (day, today)) in days.iter().enumerate() {
        let first_day = day.plus(1 - i32::from(rule.days));
        let first = days.partition_point(|(d, _)| *d < first_day);
        let carried: i64 = days[first..n].iter().map(|(_, p)| driven(p)).sum();
        let sum = carried + driven(today);
        if going && carried > limit {
            if let Some((_, last, most)) = found.last_mut() {
                (*last, *most) = (n, sum.max(*most));
            }
            continue;
        }
        going = sum > limit;
        if going {
            found.push((first, n, sum));
        }
    }
    let state = |(first, last, most): (usize, usize, i64)| {
        let pieces: Vec<Piece<'_>> = days[first..=last]
            .iter()
            .flat_map(|(_, p)| p.iter().copied())
            .collect();
        let counted = Counted::by(law, &pieces, limit)?;
        let counted = Counted {
            ms: most,
            ..counted
        };
        let passed = law.validity.holds_at(counted.passed_in.start);
        passed.then(|| case.violation(Kind::WeeklyDriving, None, &pieces, &counted))
    };
    found.into_iter().filter_map(state).collect()
}
