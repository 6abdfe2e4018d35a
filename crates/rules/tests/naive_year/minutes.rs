//! A year as minutes, and what was found in it.

use crate::year::WEEK;

/// Kind, rule, first and last minute, minutes counted.
pub type Row = (&'static str, &'static str, usize, usize, usize);

pub const WEEKS: usize = 53;

/// Each minute from Monday 00:00 UTC on: driven or not, how many were driven before it, and how
/// many follow without driving. Behind the end nothing is driven.
pub struct Minutes(pub Vec<bool>, Vec<usize>, Vec<usize>);

impl Minutes {
    pub fn of(driven: &[(usize, usize)]) -> Self {
        let mut all = vec![false; (WEEKS + 30) * WEEK];
        for (a, b) in driven {
            all[*a..*b].fill(true);
        }
        let mut before = vec![0; all.len() + 1];
        let mut rest = vec![0; all.len() + 1];
        for m in 0..all.len() {
            before[m + 1] = before[m] + usize::from(all[m]);
        }
        for m in (0..all.len()).rev() {
            rest[m] = if all[m] { 0 } else { rest[m + 1] + 1 };
        }
        Self(all, before, rest)
    }

    pub fn driven(&self, from: usize, to: usize) -> usize {
        let upto = to.min(self.0.len());
        self.1[upto] - self.1[from.min(upto)]
    }

    /// Minutes without driving from `from` on.
    pub fn rest(&self, from: usize) -> usize {
        self.2[from]
    }

    /// First driven minute at or after `from`.
    pub fn first(&self, from: usize) -> Option<usize> {
        (from..self.0.len()).find(|m| self.0[*m])
    }

    /// End of the last driven minute before `to`.
    pub fn last(&self, to: usize) -> usize {
        (0..to).rev().find(|m| self.0[*m]).map_or(0, |m| m + 1)
    }

    pub fn end(&self) -> usize {
        self.last(self.0.len())
    }

    /// Spans from a first driven minute to the last one before a rest of `rest` minutes.
    pub fn spans(&self, rest: usize) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        let mut next = self.first(0);
        while let Some(begin) = next {
            let mut m = begin;
            while self.0[m] || self.rest(m) < rest.min(self.0.len() - m) {
                m += 1;
            }
            spans.push((begin, m));
            next = self.first(m);
        }
        spans
    }

    /// Rests of at least `least` minutes between two drives: first minute and the one behind.
    pub fn rests(&self, least: usize) -> Vec<(usize, usize)> {
        let spans = self.spans(least);
        spans.windows(2).map(|w| (w[0].1, w[1].0)).collect()
    }
}

/// Driving of which more than `most` minutes lie between two breaks of `rest` minutes.
pub fn between_breaks(t: &Minutes, rest: usize, most: usize, out: &mut Vec<Row>) {
    for (begin, end) in t.spans(rest) {
        let driven = t.driven(begin, end);
        if driven > most {
            out.push(("continuous_driving", "", begin, end, driven));
        }
    }
}
