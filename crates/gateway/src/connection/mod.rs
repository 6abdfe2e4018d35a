//! One TCP connection: its stages in order, in one task without a buffer of its own.

mod input;
mod pending;

use crate::config::Speaks;
use crate::connections::Admission;
use crate::intake::Given;
use crate::shared::Shared;
use input::{Input, Taken};
use pending::{Found, Pending};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// Why a connection ends. Labels are bounded and stand in metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The device closed it.
    Peer,
    /// The network did.
    Lost,
    /// The same device came again on another connection.
    Replaced,
    Refused,
    HeldFull,
    /// The stream cannot be read any further.
    Broken,
    LogInTime,
    IdleTime,
    FrameTime,
    WriteTime,
    LogClosed,
    Shutdown,
    /// The deadline of the shutdown has passed.
    Aborted,
}

impl End {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Lost => "lost",
            Self::Replaced => "replaced",
            Self::Refused => "refused",
            Self::HeldFull => "held_full",
            Self::Broken => "broken",
            Self::LogInTime => "log_in_time",
            Self::IdleTime => "idle_time",
            Self::FrameTime => "frame_time",
            Self::WriteTime => "write_time",
            Self::LogClosed => "log_closed",
            Self::Shutdown => "shutdown",
            Self::Aborted => "aborted",
        }
    }
}

/// Bytes reserved from the common budget for one read: the messages that it can become.
pub(crate) const RESERVE: u32 = 64 * 1024;

type Reserving = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// A connection and what it has in flight.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    admission: Admission,
    speaks: Speaks,
    /// None once it is closed and only what was taken is still in flight.
    stream: Option<TcpStream>,
    input: Input,
    pending: Pending,
    /// Replies that the socket has not taken.
    out: Vec<u8>,
    /// Set once nothing more is read; what is in flight is still answered.
    ending: Option<End>,
    /// Waits for the common budget.
    reserving: Option<Reserving>,
    timer: Pin<Box<Sleep>>,
    began: Instant,
    /// Since when the socket has not taken a byte of `out`.
    blocked: Option<Instant>,
    /// Not read before, since late records come faster than is set.
    paced: Option<Instant>,
    retry: Retry,
}

