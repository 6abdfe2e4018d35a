//! Limits of hours that are passed in a few minutes if driving goes on. What somebody would have
//! driven by then is judged by the same rules; what is violated then and not yet comes near.

use super::judge;
use crate::profile::Profiles;
use waywarden_model::{Ahead, Alert, AlertKind, Kind, Period, Subject, Timestamp, Violation};

/// Of two vehicles that seem to be driven now, one that was seen this much earlier is not known to
/// drive any more.
const SEEN_MS: i64 = 300_000;

/// What comes near in the periods that are driven now, which are those that are open; `stated` is
/// what [`judge`] found in the same periods.
pub fn ahead(
    profiles: &Profiles,
    subject: &Subject,
    window: Timestamp,
    periods: &[Period],
    stated: &[Violation],
    ahead_ms: i64,
) -> Vec<Alert> {
    let Some(now) = driven_until(periods) else {
        return Vec::new();
    };
    let mut later = periods.to_vec();
    let driven = |p: &&mut Period| p.open && now.since(p.end) <= SEEN_MS;
    for period in later.iter_mut().filter(driven) {
        period.end = now.plus_millis(ahead_ms);
    }
    let then = judge(profiles, subject, window, &later);
    let near = then.violations.into_iter().filter(|v| {
        let passed_already = stated.iter().any(|s| s.id() == v.id());
        is_of_driving(v.kind) && v.end > now && !passed_already
    });
    near.filter_map(|v| alert(v, now)).collect()
}

/// Until when the newest open period was seen.
pub fn driven_until(periods: &[Period]) -> Option<Timestamp> {
    let open = periods.iter().filter(|p| p.open);
    open.map(|p| p.end).max()
}

/// Rests are missed by not resting, which nobody is told of by how long he drives.
const fn is_of_driving(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ContinuousDriving
            | Kind::DailyDriving
            | Kind::WeeklyDriving
            | Kind::TwoWeeklyDriving
            | Kind::DailyDuty
    )
}

