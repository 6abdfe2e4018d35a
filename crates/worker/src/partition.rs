//! The loop of one partition: claim, replay, then read, step and commit until told to stop.

use crate::error::WorkerError;
use crate::law::Law;
use crate::options::{Clock, Options};
use crate::rebuild::judge_again;
use crate::stage::Stage;
use crate::subjects::Subjects;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{BusError, Log};
use waywarden_model::hash::{bytes_hash, partition_of};
use waywarden_model::registry::import::reach;
use waywarden_model::{Message, Record, SourceId, Timestamp};
use waywarden_rules::Profiles;
use waywarden_store::{
    Batch, Claim, Committed, Due, Gap, StoreError, Stretch, SubjectJudge, WorkerStore,
};

/// Sources read at once.
const PAGE: usize = 1000;
/// How often is looked whether a source is to be judged again.
const LOOK_FOR_MARKS: Duration = Duration::from_secs(1);

/// Whether the log is the one that the partition was read from, and holds what comes next: from
/// `checkpoint` on for the states, from the position on for the facts.
async fn fits(claim: &Claim, checkpoint: u64, log: &dyn Log) -> Result<(), WorkerError> {
    let (partition, position, found) = (claim.partition, claim.position, log.identity().id);
    if let Some(expected) = claim.log.clone().filter(|l| *l != found) {
        return Err(WorkerError::OtherLog {
            partition,
            expected,
            found,
        });
    }
    let (begin, end) = log.range(partition).await?;
    let wanted = checkpoint.min(position);
    if wanted < begin || position > end {
        let wanted = if wanted < begin { wanted } else { position };
        return Err(WorkerError::Gone {
            partition,
            wanted,
            begin,
            end,
        });
    }
    let (Some(tail), Some(last)) = (claim.tail, position.checked_sub(1)) else {
        return Ok(());
    };
    if last < begin {
        return Ok(()); // it has been trimmed
    }
    let there = log.read(partition, last, 1, 1).await?;
    match there.first().filter(|e| e.offset == last) {
        Some(entry) if bytes_hash(&entry.payload) == tail => Ok(()),
        _ => Err(WorkerError::MadeAnew {
            partition,
            position,
        }),
    }
}

/// The sources of a partition that have records on file, each with its newest.
async fn on_file(
    partition: u32,
    log: &dyn Log,
    store: &dyn WorkerStore,
) -> Result<Vec<(SourceId, Timestamp)>, WorkerError> {
    let partitions = log.partitions();
    let mut newest: Vec<(SourceId, Timestamp)> = Vec::new();
    let mut after = None;
    loop {
        let page = store.newest_records(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(newest);
        };
        after = Some(last.clone());
        let mine = |(s, _): &(SourceId, Timestamp)| partition_of(s, partitions) == partition;
        newest.extend(page.into_iter().filter(mine));
    }
}

/// How long drivers are judged yet by a worker that stops.
const WIND_UP: Duration = Duration::from_secs(5);

/// One partition of the log, worked by one owner.
pub struct Partition {
    log: Arc<dyn Log>,
    store: Arc<dyn WorkerStore>,
    judge: Arc<dyn SubjectJudge>,
    options: Options,
    clock: Clock,
    claim: Claim,
    stage: Stage,
    /// Next offset to step; runs ahead of what is committed by one batch at most.
    next: u64,
    commit: Option<JoinHandle<Result<Committed, StoreError>>>,
    saved_at: Timestamp,
    /// Position that the newest checkpoint on its way to the store will have.
    checkpoint: Option<u64>,
    /// Newest record of each source in the batch on its way.
    newest: Vec<(SourceId, Record)>,
    /// Hash of the newest message that was stepped and not sent to the store yet.
    tail: Option<u64>,
    /// Before it nobody looks for a source that is to be judged again.
    look_at: Instant,
    /// Before it none is judged again while live data waits.
    rests_until: Instant,
    /// Other partitions have all turns.
    waits_its_turn: bool,
    /// Whether the log failed to note the last checkpoint.
    release_failed: bool,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition")
            .field("claim", &self.claim)
            .field("next", &self.next)
            .finish()
    }
}

