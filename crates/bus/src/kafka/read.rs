//! Reading one partition from a position: a consumer that is assigned by hand and never commits.

use super::{Ends, KafkaOptions, number, read_error, seen};
use crate::{BusError, Entry, Offset};
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset as At, TopicPartitionList};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use waywarden_model::Timestamp;
use waywarden_model::hash::bytes_hash;

const NOT_TOLD: &str = "no broker told what the partition holds";

/// How long one look for a message waits.
const LOOK: Duration = Duration::from_millis(100);

/// How long a message waits for others of its batch. In steady traffic the end is never seen, so
/// it is not waited for.
const GATHER: Duration = Duration::from_millis(5);
/// Behind a silence as long as this is looked whether the topic is still the one that was read.
///
/// The library goes on in a topic that was made anew at the offset where it stood in the former one.
/// Where the new one is shorter it fails; a new one that has grown past the offset it would read as
/// if nothing had happened. It cannot do so without a silence: the former topic gives nothing more.
const SILENCE: Duration = Duration::from_secs(1);

/// A broker that is away, or a partition that changes its leader.
fn may_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::NetworkException
                | Code::RequestTimedOut
        )
    )
}

/// The first offset held and the next to be given. A partition that changes its leader is asked
/// again for a while.
pub(super) fn marks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    options: &KafkaOptions,
    partition: u32,
) -> Result<(Offset, Offset), BusError> {
    let until = Instant::now() + options.patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = left.clamp(LOOK, options.patience);
        let marks = consumer.fetch_watermarks(&options.topic, number(partition), left);
        let offset = |n: i64| u64::try_from(n).unwrap_or(0);
        match marks {
            Ok((begin, end)) => return Ok((offset(begin), offset(end))),
            Err(e) if Instant::now() >= until => return Err(read_error(&e)),
            Err(_) => std::thread::sleep(LOOK / 2),
        }
    }
}

pub(super) struct Reader {
    topic: String,
    partition: u32,
    /// Made at the first use: who only writes needs none.
    consumer: OnceLock<BaseConsumer>,
    options: KafkaOptions,
    patience: Duration,
    ends: Ends,
    state: Mutex<State>,
}

/// Where the consumer stands.
struct State {
    /// The next offset that it gives; None: nothing is assigned.
    next: Option<Offset>,
    /// Taken from it and not given yet: the first of them is at `next`.
    taken: VecDeque<Entry>,
    /// It said that nothing is behind `next`.
    at_end: bool,
    /// The newest message that it gave, by its hash.
    newest: Option<(Offset, u64)>,
    /// The last message of the last read. It outlives an error, which whoever waits for more may
    /// not have stayed to hear: who goes on behind it is told again.
    given: Option<(Offset, u64)>,
    /// When it was given, or assigned.
    heard: Instant,
}

impl Default for State {
    fn default() -> Self {
        Self {
            next: None,
            taken: VecDeque::new(),
            at_end: false,
            newest: None,
            given: None,
            heard: Instant::now(),
        }
    }
}

impl State {
    /// Nothing is assigned any more.
    fn forget(&mut self) {
        *self = Self {
            given: self.given,
            ..Self::default()
        };
    }
}

impl Reader {
    pub fn new(options: &KafkaOptions, partition: u32, ends: &Ends) -> Self {
        Self {
            topic: options.topic.clone(),
            partition,
            consumer: OnceLock::new(),
            options: options.clone(),
            patience: options.patience,
            ends: Arc::clone(ends),
            state: Mutex::default(),
        }
    }

    fn consumer(&self) -> Result<&BaseConsumer, BusError> {
        if let Some(made) = self.consumer.get() {
            return Ok(made);
        }
        let made = self.make().map_err(|e| read_error(&e))?;
        Ok(self.consumer.get_or_init(|| made))
    }

