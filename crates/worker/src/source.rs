//! One source as its partition's owner holds it: the rules' state and where filing stands.

use crate::alerts::Watch;
use serde::{Deserialize, Serialize};
use waywarden_model::hash::content_hash;
use waywarden_model::{LocalDay, Record, SourceId, Timestamp, Verdict};
use waywarden_rules::{
    Ahead, Context, ENGINE_VERSION, Outputs, SourceState, StateError, end_day, step,
};
use waywarden_store::{DayState, SavedState};

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Later than everything of the source on file.
    Newer(Made),
    /// At or before the latest on file: the store finds out whether it is new or repeated.
    Older(Made),
}

/// What was made of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub verdict: Verdict,
    /// It is not judged yet; the verdict is the likely one.
    pub ahead: bool,
}

impl Made {
    const fn settled(verdict: Verdict) -> Self {
        Self {
            verdict,
            ahead: false,
        }
    }

    const fn likely(verdict: Verdict) -> Self {
        Self {
            verdict,
            ahead: true,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Source {
    state: SourceState,
    /// Highest event time filed, judged or held.
    filed_until: Option<Timestamp>,
    /// Log position below which everything is in this state.
    pub position: u64,
    /// Changed since it was last saved.
    pub changed: bool,
    /// The state that another version of the engine saved: nothing is judged before it has been
    /// rebuilt.
    pending: Option<Foreign>,
    /// Of what came late since it was last judged again.
    ahead: Option<Box<Ahead>>,
    pub watch: Watch,
}

/// No version of the engine has this number.
const NO_ENGINE: u32 = 0;

#[derive(Debug)]
struct Foreign {
    engine: u32,
    state: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    filed_until: Option<Timestamp>,
    state: Vec<u8>,
}

impl Source {
    pub fn new(source: SourceId) -> Self {
        Self {
            state: SourceState::new(source),
            filed_until: None,
            position: 0,
            changed: false,
            pending: None,
            ahead: None,
            watch: Watch::default(),
        }
    }

    /// Reads a saved state; one of another version of the engine only tells where filing stands.
    ///
    /// # Errors
    /// Bytes that are damaged.
    pub fn restore(saved: &SavedState) -> Result<Self, StateError> {
        let damaged = |e: postcard::Error| StateError::new(e.to_string());
        let (outer, behind): (Saved, _) =
            postcard::take_from_bytes(&saved.bytes).map_err(damaged)?;
        // States that were saved before there were alerts end here.
        let watch = match behind {
            [] => Watch::default(),
            bytes => postcard::from_bytes(bytes).map_err(damaged)?,
        };
        let mut restored = Self {
            filed_until: outer.filed_until,
            position: saved.position,
            watch,
            ..Self::new(saved.source.clone())
        };
        if saved.engine == ENGINE_VERSION {
            restored.state = SourceState::from_bytes(&outer.state)?;
        } else {
            restored.pending = Some(Foreign {
                engine: saved.engine,
                state: outer.state,
            });
        }
        Ok(restored)
    }

    /// A source without a record, of which the log holds nothing below `position`; its state is to
    /// be saved.
    pub fn new_at(source: SourceId, position: u64) -> Self {
        Self {
            position,
            changed: true,
            ..Self::new(source)
        }
    }

    /// A source of which only the newest record on file is known: it waits for being rebuilt.
    /// `position` is that of the log from which it goes on.
    pub fn known_by_file(source: SourceId, newest: Timestamp, position: u64) -> Self {
        Self {
            filed_until: Some(newest),
            position,
            changed: true,
            pending: Some(Foreign {
                engine: NO_ENGINE,
                state: Vec::new(),
            }),
            ..Self::new(source)
        }
    }

    /// Whether it waits for being rebuilt.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Highest event time filed, judged or held.
    pub fn filed_until(&self) -> Option<Timestamp> {
        self.filed_until
    }

    /// Records up to `t` were filed beside the log.
    pub fn filed_beside(&mut self, t: Timestamp) {
        self.filed_until = self.filed_until.max(Some(t));
        self.changed = true;
    }

    /// Takes the state that judging its records again gave; none where that stopped early.
    pub fn rebuilt(&mut self, state: Option<SourceState>) {
        self.ahead = None;
        let Some(state) = state else { return };
        self.filed_until = self.filed_until.max(state.last_time());
        self.state = state;
        self.pending = None;
        self.changed = false;
    }

    /// The saved form; what waits for being rebuilt stays as it was.
    pub fn save(&self) -> SavedState {
        match &self.pending {
            Some(foreign) => self.saved(foreign.engine, self.filed_until, foreign.state.clone()),
            None => self.saved_with(&self.state),
        }
    }

    /// The saved form with this state, which may have come further than filing from the log had.
    pub fn saved_with(&self, state: &SourceState) -> SavedState {
        let filed_until = self.filed_until.max(state.last_time());
        self.saved(ENGINE_VERSION, filed_until, state.to_bytes())
    }

    fn saved(&self, engine: u32, filed_until: Option<Timestamp>, state: Vec<u8>) -> SavedState {
        let saved = (Saved { filed_until, state }, &self.watch);
        SavedState {
            source: self.state.source().clone(),
            position: self.position,
            engine,
            bytes: postcard::to_allocvec(&saved).expect("a growing vector takes every state"),
        }
    }

    /// Judges a record, or finds that it is not the newest of its source. What is not to be judged
    /// now is filed with the verdict that says why.
    pub fn take(
        &mut self,
        record: &Record,
        unjudged: Option<Verdict>,
        ctx: &Context<'_>,
        out: &mut Given,
    ) -> Place {
        self.changed = true;
        if self.filed_until.is_some_and(|t| record.time <= t) {
            return Place::Older(match unjudged {
                Some(verdict) => Made::settled(verdict),
                None => self.likely(record, ctx),
            });
        }
        self.filed_until = Some(record.time);
        if let Some(verdict) = unjudged {
            return Place::Newer(Made::settled(verdict));
        }
        if self.is_pending() {
            return Place::Newer(self.likely(record, ctx));
        }
        Place::Newer(Made::settled(judge(&mut self.state, record, ctx, out)))
    }

    fn likely(&mut self, record: &Record, ctx: &Context<'_>) -> Made {
        let ahead = self.ahead.get_or_insert_default();
        Made::likely(ahead.verdict(record, ctx.profiles))
    }

    /// Whether a driving period goes on, as far as it was judged.
    pub fn is_driving(&self) -> bool {
        self.state.open_period().is_some()
    }

    pub fn flush(&mut self, out: &mut Outputs) {
        waywarden_rules::flush(&mut self.state, out);
    }
}

/// What judging gives: the facts, and the states at the beginnings of days.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub facts: Outputs,
    pub day_states: Vec<DayState>,
}

/// Steps one record; before the first one of a local day the state is kept.
pub(crate) fn judge(
    state: &mut SourceState,
    record: &Record,
    ctx: &Context<'_>,
    out: &mut Given,
) -> Verdict {
    out.day_states
        .extend(day_begun(state, record.time, ctx, &mut out.facts));
    step(state, record, ctx, &mut out.facts)
}

/// The state at the beginning of the local day of `t`, where a record of that time begins one; the
/// very first record has no state before it.
pub(crate) fn day_begun(
    state: &mut SourceState,
    t: Timestamp,
    ctx: &Context<'_>,
    out: &mut Outputs,
) -> Option<DayState> {
    let zone = ctx.profiles.zone();
    let (before, day) = (zone.day_of(state.last_time()?), zone.day_of(t));
    if before == day {
        return None;
    }
    end_day(state, out);
    let month = |d: LocalDay| (d.civil().0, d.civil().1);
    Some(DayState {
        source: state.source().clone(),
        day,
        month: month(before) != month(day),
        engine: ENGINE_VERSION,
        bytes: state.between_days(),
    })
}

/// Records of one frame in the order in which they are judged: by event time, of one instant the
/// one that reading A2 names first; exact repeats within the frame stand behind it.
pub(crate) fn in_order(records: &mut [Record]) {
    if records.windows(2).all(|w| w[0].time < w[1].time) {
        return;
    }
    waywarden_rules::evaluate::sort(records);
}

/// Third part of the filing key.
pub(crate) fn hash(record: &Record) -> u64 {
    content_hash(record)
}