impl Partition {
    /// Claims the partition and brings its states to the position on file.
    ///
    /// # Errors
    /// What store or log said; a log that is another than the one read before; states of another
    /// engine.
    pub async fn claim(
        partition: u32,
        log: Arc<dyn Log>,
        store: Arc<dyn WorkerStore>,
        profiles: Arc<Profiles>,
        options: Options,
        clock: Clock,
    ) -> Result<Self, WorkerError> {
        let mut claim = store.claim(partition, &options.worker).await?;
        let content = profiles.content();
        let other = claim.profiles.is_some_and(|on_file| on_file != content);
        if other && !options.accept_profiles {
            return Err(WorkerError::OtherProfiles { partition });
        }
        let (from, mut states) = store.load_states(partition).await?;
        // Of a log that was divided otherwise states of sources may be left that are not here now.
        let partitions = log.partitions();
        states.retain(|s| partition_of(&s.source, partitions) == partition);
        let lost = match fits(&claim, from, log.as_ref()).await {
            Ok(()) => None,
            Err(error) if error.is_gap() && options.accept_gap.covers(partition) => {
                tracing::warn!(partition, %error, "gone on without what is missing, as told");
                Some(Gap {
                    log_before: claim.log.clone(),
                })
            }
            Err(error) => return Err(error),
        };
        // A partition that was never worked and has sources on file is one of a log that was
        // divided otherwise.
        let mut newest = Vec::new();
        if lost.is_some() || claim.log.is_none() {
            newest = on_file(partition, log.as_ref(), store.as_ref()).await?;
            // Versions that were announced in another log are not announced again.
            claim.registry = claim.newest_registry;
        }
        let anew = lost.is_some() || !newest.is_empty();
        let registers = match claim.registry {
            0 => waywarden_model::registry::Registers::default(),
            version => store.registers(version).await?,
        };
        let judge = Subjects::new(Arc::clone(&profiles)).telling(options.telling.ahead_ms);
        let judge = Arc::new(judge);
        let law = Law::new(claim.registry, registers, profiles);
        let mut stage = Stage::new(law, options.bounds());
        stage.tell(options.telling, claim.listening.as_deref());
        let outdated = if anew {
            Vec::new()
        } else {
            stage.restore(&states)?
        };
        let (next, saved_at) = (claim.position, clock());
        if !outdated.is_empty() {
            let sources = outdated.len();
            tracing::info!(partition, sources, "states of another engine: judged again");
            let all = outdated
                .into_iter()
                .map(|s| Stretch::behind(s, Timestamp::MIN));
            store
                .mark_sources(all.collect(), partitions, saved_at)
                .await?;
        }
        let mut this = Self {
            log,
            store,
            judge,
            options,
            clock,
            claim,
            stage,
            next,
            commit: None,
            saved_at,
            checkpoint: None,
            newest: Vec::new(),
            tail: None,
            look_at: Instant::now(),
            rests_until: Instant::now(),
            waits_its_turn: false,
            release_failed: false,
        };
        if anew {
            let saved = states.into_iter().map(|s| s.source).collect();
            this.begin_anew(newest, saved, lost).await?;
        } else {
            this.replay(from).await?;
        }
        if other {
            tracing::warn!(partition, "judged by other profiles from here on, as told");
        }
        if this.claim.profiles != Some(content) {
            this.file_profiles(content).await?;
        }
        tracing::info!(
            partition,
            epoch = this.claim.epoch,
            position = this.next,
            "partition claimed"
        );
        this.options.accept_gap.claimed(partition);
        Ok(this)
    }

    /// Written down before anything is judged by them.
    async fn file_profiles(&mut self, content: u64) -> Result<(), WorkerError> {
        let batch = Batch {
            profiles: Some(content),
            registry: self.claim.registry,
            log: self.log.identity().id,
            now: (self.clock)(),
            ..Batch::default()
        };
        let at = self.claim.position;
        self.store.commit(&self.claim, at, at, batch).await?;
        self.claim.profiles = Some(content);
        Ok(())
    }

    /// Goes on at the beginning of what the log holds, by the newest registers. The states may lack
    /// what is on file and not in the log any more, so every source is judged again from what is
    /// on file.
    async fn begin_anew(
        &mut self,
        newest: Vec<(SourceId, Timestamp)>,
        saved: Vec<SourceId>,
        gap: Option<Gap>,
    ) -> Result<(), WorkerError> {
        let (begin, _) = self.log.range(self.claim.partition).await?;
        self.stage.begin_anew(newest, saved, begin);
        let mut batch = self.stage.finish_batch(begin, true, (self.clock)());
        batch.log = self.log.identity().id;
        batch.gap = gap;
        let expected = self.claim.position;
        self.store
            .commit(&self.claim, expected, begin, batch)
            .await?;
        self.claim.position = begin;
        self.next = begin;
        Ok(())
    }

