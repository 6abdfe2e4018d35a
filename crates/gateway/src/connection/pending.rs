//! What a connection took and has not answered yet, in the order of the answers.

use crate::intake::Publish;
use crate::shared::Shared;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use smallvec::smallvec;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;
use waywarden_bus::{BusError, MOST_AS_ONE, Messages, Receipt};
use waywarden_model::Protocol;

/// Frames and replies in flight.
#[derive(Default)]
pub(super) struct Pending {
    slots: VecDeque<Slot>,
    /// Slots that an immediate reply must not overtake.
    ordered: usize,
    /// Slots that the log has not taken, or has failed to write.
    waiting: usize,
    bytes: usize,
    /// The last slot is of the read that goes on, and takes more of its frames.
    open: bool,
    /// A frame became durable since this was last asked.
    progressed: bool,
    /// The append that waits for a place in the log, of the first waiting slot.
    appending: Option<BoxFuture<'static, Result<Receipt, BusError>>>,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("slots", &self.slots.len())
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

enum Slot {
    Reply(Vec<u8>),
    Frames(Box<InFlight>),
}

/// Frames of one read, which the log takes as one.
struct InFlight {
    protocol: Protocol,
    partition: u32,
    messages: Messages,
    /// Replies to all of them; empty where there is none.
    reply: Vec<u8>,
    tagged: bool,
    state: State,
    taken: Instant,
    size: usize,
    budget: OwnedSemaphorePermit,
}

enum State {
    /// The log has not taken them, or has failed to write them.
    Waiting,
    Taken(Receipt),
    Durable,
}

/// What [`Pending::poll`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or more frames are durable.
    Fine,
    /// A write failed: wait before the next attempt.
    Failed,
    /// The log is closed: nothing in flight can become durable any more.
    Closed,
}

/// Bytes of messages from which on another frame of the read is not appended with them.
const MOST_BYTES: usize = 256 * 1024;

/// A queue above this is not kept while the connection is idle.
const KEEP_SLOTS: usize = 4;

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether everything that was taken is in the log's hands.
    pub(super) fn all_taken(&self) -> bool {
        self.waiting == 0
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a frame became durable since the last call.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    pub(super) fn push(&mut self, publish: Publish, taken: Instant, budget: OwnedSemaphorePermit) {
        self.bytes += publish.size();
        if let Some(Slot::Frames(last)) = self.slots.back_mut()
            && self.open
            && last.takes(&publish)
        {
            let before = last.is_ordered();
            last.add(publish, budget);
            self.ordered += usize::from(last.is_ordered()) - usize::from(before);
            return;
        }
        let frames = Box::new(InFlight::new(publish, taken, budget));
        self.waiting += 1;
        self.ordered += usize::from(frames.is_ordered());
        self.slots.push_back(Slot::Frames(frames));
        self.open = true;
    }

    /// An immediate reply: at once to `out`, unless it would overtake one that carries no tag.
    pub(super) fn immediate(&mut self, reply: Vec<u8>, out: &mut Vec<u8>) {
        if self.ordered == 0 {
            out.extend_from_slice(&reply);
        } else {
            self.queue(reply);
        }
    }

    /// A durable reply for which nothing needs to be written: keeps its order among the others.
    pub(super) fn in_order(&mut self, reply: Vec<u8>, out: &mut Vec<u8>) {
        if self.slots.is_empty() {
            out.extend_from_slice(&reply);
        } else {
            self.queue(reply);
        }
    }

    fn queue(&mut self, reply: Vec<u8>) {
        self.open = false;
        self.bytes += reply.len();
        self.ordered += 1;
        self.slots.push_back(Slot::Reply(reply));
    }

    /// Hands waiting frames to the log and moves the replies of durable ones to `out`.
    pub(super) fn poll(
        &mut self,
        shared: &Shared,
        may_append: bool,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) -> Found {
        self.open = false;
        // Receipts first: what is durable frees places for what waits.
        let found = self.poll_receipts(shared, out, cx);
        if found != Found::Fine || !may_append || self.waiting == 0 {
            return found;
        }
        match self.poll_appends(shared, cx) {
            // A receipt may be there already, and must register whom to wake if it is not.
            Found::Fine => self.poll_receipts(shared, out, cx),
            other => other,
        }
    }

    fn poll_receipts(&mut self, shared: &Shared, out: &mut Vec<u8>, cx: &mut Context<'_>) -> Found {
        // Of all that became durable together.
        let mut now = None;
        while let Some(front) = self.slots.front_mut() {
            match front {
                Slot::Reply(reply) => {
                    out.extend_from_slice(reply);
                    self.bytes -= reply.len();
                    self.ordered -= 1;
                }
                Slot::Frames(frames) => {
                    let answer = match &mut frames.state {
                        State::Waiting => break,
                        State::Durable => Poll::Ready(Ok(Ok(0))),
                        State::Taken(receipt) => Pin::new(receipt).poll(cx),
                    };
                    match answer {
                        Poll::Pending => break,
                        Poll::Ready(Ok(Ok(_))) => {
                            frames.durable(shared, *now.get_or_insert_with(Instant::now), out);
                            self.bytes -= frames.size;
                            self.ordered -= usize::from(frames.is_ordered());
                            self.progressed = true;
                        }
                        Poll::Ready(Ok(Err(error @ BusError::Write(_)))) => {
                            shared.log_failed(&error);
                            frames.state = State::Waiting;
                            self.waiting += 1;
                            self.take_back();
                            return Found::Failed;
                        }
                        Poll::Ready(_) => return Found::Closed,
                    }
                }
            }
            self.slots.pop_front();
        }
        if self.slots.is_empty() && self.slots.capacity() > KEEP_SLOTS {
            self.slots = VecDeque::new();
        }
        Found::Fine
    }

    /// After a failure of the first: every other slot whose write failed waits again as well,
    /// so that they go back to the log together and in their order.
    fn take_back(&mut self) {
        // It belongs to a slot behind those; nothing was taken yet.
        self.appending = None;
        for slot in &mut self.slots {
            let Slot::Frames(frames) = slot else { continue };
            let State::Taken(receipt) = &mut frames.state else {
                continue;
            };
            match receipt.try_recv() {
                Ok(Err(BusError::Write(_))) => {
                    frames.state = State::Waiting;
                    self.waiting += 1;
                }
                Ok(Ok(_)) => frames.state = State::Durable,
                // Not answered, or the log is closed: found out when it is at the front.
                _ => {}
            }
        }
    }

    fn poll_appends(&mut self, shared: &Shared, cx: &mut Context<'_>) -> Found {
        let mut appending = self.appending.take();
        for slot in &mut self.slots {
            let Slot::Frames(frames) = slot else { continue };
            if !matches!(frames.state, State::Waiting) {
                continue;
            }
            let at_once = match appending {
                // It has waited already, and has its turn.
                Some(_) => None,
                None => {
                    let (partition, messages) = (frames.partition, &frames.messages);
                    shared.log.try_append_all(partition, messages)
                }
            };
            let taken = match at_once {
                Some(taken) => Poll::Ready(taken),
                None => {
                    let mut attempt = appending.take().unwrap_or_else(|| start(shared, frames));
                    let taken = attempt.poll_unpin(cx);
                    if taken.is_pending() {
                        self.appending = Some(attempt);
                    }
                    taken
                }
            };
            match taken {
                Poll::Pending => return Found::Fine,
                Poll::Ready(Ok(receipt)) => {
                    frames.state = State::Taken(receipt);
                    self.waiting -= 1;
                }
                Poll::Ready(Err(error @ BusError::Write(_))) => {
                    shared.log_failed(&error);
                    return Found::Failed;
                }
                Poll::Ready(Err(_)) => return Found::Closed,
            }
            if self.waiting == 0 {
                break;
            }
        }
        Found::Fine
    }
}