/// The wait between attempts to write to a log that refuses.
#[derive(Debug, Default)]
struct Retry {
    /// Above zero since a failure, until a write succeeds.
    wait: Duration,
    at: Option<Instant>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// Serves the device until the connection ends, then sees to it that what was taken becomes
/// durable, acknowledged or not. Written by hand: an `async fn` would hold everything twice.
impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.stream.is_some() {
            let end = ready!(this.poll_open(cx));
            this.close(end);
            if end == End::LogClosed || end == End::Aborted {
                return Poll::Ready(());
            }
        }
        this.poll_draining(cx)
    }
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<Shared>,
        admission: Admission,
        speaks: Speaks,
        stream: TcpStream,
    ) -> Self {
        let label = speaks.label();
        let metrics = &shared.metrics;
        metrics.accepted.with_label_values(&[label]).inc();
        metrics.connections.with_label_values(&[label]).inc();
        let began = Instant::now();
        let timer = Box::pin(tokio::time::sleep(shared.config.times.log_in));
        Self {
            shared,
            admission,
            speaks,
            stream: Some(stream),
            input: Input::new(began),
            pending: Pending::default(),
            out: Vec::new(),
            ending: None,
            reserving: None,
            timer,
            began,
            blocked: None,
            paced: None,
            retry: Retry::default(),
        }
    }

    fn close(&mut self, end: End) {
        self.stream = None;
        self.reserving = None;
        self.admission.uncount();
        let label = self.speaks.label();
        let metrics = &self.shared.metrics;
        metrics.connections.with_label_values(&[label]).dec();
        metrics.closed.with_label_values(&[end.label()]).inc();
        tracing::debug!(listener = label, reason = end.label(), "a connection ended");
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.admission.signal.waker.register(cx.waker());
        if let Some(end) = self.asked() {
            return Poll::Ready(end);
        }
        loop {
            if let Err(end) = self.move_pending(cx) {
                return Poll::Ready(end);
            }
            if let Err(end) = self.move_out(cx) {
                return Poll::Ready(end);
            }
            // A read that gave something may have made work for the stages above.
            match self.poll_read(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) if self.pending.is_empty() && self.out.is_empty() => {
                    return Poll::Ready(end);
                }
                Poll::Ready(Err(end)) => {
                    self.ending = Some(end);
                }
                Poll::Pending => break,
            }
        }
        self.poll_timer(cx).map(|end| self.ending.unwrap_or(end))
    }

    fn asked(&mut self) -> Option<End> {
        let signal = &self.admission.signal;
        if signal.aborted() {
            return Some(End::Aborted);
        }
        if signal.replaced() {
            return Some(End::Replaced);
        }
        if signal.stopped() && self.ending.is_none() {
            self.ending = Some(End::Shutdown);
        }
        None
    }

    /// Frames to the log, replies of durable ones towards the socket.
    fn move_pending(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let found = self
            .pending
            .poll(&self.shared, self.retry.due(), &mut self.out, cx);
        match found {
            Found::Fine => {
                if self.pending.take_progress() {
                    self.retry = Retry::default();
                }
                Ok(())
            }
            Found::Failed => {
                self.retry.failed(self.shared.config.times.retry);
                Ok(())
            }
            Found::Closed => {
                self.shared.log_closed();
                Err(End::LogClosed)
            }
        }
    }

    fn move_out(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        let Some(stream) = &mut self.stream else {
            return Err(End::Lost);
        };
        let mut sent = 0;
        while sent < self.out.len() {
            match Pin::new(&mut *stream).poll_write(cx, &self.out[sent..]) {
                Poll::Ready(Ok(n)) if n > 0 => sent += n,
                Poll::Ready(_) => return Err(End::Lost),
                Poll::Pending => break,
            }
        }
        if sent == self.out.len() {
            // An idle connection holds no buffer.
            self.out = Vec::new();
            self.blocked = None;
        } else {
            self.out.drain(..sent);
            if sent > 0 || self.blocked.is_none() {
                self.blocked = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// One read, where one is allowed; an error once nothing more will be read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        // First of all: a turn that has come must not stay a deadline.
        let waits = self.waits_its_turn();
        if let Some(end) = self.ending {
            let done = self.pending.is_empty() && self.out.is_empty();
            return if done {
                Poll::Ready(Err(end))
            } else {
                Poll::Pending
            };
        }
        let limits = &self.shared.config.limits;
        let full = self.pending.bytes() >= limits.connection_bytes
            || self.out.len() >= limits.reply_bytes
            || !self.pending.all_taken()
            || self.retry.failing();
        if full || self.shared.disk.paused() || waits {
            return Poll::Pending;
        }
        let Some(budget) = ready!(self.poll_reserve(cx)) else {
            return Poll::Ready(Err(End::Shutdown));
        };
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(Err(End::Lost));
        };
        let mut taken = Taken {
            budget,
            admission: &mut self.admission,
            pending: &mut self.pending,
            out: &mut self.out,
            given: Given::default(),
            paced: &mut self.paced,
        };
        let read = self
            .input
            .poll_read(&self.shared, self.speaks, stream, &mut taken, cx);
        if self.paced.is_some() {
            self.shared.metrics.paced.inc();
        }
        read
    }

    /// Whether what is late has its turn later.
    fn waits_its_turn(&mut self) -> bool {
        let waits = self.paced.is_some_and(|at| Instant::now() < at);
        if !waits {
            self.paced = None;
        }
        waits
    }

    fn poll_reserve(&mut self, cx: &mut Context<'_>) -> Poll<Option<OwnedSemaphorePermit>> {
        if self.reserving.is_none() {
            let budget = Arc::clone(&self.shared.budget);
            if let Ok(permit) = Arc::clone(&budget).try_acquire_many_owned(RESERVE) {
                return Poll::Ready(Some(permit));
            }
            let wait = async move { budget.acquire_many_owned(RESERVE).await.ok() };
            self.reserving = Some(Box::pin(wait));
        }
        let Some(waiting) = &mut self.reserving else {
            return Poll::Pending;
        };
        let permit = ready!(waiting.as_mut().poll(cx));
        self.reserving = None;
        Poll::Ready(permit)
    }

    /// Ends a connection whose time is up, and sleeps until the next time that matters.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let now = Instant::now();
            let (next, end) = self.next_deadline(now);
            if next <= now
                && let Some(end) = end
            {
                return Poll::Ready(end);
            }
            // Moved only when it fires or is too late: activity does not touch the wheel.
            if next < self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(cx));
            if next <= now {
                // The time of a retry: the stages above go first.
                cx.waker().wake_by_ref();
                self.timer.as_mut().reset(now + MINUTE);
                return Poll::Pending;
            }
            self.timer.as_mut().reset(next);
        }
    }

    /// The nearest time that matters, and what ends then; none: another attempt to write.
    fn next_deadline(&self, now: Instant) -> (Instant, Option<End>) {
        let times = &self.shared.config.times;
        let mut next = (now + MINUTE, None);
        let mut earlier = |at: Instant, end: Option<End>| {
            if at < next.0 {
                next = (at, end);
            }
        };
        for at in [self.retry.at, self.paced].into_iter().flatten() {
            earlier(at, None);
        }
        if let Some(since) = self.blocked {
            earlier(since + times.write, Some(End::WriteTime));
        }
        // While we are the ones who do not read, the device cannot be late.
        let reading = self.ending.is_none()
            && self.pending.is_empty()
            && self.paced.is_none()
            && self.reserving.is_none()
            && !self.shared.disk.paused();
        if reading {
            if !self.input.identified {
                earlier(self.began + times.log_in, Some(End::LogInTime));
            }
            if let Some(since) = self.input.partial_since() {
                earlier(since + times.frame, Some(End::FrameTime));
            }
            earlier(self.input.heard + times.idle, Some(End::IdleTime));
        }
        next
    }

    /// Frames of a connection that is gone: they were taken, so they must become durable.
    fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.admission.signal.waker.register(cx.waker());
        while !self.admission.signal.aborted() {
            // Nobody is there to read a reply.
            self.out.clear();
            match self.move_pending(cx) {
                Err(_) => return Poll::Ready(()),
                Ok(()) if self.pending.is_empty() => return Poll::Ready(()),
                Ok(()) => {}
            }
            // Nothing is due: the log wakes us with a place or a receipt.
            let Some(at) = self.retry.at else {
                return Poll::Pending;
            };
            self.timer.as_mut().reset(at);
            ready!(self.timer.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

/// Longest sleep of a connection that waits for nothing else.
const MINUTE: Duration = Duration::from_secs(60);

impl Retry {
    /// Whether an attempt may be made now.
    fn due(&mut self) -> bool {
        if self.at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        self.at = None;
        true
    }

    fn failing(&self) -> bool {
        !self.wait.is_zero()
    }

    fn failed(&mut self, (first, longest): (Duration, Duration)) {
        self.wait = (self.wait * 2).clamp(first, longest.max(first));
        self.at = Some(Instant::now() + self.wait);
    }
}
