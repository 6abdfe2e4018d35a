//! Weekly rest in the EU: where each counts, and what reduced ones owe.

use crate::minutes::{Minutes, Row};
use crate::year::WEEK;
use std::collections::HashMap;

/// What the weeks hold: (regular, reduced) rests, the reduced ones as (begin, minutes).
#[derive(Clone, Default)]
struct Held {
    regular: usize,
    reduced: Vec<(usize, usize)>,
}

/// The weekly rests and the weeks (counted from 100 before the first) in which they fall, where
/// each may count: all its ways to do so, the earlier week first.
struct Weekly {
    rests: Vec<(usize, usize)>,
    ways: Vec<Vec<Vec<(usize, &'static str)>>>,
    judged: std::ops::Range<usize>,
}

/// Minutes are moved by so many weeks, since the first rest may begin before the first week.
const BEFORE: usize = 100;

fn eu_weekly(t: &Minutes) -> Weekly {
    let moved = |m: usize| m + BEFORE * WEEK;
    let first = moved(t.first(0).unwrap());
    // A weekly rest ended at the first activity, the last one goes on. (F11)
    let mut rests = vec![(first - 2700, first)];
    rests.extend(t.rests(1440).iter().map(|(a, b)| (moved(*a), moved(*b))));
    rests.push((moved(t.end()), moved(t.end()) + 12 * WEEK));
    let ways = rests.iter().map(|(a, b)| {
        let weeks: Vec<usize> = (a / WEEK..=(b - 1) / WEEK).collect();
        let (wholes, left) = ((b - a) / 2700, (b - a) % 2700);
        match (weeks.as_slice(), wholes) {
            (all, n) if n >= all.len() => vec![all.iter().map(|w| (*w, "regular")).collect()],
            ([one], _) => vec![vec![(*one, "reduced")]],
            ([x, y], 0) => vec![vec![(*x, "reduced")], vec![(*y, "reduced")]],
            ([x, y], 1) if left >= 1440 => vec![
                vec![(*x, "regular"), (*y, "reduced")],
                vec![(*x, "reduced"), (*y, "regular")],
            ],
            ([x, y], 1) => vec![vec![(*x, "regular")], vec![(*y, "regular")]],
            _ => panic!("no rest of less than 45 h a week lies in three weeks"),
        }
    });
    let full = first.div_ceil(WEEK);
    let last = moved(t.end()) / WEEK; // not full
    Weekly {
        ways: ways.collect(),
        rests,
        judged: full..last.saturating_sub(1).max(full),
    }
}

fn fails(a: (usize, usize), b: (usize, usize)) -> bool {
    a.0 + b.0 == 0 || a.0 + b.0 + a.1 + b.1 < 2
}

/// (Week, regular, reduced) where something has counted.
type Counted = Vec<(usize, usize, usize)>;

impl Weekly {
    fn add(way: &[(usize, &str)], held: &mut Counted) {
        for (week, what) in way {
            if !held.iter().any(|h| h.0 == *week) {
                held.push((*week, 0, 0));
            }
            let h = held.iter_mut().find(|h| h.0 == *week).unwrap();
            if *what == "regular" {
                h.1 += 1;
            } else {
                h.2 += 1;
            }
        }
    }