impl InFlight {
    fn new(publish: Publish, taken: Instant, budget: OwnedSemaphorePermit) -> Self {
        Self {
            size: publish.size(),
            protocol: publish.protocol,
            partition: publish.partition,
            messages: smallvec![publish.payload],
            reply: publish.reply.unwrap_or_default(),
            tagged: publish.tagged,
            state: State::Waiting,
            taken,
            budget,
        }
    }

    /// Whether the frame may be appended with these.
    fn takes(&self, publish: &Publish) -> bool {
        self.partition == publish.partition
            && self.protocol == publish.protocol
            && self.tagged == publish.tagged
            && self.messages.len() < MOST_AS_ONE
            && self.size + publish.size() <= MOST_BYTES
    }

    fn add(&mut self, publish: Publish, budget: OwnedSemaphorePermit) {
        self.size += publish.size();
        self.messages.push(publish.payload);
        self.reply.extend(publish.reply.into_iter().flatten());
        self.budget.merge(budget);
    }

    /// Whether an immediate reply must not overtake these.
    fn is_ordered(&self) -> bool {
        !self.tagged && !self.reply.is_empty()
    }

    /// The records are safe: the replies may go out.
    fn durable(&self, shared: &Shared, now: Instant, out: &mut Vec<u8>) {
        shared.log_works();
        let frames = self.messages.len() as u64;
        shared.metrics.of(self.protocol).durable.inc_by(frames);
        let took = now.saturating_duration_since(self.taken);
        shared.metrics.durable.observe(took.as_secs_f64());
        out.extend_from_slice(&self.reply);
    }
}

/// The future owns what it needs: it may outlive this poll.
fn start(shared: &Shared, frames: &InFlight) -> BoxFuture<'static, Result<Receipt, BusError>> {
    let log = Arc::clone(&shared.log);
    let (partition, messages) = (frames.partition, frames.messages.clone());
    Box::pin(async move { log.append_all(partition, messages).await })
}
