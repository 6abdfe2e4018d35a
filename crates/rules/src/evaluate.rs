//! The rules on a set of records at hand: through the same code as the worker's, without a server.

pub mod input;
pub mod output;

use crate::state::{Outputs, SourceState};
use crate::step::{Context, finish, step};
use crate::subject;
use std::collections::{BTreeMap, HashMap};
use waywarden_model::hash::content_hash;
use waywarden_model::{DayRow, DriverDay, Period, Record, SourceId, Subject, Timestamp, Violation};

/// What a set of records shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// In the order of start, vehicle, kind.
    pub violations: Vec<Violation>,
    pub periods: Vec<Period>,
    pub day_rows: Vec<DayRow>,
    pub driver_days: Vec<DriverDay>,
    pub counts: Counts,
}

/// What became of the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub judged: u64,
    /// The same record again.
    pub repeated: u64,
    /// Of one instant with another that was judged (reading A2).
    pub same_instant: u64,
    /// Dated after `now` (reading A5: without tolerance).
    pub future: u64,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.repeated += other.repeated;
        self.same_instant += other.same_instant;
        self.future += other.future;
    }
}

/// Judges records in any order, repeated or not; the result is a function of their set.
pub fn evaluate(
    records: impl IntoIterator<Item = (SourceId, Record)>,
    ctx: &Context<'_>,
    now: Timestamp,
) -> Evaluation {
    let mut by_source: HashMap<SourceId, Vec<Record>> = HashMap::new();
    for (source, record) in records {
        by_source.entry(source).or_default().push(record);
    }
    conclude([judge(by_source, ctx, now)], ctx)
}

/// What sources show each for itself.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    out: Outputs,
    counts: Counts,
}

/// Judges sources, all records of each; one without the other, so that it can be done side by side.
pub fn judge(
    sources: impl IntoIterator<Item = (SourceId, Vec<Record>)>,
    ctx: &Context<'_>,
    now: Timestamp,
) -> Judged {
    let mut judged = Judged::default();
    for (source, mut records) in sources {
        let all = records.len();
        records.retain(|record| record.time <= now);
        judged.counts.future += (all - records.len()) as u64;
        sort(&mut records);
        let state = SourceState::new(source);
        fold(state, &records, ctx, &mut judged.out, &mut judged.counts);
    }
    judged
}

/// What all sources show, and their drivers and vehicles over all of them.
pub fn conclude(judged: impl IntoIterator<Item = Judged>, ctx: &Context<'_>) -> Evaluation {
    let (mut out, mut counts) = (Outputs::default(), Counts::default());
    for some in judged {
        out.take_in(some.out);
        counts.add(some.counts);
    }
    let periods: Vec<Period> = out.periods.into_values().collect();
    let mut violations: Vec<Violation> = out.violations.into_values().collect();
    let mut driver_days = Vec::new();
    let mut subjects: BTreeMap<Subject, Vec<Period>> = BTreeMap::new();
    for period in &periods {
        subjects
            .entry(period.subject())
            .or_default()
            .push(period.clone());
    }
    for (subject, periods) in subjects {
        let judged = subject::judge(ctx.profiles, &subject, Timestamp::MIN, &periods);
        violations.extend(judged.violations);
        driver_days.extend(judged.driver_days);
    }
    violations.sort_by(|a, b| {
        let first = (a.start, &a.plate, a.kind).cmp(&(b.start, &b.plate, b.kind));
        first.then_with(|| a.id().cmp(&b.id()))
    });
    let day_rows = out.day_rows.into_values().collect();
    Evaluation {
        violations,
        periods,
        day_rows,
        driver_days,
        counts,
    }
}

/// By event time; of one instant the record that is judged comes first (readings A1, A2).
pub fn sort(records: &mut [Record]) {
    records.sort_by(|a, b| {
        a.time.cmp(&b.time).then_with(|| {
            if a.precedes_at_same_instant(b) {
                std::cmp::Ordering::Less
            } else if b.precedes_at_same_instant(a) {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
    });
}

fn fold(
    mut state: SourceState,
    sorted: &[Record],
    ctx: &Context<'_>,
    out: &mut Outputs,
    counts: &mut Counts,
) {
    let mut judged: Option<&Record> = None;
    for record in sorted {
        match judged.filter(|j| j.time == record.time) {
            Some(j) if content_hash(j) == content_hash(record) => counts.repeated += 1,
            Some(_) => counts.same_instant += 1,
            None => {
                step(&mut state, record, ctx, out);
                counts.judged += 1;
                judged = Some(record);
            }
        }
    }
    finish(&mut state, ctx, out);
}
