//! Rolling sums and the night in China.

use crate::minutes::{Minutes, Row};

/// Driving of more than `most` minutes in any `within`, from when it is passed until it no longer is.
pub fn cn_rolling(t: &Minutes, kind: &'static str, within: usize, most: usize, out: &mut Vec<Row>) {
    let mut over: Option<(usize, usize)> = None;
    for m in 1..=t.end() + within {
        let from = m.saturating_sub(within);
        let sum = t.driven(from, m);
        match (over, sum > most) {
            // At the minute before, the sum was exactly at its limit.
            (None, true) => over = Some(((m - 1).saturating_sub(within), sum)),
            (Some((first, max)), true) => over = Some((first, max.max(sum))),
            (Some((first, max)), false) => {
                out.push((kind, "", t.first(first).unwrap(), t.last(m), max));
                over = None;
            }
            (None, false) => {}
        }
    }
}

/// 2 h between two breaks of 20 min, of what lies between 22:00 and 05:00 of UTC+7.
pub fn cn_night(t: &Minutes, out: &mut Vec<Row>) {
    let night = |m: usize| (m + 420) % 1440 >= 1320 || (m + 420) % 1440 < 300;
    for (begin, end) in t.spans(20) {
        let mut m = begin;
        while m < end {
            if !night(m) {
                m += 1;
                continue;
            }
            let over = (m..end).find(|n| !night(*n)).unwrap_or(end);
            let driven = t.driven(m, over);
            if driven > 120 {
                let first = t.first(m).unwrap();
                out.push(("continuous_driving", "night", first, t.last(over), driven));
            }
            m = over;
        }
    }
}
