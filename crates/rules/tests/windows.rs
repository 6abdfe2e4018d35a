//! What is judged from a window is what all periods show, and a change of periods changes nothing
//! that begins before it.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod year;

use proptest::prelude::*;
use waywarden_model::{Period, TimeZone, Timestamp, Violation};
use waywarden_rules::subject::{SubjectResult, judge, window_start};
use waywarden_rules::{Library, Profiles};
use year::{Dice, WEEK, at, driver, periods, stretches};

const REGIMES: [&str; 5] = ["vn", "eu-561", "us-395-property", "us-395-passenger", "cn"];

const YEAR_MS: i64 = 366 * 86_400_000;

fn law(regime: &str) -> Profiles {
    Library::built_in()
        .law(regime, TimeZone::vietnam())
        .unwrap()
}

fn whole(law: &Profiles, all: &[Period]) -> Vec<Violation> {
    ordered(judge(law, &driver(), Timestamp::MIN, all).violations)
}

fn ordered(mut all: Vec<Violation>) -> Vec<Violation> {
    all.sort_by_key(|v| (v.start, v.kind, v.rule));
    all
}

/// Asks for earlier windows as the store does; gives how often as well.
fn from_window(law: &Profiles, all: &[Period], from: Timestamp) -> (SubjectResult, usize) {
    let mut window = window_start(law, from).min(from);
    for asked in 0.. {
        let seen: Vec<Period> = all.iter().filter(|p| p.start >= window).cloned().collect();
        let judged = judge(law, &driver(), window, &seen);
        match judged.need_from {
            Some(earlier) => {
                assert!(earlier < window, "it asks for what it has");
                assert!(
                    window > at(0).plus_millis(-YEAR_MS),
                    "it asks for ever more"
                );
                window = earlier;
            }
            None => return (judged, asked),
        }
    }
    unreachable!("the count has no end");
}

/// Takes out, adds and moves stretches that begin at `minute` or later.
fn changed(dice: &mut Dice, before: &[(usize, usize)], minute: usize) -> Vec<(usize, usize)> {
    let mut after: Vec<(usize, usize)> = Vec::new();
    for &(a, b) in before {
        let moved = a >= minute && dice.one_in(3);
        match (moved, dice.from(0, 2)) {
            (false, _) => after.push((a, b)),
            (true, 0) => {}
            (true, 1) => after.push((a, a + (b - a) / 2 + 1)),
            (true, _) => after.extend([(a, b), (b + 1, b + 3)]),
        }
    }
    if dice.one_in(2) {
        after.retain(|(a, _)| *a < minute + 8 * WEEK);
    }
    after.sort_unstable();
    after
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_window_shows_what_the_whole_shows(seed: u64, weeks in 1usize..70, upto in 0usize..1000) {
        let zone = TimeZone::vietnam();
        let driven = stretches(&mut Dice(seed), weeks);
        let all = periods(&driven, &zone);
        let from = at(weeks * WEEK * upto / 1000);
        for regime in REGIMES {
            let law = law(regime);
            let (judged, _) = from_window(&law, &all, from);
            prop_assert!(judged.settled_from <= from, "{regime}");
            let mut expected = whole(&law, &all);
            expected.retain(|v| v.start >= judged.settled_from);
            prop_assert_eq!(ordered(judged.violations), expected, "{}", regime);
        }
    }

    #[test]
    fn a_change_reaches_no_further_back_than_its_window(
        seed: u64,
        weeks in 1usize..70,
        upto in 0usize..1000,
    ) {
        let zone = TimeZone::vietnam();
        let mut dice = Dice(seed);
        let before = stretches(&mut dice, weeks);
        let minute = weeks * WEEK * upto / 1000;
        let after = changed(&mut dice, &before, minute);
        let (old, new) = (periods(&before, &zone), periods(&after, &zone));
        // Where the mark of the change is: at the first period that differs.
        let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let starts = [old.get(same), new.get(same)].into_iter().flatten().map(|p| p.start);
        let Some(from) = starts.min() else { return Ok(()) };
        for regime in REGIMES {
            let law = law(regime);
            let (judged, _) = from_window(&law, &new, from);
            // What stays on file of before, and what is filed anew.
            let mut filed = whole(&law, &old);
            filed.retain(|v| v.start < judged.settled_from);
            filed.extend(judged.violations);
            prop_assert_eq!(ordered(filed), whole(&law, &new), "{}", regime);
        }
    }
}

#[test]
fn a_year_is_not_read_for_every_change() {
    // With a holiday in reach the first window is enough; without any it asks until there is no
    // earlier driving.
    let zone = TimeZone::vietnam();
    let law = law("eu-561");
    let work = |weeks: std::ops::Range<usize>| {
        weeks.flat_map(|w| (0..5).map(move |d| (w * WEEK + d * 1440, w * WEEK + d * 1440 + 240)))
    };
    let all: Vec<_> = work(0..20).chain(work(22..30)).collect();
    let (judged, asked) = from_window(&law, &periods(&all, &zone), at(29 * WEEK));
    assert_eq!((judged.settled_from, asked), (at(22 * WEEK), 0));
    let all: Vec<_> = work(0..30).collect();
    let (judged, asked) = from_window(&law, &periods(&all, &zone), at(29 * WEEK));
    assert!(judged.settled_from <= at(0), "{:?}", judged.settled_from);
    assert!(asked > 0);
}
