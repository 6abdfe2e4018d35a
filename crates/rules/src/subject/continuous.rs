//! Driving between two sufficient breaks, of which only driving counts (readings D6, D8 to D10,
//! F9, F12), by day and by night.

use super::{Case, Counted, Piece};
use crate::profile::{Clock, Profiles};
use std::collections::BTreeMap;
use waywarden_model::{Kind, LocalDay, Rule, Violation};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for chain in chains(case.profiles, case.pieces) {
        let counted = Counted::of(case.profiles, chain, |p| {
            p.driving.continuous_s.map(|s| s * 1000)
        });
        found.extend(counted.map(|c| case.violation(Kind::ContinuousDriving, None, chain, &c)));
        found.extend(by_night(case, chain));
    }
    found
}

/// The night's part of a chain, by the law of the chain's start.
fn by_night(case: &Case<'_>, chain: &[Piece<'_>]) -> Vec<Violation> {
    let Some(law) = chain.first().map(|p| case.profiles.at(p.start)) else {
        return Vec::new();
    };
    let Some(night) = &law.hours.night else {
        return Vec::new();
    };
    let mut nights: BTreeMap<LocalDay, Vec<Piece<'_>>> = BTreeMap::new();
    for piece in chain {
        let hours = (night.from, night.until);
        let zone = case.profiles.zone();
        for (day, start, end) in Clock::stretches(hours, zone, (piece.start, piece.end)) {
            let part = Piece {
                start,
                end,
                ..*piece
            };
            nights.entry(day).or_default().push(part);
        }
    }
    let judge_night = |pieces: &Vec<Piece<'_>>| {
        let counted = Counted::by(law, pieces, night.continuous_s * 1000)?;
        let (kind, rule) = (Kind::ContinuousDriving, Some(Rule::Night));
        Some(case.violation(kind, rule, pieces, &counted))
    };
    nights.values().filter_map(judge_night).collect()
}

/// Pieces between two sufficient breaks.
fn chains<'p, 'a>(profiles: &Profiles, pieces: &'p [Piece<'a>]) -> Vec<&'p [Piece<'a>]> {
    let mut taken = Taken::default();
    pieces
        .chunk_by(|a, b| !taken.ends(profiles, a, a.pause(b)))
        .collect()
}

/// Parts of each way to take the break that were taken since driving began anew.
#[derive(Debug, Default)]
struct Taken(Vec<usize>);

impl Taken {
    /// Whether driving begins anew behind a pause. A first part may be longer than it must, it is
    /// still only the first part (F12).
    fn ends(&mut self, profiles: &Profiles, last: &Piece<'_>, pause: i64) -> bool {
        if pause <= 0 {
            return false;
        }
        let Some(breaks) = &profiles.at(last.end).hours.breaks else {
            return pause >= last.period.break_ms;
        };
        self.0.resize(breaks.patterns.len(), 0);
        for (pattern, taken) in breaks.patterns.iter().zip(&mut self.0) {
            let enough = pattern.get(*taken).is_none_or(|s| pause >= s * 1000);
            *taken += usize::from(enough);
        }
        let whole = |(p, taken): (&Vec<i64>, &usize)| *taken >= p.len();
        let ends = breaks.patterns.iter().zip(&self.0).any(whole);
        if ends {
            self.0.clear();
        }
        ends
    }
}
