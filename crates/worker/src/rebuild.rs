//! Judging a source again from its records on file, when some of them came late or what they are
//! judged by has changed: the same fold as the live one, from the newest state saved before them.

use crate::law::Law;
use crate::source::{Given, day_begun};
use crate::stage::Bounds;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::Poll;
use waywarden_model::{InvalidReason, LocalDay, Record, Timestamp, Verdict, Violation};
use waywarden_rules::{Context, ENGINE_VERSION, SourceState, StateError, step};
use waywarden_store::{Mark, RebuildStore, Rebuilt, Reversed, StoreError, StoredRecord};

/// Records read at once: few first, so that judging begins soon, then as many as are worth it.
const PAGES: [usize; 2] = [1024, 8192];

/// Why a source could not be judged again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
}

/// What judging again gives.
#[derive(Debug)]
pub struct Again {
    /// For the store; the caller adds the saved form of `state`.
    pub rebuilt: Rebuilt,
    /// The source's state behind its last record; None where the judging stopped early, since it
    /// came to what the source had become before.
    pub state: Option<SourceState>,
}

/// Judges the records of the mark's source from the local day of the mark on. Nothing is written.
///
/// # Errors
/// What the store said; a saved state that cannot be read.
pub async fn judge_again<S: RebuildStore + ?Sized>(
    store: &S,
    law: &Law,
    bounds: Bounds,
    mark: Mark,
    now: Timestamp,
) -> Result<Again, RebuildError> {
    let (source, day) = (mark.source.clone(), law.profiles().zone().day_of(mark.from));
    let saved = store.state_at(&source, day, ENGINE_VERSION).await?;
    let state = match &saved {
        Some(saved) => SourceState::from_bytes(&saved.bytes)?,
        None => SourceState::new(source.clone()),
    };
    let mut first_day = saved.as_ref().map(|s| s.day);
    let later = store
        .states_after(&source, day, ENGINE_VERSION)
        .await?
        .into_iter()
        .map(|s| (s.day, s.bytes));
    // Of the last record's instant all were told apart before.
    let last = state.last_time();
    let mut after = last.map(|t| (t, i64::MAX.cast_unsigned()));
    let mut behind = last;
    if saved.is_none()
        && let Some(removed) = mark.removed
    {
        // It was on file, so whatever came behind it was kept as well.
        behind = Some(removed.plus_millis(-1));
        first_day = Some(law.profiles().zone().day_of(removed));
    }
    let mut fold = Fold {
        ctx: law.context(),
        bounds,
        state,
        given: Given::default(),
        verdicts: Runs::default(),
        upto: mark.upto,
        later: later.collect(),
        instant: Vec::new(),
    };
    let [mut size, most] = PAGES;
    let mut page = store.stored_records(&source, after, size).await?;
    let until = loop {
        let Some(last) = page.last() else {
            break fold.judge_instant();
        };
        // What rests on records that are no longer kept cannot be judged again: it stands.
        if saved.is_none()
            && let (None, Some(first)) = (after, page.first())
        {
            let first = first.record.time;
            let (before, day) = (first.plus_millis(-1), law.profiles().zone().day_of(first));
            behind = Some(behind.map_or(before, |b| b.min(before)));
            first_day = Some(first_day.map_or(day, |d| d.min(day)));
        }
        after = Some((last.record.time, last.hash));
        // The store reads the next ones while these are judged.
        size = (size * 2).min(most);
        let mut next = store.stored_records(&source, after, size);
        let at_once = begin(&mut next).await;
        if let Some(until) = fold.take(page) {
            break Some(until);
        }
        page = match at_once {
            Some(page) => page?,
            None => next.await?,
        };
    };
    Ok(fold.finish(mark, behind, first_day, until, now))
}

/// Lets a future do what it can without waiting, so that others have their part of it; gives what it
/// came to, if that is all.
async fn begin<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

/// Verdicts that differ from those on file, gathered while they change in the same way.
#[derive(Default)]
struct Runs {
    done: Vec<Reversed>,
    /// The last of them may go on.
    open: bool,
}

