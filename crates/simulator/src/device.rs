//! A device on a real socket: log in, send, wait for acknowledgements, send again what has none.

use crate::carried::{Carried, Entry};
use crate::ledger::{Ledger, LedgerError};
use std::collections::VecDeque;
use std::iter::Peekable;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use waywarden_model::{Protocol, Record, Timestamp};
use waywarden_wire::{DeviceEvent, DeviceSide};

/// When records are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// As fast as they are acknowledged.
    Unbounded,
    /// Event time runs `factor` times as fast as the clock, beginning at `from`.
    Times { factor: f64, from: Timestamp },
}

/// How a device sends.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    pub to: SocketAddr,
    pub pace: Pace,
    /// Records in one frame, at least 1; the protocol's own bound holds too.
    pub records_per_frame: usize,
    /// Frames in flight, at least 1.
    pub window: usize,
    /// A log-in or frame without an answer for this long makes the device connect again.
    pub patience: Duration,
}

impl Sending {
    /// When a record of this time is to be sent; None: at once.
    fn due(&self, begun: Instant, time: Timestamp) -> Option<Instant> {
        let Pace::Times { factor, from } = self.pace else {
            return None;
        };
        #[allow(clippy::cast_precision_loss)] // milliseconds of a simulation
        let ms = time.since(from).max(0) as f64 / factor.max(0.001);
        Some(begun + Duration::from_secs_f64(ms / 1000.0))
    }
}

/// What the fleet did, counted over all devices; read while it runs.
#[derive(Debug, Default)]
pub struct Counts {
    pub connections: AtomicU64,
    pub frames_sent: AtomicU64,
    pub frames_acknowledged: AtomicU64,
    pub records_generated: AtomicU64,
    pub records_acknowledged: AtomicU64,
}

/// What all devices of a fleet share.
#[derive(Debug, Clone)]
pub struct Shared {
    pub ledger: Arc<Ledger>,
    pub counts: Arc<Counts>,
    pub stop: CancellationToken,
}

/// Why a device gave up.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the server refuses the device")]
    Refused,
}

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// A device, what it still has to say, and what was said and not acknowledged.
#[derive(Debug)]
pub struct Device<I: Iterator<Item = Record>> {
    id: String,
    side: Box<dyn DeviceSide>,
    carried: Carried,
    records: Peekable<I>,
    sending: Sending,
    shared: Shared,
    begun: Instant,
    /// It was accepted once: a refusal then means a code that ran out, not an unwelcome device.
    welcome: bool,
    /// To be sent before anything new, oldest first.
    again: VecDeque<Frame>,
    in_flight: VecDeque<InFlight>,
}

/// Records that are sent together, with their names in the ledger.
#[derive(Debug)]
struct Frame {
    records: Vec<Record>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct InFlight {
    /// Tag of the frame on this connection.
    tag: u64,
    frame: Frame,
    sent: Instant,
}

enum Ended {
    Done,
    Lost,
    Failed(DeviceError),
}

impl<E: Into<DeviceError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<I: Iterator<Item = Record>> Device<I> {
    /// A device that will send `records` in their order; None where the protocol is not
    /// spoken over TCP.
    pub fn new(
        protocol: Protocol,
        id: &str,
        records: I,
        sending: Sending,
        shared: Shared,
    ) -> Option<Self> {
        Some(Self {
            side: waywarden_wire::device_side(protocol, id),
            carried: Carried::new(protocol, id)?,
            id: id.to_owned(),
            records: records.peekable(),
            sending,
            shared,
            begun: Instant::now(),
            welcome: false,
            again: VecDeque::new(),
            in_flight: VecDeque::new(),
        })
    }

