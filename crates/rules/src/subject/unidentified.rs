//! Driving with nobody identified (TT 71/2024 Annex III: driving counts from the driver's card on;
//! reading D13: it is counted under the vehicle).

use super::counted::Counted;
use super::{Case, Piece, rested};
use crate::profile::Profile;
use waywarden_model::{Kind, Subject, Violation};

/// One violation for each stretch between two sufficient breaks: a bus that stops at every corner
/// is one case, not a hundred.
pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    if matches!(case.subject, Subject::Driver(_)) {
        return Vec::new();
    }
    let allowed = |p: &Profile| Some(p.identification.as_ref()?.unidentified_s * 1000);
    let judge = |driven: &[Piece<'_>]| {
        let counted = Counted::of(case.profiles, driven, allowed)?;
        Some(case.violation(Kind::DriverNotIdentified, None, driven, &counted))
    };
    let stretches = case.pieces.chunk_by(|a, b| !rested(a, b));
    stretches.filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::super::judge as judge_subject;
    use super::super::tests::{at, period};
    use crate::profile::Profiles;
    use waywarden_model::{Kind, Period, Subject, Timestamp};

    /// Seconds driven with nobody identified in each violation.
    fn found(periods: &[Period]) -> Vec<i64> {
        let subject = periods[0].subject();
        let judged = judge_subject(&Profiles::vietnam(), &subject, Timestamp::MIN, periods);
        let of_kind = |k| k == Kind::DriverNotIdentified;
        let found = judged.violations.into_iter().filter(|v| of_kind(v.kind));
        found.map(|v| v.duration_ms / 1000).collect()
    }

    #[test]
    fn five_minutes_are_allowed() {
        assert!(found(&[period("V1", None, 0, 300)]).is_empty());
        assert_eq!(found(&[period("V1", None, 0, 301)]), [301]);
        assert!(found(&[period("V1", Some("D1"), 0, 3600)]).is_empty());
    }

    #[test]
    fn short_stops_make_one_case_and_a_break_two() {
        // 200 s + 200 s with 100 s between: 400 s of driving. The break is 900 s.
        let short = [period("V1", None, 0, 200), period("V1", None, 300, 500)];
        assert_eq!(found(&short), [400]);
        let long = [period("V1", None, 0, 400), period("V1", None, 1300, 1700)];
        assert_eq!(found(&long), [400, 400]);
        let apart = [period("V1", None, 0, 200), period("V1", None, 1100, 1300)];
        assert!(found(&apart).is_empty());
    }

    #[test]
    fn a_law_without_the_rule_says_nothing() {
        let mut old = period("V1", None, 0, 3600);
        for t in [&mut old.start, &mut old.end] {
            *t = t.plus_millis(at("2024-06-10T00:00:00Z").since(at("2026-03-10T00:00:00Z")));
        }
        assert!(found(&[old]).is_empty());
        let nobody: Subject = Subject::Vehicle("V1".into());
        let none = judge_subject(&Profiles::vietnam(), &nobody, Timestamp::MIN, &[]);
        assert!(none.violations.is_empty());
    }
}
