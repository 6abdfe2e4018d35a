//! Which week a weekly rest counts in (EU 561/2006 art. 8.9; readings F13, F15): each in one, that
//! in which the fewest pairs of weeks fail, at a tie the earlier.

use super::{Rest, monday};
use crate::profile::WeeklyRest;
use std::ops::Range;
use waywarden_model::{LocalDay, TimeZone, Timestamp};

/// The weeks of the data, numbered from the one in which the rest before the first activity began.
pub(super) struct Calendar {
    zone: TimeZone,
    first: LocalDay,
    /// When the first rest began, by what is known or taken to be so.
    pub begin: Timestamp,
    pub weeks: usize,
    /// Pairs of full weeks, by the number of the first of the two.
    pairs: Range<usize>,
}

impl Calendar {
    /// `known` is from where on it is known what was driven, `end` the last activity's end.
    pub fn new(zone: &TimeZone, begin: Timestamp, known: Timestamp, end: Timestamp) -> Self {
        let first = monday(zone, begin);
        let mut calendar = Self {
            zone: zone.clone(),
            first,
            begin,
            weeks: 0,
            pairs: 0..0,
        };
        calendar.weeks = calendar.number(end) + 1;
        let of_known = calendar.number(known);
        let full = of_known + usize::from(calendar.start(of_known) < known);
        // Week `number(end)` is full only where the data go on to its very end.
        calendar.pairs = full..calendar.number(end).saturating_sub(1).max(full);
        calendar
    }

    /// Number of the week in which `t` lies.
    pub fn number(&self, t: Timestamp) -> usize {
        let days = monday(&self.zone, t).0 - self.first.0;
        usize::try_from(days / 7).unwrap_or(0)
    }

    /// The first instant of a week.
    pub fn start(&self, week: usize) -> Timestamp {
        let days = i32::try_from(7 * week).unwrap_or(i32::MAX / 2);
        self.zone.start_of(self.first.plus(days))
    }

    pub fn judged(&self) -> Range<usize> {
        self.pairs.clone()
    }
}

/// The weekly rests that a week has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct InWeek {
    pub regular: usize,
    /// Number of the rest, and milliseconds of it that count here.
    pub reduced: Vec<(usize, i64)>,
}

/// As how many weekly rests a rest counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct CountsAs {
    pub regular: i64,
    pub reduced: bool,
}

impl CountsAs {
    pub fn any(self) -> bool {
        self.regular > 0 || self.reduced
    }
}

/// Who counts where.
pub(super) struct Shares {
    pub weeks: Vec<InWeek>,
    /// By the number of the rest.
    pub counted: Vec<CountsAs>,
}

impl Shares {
    /// Whether a week and the next lack a weekly rest, or a regular one.
    pub fn fails(&self, week: usize) -> bool {
        let count = |w: &InWeek| (w.regular, w.reduced.len());
        short(count(&self.weeks[week]), count(&self.weeks[week + 1]))
    }
}

/// (regular, reduced) rests of two weeks that are not enough.
fn short(a: (usize, usize), b: (usize, usize)) -> bool {
    let regular = a.0 + b.0;
    regular == 0 || regular + a.1 + b.1 < 2
}

/// A rest over the boundary of two weeks that counts in the earlier or in the later one.
#[derive(Debug, Clone, Copy)]
struct Straddler {
    rest: usize,
    /// Long enough for a regular and a reduced one, each in another week: the choice is which
    /// week has the regular one.
    both: bool,
    regular: bool,
    ms: i64,
}

impl Straddler {
    /// (regular, reduced) of the earlier and of the later week, by the choice.
    fn gives(self, later: bool) -> [(usize, usize); 2] {
        let one = if self.regular { (1, 0) } else { (0, 1) };
        let other = if self.both { (0, 1) } else { (0, 0) };
        if later { [other, one] } else { [one, other] }
    }
}

