//! Shifts and cycles in the US.

use crate::minutes::{Minutes, Row};

/// 395.3(a)(1), (2), (3)(i): 11 h of driving, none after the 14th hour, after 10 h off. Of the
/// berth's pairs (395.1(g)), of two rests of which one is of 7 h and both together of 10 h neither
/// counts into the 14 h, and what is counted begins at the end of the first.
pub fn us_shift(t: &Minutes, out: &mut Vec<Row>) {
    for (begin, end) in t.spans(600) {
        let mut rests: Vec<(usize, usize)> = Vec::new();
        let mut m = begin;
        while m < end {
            let rest = t.rest(m);
            if rest >= 120 {
                rests.push((m, m + rest));
            }
            m += rest.max(1);
        }
        let long = |r: &(usize, usize)| r.1 - r.0;
        let (mut from, mut out_of, mut last_pair): (usize, Vec<(usize, usize)>, usize) =
            (begin, vec![], 0);
        for second in 0..rests.len() {
            let b = rests[second];
            let first = (last_pair..second).rev().find(|f| {
                let a = rests[*f];
                long(&a).max(long(&b)) >= 420 && long(&a) + long(&b) >= 600
            });
            if let Some(first) = first {
                let a = rests[first];
                if !out_of.contains(&a) {
                    out_of.push(a);
                }
                us_part(t, (from, b.0), &out_of, out);
                (from, out_of, last_pair) = (a.1, vec![b], second);
            }
        }
        us_part(t, (from, end), &out_of, out);
    }
}

fn us_part(t: &Minutes, (from, to): (usize, usize), left: &[(usize, usize)], out: &mut Vec<Row>) {
    let driven = t.driven(from, to);
    if driven > 11 * 60 {
        out.push(("daily_driving", "", from, to, driven));
    }
    let counts = |m: &usize| !left.iter().any(|(a, b)| (*a..*b).contains(m));
    let elapsed = (from..to).filter(counts).count();
    if elapsed > 14 * 60 {
        out.push(("daily_duty", "", from, to, elapsed));
    }
}

/// Local midnight of UTC+7 as minutes of UTC: day `d` begins at `d x 1440 - 420`.
pub fn us_cycle(t: &Minutes, restart: usize, out: &mut Vec<Row>) {
    for (begin, end) in t.spans(restart) {
        let day = |m: usize| (m + 420) / 1440;
        let start = |d: usize| (d * 1440).saturating_sub(420);
        let sum =
            |first: usize, to: usize| t.driven(start(first).max(begin), start(to + 1).min(end));
        let mut over: Option<(usize, usize, usize)> = None;
        for d in day(begin)..=day(end) {
            let first = d.saturating_sub(7);
            let carried = if d == 0 { 0 } else { sum(first, d - 1) };
            if let Some((from, to, most)) = over.filter(|_| carried <= 70 * 60) {
                out.push(("weekly_driving", "", from, to, most));
                over = None;
            }
            let now = sum(first, d);
            let today = t
                .first(start(d).max(begin))
                .filter(|m| *m < start(d + 1).min(end));
            if now > 70 * 60 && today.is_some() {
                let (from, _, most) =
                    over.unwrap_or((t.first(start(first).max(begin)).unwrap(), 0, 0));
                over = Some((from, t.last(start(d + 1).min(end)), most.max(now)));
            }
        }
        out.extend(over.map(|(from, to, most)| ("weekly_driving", "", from, to, most)));
    }
}
