//! The driving day between two rests: how much is driven in it and until when (EU 561/2006 art. 6.1,
//! readings F3, F4; 49 CFR 395.3 and 395.5).

use super::{Case, Counted, Piece};
use crate::profile::{Profile, Profiles, Shift};
use std::collections::BTreeMap;
use waywarden_model::{Kind, LocalDay, Timestamp, Violation};

/// Pieces between two rests that end a driving day.
pub(super) fn shifts<'p, 'a>(profiles: &Profiles, pieces: &'p [Piece<'a>]) -> Vec<&'p [Piece<'a>]> {
    let ends = |a: &Piece<'_>, pause: i64| {
        let shift = profiles.at(a.end).hours.shift.as_ref();
        shift.is_some_and(|s| pause >= s.rest_s * 1000)
    };
    pieces.chunk_by(|a, b| !ends(a, a.pause(b))).collect()
}

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    if !case.any(|p| p.hours.shift.is_some()) {
        return Vec::new();
    }
    let mut found = Vec::new();
    // Days of a week that were extended (F4): a day is of the week in which it begins.
    let mut extended: BTreeMap<LocalDay, u32> = BTreeMap::new();
    for shift in shifts(case.profiles, case.pieces) {
        let law = case.profiles.at(shift[0].start);
        let Some(rule) = &law.hours.shift else {
            continue;
        };
        for part in parts(shift, rule) {
            let zone = case.profiles.week_zone();
            let week = zone.day_of(part.pieces[0].start).monday();
            let limit = allowed(rule, &part, extended.entry(week).or_default());
            let driven = Counted::by(law, part.pieces, limit);
            let duty = rule.duty_s.map(|s| s * 1000);
            let duty = duty.and_then(|ms| Counted::by(law, part.pieces, ms));
            let late = rule.window_s.and_then(|s| part.late(law, s * 1000));
            let of = |kind, c: &Counted<'_>| case.violation(kind, None, part.pieces, c);
            found.extend(driven.map(|c| of(Kind::DailyDriving, &c)));
            found.extend(duty.or(late).map(|c| of(Kind::DailyDuty, &c)));
        }
    }
    found
}

/// The day's limit in milliseconds; a day longer than the common one uses an extension while there
/// is one left (F4).
fn allowed(rule: &Shift, part: &Part<'_, '_>, extended: &mut u32) -> i64 {
    let driven: i64 = part.pieces.iter().map(Piece::ms).sum();
    match rule.extended_s {
        Some(longer) if driven > rule.driving_s * 1000 && *extended < rule.extended_per_week => {
            *extended += 1;
            longer * 1000
        }
        _ => rule.driving_s * 1000,
    }
}

/// What is counted together: a driving day, or of one with split rests what lies between the end
/// of the first rest of one pair and the second of the next (49 CFR 395.1(g)).
struct Part<'p, 'a> {
    pieces: &'p [Piece<'a>],
    /// Rests that belong to pairs, and do not count towards the window.
    left_out: Vec<(Timestamp, Timestamp)>,
}

impl<'a> Part<'_, 'a> {
    /// From the beginning to `t` without the rests left out.
    fn elapsed(&self, t: Timestamp) -> i64 {
        let before = self.left_out.iter().filter(|(_, to)| *to <= t);
        let out: i64 = before.map(|(from, to)| to.since(*from)).sum();
        t.since(self.pieces[0].start) - out
    }

    /// Driving behind the window's end.
    fn late(&self, law: &'a Profile, window_ms: i64) -> Option<Counted<'a>> {
        let last = self.pieces.last()?;
        let passed = self
            .pieces
            .iter()
            .find(|p| self.elapsed(p.end) > window_ms)?;
        Some(Counted {
            first: self.pieces[0].start,
            last: last.end,
            ms: self.elapsed(last.end),
            limit_ms: window_ms,
            passed_in: passed.period,
            profile: law,
        })
    }
}

/// A shift in one part, or in the parts that pairs of rests make of it. Of several rests that go
/// with a later one, the latest is its pair: it gives the shortest parts.
fn parts<'p, 'a>(shift: &'p [Piece<'a>], rule: &Shift) -> Vec<Part<'p, 'a>> {
    let rests = rests(shift, rule);
    let mut parts = Vec::new();
    let (mut begin, mut earliest, mut left_out) = (0, 0, Vec::new());
    for (n, second) in rests.iter().enumerate() {
        let pair = (earliest..n).rev().find(|i| rests[*i].pairs(second, rule));
        let Some(i) = pair else { continue };
        let first = &rests[i];
        let mut out: Vec<_> = std::mem::take(&mut left_out);
        if !out.contains(&first.span) {
            out.push(first.span);
        }
        parts.push(Part {
            pieces: &shift[begin..=second.behind],
            left_out: out,
        });
        begin = first.behind + 1;
        earliest = n;
        left_out.push(second.span);
    }
    parts.push(Part {
        pieces: &shift[begin..],
        left_out,
    });
    parts
}

/// A rest within a shift, long enough for one of a pair.
struct Rest {
    /// Index of the piece before it.
    behind: usize,
    span: (Timestamp, Timestamp),
}

impl Rest {
    fn ms(&self) -> i64 {
        self.span.1.since(self.span.0)
    }

    fn pairs(&self, other: &Self, rule: &Shift) -> bool {
        let (a, b) = (self.ms(), other.ms());
        let long = rule.split_s.map_or(i64::MAX, |[long, _]| long * 1000);
        a.max(b) >= long && a + b >= rule.rest_s * 1000
    }
}

fn rests(shift: &[Piece<'_>], rule: &Shift) -> Vec<Rest> {
    let Some([_, short]) = rule.split_s else {
        return Vec::new();
    };
    let rest = |(n, pair): (usize, &[Piece<'_>])| Rest {
        behind: n,
        span: (pair[0].end, pair[1].start),
    };
    let all = shift.windows(2).enumerate().map(rest);
    all.filter(|r| r.ms() >= short * 1000).collect()
}