    /// Sends everything and returns when the last record is acknowledged, or when told to stop.
    ///
    /// # Errors
    /// The server refuses the device, or the ledger cannot be written. A lost connection is no
    /// error: the device connects again and sends what was not acknowledged, in order.
    pub async fn run(mut self) -> Result<(), DeviceError> {
        let stop = self.shared.stop.clone();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ended = self.connection(&mut backoff) => ended,
            };
            match ended {
                Ended::Done => return Ok(()),
                Ended::Failed(error) => return Err(error),
                Ended::Lost => self.take_back(),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(backoff) => {}
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// What was in flight goes before what was to be sent again.
    fn take_back(&mut self) {
        let lost = std::mem::take(&mut self.in_flight).into_iter();
        let waiting = std::mem::take(&mut self.again);
        self.again = lost.map(|f| f.frame).chain(waiting).collect();
    }

    async fn connection(&mut self, backoff: &mut Duration) -> Ended {
        let Ok(Ok(mut socket)) =
            timeout(self.sending.patience, TcpStream::connect(self.sending.to)).await
        else {
            return Ended::Lost;
        };
        // Frames are whole writes: nothing is gained by waiting for more.
        if socket.set_nodelay(true).is_err() {
            return Ended::Lost;
        }
        self.shared
            .counts
            .connections
            .fetch_add(1, Ordering::Relaxed);
        match self.talk(&mut socket, backoff).await {
            Ok(()) => Ended::Done,
            Err(ended) => ended,
        }
    }

    /// Log in, then send and listen until nothing is left.
    async fn talk(&mut self, socket: &mut TcpStream, backoff: &mut Duration) -> Result<(), Ended> {
        let hello = self.side.connect();
        send(socket, &hello).await?;
        let (mut input, mut asked) = (Vec::new(), Instant::now());
        let mut accepted = !self.side.waits_for_acceptance();
        loop {
            if accepted && self.in_flight.len() < self.sending.window.max(1) {
                self.prepare()?;
                match self.again.front().map(|frame| self.due(frame)) {
                    Some(due) if due.is_none_or(|due| due <= Instant::now()) => {
                        self.send_next(socket).await?;
                        continue;
                    }
                    None if self.in_flight.is_empty() => return Ok(()),
                    _ => {}
                }
            }
            if let Some(oldest) = self.in_flight.front() {
                asked = oldest.sent;
            }
            let waits = !accepted || !self.in_flight.is_empty();
            let next = self.again.front().and_then(|frame| self.due(frame));
            let room = accepted && self.in_flight.len() < self.sending.window.max(1);
            tokio::select! {
                read = socket.read_buf(&mut input) => match read {
                    Ok(1..) => accepted |= self.listen(&mut input, backoff)?,
                    Ok(0) | Err(_) => return Err(Ended::Lost),
                },
                () = sleep_until(asked + self.sending.patience), if waits => {
                    return Err(Ended::Lost);
                }
                () = sleep_until(next.unwrap_or(self.begun)), if room && next.is_some() => {}
            }
        }
    }

    /// Takes the next frame from the records where none waits.
    fn prepare(&mut self) -> Result<(), Ended> {
        if !self.again.is_empty() {
            return Ok(());
        }
        let bound = self.side.max_records().max(1);
        let most = self.sending.records_per_frame.clamp(1, bound);
        let Some(first) = self.records.next() else {
            return Ok(());
        };
        // What is due already goes together; what is not waits for nothing behind it.
        let (mut records, now) = (vec![first], Instant::now());
        while records.len() < most
            && let Some(next) = self.records.peek()
            && self
                .sending
                .due(self.begun, next.time)
                .is_none_or(|due| due <= now)
        {
            records.extend(self.records.next());
        }
        // Without a ledger nobody asks what the records are called.
        let entries = match self.shared.ledger.is_kept() {
            true => self.carried.entries(&records),
            false => Vec::new(),
        };
        self.shared.ledger.generated(&self.id, &entries)?;
        add(&self.shared.counts.records_generated, records.len());
        self.again.push_back(Frame { records, entries });
        Ok(())
    }

    /// When the frame is to be sent; None: at once.
    fn due(&self, frame: &Frame) -> Option<Instant> {
        let latest = frame.records.iter().map(|r| r.time).max()?;
        self.sending.due(self.begun, latest)
    }

    async fn send_next(&mut self, socket: &mut TcpStream) -> Result<(), Ended> {
        let Some(frame) = self.again.pop_front() else {
            return Ok(());
        };
        let (tag, bytes) = self.side.data(&frame.records);
        self.in_flight.push_back(InFlight {
            tag,
            frame,
            sent: Instant::now(),
        });
        add(&self.shared.counts.frames_sent, 1);
        send(socket, &bytes).await
    }

    /// Takes what the server said; gives whether the log-in was accepted just now.
    fn listen(&mut self, input: &mut Vec<u8>, backoff: &mut Duration) -> Result<bool, Ended> {
        let mut events = Vec::new();
        let consumed = self.side.receive(input, &mut events);
        input.drain(..consumed.min(input.len()));
        let mut accepted = false;
        for event in events {
            match event {
                DeviceEvent::Accepted => {
                    accepted = true;
                    self.welcome = true;
                }
                DeviceEvent::Refused if self.welcome => return Err(Ended::Lost),
                DeviceEvent::Refused => return Err(DeviceError::Refused.into()),
                DeviceEvent::Acknowledged { tag } => {
                    self.acknowledged(tag)?;
                    *backoff = FIRST_BACKOFF;
                }
                DeviceEvent::Rejected { .. } => return Err(Ended::Lost),
            }
        }
        Ok(accepted)
    }

    fn acknowledged(&mut self, tag: u64) -> Result<(), Ended> {
        let at = self.in_flight.iter().position(|f| f.tag == tag);
        let Some(InFlight { frame, .. }) = at.and_then(|at| self.in_flight.remove(at)) else {
            return Ok(());
        };
        self.shared.ledger.acknowledged(&self.id, &frame.entries)?;
        add(&self.shared.counts.frames_acknowledged, 1);
        add(
            &self.shared.counts.records_acknowledged,
            frame.records.len(),
        );
        Ok(())
    }
}

async fn send(socket: &mut TcpStream, bytes: &[u8]) -> Result<(), Ended> {
    socket.write_all(bytes).await.map_err(|_| Ended::Lost)
}

fn add(count: &AtomicU64, n: usize) {
    count.fetch_add(n as u64, Ordering::Relaxed);
}
