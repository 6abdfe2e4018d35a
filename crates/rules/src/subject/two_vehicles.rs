//! One driver's card in two vehicles at once: the hours count once (reading D14), and somebody
//! drives under another's name.

use crate::profile::Profiles;
use waywarden_model::{Figures, Kind, Period, Plate, Span, Subject, Timestamp, Violation};

/// A time in which two vehicles were driven.
struct Overlap<'a> {
    start: Timestamp,
    end: Timestamp,
    /// The period that had begun before, and the one that began beside it.
    pair: (&'a Period, &'a Period),
}

/// Overlaps with no sufficient break between them are one violation. `sorted` by start.
pub(super) fn judge(profiles: &Profiles, subject: &Subject, sorted: &[&Period]) -> Vec<Violation> {
    if !matches!(subject, Subject::Driver(_)) {
        return Vec::new();
    }
    let overlaps = overlaps(sorted);
    let mut found = Vec::new();
    let mut rest = overlaps.as_slice();
    while let Some(first) = rest.first() {
        let mut end = first.end;
        let goes_on = |o: &&Overlap<'_>| {
            let together = o.start.since(end) < o.pair.0.break_ms;
            end = end.max(o.end);
            together
        };
        let (case, later) = rest.split_at(rest.iter().take_while(goes_on).count());
        found.extend(violation(profiles, subject, case));
        rest = later;
    }
    found
}

fn overlaps<'a>(sorted: &[&'a Period]) -> Vec<Overlap<'a>> {
    let mut running: Vec<&Period> = Vec::new();
    let mut found = Vec::new();
    for period in sorted {
        running.retain(|r| r.end > period.start);
        let beside = running.iter().filter(|r| elsewhere(r, period));
        found.extend(beside.map(|r| Overlap {
            start: period.start,
            end: period.end.min(r.end),
            pair: (*r, *period),
        }));
        running.push(period);
    }
    found
}

fn elsewhere(a: &Period, b: &Period) -> bool {
    match (&a.vehicle, &b.vehicle) {
        (Some(a), Some(b)) => a != b,
        _ => a.source != b.source,
    }
}

/// Of three vehicles at once the time counts once.
fn together_ms(overlaps: &[Overlap<'_>]) -> i64 {
    let mut reach = Timestamp::MIN;
    let mut sum = 0;
    for overlap in overlaps {
        sum += overlap.end.since(overlap.start.max(reach)).max(0);
        reach = reach.max(overlap.end);
    }
    sum
}

/// Judged by the law at its start; the vehicle named is the one driven beside the other.
fn violation(profiles: &Profiles, subject: &Subject, case: &[Overlap<'_>]) -> Option<Violation> {
    let first = case.first()?;
    let end = case.iter().map(|o| o.end).max()?;
    let profile = profiles.at(first.start);
    let limit_ms = profile.identification.as_ref()?.two_vehicles_s * 1000;
    let duration_ms = together_ms(case);
    if duration_ms <= limit_ms {
        return None;
    }
    let (before, beside) = first.pair;
    let other = before
        .plate
        .as_ref()
        .map_or(before.source.as_str(), Plate::as_str);
    let spans = case.iter().flat_map(|o| {
        [o.pair.0, o.pair.1].map(|p| Span {
            source: p.source.clone(),
            from: o.start,
            to: o.end,
            every: false,
        })
    });
    Some(Violation {
        kind: Kind::CardInTwoVehicles,
        rule: None,
        subject: subject.clone(),
        vehicle: beside.vehicle.clone(),
        plate: beside.plate.clone(),
        driver: beside.driver.clone(),
        operator: beside.operator.clone(),
        start: first.start,
        end,
        open: case.iter().any(|o| o.pair.0.open || o.pair.1.open),
        band: None,
        limit: None,
        limit_source: None,
        max_excess: None,
        distance: None,
        duration_ms,
        limit_ms: Some(limit_ms),
        profile: profile.id.clone(),
        registry: beside.registry,
        figures: Figures {
            object: Some(other.into()),
            ..Figures::default()
        },
        spans: spans.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::judge as judge_subject;
    use super::super::tests::{at, period};
    use super::*;

    /// (vehicle, the other one, seconds together) of each case.
    fn found(periods: &[Period]) -> Vec<(String, String, i64)> {
        let subject = Subject::Driver("D1".into());
        let judged = judge_subject(&Profiles::vietnam(), &subject, Timestamp::MIN, periods);
        let cases = judged.violations.into_iter();
        cases
            .filter(|v| v.kind == Kind::CardInTwoVehicles)
            .map(|v| {
                let vehicle = v.vehicle.unwrap().to_string();
                let other = v.figures.object.unwrap().to_string();
                (vehicle, other, v.duration_ms / 1000)
            })
            .collect()
    }

    fn case(vehicle: &str, other: &str, s: i64) -> (String, String, i64) {
        (vehicle.into(), other.into(), s)
    }

    #[test]
    fn two_minutes_are_the_devices_delay() {
        let beside = |from| {
            let one = period("V1", Some("D1"), 0, 1000);
            found(&[one, period("V2", Some("D1"), from, 3000)])
        };
        assert_eq!(beside(1000), []);
        assert_eq!(beside(880), []);
        assert_eq!(beside(879), [case("V2", "V1", 121)]);
    }

    #[test]
    fn one_vehicle_is_not_beside_itself() {
        // Its device was changed, and both told of the last minutes.
        let mut other = period("V1", Some("D1"), 500, 2000);
        other.source = "another".into();
        assert_eq!(found(&[period("V1", Some("D1"), 0, 1000), other]), []);
    }

    #[test]
    fn stops_do_not_make_many_cases_and_three_vehicles_no_double_time() {
        // V1 drives through; V2 from 100 to 400 and, within the break of 900 s, from 700 to 900.
        let mut all = vec![
            period("V1", Some("D1"), 0, 5000),
            period("V2", Some("D1"), 100, 400),
            period("V2", Some("D1"), 700, 900),
        ];
        assert_eq!(found(&all), [case("V2", "V1", 500)]);
        // V3 from 300 to 800 lies in part beside both: 100 to 900 are 800 s together.
        all.insert(2, period("V3", Some("D1"), 300, 800));
        assert_eq!(found(&all), [case("V2", "V1", 800)]);
        // 900 s after the last time together a new case begins.
        all.push(period("V2", Some("D1"), 1800, 2000));
        assert_eq!(found(&all), [case("V2", "V1", 800), case("V2", "V1", 200)]);
    }

    #[test]
    fn what_is_named_is_where_the_card_came_second() {
        let periods = [
            period("V1", Some("D1"), 0, 1000),
            period("V2", Some("D1"), 400, 1500),
        ];
        let subject = Subject::Driver("D1".into());
        let judged = judge_subject(&Profiles::vietnam(), &subject, Timestamp::MIN, &periods);
        let v = &judged.violations[0];
        assert_eq!(v.start, at("2026-03-10T00:06:40Z"));
        assert_eq!(v.end, at("2026-03-10T00:16:40Z"));
        assert_eq!(v.limit_ms, Some(120_000));
        let sources: Vec<&str> = v.spans.iter().map(|s| s.source.as_str()).collect();
        assert_eq!(sources, ["V1", "V2"]);
    }
}
