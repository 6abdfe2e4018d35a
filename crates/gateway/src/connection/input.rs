//! The reading half: into a buffer of the thread, through the session, keeping only what begins a
//! frame that is not complete.

use super::pending::Pending;
use super::{End, RESERVE};
use crate::config::Speaks;
use crate::connections::Admission;
use crate::intake::{self, Given, Intake, Turned};
use crate::shared::Shared;
use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use waywarden_model::{Protocol, Standing, Timestamp};
use waywarden_wire::{Event, Progress, Session, Transport};

/// Bytes of one read.
const READ: usize = 16 * 1024;

thread_local! {
    /// Shared by all connections of a worker thread; empty between two polls.
    static BUFFER: RefCell<Buffer> = RefCell::new(Buffer::default());
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    events: Vec<Event>,
}

/// Where what was read goes.
pub(super) struct Taken<'a> {
    /// What this read may hold of the common budget.
    pub(super) budget: OwnedSemaphorePermit,
    pub(super) admission: &'a mut Admission,
    pub(super) pending: &'a mut Pending,
    pub(super) out: &'a mut Vec<u8>,
    /// What it gave, for the counters.
    pub(super) given: Given,
    /// When the next read may be, for the late records that this one gave.
    pub(super) paced: &'a mut Option<Instant>,
}

/// Session and partial frame of a connection.
#[derive(Debug)]
pub(super) struct Input {
    /// Made at the first byte.
    session: Option<Box<dyn Session>>,
    /// The beginning of a frame.
    partial: Vec<u8>,
    partial_since: Instant,
    /// When the last whole frame came.
    pub(super) heard: Instant,
    pub(super) identified: bool,
}

impl Input {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            session: None,
            partial: Vec::new(),
            partial_since: now,
            heard: now,
            identified: false,
        }
    }

    /// Since when the frame that is not complete has been coming.
    pub(super) fn partial_since(&self) -> Option<Instant> {
        (!self.partial.is_empty()).then_some(self.partial_since)
    }

    /// Reads once and hands on what the bytes meant; an error when the stream is at its end.
    pub(super) fn poll_read(
        &mut self,
        shared: &Shared,
        speaks: Speaks,
        stream: &mut TcpStream,
        taken: &mut Taken<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        BUFFER.with_borrow_mut(|buffer| {
            let read = ready!(self.fill(buffer, stream, cx));
            Poll::Ready(match read {
                Ok(0) => Err(End::Peer),
                Ok(n) => self.understand(shared, speaks, buffer, n, taken),
                Err(_) => Err(End::Lost),
            })
        })
    }

    /// The partial frame and what the socket has; gives the number of new bytes.
    fn fill(
        &self,
        buffer: &mut Buffer,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<usize>> {
        let begin = self.partial.len();
        if buffer.bytes.len() < begin + READ {
            buffer.bytes.resize(begin + READ, 0);
        }
        let mut room = ReadBuf::new(&mut buffer.bytes[begin..begin + READ]);
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let n = room.filled().len();
        buffer.bytes[..begin].copy_from_slice(&self.partial);
        Poll::Ready(Ok(n))
    }

    fn understand(
        &mut self,
        shared: &Shared,
        speaks: Speaks,
        buffer: &mut Buffer,
        n: usize,
        taken: &mut Taken<'_>,
    ) -> Result<(), End> {
        let received = shared.clock.stamp();
        let input = &buffer.bytes[..self.partial.len() + n];
        if self.session.is_none() {
            self.session = (shared.new_session)(speaks, Transport::Tcp);
        }
        let Some(session) = &mut self.session else {
            return Err(End::Broken);
        };
        let progress = session.receive(input, &shared.env(received), &mut buffer.events);
        let protocol = session.protocol();
        shared.metrics.of(protocol).bytes.inc_by(n as u64);
        let (consumed, broken) = match progress {
            Progress::NeedMore { consumed } => (consumed, None),
            Progress::Close { consumed, reason } => {
                if let Some(times) = shared.folded.tell("closed_by_protocol") {
                    let reason = reason.label();
                    tracing::debug!(%protocol, reason, times, "a stream cannot go on");
                }
                (consumed, Some(End::Broken))
            }
        };
        let now = Instant::now();
        self.keep_partial(input, consumed, now);
        let mut end = None;
        for event in buffer.events.drain(..) {
            if end.is_none() {
                end = self.act(shared, protocol, received, now, event, taken);
            }
        }
        std::mem::take(&mut taken.given).tell(&shared.metrics, protocol);
        // One frame of records can be large; the vector of the thread must not stay so.
        buffer.events.shrink_to(MOST_EVENTS);
        if self.partial.len() > shared.config.wire.max_frame.saturating_mul(2) {
            return Err(End::Broken);
        }
        end.or(broken).map_or(Ok(()), Err)
    }

    fn keep_partial(&mut self, input: &[u8], consumed: usize, now: Instant) {
        let rest = &input[consumed.min(input.len())..];
        if consumed > 0 {
            self.heard = now;
        }
        if consumed > 0 || self.partial.is_empty() {
            self.partial_since = now;
        }
        // Exactly as large as it must be, and nothing at all between frames.
        self.partial = rest.to_vec();
    }

    fn act(
        &mut self,
        shared: &Shared,
        protocol: Protocol,
        received: Timestamp,
        now: Instant,
        event: Event,
        taken: &mut Taken<'_>,
    ) -> Option<End> {
        let given = &mut taken.given;
        match event {
            Event::Identified { device, .. } if device.standing == Standing::Refused => {
                return Some(End::Refused);
            }
            Event::Identified { device, .. } => {
                self.identified = true;
                taken.admission.identify(&device.source);
            }
            Event::Reply(reply) => taken.pending.immediate(reply, taken.out),
            Event::Frame(frame) => match intake::take(shared, protocol, received, frame, given) {
                Intake::Publish(publish) => {
                    if let Some(at) = shared.pace.took(publish.late, now) {
                        *taken.paced = Some(at);
                    }
                    let size = publish.size().min(RESERVE as usize);
                    // What a read becomes beyond its reservation is bounded by the read itself.
                    let size = size.min(taken.budget.num_permits());
                    let budget = taken.budget.split(size).expect("no more than there is");
                    taken.pending.push(publish, now.into_std(), budget);
                }
                Intake::ReplyOnly(Some(reply)) => taken.pending.in_order(reply, taken.out),
                Intake::ReplyOnly(None) => {}
                Intake::Turn(Turned::Refused) => return Some(End::Refused),
                Intake::Turn(Turned::HeldFull) => {
                    if let Some(times) = shared.folded.tell("held_full") {
                        tracing::warn!(times, "a held device is at its bound and is not read");
                    }
                    return Some(End::HeldFull);
                }
            },
            Event::Unknown { label, raw } => shared.unknown(protocol, received, label, raw),
            Event::Error(error) => shared.error(protocol, received, error),
        }
        None
    }
}

/// Events that the vector of a thread has room for between reads.
const MOST_EVENTS: usize = 256;