pub(super) fn shares(rests: &[Rest], calendar: &Calendar, rule: &WeeklyRest) -> Shares {
    let mut shares = Shares {
        weeks: vec![InWeek::default(); calendar.weeks],
        counted: vec![CountsAs::default(); rests.len()],
    };
    // By the number of the earlier week.
    let mut over: Vec<Option<Straddler>> = vec![None; calendar.weeks];
    let (regular, reduced) = (rule.regular_s * 1000, rule.reduced_s * 1000);
    for (n, rest) in rests.iter().enumerate() {
        if rest.ms() < reduced {
            continue;
        }
        let first = calendar.number(rest.from);
        let last = calendar.number(rest.to.plus_millis(-1));
        let touched = i64::try_from(last - first + 1).unwrap_or(i64::MAX);
        let wholes = rest.ms() / regular;
        if wholes >= touched {
            shares.counted[n].regular = touched;
            let weeks = shares.weeks.iter_mut().take(last + 1).skip(first);
            weeks.for_each(|w| w.regular += 1);
        } else if touched == 1 {
            shares.counted[n].reduced = true;
            shares.weeks[first].reduced.push((n, rest.ms()));
        } else {
            // Not long enough for two regular ones, so it touches two weeks.
            over[first] = Some(Straddler {
                rest: n,
                both: wholes == 1 && rest.ms() - regular >= reduced,
                regular: wholes == 1,
                ms: rest.ms(),
            });
        }
    }
    let choices = choose(&shares.weeks, &over, calendar);
    for (week, (straddler, later)) in over.iter().zip(choices).enumerate() {
        if let Some(s) = straddler {
            s.count(
                &mut shares,
                if later {
                    [week + 1, week]
                } else {
                    [week, week + 1]
                },
                regular,
            );
        }
    }
    shares
}

impl Straddler {
    fn count(self, shares: &mut Shares, [week, other]: [usize; 2], regular_ms: i64) {
        let counted = &mut shares.counted[self.rest];
        if self.regular {
            counted.regular = 1;
            shares.weeks[week].regular += 1;
        } else {
            counted.reduced = true;
            shares.weeks[week].reduced.push((self.rest, self.ms));
        }
        if self.both {
            counted.reduced = true;
            let left = self.ms - regular_ms;
            shares.weeks[other].reduced.push((self.rest, left));
        }
    }
}

/// Cost of what follows, by the choices at a week's two boundaries.
type Costs = [[u32; 2]; 2];

/// For each boundary whether its rest counts in the later week. Among the choices that let the
/// fewest pairs fail, the first boundary at which two differ counts in the earlier week.
fn choose(fixed: &[InWeek], over: &[Option<Straddler>], calendar: &Calendar) -> Vec<bool> {
    let weeks = fixed.len();
    let count = |week: usize, before: usize, behind: usize| {
        let mut sum = (fixed[week].regular, fixed[week].reduced.len());
        let of = |s: Option<Straddler>, choice: usize, side: usize| {
            s.map_or((0, 0), |s| s.gives(choice == 1)[side])
        };
        let earlier = if week == 0 { None } else { over[week - 1] };
        for (r, d) in [of(earlier, before, 1), of(over[week], behind, 0)] {
            sum = (sum.0 + r, sum.1 + d);
        }
        sum
    };
    let judged = calendar.judged();
    // The pair of `week` and the next, and what follows; by the choices before and behind `week`.
    let cost = |costs: &Costs, week: usize, before: usize, behind: usize, next: usize| {
        let fails = judged.contains(&week)
            && short(count(week, before, behind), count(week + 1, behind, next));
        u32::from(fails) + costs[behind][next]
    };
    let options = |week: usize| 0..1 + usize::from(over[week].is_some());
    let mut costs: Vec<Costs> = vec![[[0; 2]; 2]; weeks];
    for week in (0..weeks.saturating_sub(1)).rev() {
        for (before, behind) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let best =
                options(week + 1).map(|next| cost(&costs[week + 1], week, before, behind, next));
            costs[week][before][behind] = best.min().unwrap_or(0);
        }
    }
    let mut choices = Vec::with_capacity(weeks);
    let mut before = 0;
    let mut behind = options(0).min_by_key(|c| costs[0][0][*c]).unwrap_or(0);
    for week in 0..weeks {
        choices.push(behind == 1);
        if week + 1 < weeks {
            let next = options(week + 1);
            let next = next.min_by_key(|n| cost(&costs[week + 1], week, before, behind, *n));
            (before, behind) = (behind, next.unwrap_or(0));
        }
    }
    choices
}
