//! Messages in, one transaction's content out: everything between the log and the store, without
//! either of them.

use crate::alerts::{Listening, Telling, Whose};
use crate::law::Law;
use crate::source::{Given, Place, Source, hash, in_order};
use std::collections::{BTreeMap, HashMap};
use waywarden_model::registry::import::Reach;
use waywarden_model::{Alert, AlertId, Frame, Message, Period, SourceId, Tick, Timestamp, Verdict};
use waywarden_rules::{Admit, StateError, admit};
use waywarden_store::{
    AsideReason, AsideRecord, Batch, FiledFrame, FiledRecord, PoisonMessage, SavedState,
    SourceRecords,
};

/// The states of a partition's sources and the batch that is being filled.
#[derive(Debug)]
pub struct Stage {
    law: Law,
    bounds: Bounds,
    sources: HashMap<SourceId, Source>,
    out: Given,
    batch: Batch,
    /// Where a source's records stand in the batch.
    places: HashMap<SourceId, usize>,
    ticks: HashMap<String, (Timestamp, Timestamp)>,
    since_checkpoint: u64,
    telling: Telling,
    listening: Listening,
    alerts: BTreeMap<AlertId, Alert>,
}

/// How late a record may be, by its own time and that of its receipt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Older ones are set aside, milliseconds; None: none is too old.
    pub retention_ms: Option<i64>,
    /// Later ones are filed and not judged, milliseconds; None: all are judged.
    pub judged_within_ms: Option<i64>,
}

impl Bounds {
    /// Whether a record is too late to be judged: a property of the record, however it came.
    pub(crate) fn too_late(&self, time: Timestamp, received: Timestamp) -> bool {
        let within = self.judged_within_ms;
        within.is_some_and(|ms| received.since(time) > ms)
    }
}

impl Stage {
    pub fn new(law: Law, bounds: Bounds) -> Self {
        Self {
            law,
            bounds,
            sources: HashMap::new(),
            out: Given::default(),
            batch: Batch::default(),
            places: HashMap::new(),
            ticks: HashMap::new(),
            since_checkpoint: 0,
            telling: Telling::default(),
            listening: Listening::default(),
            alerts: BTreeMap::new(),
        }
    }

    /// When somebody is told, and what the partition's owner before had heard of the gateways.
    pub fn tell(&mut self, telling: Telling, listening: Option<&[u8]>) {
        self.telling = telling;
        self.listening = listening.map(Listening::from_bytes).unwrap_or_default();
    }