impl Runs {
    /// `alone`: it is the only record of its instant.
    fn note(&mut self, stored: &StoredRecord, is: Verdict, alone: bool) {
        let changes = stored.verdict != is;
        if self.open
            && let Some(run) = self.done.last_mut()
        {
            // What stays as it is and is not like those of the run may lie among them.
            if !changes && !run.was_of(stored) {
                return;
            }
            if alone && run.was_of(stored) && run.is == is {
                run.keys.push((stored.record.time, stored.hash));
                return;
            }
        }
        self.open = changes && alone;
        if changes {
            self.done.push(Reversed::one(stored, is));
        }
    }
}

/// Where the judging came to a state that was saved before: its day, and the last record before.
type Met = (LocalDay, Timestamp);

struct Fold<'a> {
    ctx: Context<'a>,
    bounds: Bounds,
    state: SourceState,
    given: Given,
    verdicts: Runs,
    /// The last instant with something new.
    upto: Timestamp,
    later: BTreeMap<LocalDay, Vec<u8>>,
    /// Records of one instant, until a later one is seen.
    instant: Vec<StoredRecord>,
}

impl Fold<'_> {
    fn take(&mut self, page: Vec<StoredRecord>) -> Option<Met> {
        for stored in page {
            let another = self
                .instant
                .last()
                .is_some_and(|i| i.record.time != stored.record.time);
            if another && let Some(met) = self.judge_instant() {
                return Some(met);
            }
            self.instant.push(stored);
        }
        None
    }

    /// Judges the record that reading A2 names among those of one instant.
    fn judge_instant(&mut self) -> Option<Met> {
        let mut instant = std::mem::take(&mut self.instant);
        instant.sort_by(|a, b| {
            let before = a.record.precedes_at_same_instant(&b.record);
            if before {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Greater
            }
        });
        let mut judged = false;
        let alone = instant.len() == 1;
        for stored in instant {
            let verdict = match self.left_out(&stored) {
                Some(verdict) => verdict,
                None if judged => Verdict::Invalid(InvalidReason::SameInstant),
                None => {
                    if let Some(met) = self.meets(&stored.record) {
                        return Some(met);
                    }
                    judged = true;
                    step(
                        &mut self.state,
                        &stored.record,
                        &self.ctx,
                        &mut self.given.facts,
                    )
                }
            };
            self.verdicts.note(&stored, verdict, alone);
        }
        None
    }

    /// What is not judged: too late, or from a device that was held and serves nobody.
    fn left_out(&self, stored: &StoredRecord) -> Option<Verdict> {
        let time = stored.record.time;
        let serves = || {
            let served = self.ctx.registry.assignment(self.state.source(), time);
            served.value.is_some()
        };
        if stored.verdict == Verdict::Held && !serves() {
            Some(Verdict::Held)
        } else if self.bounds.too_late(time, stored.received) {
            Some(Verdict::Unjudged)
        } else {
            None
        }
    }

    /// Whether the record begins a day at which the state is what it was before.
    fn meets(&mut self, record: &Record) -> Option<Met> {
        let last = self.state.last_time();
        let begun = day_begun(
            &mut self.state,
            record.time,
            &self.ctx,
            &mut self.given.facts,
        )?;
        let all_seen = record.time > self.upto;
        if all_seen && self.later.get(&begun.day) == Some(&begun.bytes) {
            return last.map(|last| (begun.day, last));
        }
        self.given.day_states.push(begun);
        None
    }

    fn finish(
        mut self,
        mark: Mark,
        behind: Option<Timestamp>,
        first_day: Option<LocalDay>,
        until: Option<Met>,
        now: Timestamp,
    ) -> Again {
        waywarden_rules::flush(&mut self.state, &mut self.given.facts);
        let mut facts = self.given.facts;
        // What goes on where the judging stopped is on file as it went on.
        let mut going_on = (None, Vec::new());
        if until.is_some() {
            let open = facts.violations.values().filter(|v| v.open);
            going_on = (self.state.open_period(), open.map(Violation::id).collect());
            facts.violations.retain(|_, v| !v.open);
            facts.periods.retain(|_, p| !p.open);
        }
        let rebuilt = Rebuilt {
            mark,
            behind,
            until,
            first_day,
            verdicts: self.verdicts.done,
            going_on,
            periods: facts.periods.into_values().collect(),
            violations: facts.violations.into_values().collect(),
            day_rows: facts.day_rows.into_values().collect(),
            day_states: self.given.day_states,
            state: None,
            now,
        };
        Again {
            rebuilt,
            state: until.is_none().then_some(self.state),
        }
    }
}
