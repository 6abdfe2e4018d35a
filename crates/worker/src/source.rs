//! One source as its partition's owner holds it: the rules' state and where filing stands.

use serde::{Deserialize, Serialize};
use waywarden_model::hash::content_hash;
use waywarden_model::{Record, SourceId, Timestamp, Verdict};
use waywarden_rules::{Context, ENGINE_VERSION, Outputs, SourceState, StateError, step};
use waywarden_store::SavedState;

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Later than everything of the source on file, with what judging made of it.
    Newer(Verdict),
    /// At or before the latest on file: the store finds out whether it is new or repeated.
    Older(Verdict),
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
        }
    }

    /// Reads a saved state.
    ///
    /// # Errors
    /// Bytes that are damaged; the caller decides about another engine's version before.
    pub fn restore(saved: &SavedState) -> Result<Self, StateError> {
        let damaged = |e: postcard::Error| StateError::new(e.to_string());
        let outer: Saved = postcard::from_bytes(&saved.bytes).map_err(damaged)?;
        let state = SourceState::from_bytes(&outer.state)?;
        let (filed_until, position) = (outer.filed_until, saved.position);
        Ok(Self {
            state,
            filed_until,
            position,
            changed: false,
        })
    }

    pub fn save(&self) -> SavedState {
        let saved = Saved {
            filed_until: self.filed_until,
            state: self.state.to_bytes(),
        };
        SavedState {
            source: self.state.source().clone(),
            position: self.position,
            engine: ENGINE_VERSION,
            bytes: postcard::to_allocvec(&saved).expect("a growing vector takes every state"),
        }
    }

    /// Judges a record, or finds that it is not the newest of its source.
    pub fn take(
        &mut self,
        record: &Record,
        held: bool,
        ctx: &Context<'_>,
        out: &mut Outputs,
    ) -> Place {
        self.changed = true;
        let verdict = if held { Verdict::Held } else { Verdict::Late };
        if self.filed_until.is_some_and(|t| record.time <= t) {
            return Place::Older(verdict);
        }
        self.filed_until = Some(record.time);
        if held {
            return Place::Newer(verdict);
        }
        Place::Newer(step(&mut self.state, record, ctx, out))
    }

    pub fn flush(&mut self, out: &mut Outputs) {
        waywarden_rules::flush(&mut self.state, out);
    }
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
