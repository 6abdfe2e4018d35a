//! Driving in any stretch of so many hours, wherever it begins.

use super::counted::driven_at;
use super::{Case, Counted, Piece};
use crate::profile::{Profile, Rolling, RollingKind};
use waywarden_model::{Kind, Timestamp, Violation};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for profile in case.profiles.iter() {
        for rule in &profile.hours.rolling {
            found.extend(by_rule(case, profile, rule));
        }
    }
    found
}

/// Driving in the `within_ms` before `t`.
pub(super) fn sum(pieces: &[Piece<'_>], t: Timestamp, within_ms: i64) -> i64 {
    let from = t.plus_millis(-within_ms);
    let first = pieces.partition_point(|p| p.end <= from);
    let inside = pieces[first..].iter().take_while(|p| p.start < t);
    inside.map(|p| p.end.min(t).since(p.start.max(from))).sum()
}

/// A time over the limit: from the instant at which it is passed until the sum is back at it.
struct Over {
    passed: Timestamp,
    until: Timestamp,
    most_ms: i64,
}

fn by_rule(case: &Case<'_>, law: &Profile, rule: &Rolling) -> Vec<Violation> {
    let (within, limit) = (rule.within_s * 1000, rule.driving_s * 1000);
    let kind = match rule.kind {
        RollingKind::DailyDriving => Kind::DailyDriving,
        RollingKind::WeeklyDriving => Kind::WeeklyDriving,
    };
    let judge_over = |over: Over| {
        let first = over.passed.plus_millis(-within);
        let counted: Vec<Piece<'_>> = case
            .pieces
            .iter()
            .filter(|p| p.end > first && p.start < over.until)
            .map(|p| Piece {
                start: p.start.max(first),
                end: p.end.min(over.until),
                ..*p
            })
            .collect();
        let counted_to = counted.last()?;
        let c = Counted {
            first: counted[0].start,
            last: counted_to.end,
            ms: over.most_ms,
            limit_ms: limit,
            passed_in: driven_at(case.pieces, over.passed)?.period,
            profile: law,
        };
        Some(case.violation(kind, None, &counted, &c))
    };
    let over = overs(case.pieces, within, limit).into_iter();
    over.filter(|o| law.validity.holds_at(o.passed))
        .filter_map(judge_over)
        .collect()
}

/// The sum is linear between the instants at which a piece begins or ends, now or `within_ms` ago.
fn overs(pieces: &[Piece<'_>], within_ms: i64, limit_ms: i64) -> Vec<Over> {
    let ends = pieces.iter().flat_map(|p| [p.start, p.end]);
    let mut corners: Vec<_> = ends.flat_map(|t| [t, t.plus_millis(within_ms)]).collect();
    corners.sort_unstable();
    corners.dedup();
    let mut found: Vec<Over> = Vec::new();
    let (mut before, mut going) = ((Timestamp::MIN, 0), false);
    for t in corners {
        let now = sum(pieces, t, within_ms);
        match (going, now > limit_ms) {
            (false, true) => found.push(Over {
                // It rises by a millisecond in each.
                passed: before.0.plus_millis(limit_ms - before.1),
                until: t,
                most_ms: now,
            }),
            (true, over) => {
                if let Some(last) = found.last_mut() {
                    last.most_ms = last.most_ms.max(now);
                    // It falls by a millisecond in each.
                    let back = before.0.plus_millis(before.1 - limit_ms);
                    last.until = if over { t } else { back };
                }
            }
            (false, false) => {}
        }
        going = now > limit_ms;
        before = (t, now);
    }
    found
}