/// Driving goes on without a break until `v` ends, so what is counted grows as time does.
fn alert(v: Violation, now: Timestamp) -> Option<Alert> {
    let limit_ms = v.limit_ms?;
    let left_ms = (v.end.since(now) - (v.duration_ms - limit_ms)).max(0);
    Some(Alert {
        kind: AlertKind::LimitAhead,
        ahead: Some(Ahead {
            kind: v.kind,
            rule: v.rule,
        }),
        subject: v.subject,
        vehicle: v.vehicle,
        plate: v.plate,
        driver: v.driver,
        operator: v.operator,
        start: v.start,
        raised: now,
        ended: None,
        amount_ms: Some(limit_ms - left_ms),
        limit_ms: Some(limit_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, period};
    use super::*;
    use crate::profile::Library;
    use waywarden_model::{Rule, TimeZone};

    const QUARTER_MS: i64 = 900_000;
    const HOUR: i64 = 3600;

    /// (kind, rule, seconds driven of, the limit's seconds) of what comes near.
    fn near(regime: &str, periods: &[Period]) -> Vec<(Kind, Option<Rule>, i64, i64)> {
        let law = Library::built_in()
            .law(regime, TimeZone::vietnam())
            .unwrap();
        let subject = Subject::Driver("D1".into());
        let stated = judge(&law, &subject, Timestamp::MIN, periods).violations;
        ahead(&law, &subject, Timestamp::MIN, periods, &stated, QUARTER_MS)
            .into_iter()
            .map(|a| {
                let of = a.ahead.unwrap();
                let (driven, limit) = (a.amount_ms.unwrap(), a.limit_ms.unwrap());
                (of.kind, of.rule, driven / 1000, limit / 1000)
            })
            .collect()
    }

    fn open(from: i64, to: i64) -> Period {
        let mut driven = period("V1", Some("D1"), from, to);
        driven.open = true;
        driven
    }

    #[test]
    fn four_hours_come_near_in_the_last_quarter() {
        let driven = |s| near("vn", &[open(0, s)]);
        let limit = 4 * HOUR;
        // Exactly as much as is allowed is no violation.
        assert_eq!(driven(limit - 900), []);
        let found = |s| [(Kind::ContinuousDriving, None, s, limit)];
        assert_eq!(driven(limit - 899), found(limit - 899));
        assert_eq!(driven(limit), found(limit));
        // What is passed is a violation, and nothing to be warned of.
        assert_eq!(driven(limit + 1), []);
    }

    #[test]
    fn who_stands_is_not_warned() {
        assert_eq!(
            near("vn", &[period("V1", Some("D1"), 0, 4 * HOUR - 60)]),
            []
        );
    }

    #[test]
    fn a_vehicle_that_is_not_seen_any_more_is_not_driven_on() {
        // Its device went off in the middle; the driver went on in another three hours later.
        let mut other = open(4 * HOUR, 4 * HOUR + 60);
        other.source = "V2".into();
        other.vehicle = Some("V2".into());
        assert_eq!(near("vn", &[open(0, HOUR), other]), []);
    }

    #[test]
    fn the_day_counts_all_vehicles() {
        // 07:00 to 10:00, 11:00 to 14:00, 15:00 to 18:00, and from 19:00 on in another vehicle.
        let mut periods: Vec<Period> = (0..3)
            .map(|n| period("V1", Some("D1"), 4 * HOUR * n, 4 * HOUR * n + 3 * HOUR))
            .collect();
        let mut last = open(12 * HOUR, 12 * HOUR + 3000);
        last.source = "V2".into();
        last.vehicle = Some("V2".into());
        periods.push(last);
        let found = [(Kind::DailyDriving, None, 9 * HOUR + 3000, 10 * HOUR)];
        assert_eq!(near("vn", &periods), found);
    }

    #[test]
    fn midnight_ends_a_day_that_would_have_become_too_long() {
        // 9 h 55 min on the local day at 23:58: in two minutes another one begins.
        let midnight = 17 * HOUR;
        let mut periods: Vec<Period> = (0..3)
            .map(|n| {
                let from = 4 * HOUR * n;
                period("V1", Some("D1"), from, from + 3 * HOUR + 1000)
            })
            .collect();
        let before = 9 * HOUR + 3000;
        let last = 9 * HOUR + 55 * 60 - before;
        periods.push(open(midnight - 120 - last, midnight - 120));
        assert_eq!(near("vn", &periods), []);
    }

    #[test]
    fn other_regimes_are_data() {
        // Property, United States: 11 hours of driving behind a rest, and 14 of the window.
        let parts = |last| {
            let first = period("V1", Some("D1"), 0, 6 * HOUR);
            vec![first, open(7 * HOUR, last)]
        };
        let found = near("us-395-property", &parts(12 * HOUR - 600));
        assert_eq!(
            found,
            [(Kind::DailyDriving, None, 11 * HOUR - 600, 11 * HOUR)]
        );
        let window = [
            period("V1", Some("D1"), 0, 3 * HOUR),
            open(10 * HOUR, 14 * HOUR - 300),
        ];
        let found = near("us-395-property", &window);
        assert_eq!(found, [(Kind::DailyDuty, None, 14 * HOUR - 300, 14 * HOUR)]);
        // China's night: two hours from 22:00 on. The zone of the test is seven hours ahead.
        let night = [open(15 * HOUR, 17 * HOUR - 600)];
        let found = near("cn", &night);
        let (kind, rule) = (Kind::ContinuousDriving, Some(Rule::Night));
        assert_eq!(found, [(kind, rule, 2 * HOUR - 600, 2 * HOUR)]);
    }

    #[test]
    fn it_is_known_by_what_it_would_become() {
        let law = Profiles::vietnam();
        let subject = Subject::Driver("D1".into());
        let warned = |to: i64| {
            let periods = [open(0, to)];
            ahead(&law, &subject, Timestamp::MIN, &periods, &[], QUARTER_MS).remove(0)
        };
        let (first, later) = (warned(4 * HOUR - 600), warned(4 * HOUR - 60));
        assert_eq!(first.id(), later.id());
        assert_eq!(first.start, at("2026-03-10T00:00:00Z"));
        assert!(first.raised < later.raised && first.amount_ms < later.amount_ms);
    }
}
