//! Frames decoded again by today's registers, since a setting of their device was wrong when they
//! came: mostly the zone of its clock.

use anyhow::Result;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use waywarden_model::hash::content_hash;
use waywarden_model::registry::{Registry, device_profile};
use waywarden_model::{Record, SourceId, Timestamp};
use waywarden_rules::{Admit, Profiles, admit};
use waywarden_store::{Framed, KeptFrame, Redecoded, SaidNow, Store, Stretch};
use waywarden_wire::{Kept, decode_again};

/// Frames read at once.
const FRAMES: usize = 500;
/// Keys looked for at once.
const KEYS: usize = 5000;
/// Around the stretch frames are decoded too, to see what they say in it: clocks are wrong by 26
/// hours at most.
const MARGIN_MS: i64 = 2 * 86_400_000;
/// Different shifts of event times that are told.
const SHIFTS: usize = 4;

/// Event time and hash: a record's key within its source.
type Key = (Timestamp, u64);

/// By what the records are looked at.
pub struct Deciding<'a> {
    pub registry: &'a Registry,
    pub profiles: &'a Profiles,
    pub retention_ms: Option<i64>,
}

/// What became of the frames of a source.
#[derive(Debug, Default)]
pub struct Told {
    /// With a record in the stretch.
    pub frames: u64,
    /// That say something else.
    pub changed: u64,
    pub removed: u64,
    pub filed: u64,
    /// By how much event times move where a frame has as many records as it had, seconds.
    pub shifts_s: BTreeSet<i64>,
    /// Records whose frames are no longer kept, or never were: they stand.
    pub not_kept: u64,
    /// Frames that cannot be decoded, by reason: their records stand.
    pub not_decoded: BTreeMap<&'static str, u64>,
    /// Frames whose records would be dated after their receipt, or before what is kept: they stand.
    pub implausible: u64,
}

impl Told {
    /// As a line of JSON.
    pub fn line(&self, device: &SourceId) -> serde_json::Value {
        serde_json::json!({
            "device": device.as_str(), "frames": self.frames, "changed": self.changed,
            "records_removed": self.removed, "records_filed": self.filed,
            "shifts_s": self.shifts_s, "records_not_kept": self.not_kept,
            "not_decoded": self.not_decoded, "implausible": self.implausible,
        })
    }
}

/// What decoding the source's frames of the stretch again changes, and what is to be told of it.
///
/// # Errors
/// What the store said.
pub async fn of_source(
    store: &dyn Store,
    by: &Deciding<'_>,
    stretch: &Stretch,
) -> Result<(Redecoded, Told)> {
    let wide = Stretch {
        source: stretch.source.clone(),
        from: stretch.from.plus_millis(-MARGIN_MS),
        upto: stretch.upto.plus_millis(MARGIN_MS),
    };
    let mut frames: BTreeMap<i64, Vec<Framed>> = BTreeMap::new();
    for record in store.framed(&wide).await? {
        frames.entry(record.frame).or_default().push(record);
    }
    let mut again = Again {
        by,
        stretch,
        told: Told::default(),
        decoded: Vec::new(),
        unsaid: Vec::new(),
        said: BTreeMap::new(),
        sayers: HashMap::new(),
    };
    let numbers: Vec<i64> = frames.keys().copied().collect();
    for some in numbers.chunks(FRAMES) {
        let mut kept: HashMap<i64, KeptFrame> = HashMap::with_capacity(some.len());
        for frame in store.kept_frames(some.to_vec()).await? {
            kept.insert(frame.number, frame);
        }
        for number in some {
            again.frame(kept.get(number), &frames[number]);
        }
    }
    again.keep_what_others_say(store).await?;
    again.leave_what_is_on_file(store).await?;
    Ok(again.finish())
}

struct Again<'a> {
    by: &'a Deciding<'a>,
    stretch: &'a Stretch,
    told: Told,
    decoded: Vec<i64>,
    unsaid: Vec<Framed>,
    said: BTreeMap<Key, SaidNow>,
    /// A frame that says the record of a key, changed or not.
    sayers: HashMap<Key, i64>,
}