    /// Fewest pairs that fail, and the first ways to have them, from the `n`th rest on. Pairs that
    /// no later rest can reach are counted at once and their weeks forgotten.
    fn best(
        &self,
        n: usize,
        held: &Counted,
        from: usize,
        known: &mut HashMap<(usize, Counted), (usize, Vec<usize>)>,
    ) -> (usize, Vec<usize>) {
        let key = (n, held.clone());
        if let Some(found) = known.get(&key) {
            return found.clone();
        }
        let of = |held: &Counted, w: usize| {
            held.iter()
                .find(|h| h.0 == w)
                .map_or((0, 0), |h| (h.1, h.2))
        };
        let mut best: Option<(usize, Vec<usize>)> = None;
        for (i, way) in self.ways[n].iter().enumerate() {
            let mut after = held.clone();
            Self::add(way, &mut after);
            // The next rest may still give to the week in which it begins.
            let reach = self.rests.get(n + 1).map_or(usize::MAX / 2, |r| r.0 / WEEK);
            let done = self.judged.clone().filter(|w| *w >= from && w + 1 < reach);
            let failed = done
                .filter(|w| fails(of(&after, *w), of(&after, w + 1)))
                .count();
            after.retain(|h| h.0 + 1 >= reach.saturating_sub(1));
            after.sort_unstable();
            let begin = from.max(reach.min(self.judged.end).saturating_sub(1));
            let (more, mut chosen) = if n + 1 < self.ways.len() {
                self.best(n + 1, &after, begin, known)
            } else {
                (0, vec![])
            };
            chosen.insert(0, i);
            if best
                .as_ref()
                .is_none_or(|(least, _)| failed + more < *least)
            {
                best = Some((failed + more, chosen));
            }
        }
        known.insert(key, best.clone().unwrap());
        best.unwrap()
    }
}

/// Art. 8.6 and 8.9: two weekly rests in two weeks, one of them regular, each counted once; a
/// reduced one made up for before the end of the third week after. (F13 to F15)
pub fn eu_two_weeks_and_debts(t: &Minutes, out: &mut Vec<Row>) {
    let weekly = eu_weekly(t);
    let (least, chosen) = weekly.best(0, &vec![], 0, &mut HashMap::new());
    let mut held: HashMap<usize, Held> = HashMap::new();
    for ((way, rest), choice) in weekly.ways.iter().zip(&weekly.rests).zip(chosen) {
        for (week, what) in &way[choice] {
            let held = held.entry(*week).or_default();
            if *what == "regular" {
                held.regular += 1;
            } else {
                let whole = way[choice].len() == 2;
                let counts = rest.1 - rest.0 - if whole { 2700 } else { 0 };
                held.reduced.push((rest.0, counts));
            }
        }
    }
    let of = |w: usize| held.get(&w).cloned().unwrap_or_default();
    let count = |w: usize| (of(w).regular, of(w).reduced.len());
    let mut failed = 0;
    for week in weekly
        .judged
        .clone()
        .filter(|w| fails(count(*w), count(w + 1)))
    {
        failed += 1;
        let from = (week - BEFORE) * WEEK;
        let Some(begin) = t.first(from).filter(|m| *m < from + WEEK) else {
            continue;
        };
        let (a, b) = (of(week), of(week + 1));
        let rested = if a.regular + b.regular == 0 {
            a.reduced
                .iter()
                .chain(&b.reduced)
                .map(|r| r.1)
                .max()
                .unwrap_or(0)
        } else {
            // The longest rest below a weekly one.
            let inside = |(x, y): (usize, usize)| {
                let (x, y) = (x.max(from), y.min(from + 2 * WEEK));
                y.saturating_sub(x)
            };
            let below = t.rests(540).into_iter().filter(|(x, y)| y - x < 1440);
            below.map(inside).max().unwrap_or(0)
        };
        out.push((
            "weekly_rest",
            "two_weeks",
            begin,
            t.last(from + 2 * WEEK),
            rested,
        ));
    }
    assert_eq!(failed, least);
    eu_debts(t, &weekly, &held, out);
}

fn eu_debts(t: &Minutes, weekly: &Weekly, held: &HashMap<usize, Held>, out: &mut Vec<Row>) {
    // (begin of the rest, minutes of it, minutes owed, due, paid)
    let mut debts: Vec<(usize, usize, usize, usize, bool)> = Vec::new();
    for (week, h) in held.iter().filter(|(_, h)| h.regular == 0) {
        let longest = h.reduced.iter().map(|r| r.1).max().unwrap();
        let rest = h.reduced.iter().find(|r| r.1 == longest).unwrap();
        debts.push((rest.0, longest, 2700 - longest, (week + 4) * WEEK, false));
    }
    debts.sort_unstable();
    let moved = |m: usize| m + BEFORE * WEEK;
    for (begin, end) in t.rests(540).iter().map(|(a, b)| (moved(*a), moved(*b))) {
        let owing = debts.iter().any(|d| d.0 == begin);
        let regular = weekly
            .rests
            .iter()
            .position(|r| r.0 == begin)
            .map_or(0, |n| {
                let counts = weekly.ways[n][0]
                    .iter()
                    .filter(|(_, what)| *what == "regular");
                counts.count()
            });
        let base = if regular > 0 { 2700 * regular } else { 540 };
        let mut hours = if owing {
            0
        } else {
            (end - begin).saturating_sub(base)
        };
        for debt in debts.iter_mut().filter(|d| d.0 < begin && !d.4) {
            if debt.2 <= hours && end <= debt.3 {
                hours -= debt.2;
                debt.4 = true;
            }
        }
    }
    for (begin, rested, _, due, paid) in debts {
        if !paid && due <= moved(t.end()) {
            let first = begin - BEFORE * WEEK;
            let end = first + t.rest(first);
            out.push(("weekly_rest", "not_compensated", first, end, rested));
        }
    }
}
