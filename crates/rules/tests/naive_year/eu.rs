//! Driving and daily rest in the EU.

use crate::minutes::{Minutes, Row, WEEKS};
use crate::year::WEEK;
use std::collections::HashMap;

/// Art. 7: after 4 h 30 of driving 45 min, or 15 and then 30. (F12)
pub fn eu_continuous(t: &Minutes, out: &mut Vec<Row>) {
    let (mut begin, mut driven, mut fifteen, mut m) = (None, 0, false, t.first(0).unwrap());
    let mut last = m;
    while m < t.0.len() {
        if t.0[m] {
            begin = begin.or(Some(m));
            driven += 1;
            last = m + 1;
            m += 1;
            continue;
        }
        let rest = t.rest(m);
        m += rest;
        if rest >= 45 || (fifteen && rest >= 30) {
            if driven > 270 {
                out.push(("continuous_driving", "", begin.unwrap(), last, driven));
            }
            (begin, driven, fifteen) = (None, 0, false);
        } else if rest >= 15 {
            fifteen = true;
        }
    }
}

/// Art. 6.1: 9 h between two daily rests, 10 h twice a week. (F3, F4)
pub fn eu_day(t: &Minutes, out: &mut Vec<Row>) {
    let mut used: HashMap<usize, usize> = HashMap::new();
    for (begin, end) in t.spans(540) {
        let driven = t.driven(begin, end);
        if driven <= 540 {
            continue;
        }
        let used = used.entry(begin / WEEK).or_default();
        *used += 1;
        let limit = if *used <= 2 { 600 } else { 540 };
        if driven > limit {
            out.push(("daily_driving", "", begin, end, driven));
        }
    }
}

/// Art. 6.2 and 6.3: 56 h in a week, 90 h in two.
pub fn eu_weeks(t: &Minutes, out: &mut Vec<Row>) {
    for week in 0..WEEKS + 8 {
        let from = week * WEEK;
        let Some(begin) = t.first(from).filter(|m| *m < from + WEEK) else {
            continue;
        };
        for (kind, to, most) in [
            ("weekly_driving", from + WEEK, 56),
            ("two_weekly_driving", from + 2 * WEEK, 90),
        ] {
            let driven = t.driven(from, to);
            if driven > most * 60 {
                out.push((kind, "", begin, t.last(to), driven));
            }
        }
    }
}

/// Art. 8.2 and 8.4: 11 h, or 3 and 9, or 9 at most three times between two weekly rests, within
/// 24 h. (F5 to F8)
pub fn eu_daily_rest(t: &Minutes, out: &mut Vec<Row>) {
    let mut reduced = 0;
    for (begin, end) in t.spans(540) {
        let window = begin + 1440;
        let (mut three, mut longest, mut m) = (false, 0, begin);
        let mut enough = "insufficient";
        while m < window {
            if t.0[m] {
                m += 1;
                continue;
            }
            let rest = t.rest(m);
            let inside = rest.min(window - m);
            longest = longest.max(inside);
            if inside >= 660 || (three && inside >= 540) {
                enough = "regular";
            } else if inside >= 540 {
                enough = "reduced";
            }
            three |= inside >= 180;
            m += rest;
            if rest >= 540 {
                break; // the next 24 h begin
            }
        }
        let weekly = t.rest(end) >= 1440;
        if enough == "insufficient" {
            out.push(("daily_rest", "insufficient", begin, end, longest));
        } else if enough == "reduced" && !weekly {
            reduced += 1;
            if reduced > 3 {
                out.push(("daily_rest", "more_than_three_reduced", begin, end, longest));
            }
        }
        if weekly {
            reduced = 0;
        }
    }
}

/// Art. 8.6: a weekly rest begins within six times 24 h of the end of the one before.
pub fn eu_late(t: &Minutes, out: &mut Vec<Row>) {
    for (begin, end) in t.spans(1440) {
        if end - begin > 6 * 1440 {
            out.push(("weekly_rest", "late", begin, end, end - begin));
        }
    }
}