    /// Steps what lies between the saved states and the position on file, giving nothing out. No
    /// registry version begins there: a batch with one saves all states.
    async fn replay(&mut self, mut from: u64) -> Result<(), WorkerError> {
        let (partition, upto) = (self.claim.partition, self.claim.position);
        while from < upto {
            let (messages, bytes) = (self.options.batch_messages, self.options.batch_bytes);
            let entries = self.log.read(partition, from, messages, bytes).await?;
            let Some(last) = entries.last().map(|e| e.offset) else {
                let (begin, end) = self.log.range(partition).await?;
                return Err(BusError::OutOfRange {
                    partition,
                    wanted: from,
                    begin,
                    end,
                }
                .into());
            };
            for entry in entries.into_iter().filter(|e| e.offset < upto) {
                if let Ok(message) = waywarden_bus::decode(&entry.payload) {
                    self.stage.take(entry.offset, message);
                }
            }
            self.stage.discard_output();
            from = last + 1;
        }
        Ok(())
    }

    /// Works until `stop`; then commits what was stepped, with all states, and ends.
    ///
    /// # Errors
    /// The first thing that store or log refused. Nothing is lost by it: the next owner goes on
    /// at the position on file.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), WorkerError> {
        while !stop.is_cancelled() {
            let read = self.fill().await?;
            if read == 0 && self.stage.is_empty() {
                self.settle().await?;
                let rebuilt = self.rebuild(false).await?;
                let judged = self.judge_subjects().await?;
                if judged == 0 && !rebuilt {
                    self.idle(&stop).await?;
                }
            } else {
                self.send(false).await?;
                self.judge_subjects().await?;
                self.rebuild(true).await?;
            }
        }
        self.send(true).await?;
        self.settle().await?;
        // What waits is marked on file: nobody who stops waits long for it.
        let until = Instant::now() + WIND_UP;
        while Instant::now() < until && self.judge_subjects().await? > 0 {}
        Ok(())
    }

    /// Reads and steps one batch; gives how many messages.
    async fn fill(&mut self) -> Result<usize, WorkerError> {
        let (messages, bytes) = (self.options.batch_messages, self.options.batch_bytes);
        let entries = self
            .log
            .read(self.claim.partition, self.next, messages, bytes)
            .await?;
        let count = entries.len();
        self.tail = entries.last().map(|e| bytes_hash(&e.payload)).or(self.tail);
        for entry in entries {
            self.next = entry.offset + 1;
            match waywarden_bus::decode(&entry.payload) {
                Ok(Message::Registry(version)) => self.switch_registry(version).await?,
                Ok(message) => self.stage.take(entry.offset, message),
                Err(error) => {
                    let why = error.to_string();
                    tracing::warn!(offset = entry.offset, why, "message set aside");
                    self.stage.poison(entry.offset, why, entry.payload.to_vec());
                }
            }
        }
        Ok(count)
    }

    /// Judges with another registry version from here on. All states are saved with this batch,
    /// so that a replay never crosses the change.
    ///
    /// Versions only grow: one that two processes announced is taken once.
    async fn switch_registry(&mut self, version: u32) -> Result<(), WorkerError> {
        if version <= self.stage.law().version() {
            return Ok(());
        }
        let registers = match self.store.registers(version).await {
            Ok(registers) => registers,
            // The store was restored to a day before this version; who imports it again announces
            // it again.
            Err(StoreError::NotFound { .. }) => {
                tracing::warn!(
                    version,
                    "a version of the registers is announced and not on file"
                );
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let reach = reach(self.stage.law().registers(), &registers);
        self.stage.mark_reached(&reach);
        if !reach.drivers.is_empty() {
            // Who drove what is asked of the store, so the batch on its way must be there.
            self.settle().await?;
            let drivers = reach.drivers.clone().into_iter().collect();
            let driven = self.store.sources_driven(drivers).await?;
            self.stage.mark_driven(driven, &reach);
        }
        self.stage
            .set_law(self.stage.law().with_registers(version, registers));
        self.saved_at = Timestamp::MIN;
        Ok(())
    }

    /// Judges the source again that has waited longest, if one is due; gives whether there was one.
    /// Where live data waits, the pause behind the one before keeps it within its share of the time.
    async fn rebuild(&mut self, live_waits: bool) -> Result<bool, WorkerError> {
        let asked = Instant::now();
        if asked < self.look_at || (live_waits && asked < self.rests_until) {
            return Ok(false);
        }
        let turn = self.options.turns.take();
        self.waits_its_turn = turn.is_none();
        if turn.is_none() {
            return Ok(false);
        }
        let (now, late) = ((self.clock)(), self.options.late);
        let due = Due {
            updated_before: now.plus_millis(-late.quiet_ms),
            created_before: now.plus_millis(-late.longest_ms),
        };
        let partition = self.claim.partition;
        let Some(mark) = self.store.due_marks(partition, due, 1).await?.pop() else {
            self.look_at = asked + LOOK_FOR_MARKS;
            return Ok(false);
        };
        // Judged is what is on file, so the batch on its way must be.
        self.settle().await?;
        let begun = Instant::now();
        let (law, bounds) = (self.stage.law().clone(), self.options.bounds());
        let source = mark.source.clone();
        self.take_in(&source).await?;
        let mut again = judge_again(self.store.as_ref(), &law, bounds, mark, now).await?;
        let judging = begun.elapsed();
        let held = self.stage.source_mut(&source);
        again.rebuilt.state = again.state.as_ref().map(|state| held.saved_with(state));
        let replaced = self.store.replace(&self.claim, again.rebuilt).await?;
        self.stage.source_mut(&source).rebuilt(again.state);
        let took = begun.elapsed();
        let filing = took.saturating_sub(judging);
        tracing::debug!(partition, ?replaced, ?took, ?filing, "late data judged");
        let share = f64::from(late.share_percent.clamp(1, 100)) / 100.0;
        self.rests_until = Instant::now() + took.mul_f64(1.0 / share - 1.0);
        Ok(true)
    }

    /// Removes and files what was asked for of the source, decoded again or set aside; its mark is
    /// judged next.
    async fn take_in(&mut self, source: &SourceId) -> Result<(), WorkerError> {
        loop {
            let taken = self.store.take_in(&self.claim, source).await?;
            if taken.is_empty() {
                return Ok(());
            }
            if let Some(newest) = taken.newest {
                self.stage.source_mut(source).filed_beside(newest);
            }
        }
    }

    /// Sends the batch to the store; the next one is stepped while it commits.
    async fn send(&mut self, last: bool) -> Result<(), WorkerError> {
        let now = (self.clock)();
        let old = now.since(self.saved_at) >= self.options.checkpoint_every_ms;
        let many = self.stage.since_checkpoint() >= self.options.checkpoint_records;
        let checkpoint = last || old || many;
        let next = self.next;
        let mut batch = self.stage.finish_batch(next, checkpoint, now);
        batch.log = self.log.identity().id;
        batch.tail = self.tail.take();
        self.settle().await?;
        if self.options.filed.is_some() {
            let newest = |s: &waywarden_store::SourceRecords| {
                s.newer.last().map(|r| (s.source.clone(), r.record.clone()))
            };
            self.newest = batch.sources.iter().filter_map(newest).collect();
        }
        let expected = self.claim.position;
        let (store, claim) = (Arc::clone(&self.store), self.claim.clone());
        let work = async move { store.commit(&claim, expected, next, batch).await };
        self.commit = Some(tokio::spawn(work));
        self.claim.position = next;
        if checkpoint {
            self.saved_at = now;
            self.checkpoint = Some(next);
        }
        Ok(())
    }

    /// Waits for the batch on its way, and releases the log below a new checkpoint.
    async fn settle(&mut self) -> Result<(), WorkerError> {
        if let Some(commit) = self.commit.take() {
            let committed = commit
                .await
                .map_err(|e| WorkerError::Lost(e.to_string()))??;
            tracing::debug!(
                partition = self.claim.partition,
                ?committed,
                "batch committed"
            );
            let newest = std::mem::take(&mut self.newest);
            if let Some(filed) = &self.options.filed {
                newest
                    .iter()
                    .for_each(|(source, record)| filed(source, record));
            }
            if let Some(below) = self.checkpoint.take() {
                self.release(below).await?;
            }
        }
        Ok(())
    }

    /// Tells the log what is not needed any more. It feeds trimming and what is shown of the lag,
    /// so that judging does not stand still for it: the next checkpoint tells more.
    async fn release(&mut self, below: u64) -> Result<(), WorkerError> {
        let partition = self.claim.partition;
        let failed = match self.log.release(partition, below).await {
            Err(error @ (BusError::Write(_) | BusError::Read(_))) => {
                if !self.release_failed {
                    tracing::warn!(partition, %error, "the log does not note what is judged");
                }
                true
            }
            done => {
                done?;
                false
            }
        };
        self.release_failed = failed;
        Ok(())
    }

    async fn judge_subjects(&mut self) -> Result<usize, WorkerError> {
        let partitions = self.log.identity().partitions;
        let (limit, now) = (self.options.subjects_at_once, (self.clock)());
        let judge = Arc::clone(&self.judge);
        Ok(self
            .store
            .judge_subjects(&self.claim, partitions, limit, now, judge)
            .await?)
    }

    /// Waits for the log to grow, for a while.
    async fn idle(&self, stop: &CancellationToken) -> Result<(), WorkerError> {
        let grown = self.log.wait_beyond(self.claim.partition, self.next);
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            done = grown => Ok(done?),
            () = self.options.turns.free(), if self.waits_its_turn => Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => Ok(()),
        }
    }
}
