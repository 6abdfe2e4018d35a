//! Devices on real sockets: log in, send, wait for acknowledgements, send again what has none.

use crate::ledger::{Ledger, LedgerError};
use crate::vehicle::Vehicle;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use waywarden_model::{Record, Timestamp};
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
    /// A frame without acknowledgement for this long makes the device connect again.
    pub patience: Duration,
}

/// What the fleet did, counted over all devices.
#[derive(Debug, Default)]
pub struct Counts {
    pub connections: AtomicU64,
    pub frames_sent: AtomicU64,
    pub frames_acknowledged: AtomicU64,
    pub records_acknowledged: AtomicU64,
}

/// Why a device gave up.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("device {0} is refused")]
    Refused(String),
}

/// One device with its vehicle.
#[derive(Debug)]
pub struct Device {
    pub id: String,
    pub side: Box<dyn DeviceSide>,
    pub vehicle: Vehicle,
}

/// A frame on its way: its tag on this connection, and its records.
#[derive(Debug)]
struct InFlight {
    tag: u64,
    records: Vec<Record>,
    sent: Instant,
}

const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Sends everything that the vehicle has and returns when the last record is acknowledged, or
/// when told to stop.
///
/// # Errors
/// The server refuses the device, or the ledger cannot be written. A lost connection is no error:
/// the device connects again and sends what was not acknowledged, in order.
pub async fn run(
    mut device: Device,
    sending: Sending,
    ledger: Arc<Ledger>,
    counts: Arc<Counts>,
    stop: CancellationToken,
) -> Result<(), DeviceError> {
    let begun = Instant::now();
    let mut unacknowledged: VecDeque<Vec<Record>> = VecDeque::new();
    let mut backoff = Duration::from_millis(50);
    loop {
        let connected = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            connected = TcpStream::connect(sending.to) => connected,
        };
        if let Ok(socket) = connected {
            counts.connections.fetch_add(1, Ordering::Relaxed);
            let mut line = Connection {
                socket,
                device: &mut device,
                sending,
                ledger: &ledger,
                counts: &counts,
                in_flight: VecDeque::new(),
                input: Vec::new(),
                begun,
            };
            let before = counts.frames_acknowledged.load(Ordering::Relaxed);
            let ended = line.work(&mut unacknowledged, &stop).await;
            let left = line.in_flight.into_iter().map(|f| f.records);
            let waiting = std::mem::take(&mut unacknowledged);
            unacknowledged = left.chain(waiting).collect();
            match ended {
                Ended::Done => return Ok(()),
                Ended::Lost => {}
                Ended::Failed(error) => return Err(error),
            }
            if counts.frames_acknowledged.load(Ordering::Relaxed) > before {
                backoff = Duration::from_millis(50);
            }
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

enum Ended {
    Done,
    Lost,
    Failed(DeviceError),
}

struct Connection<'a> {
    socket: TcpStream,
    device: &'a mut Device,
    sending: Sending,
    ledger: &'a Ledger,
    counts: &'a Counts,
    in_flight: VecDeque<InFlight>,
    input: Vec<u8>,
    begun: Instant,
}

impl Connection<'_> {
    async fn work(&mut self, again: &mut VecDeque<Vec<Record>>, stop: &CancellationToken) -> Ended {
        let hello = self.device.side.connect();
        if self.socket.write_all(&hello).await.is_err() {
            return Ended::Lost;
        }
        let mut accepted = !self.device.side.waits_for_acceptance();
        loop {
            if accepted && self.in_flight.len() < self.sending.window.max(1) {
                if let Some(records) = again.pop_front().or_else(|| self.next_frame()) {
                    if !wait_until(self.due(&records), stop).await {
                        again.push_front(records);
                        return Ended::Done;
                    }
                    if !self.send(records).await {
                        return Ended::Lost;
                    }
                    continue;
                }
                if self.in_flight.is_empty() {
                    return Ended::Done;
                }
            }
            let waited = self
                .in_flight
                .front()
                .map_or(self.begun.max(Instant::now()), |f| f.sent);
            let left = self.sending.patience.saturating_sub(waited.elapsed());
            let read = tokio::select! {
                () = stop.cancelled() => return Ended::Done,
                read = timeout(left, self.socket.read_buf(&mut self.input)) => read,
            };
            match read {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) | Err(_) => return Ended::Lost,
            }
            match self.replies() {
                Ok(now) => accepted |= now,
                Err(ended) => return ended,
            }
        }
    }

    fn next_frame(&mut self) -> Option<Vec<Record>> {
        let most = self
            .sending
            .records_per_frame
            .clamp(1, self.device.side.max_records().max(1));
        let records: Vec<Record> = self.device.vehicle.by_ref().take(most).collect();
        (!records.is_empty()).then_some(records)
    }

    /// When the frame is to be sent; None: at once.
    fn due(&self, records: &[Record]) -> Option<Instant> {
        let Pace::Times { factor, from } = self.sending.pace else {
            return None;
        };
        let latest = records.iter().map(|r| r.time).max().unwrap_or(from);
        let ms = latest.since(from).max(0) as f64 / factor.max(0.001);
        Some(self.begun + Duration::from_secs_f64(ms / 1000.0))
    }

    async fn send(&mut self, records: Vec<Record>) -> bool {
        let (tag, bytes) = self.device.side.data(&records);
        self.in_flight.push_back(InFlight {
            tag,
            records,
            sent: Instant::now(),
        });
        self.counts.frames_sent.fetch_add(1, Ordering::Relaxed);
        self.socket.write_all(&bytes).await.is_ok()
    }

    /// Takes what the server said; gives whether the log-in was accepted just now.
    fn replies(&mut self) -> Result<bool, Ended> {
        let mut events = Vec::new();
        let consumed = self.device.side.receive(&self.input, &mut events);
        self.input.drain(..consumed.min(self.input.len()));
        let mut accepted = false;
        for event in events {
            match event {
                DeviceEvent::Accepted => accepted = true,
                DeviceEvent::Refused => {
                    return Err(Ended::Failed(DeviceError::Refused(self.device.id.clone())));
                }
                DeviceEvent::Acknowledged { tag } => self.acknowledged(tag)?,
                DeviceEvent::Rejected { .. } => return Err(Ended::Lost),
            }
        }
        Ok(accepted)
    }

    fn acknowledged(&mut self, tag: u64) -> Result<(), Ended> {
        let Some(at) = self.in_flight.iter().position(|f| f.tag == tag) else {
            return Ok(());
        };
        let Some(frame) = self.in_flight.remove(at) else {
            return Ok(());
        };
        let entered = self.ledger.acknowledged(&self.device.id, &frame.records);
        entered.map_err(|e| Ended::Failed(e.into()))?;
        self.counts
            .frames_acknowledged
            .fetch_add(1, Ordering::Relaxed);
        let count = frame.records.len() as u64;
        self.counts
            .records_acknowledged
            .fetch_add(count, Ordering::Relaxed);
        Ok(())
    }
}

/// False when told to stop first.
async fn wait_until(due: Option<Instant>, stop: &CancellationToken) -> bool {
    let Some(due) = due else {
        return !stop.is_cancelled();
    };
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep_until(due) => true,
    }
}