impl Again<'_> {
    fn frame(&mut self, kept: Option<&KeptFrame>, filed: &[Framed]) {
        let within = |r: &&Framed| (self.stretch.from..=self.stretch.upto).contains(&r.time);
        let concerned = filed.iter().filter(within).count() as u64;
        let Some(kept) = kept else {
            self.told.not_kept += concerned;
            return;
        };
        if concerned > 0 {
            self.told.frames += 1;
        }
        let records = match decoded(kept, &self.stretch.source, self.by.registry) {
            Ok(records) => records,
            Err(why) if concerned > 0 => {
                *self.told.not_decoded.entry(why).or_default() += 1;
                return;
            }
            Err(_) => return,
        };
        let before: HashSet<Key> = filed.iter().map(Framed::key).collect();
        if concerned > 0 {
            let new = |(key, _): &&(Key, Record)| !before.contains(key);
            let implausible = |(_, record): &(Key, Record)| {
                let (time, received) = (record.time, kept.received);
                admit(time, received, self.by.profiles, self.by.retention_ms) != Admit::File
            };
            if records.iter().filter(new).any(implausible) {
                self.told.implausible += 1;
                return;
            }
            self.decoded.push(kept.number);
            self.change(kept, filed, &before, &records);
        }
        for (key, _) in records {
            self.sayers.entry(key).or_insert(kept.number);
        }
    }

    /// Notes what a frame does not say any more, and what it says now.
    fn change(
        &mut self,
        kept: &KeptFrame,
        filed: &[Framed],
        before: &HashSet<Key>,
        records: &[(Key, Record)],
    ) {
        let now: HashSet<Key> = records.iter().map(|(key, _)| *key).collect();
        let held = filed.iter().any(|r| r.held);
        let gone = filed.iter().filter(|r| !now.contains(&r.key()));
        let gone: Vec<Framed> = gone.copied().collect();
        if !gone.is_empty() && filed.len() == now.len() && self.told.shifts_s.len() < SHIFTS {
            let (mut old, mut new): (Vec<_>, Vec<_>) = (
                before.iter().map(|key| key.0).collect(),
                now.iter().map(|key| key.0).collect(),
            );
            old.sort_unstable();
            new.sort_unstable();
            let shifts = old
                .iter()
                .zip(&new)
                .map(|(old, new)| new.since(*old) / 1000);
            self.told.shifts_s.extend(shifts);
        }
        self.unsaid.extend(gone);
        for (key, record) in records.iter().filter(|(key, _)| !before.contains(key)) {
            self.say(*key, said_now(kept, *key, record, held));
        }
    }

    /// Of two frames that say the same the one that came first files it.
    fn say(&mut self, key: Key, said: SaidNow) {
        match self.said.entry(key) {
            Entry::Vacant(free) => {
                free.insert(said);
            }
            Entry::Occupied(mut other) if said.received < other.get().received => {
                other.insert(said);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// A record that its own frame does not say and another one does stays, as of that frame: of
    /// repeated records the first frame is kept with each.
    async fn keep_what_others_say(&mut self, store: &dyn Store) -> Result<()> {
        let mut wanted: BTreeMap<i64, BTreeMap<Key, bool>> = BTreeMap::new();
        for gone in &self.unsaid {
            let key = gone.key();
            if let Some(sayer) = self.sayers.get(&key)
                && !self.said.contains_key(&key)
            {
                wanted.entry(*sayer).or_default().insert(key, gone.held);
            }
        }
        let numbers: Vec<i64> = wanted.keys().copied().collect();
        for some in numbers.chunks(FRAMES) {
            for kept in store.kept_frames(some.to_vec()).await? {
                let records = decoded(&kept, &self.stretch.source, self.by.registry);
                for (key, record) in records.unwrap_or_default() {
                    if let Some(held) = wanted[&kept.number].get(&key) {
                        self.say(key, said_now(&kept, key, &record, *held));
                    }
                }
            }
        }
        Ok(())
    }

    /// What another frame has filed, and goes on saying, is on file.
    async fn leave_what_is_on_file(&mut self, store: &dyn Store) -> Result<()> {
        let unsaid: HashSet<Key> = self.unsaid.iter().map(Framed::key).collect();
        let looked: Vec<Key> = self.said.keys().copied().collect();
        let looked: Vec<Key> = looked.into_iter().filter(|k| !unsaid.contains(k)).collect();
        for some in looked.chunks(KEYS) {
            for key in store.on_file(&self.stretch.source, some.to_vec()).await? {
                self.said.remove(&key);
            }
        }
        Ok(())
    }

    fn finish(mut self) -> (Redecoded, Told) {
        let gone = self.unsaid.iter().map(|r| r.frame);
        let changed: BTreeSet<i64> = gone.chain(self.said.values().map(|s| s.frame)).collect();
        self.told.changed = changed.len() as u64;
        self.told.removed = self.unsaid.len() as u64;
        self.told.filed = self.said.len() as u64;
        let redecoded = Redecoded {
            source: self.stretch.source.clone(),
            frames: self.decoded,
            unsaid: self.unsaid,
            said: self.said.into_values().collect(),
        };
        (redecoded, self.told)
    }
}

fn said_now(kept: &KeptFrame, key: Key, record: &Record, held: bool) -> SaidNow {
    SaidNow {
        frame: kept.number,
        record: record.clone(),
        received: kept.received,
        hash: key.1,
        held,
    }
}

/// The frame's records with their keys, by the settings that the registers have for its receipt.
fn decoded(
    kept: &KeptFrame,
    source: &SourceId,
    registry: &Registry,
) -> Result<Vec<(Key, Record)>, &'static str> {
    let device = device_profile(registry, source, kept.received);
    let frame = Kept {
        protocol: kept.protocol,
        received: kept.received,
        told_offset_s: kept.told_offset_s,
        raw: &kept.raw,
    };
    let records = decode_again(&frame, &device)?;
    let keyed = records.into_iter().map(|record| {
        let key = (record.time, content_hash(&record));
        (key, record)
    });
    Ok(keyed.collect())
}