    /// Takes saved states in. Sources whose state another version of the engine saved are named:
    /// they must be rebuilt from the store.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn restore(&mut self, saved: &[SavedState]) -> Result<Vec<SourceId>, StateError> {
        let mut outdated = Vec::new();
        for state in saved {
            let source = Source::restore(state)?;
            if source.is_pending() {
                outdated.push(state.source.clone());
            }
            self.sources.insert(state.source.clone(), source);
        }
        Ok(outdated)
    }

    /// Forgets all states: sources are known by their newest record on file, and wait for being
    /// rebuilt from there. Those of which a state and no record is on file begin as new ones. The
    /// log goes on at `position`.
    pub(crate) fn begin_anew(
        &mut self,
        newest: Vec<(SourceId, Timestamp)>,
        saved: Vec<SourceId>,
        position: u64,
    ) {
        let begun = |id: SourceId| (id.clone(), Source::new_at(id, position));
        let known = |(id, t): (SourceId, Timestamp)| {
            let source = Source::known_by_file(id.clone(), t, position);
            (id, source)
        };
        let begun = saved.into_iter().map(begun);
        self.sources = begun.chain(newest.into_iter().map(known)).collect();
        let waiting = self.sources.iter().filter(|(_, s)| s.is_pending());
        self.batch.marks = waiting
            .map(|(id, _)| (id.clone(), Timestamp::MIN))
            .collect();
        self.batch.marks.sort();
        // What goes on is not known any more: the store ends it with the gap.
        self.listening = Listening::default();
    }

    pub(crate) fn source_mut(&mut self, source: &SourceId) -> &mut Source {
        let fresh = || Source::new(source.clone());
        self.sources.entry(source.clone()).or_insert_with(fresh)
    }

    /// Marks the sources whose look-ups changed, those that have records from then on.
    pub(crate) fn mark_reached(&mut self, reach: &Reach) {
        let reached = |(id, source): (&SourceId, &Source)| {
            let from = reach.judged_again(id, source.filed_until())?;
            Some((id.clone(), from))
        };
        let marks = self.sources.iter().filter_map(reached);
        self.batch.marks.extend(marks);
        self.batch.marks.sort();
    }

    /// Marks the sources that show driving of drivers whose licences changed: those that the store
    /// knows of, and those of the batch that is being filled.
    pub(crate) fn mark_driven(&mut self, on_file: Vec<(SourceId, Timestamp)>, reach: &Reach) {
        let driven = |p: &Period| {
            let from = *reach.drivers.get(p.driver.as_ref()?)?;
            let concerned = p.open || p.end >= from;
            concerned.then(|| (p.source.clone(), from.max(p.start)))
        };
        let ours = |(source, _): &(SourceId, _)| self.sources.contains_key(source);
        let marks = on_file.into_iter().filter(ours);
        let filled = self.out.facts.periods.values().filter_map(driven);
        self.batch.marks.extend(marks.chain(filled));
        // Of several marks of a source the earliest says it all.
        self.batch.marks.sort();
        self.batch.marks.dedup_by(|later, first| later.0 == first.0);
    }

    /// From here on records are judged with another registry version.
    pub fn set_law(&mut self, law: Law) {
        self.law = law;
    }

    pub fn law(&self) -> &Law {
        &self.law
    }

    /// Takes the message at `offset`. A registry version is only noted: the caller loads it.
    pub fn take(&mut self, offset: u64, message: Message) {
        match message {
            Message::Frame(frame) => self.frame(offset, frame),
            Message::Tick(tick) => self.tick(tick),
            Message::Registry(_) => {}
        }
    }

    /// Sets aside a message that cannot be read; the partition goes on behind it.
    pub fn poison(&mut self, offset: u64, why: String, payload: Vec<u8>) {
        self.batch.poison.push(PoisonMessage {
            offset,
            why,
            payload,
        });
    }

    /// Who is silent shows only while everybody listens.
    fn tick(&mut self, tick: Tick) {
        self.listening.tick(&tick);
        self.ticks
            .insert(tick.gateway, (tick.listening_since, tick.now));
        let law = &self.law;
        let (Some(silent_ms), Some(span)) = (self.telling.silent_ms, self.listening.span()) else {
            return;
        };
        for (id, source) in &mut self.sources {
            let whose = Whose { source: id, law };
            if let Some(alert) = source.watch.look(span, silent_ms, &whose) {
                source.changed = true;
                self.alerts.insert(alert.id(), alert);
            }
        }
    }

    fn frame(&mut self, offset: u64, mut frame: Frame) {
        let fresh = || Source::new(frame.source.clone());
        let source = self
            .sources
            .entry(frame.source.clone())
            .or_insert_with(fresh);
        if offset < source.position {
            return; // in the saved state already
        }
        source.position = offset + 1;
        let count = frame.records.len() as u64;
        self.batch.records_read += count;
        self.since_checkpoint += count;
        in_order(&mut frame.records);
        let at = match self.places.get(&frame.source) {
            Some(at) => *at,
            None => {
                let at = self.batch.sources.len();
                self.batch.sources.push(SourceRecords {
                    source: frame.source.clone(),
                    frames: Vec::new(),
                    newer: Vec::new(),
                    older: Vec::new(),
                });
                self.places.insert(frame.source.clone(), at);
                at
            }
        };
        let rows = &mut self.batch.sources[at];
        let index = u32::try_from(rows.frames.len()).unwrap_or(u32::MAX);
        rows.frames.push(FiledFrame {
            protocol: frame.protocol,
            received: frame.received,
            told_offset_s: frame.told_offset_s,
            raw: frame.raw,
        });
        let mut shown = None;
        for record in frame.records {
            let (received, hash) = (frame.received, hash(&record));
            let reason = match admit(
                record.time,
                received,
                self.law.profiles(),
                self.bounds.retention_ms,
            ) {
                Admit::File => {
                    let ctx = self.law.context();
                    let unjudged = if frame.held {
                        Some(Verdict::Held)
                    } else {
                        let late = self.bounds.too_late(record.time, received);
                        late.then_some(Verdict::Unjudged)
                    };
                    let place = source.take(&record, unjudged, &ctx, &mut self.out);
                    if !record.stored {
                        shown = shown.max(Some(record.time));
                    }
                    let (list, made) = match place {
                        Place::Newer(made) => {
                            let driving = source.is_driving();
                            source.watch.newest(&record, driving, &self.law);
                            (&mut rows.newer, made)
                        }
                        Place::Older(made) => (&mut rows.older, made),
                    };
                    list.push(FiledRecord {
                        record,
                        received,
                        hash,
                        verdict: made.verdict,
                        ahead: made.ahead,
                        frame: index,
                    });
                    continue;
                }
                Admit::Future => AsideReason::Future,
                Admit::Expired => AsideReason::Expired,
            };
            let source = frame.source.clone();
            self.batch.aside.push(AsideRecord {
                source,
                record,
                received,
                hash,
                reason,
                // What is too old to be filed will not be.
                frame: (reason == AsideReason::Future).then_some(index),
            });
        }
        // Of a device that nobody approved nobody is on duty for.
        if !frame.held {
            let whose = Whose {
                source: &frame.source,
                law: &self.law,
            };
            let alerts = source.watch.heard(frame.received, shown, &whose);
            self.alerts.extend(alerts.map(|a| (a.id(), a)));
        }
    }

    /// Records read since states were last saved.
    pub fn since_checkpoint(&self) -> u64 {
        self.since_checkpoint
    }

    /// Whether there is anything to commit.
    pub fn is_empty(&self) -> bool {
        self.batch.sources.is_empty()
            && self.batch.aside.is_empty()
            && self.batch.poison.is_empty()
            && self.batch.marks.is_empty()
            && self.ticks.is_empty()
            && self.alerts.is_empty()
    }

    /// Forgets what was given out: while replaying, output is held back up to the position on
    /// file, because it is there already.
    pub fn discard_output(&mut self) {
        self.out = Given::default();
        self.batch = Batch::default();
        self.places.clear();
        self.ticks.clear();
        self.alerts.clear();
    }

    /// The batch filled so far, in a form that does not depend on hash order. With `checkpoint`,
    /// the changed states go along, and `next` becomes the position from which a replay begins.
    pub fn finish_batch(&mut self, next: u64, checkpoint: bool, now: Timestamp) -> Batch {
        for (source, _) in self.places.drain() {
            if let Some(source) = self.sources.get_mut(&source) {
                source.flush(&mut self.out.facts);
            }
        }
        let mut batch = std::mem::take(&mut self.batch);
        batch.sources.sort_by(|a, b| a.source.cmp(&b.source));
        let Given {
            facts: out,
            day_states,
        } = std::mem::take(&mut self.out);
        batch.day_states = day_states;
        batch.periods = out.periods.into_values().collect();
        batch.violations = out.violations.into_values().collect();
        batch.day_rows = out.day_rows.into_values().collect();
        batch.ticks = self
            .ticks
            .drain()
            .map(|(g, (since, now))| (g, since, now))
            .collect();
        batch.ticks.sort();
        batch.alerts = std::mem::take(&mut self.alerts).into_values().collect();
        batch.registry = self.law.version();
        batch.now = now;
        if checkpoint {
            batch.checkpoint = Some(next);
            batch.states = self.changed_states();
            batch.listening = Some(self.listening.to_bytes());
            self.since_checkpoint = 0;
        }
        batch
    }

    fn changed_states(&mut self) -> Vec<SavedState> {
        let changed = self.sources.values_mut().filter(|s| s.changed);
        let mut states: Vec<SavedState> = changed
            .map(|source| {
                source.changed = false;
                source.save()
            })
            .collect();
        states.sort_by(|a, b| a.source.cmp(&b.source));
        states
    }
}
