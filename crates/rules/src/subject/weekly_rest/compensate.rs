//! A reduced weekly rest is made up for by one later rest (EU 561/2006 art. 8.6; reading F14).

use super::assign::Shares;
use super::{Rest, Week, between, driven_at};
use crate::subject::{Case, Counted};
use waywarden_model::{Kind, Rule, Timestamp, Violation};

/// What a week owes.
struct Debt {
    /// The rest that was reduced.
    rest: usize,
    /// Milliseconds of it that count, and that it lacks.
    rested: i64,
    owed: i64,
    /// End of the last week in which it can be paid.
    due: Timestamp,
}

/// Debts that no rest has paid at the end of their time. Of several debts the oldest is paid first;
/// each hour pays once.
pub(super) fn judge(
    case: &Case<'_>,
    week: &Week<'_>,
    rests: &[Rest],
    shares: &Shares,
) -> Vec<Violation> {
    let mut debts = debts(week, shares).into_iter().peekable();
    let mut open: Vec<Debt> = Vec::new();
    let mut unpaid: Vec<Debt> = Vec::new();
    for (n, rest) in rests.iter().enumerate() {
        let mut left = over(n, rest, week, shares);
        for debt in std::mem::take(&mut open) {
            let pays = left >= debt.owed && rest.to <= debt.due;
            left -= if pays { debt.owed } else { 0 };
            if !pays {
                open.push(debt);
            }
        }
        while let Some(debt) = debts.next_if(|d| d.rest <= n) {
            open.push(debt);
        }
        unpaid.extend(open.extract_if(.., |d| d.due <= rest.from));
    }
    unpaid.extend(open);
    // One whose time is not over may still be paid.
    let last = case.pieces.last().map_or(Timestamp::MIN, |p| p.end);
    let due = unpaid.into_iter().filter(|d| d.due <= last);
    due.filter_map(|d| violation(case, week, rests, &d))
        .collect()
}

/// Milliseconds of a rest that may pay: beyond 9 h, beyond 45 h of a weekly rest that counts.
fn over(n: usize, rest: &Rest, week: &Week<'_>, shares: &Shares) -> i64 {
    let counted = shares.counted[n];
    let (regular, shift) = (week.rule.regular_s, week.law.hours.shift.as_ref());
    let daily = shift.map_or(week.rule.reduced_s, |s| s.rest_s);
    let owes = shares
        .weeks
        .iter()
        .any(|w| w.regular == 0 && w.reduced.iter().any(|(i, _)| *i == n));
    let base = match (counted.regular, owes) {
        (_, true) => return 0,
        (0, false) => daily,
        (k, false) => regular * k,
    };
    rest.ms() - base * 1000
}

/// Of each week without a regular weekly rest what its longest lacks.
fn debts(week: &Week<'_>, shares: &Shares) -> Vec<Debt> {
    let debt = |(n, w): (usize, &super::assign::InWeek)| {
        let longest = w
            .reduced
            .iter()
            .max_by_key(|(i, ms)| (*ms, std::cmp::Reverse(*i)));
        let (rest, rested) = *longest.filter(|_| w.regular == 0)?;
        Some(Debt {
            rest,
            rested,
            owed: week.rule.regular_s * 1000 - rested,
            due: week
                .calendar
                .start(n + 1 + usize::from(week.rule.compensate_weeks)),
        })
    };
    let mut debts: Vec<Debt> = shares.weeks.iter().enumerate().filter_map(debt).collect();
    debts.sort_by_key(|d| d.rest);
    debts
}

/// From the reduced rest's beginning to its end (D17 for a rest), resting on all that was driven
/// from there until it was due.
fn violation(case: &Case<'_>, week: &Week<'_>, rests: &[Rest], debt: &Debt) -> Option<Violation> {
    let rest = rests[debt.rest];
    let pieces = between(case.pieces, rest.from.plus_millis(-1), debt.due);
    let counted = Counted {
        first: rest.from,
        last: rest.to,
        ms: debt.rested,
        limit_ms: week.rule.regular_s * 1000,
        passed_in: driven_at(case.pieces, debt.due)?.period,
        profile: week.law,
    };
    let (kind, rule) = (Kind::WeeklyRest, Some(Rule::NotCompensated));
    Some(case.violation(kind, rule, &pieces, &counted))
}
