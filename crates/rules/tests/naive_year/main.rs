//! Years of a made-up driver under the regimes, against a second reckoning: minute by minute from
//! the text of the regulations and the readings, without a line of the engine's.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod china;
mod eu;
mod minutes;
mod us;
mod weekly;
#[path = "../year/mod.rs"]
mod year;

use minutes::{Minutes, Row, WEEKS};
use waywarden_model::{TimeZone, Timestamp};
use waywarden_rules::Library;
use waywarden_rules::subject::judge;
use year::{Dice, MONDAY_S, WEEK, driver, periods, stretches};

fn by_the_engine(regime: &str, driven: &[(usize, usize)]) -> Vec<Row> {
    let zone = TimeZone::vietnam();
    let law = Library::built_in().law(regime, zone.clone()).unwrap();
    let minute = |t: Timestamp| {
        assert_eq!(t.millis() % 60_000, 0, "whole minutes");
        usize::try_from(t.millis() / 60_000 - MONDAY_S / 60).unwrap()
    };
    let judged = judge(&law, &driver(), Timestamp::MIN, &periods(driven, &zone));
    let row = |v: &waywarden_model::Violation| {
        let rule = v.rule.map_or("", waywarden_model::Rule::name);
        let counted = usize::try_from(v.duration_ms / 60_000).unwrap();
        (v.kind.name(), rule, minute(v.start), minute(v.end), counted)
    };
    let mut rows: Vec<Row> = judged.violations.iter().map(row).collect();
    rows.sort_unstable();
    rows
}

fn same(regime: &str, seed: u64, driven: &[(usize, usize)], mut expected: Vec<Row>) -> Vec<Row> {
    expected.sort_unstable();
    let got = by_the_engine(regime, driven);
    let missing: Vec<_> = expected.iter().filter(|r| !got.contains(r)).collect();
    let too_many: Vec<_> = got.iter().filter(|r| !expected.contains(r)).collect();
    assert!(
        missing.is_empty() && too_many.is_empty() && got.len() == expected.len(),
        "{regime}, seed {seed}: missing {missing:#?}, too many {too_many:#?}"
    );
    got
}

/// How often each kind and rule was found: a test that finds none shows nothing.
fn assert_each(rows: &[Row], kinds: &[(&str, &str)]) {
    for (kind, rule) in kinds {
        let n = rows.iter().filter(|r| (r.0, r.1) == (*kind, *rule)).count();
        assert!(n >= 3, "{kind} {rule}: {n} times");
    }
}

#[test]
fn years_in_the_eu() {
    let mut all = Vec::new();
    for seed in 0..8 {
        let driven = stretches(&mut Dice(seed), WEEKS);
        let t = Minutes::of(&driven);
        let mut out = Vec::new();
        eu::eu_continuous(&t, &mut out);
        eu::eu_day(&t, &mut out);
        eu::eu_weeks(&t, &mut out);
        eu::eu_daily_rest(&t, &mut out);
        eu::eu_late(&t, &mut out);
        weekly::eu_two_weeks_and_debts(&t, &mut out);
        all.extend(same("eu-561", seed, &driven, out));
    }
    assert_each(
        &all,
        &[
            ("continuous_driving", ""),
            ("daily_driving", ""),
            ("weekly_driving", ""),
            ("two_weekly_driving", ""),
            ("daily_rest", "insufficient"),
            ("daily_rest", "more_than_three_reduced"),
            ("weekly_rest", "late"),
            ("weekly_rest", "two_weeks"),
            ("weekly_rest", "not_compensated"),
        ],
    );
}

#[test]
fn years_in_the_us() {
    let (mut goods, mut coaches) = (Vec::new(), Vec::new());
    for seed in 100..104 {
        let driven = stretches(&mut Dice(seed), WEEKS);
        let t = Minutes::of(&driven);
        let mut out = Vec::new();
        minutes::between_breaks(&t, 30, 8 * 60, &mut out);
        us::us_shift(&t, &mut out);
        us::us_cycle(&t, 34 * 60, &mut out);
        goods.extend(same("us-395-property", seed, &driven, out));
        // 395.5: 10 h of driving after 8 h off, 15 h on duty; 70 h in 8 days without a restart.
        let mut out = Vec::new();
        for (begin, end) in t.spans(480) {
            let driven = t.driven(begin, end);
            for (kind, most) in [("daily_driving", 10), ("daily_duty", 15)] {
                if driven > most * 60 {
                    out.push((kind, "", begin, end, driven));
                }
            }
        }
        us::us_cycle(&t, 8 * 1440, &mut out);
        coaches.extend(same("us-395-passenger", seed, &driven, out));
    }
    let kinds = [
        ("daily_driving", ""),
        ("daily_duty", ""),
        ("weekly_driving", ""),
    ];
    assert_each(&coaches, &kinds);
    assert_each(&goods, &kinds);
    assert_each(&goods, &[("continuous_driving", "")]);
}

#[test]
fn years_in_china() {
    let mut all = Vec::new();
    for seed in 200..202 {
        let driven = stretches(&mut Dice(seed), WEEKS);
        let t = Minutes::of(&driven);
        let mut out = Vec::new();
        minutes::between_breaks(&t, 20, 4 * 60, &mut out);
        china::cn_night(&t, &mut out);
        china::cn_rolling(&t, "daily_driving", 1440, 8 * 60, &mut out);
        china::cn_rolling(&t, "weekly_driving", WEEK, 44 * 60, &mut out);
        all.extend(same("cn", seed, &driven, out));
    }
    assert_each(
        &all,
        &[
            ("continuous_driving", ""),
            ("continuous_driving", "night"),
            ("daily_driving", ""),
            ("weekly_driving", ""),
        ],
    );
}