    fn make(&self) -> Result<BaseConsumer, KafkaError> {
        self.options
            .client()
            // Required by the library; no membership comes of it, since nothing is subscribed.
            .set("group.id", format!("{}-reads", self.options.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.message.max.bytes", "1048576")
            .create()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic left is put right by assigning anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first offset held and the next to be given.
    pub fn range(&self) -> Result<(Offset, Offset), BusError> {
        let range = marks(self.consumer()?, &self.options, self.partition)?;
        seen(&self.ends, self.partition, range.1);
        Ok(range)
    }

    /// The first offset received at `t` or later, `end` where there is none.
    pub fn first_since(&self, t: Timestamp, end: Offset) -> Result<Offset, BusError> {
        // Behind the end of time the broker would refuse the question.
        if t.millis() <= 0 || t >= Timestamp::MAX {
            return Ok(if t.millis() <= 0 { 0 } else { end });
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, number(self.partition), At::Offset(t.millis()))
            .map_err(|e| read_error(&e))?;
        let found = self.consumer()?.offsets_for_times(list, self.patience);
        let found = found.map_err(|e| read_error(&e))?;
        let offset = found.elements().first().map(|e| e.offset());
        Ok(match offset {
            Some(At::Offset(n)) => u64::try_from(n).unwrap_or(end),
            _ => end,
        })
    }

    /// Messages from `from` on; empty at the end.
    pub fn read(
        &self,
        from: Offset,
        messages: usize,
        bytes: usize,
    ) -> Result<Vec<Entry>, BusError> {
        let mut state = self.state();
        if state.next != Some(from) {
            self.assign(&mut state, from)?;
        }
        let (mut found, mut size) = (Vec::new(), 0);
        let mut until = Instant::now() + self.patience;
        while found.len() < messages.max(1) && (size < bytes || found.is_empty()) {
            if let Some(entry) = state.taken.pop_front() {
                if found.is_empty() {
                    until = Instant::now() + GATHER;
                }
                size += entry.payload.len();
                state.next = Some(entry.offset + 1);
                found.push(entry);
                continue;
            }
            if state.at_end && !found.is_empty() {
                break;
            }
            let left = until.saturating_duration_since(Instant::now());
            if self.take(&mut state, left.min(LOOK))? {
                continue;
            }
            // At the end, or no broker gives any more for now; what was found is given.
            if state.at_end || Instant::now() >= until {
                break;
            }
        }
        if found.is_empty() && !state.at_end {
            return Err(BusError::Read(NOT_TOLD.to_owned()));
        }
        if let Some(last) = found.last() {
            state.given = Some((last.offset, bytes_hash(&last.payload)));
        }
        Ok(found)
    }

    /// Whether the partition has grown beyond `offset`, seen within a moment.
    pub fn grown_beyond(&self, offset: Offset) -> Result<bool, BusError> {
        let mut state = self.state();
        if state.next == Some(offset) {
            return Ok(!state.taken.is_empty() || self.take(&mut state, LOOK)?);
        }
        drop(state);
        if self.range()?.1 > offset {
            return Ok(true);
        }
        std::thread::sleep(LOOK / 2);
        Ok(false)
    }

    /// Begins at another position, which must be one that the partition holds or its end.
    fn assign(&self, state: &mut State, from: Offset) -> Result<(), BusError> {
        state.forget();
        let given = state.given.filter(|(offset, _)| offset + 1 == from);
        let (begin, end) = self.range()?;
        if from < begin || from > end {
            return Err(BusError::OutOfRange {
                partition: self.partition,
                wanted: from,
                begin,
                end,
            });
        }
        match given {
            Some(given) => self.confirm(given)?,
            None => self.stand_at(from)?,
        }
        state.given = given;
        state.next = Some(from);
        Ok(())
    }

    fn stand_at(&self, from: Offset) -> Result<(), BusError> {
        let consumer = self.consumer()?;
        let mut list = TopicPartitionList::new();
        let offset = At::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, number(self.partition), offset)
            .and_then(|()| consumer.assign(&list))
            .map_err(|e| read_error(&e))
    }

    /// Reads the newest message once more and goes on behind it, if it is the same.
    fn confirm(&self, (offset, hash): (Offset, u64)) -> Result<(), BusError> {
        let (partition, (begin, _)) = (self.partition, self.range()?);
        if offset < begin {
            // It has been trimmed, which a topic that was made anew would not be.
            return self.stand_at(offset + 1);
        }
        self.stand_at(offset)?;
        let until = Instant::now() + self.patience;
        while Instant::now() < until {
            match self.consumer()?.poll(LOOK) {
                Some(Ok(there)) => {
                    let payload = there.payload().unwrap_or_default();
                    let same =
                        there.offset() == offset.cast_signed() && bytes_hash(payload) == hash;
                    return match same {
                        true => Ok(()),
                        false => Err(BusError::MadeAnew { partition, offset }),
                    };
                }
                // The topic ends before it.
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    return Err(BusError::MadeAnew { partition, offset });
                }
                Some(Err(error)) if !may_pass(&error) => return Err(read_error(&error)),
                Some(Err(_)) | None => {}
            }
        }
        Err(BusError::Read(NOT_TOLD.to_owned()))
    }

    /// Fetches nothing more until the next read.
    pub fn rest(&self) {
        let mut state = self.state();
        *state = State::default();
        if let Some(consumer) = self.consumer.get()
            && let Err(error) = consumer.unassign()
        {
            tracing::debug!(%error, "a partition that is not read goes on being fetched");
        }
    }

    /// Takes one message from the consumer, if one comes within `wait`; gives whether one came.
    fn take(&self, state: &mut State, wait: Duration) -> Result<bool, BusError> {
        let taken = match self.consumer()?.poll(wait) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Entry {
                offset: u64::try_from(message.offset()).unwrap_or(0),
                payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
            })),
            Some(Err(error)) => Err(error),
        };
        match taken {
            Ok(None) => Ok(false),
            Ok(Some(entry)) => {
                state.at_end = false;
                let silent = state.heard.elapsed() >= SILENCE;
                state.heard = Instant::now();
                if let Some(newest) = state.newest.filter(|_| silent) {
                    // This one comes again behind the one that is looked at.
                    return match self.confirm(newest) {
                        Ok(()) => {
                            state.heard = Instant::now();
                            Ok(false)
                        }
                        Err(error) => {
                            state.forget();
                            Err(error)
                        }
                    };
                }
                state.newest = Some((entry.offset, bytes_hash(&entry.payload)));
                seen(&self.ends, self.partition, entry.offset + 1);
                state.taken.push_back(entry);
                Ok(true)
            }
            Err(KafkaError::PartitionEOF(_)) => {
                state.at_end = true;
                Ok(false)
            }
            // The library asks again by itself: nothing came is all that it means.
            Err(error) if may_pass(&error) => Ok(false),
            Err(error) => {
                // The position is gone, or the partition: the next call begins anew.
                let wanted = state.next.unwrap_or_default();
                state.forget();
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
                    let (begin, end) = self.range()?;
                    let partition = self.partition;
                    return Err(BusError::OutOfRange {
                        partition,
                        wanted,
                        begin,
                        end,
                    });
                }
                Err(read_error(&error))
            }
        }
    }
}
