//! A log that confirms, holds, fails or is full, as the test says.

use async_trait::async_trait;
use std::sync::Mutex;
use tokio::sync::{oneshot, watch};
use waywarden_bus::{Append, BusError, Messages, Offset, Receipt, decode};
use waywarden_model::{Frame, Message, Tick, Timestamp};

pub const PARTITIONS: u32 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Confirm,
    /// Takes, and confirms when told.
    Hold,
    /// Takes, and answers that the write failed.
    Fail,
    /// Does not take.
    Full,
    Closed,
}

type Reply = oneshot::Sender<Result<Offset, BusError>>;

#[derive(Debug)]
pub struct TestLog {
    mode: watch::Sender<Mode>,
    inner: Mutex<Inner>,
}

/// What was appended as one and is not confirmed.
#[derive(Debug)]
struct Held {
    partition: u32,
    frames: Vec<Frame>,
    reply: Reply,
}

#[derive(Debug, Default)]
struct Inner {
    durable: Vec<(u32, Frame)>,
    ticks: Vec<(u32, Tick)>,
    held: Vec<Held>,
    attempts: usize,
    /// Ticks whose receipts nobody resolves.
    unanswered: Vec<Reply>,
    /// Keeps nothing, for tests that measure memory.
    forgets: bool,
}

impl TestLog {
    pub fn new() -> Self {
        Self {
            mode: watch::Sender::new(Mode::Confirm),
            inner: Mutex::default(),
        }
    }

    pub fn forgetful() -> Self {
        let log = Self::new();
        log.inner.lock().unwrap().forgets = true;
        log
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Durable frames in the order of their confirmation.
    pub fn frames(&self) -> Vec<(u32, Frame)> {
        self.inner.lock().unwrap().durable.clone()
    }

    /// Event times of the durable frames, in seconds: the `n` of the line protocol.
    pub fn numbers(&self) -> Vec<i64> {
        let number = |(_, f): &(u32, Frame)| f.records[0].time.millis() / 1000;
        self.inner
            .lock()
            .unwrap()
            .durable
            .iter()
            .map(number)
            .collect()
    }

    pub fn ticks(&self) -> Vec<(u32, Tick)> {
        self.inner.lock().unwrap().ticks.clone()
    }

    /// How often something was appended that is not confirmed.
    pub fn held(&self) -> usize {
        self.inner.lock().unwrap().held.len()
    }

    /// The frames of each of them.
    pub fn held_frames(&self) -> Vec<usize> {
        let inner = self.inner.lock().unwrap();
        inner.held.iter().map(|held| held.frames.len()).collect()
    }

    pub fn attempts(&self) -> usize {
        self.inner.lock().unwrap().attempts
    }

    /// Confirms what is held at `index`.
    pub fn confirm(&self, index: usize) {
        let mut inner = self.inner.lock().unwrap();
        let held = inner.held.remove(index);
        let frames = held.frames.into_iter().map(|frame| (held.partition, frame));
        inner.durable.extend(frames);
        let _ = held.reply.send(Ok(inner.durable.len() as u64));
    }

    pub fn confirm_all(&self) {
        while self.held() > 0 {
            self.confirm(0);
        }
    }

    /// The write of what is held at `index` fails.
    pub fn fail(&self, index: usize) {
        let held = self.inner.lock().unwrap().held.remove(index);
        let _ = held.reply.send(Err(BusError::Write("no room".into())));
    }
}

#[async_trait]
impl Append for TestLog {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn append_all(&self, partition: u32, messages: Messages) -> Result<Receipt, BusError> {
        let mut mode = self.mode.subscribe();
        let mode = *mode.wait_for(|m| *m != Mode::Full).await.unwrap();
        let (reply, receipt) = oneshot::channel();
        let mut inner = self.inner.lock().unwrap();
        let mut frames = Vec::new();
        for payload in &messages {
            match decode(payload).unwrap() {
                Message::Frame(frame) => frames.push(frame),
                Message::Tick(tick) if mode == Mode::Confirm => {
                    inner.ticks.push((partition, tick));
                    let _ = reply.send(Ok(0));
                    return Ok(receipt);
                }
                // Not answered while frames are held or fail.
                Message::Tick(_) if mode != Mode::Closed => {
                    inner.unanswered.push(reply);
                    return Ok(receipt);
                }
                _ => return Err(BusError::Closed),
            }
        }
        inner.attempts += 1;
        match mode {
            Mode::Confirm => {
                if !inner.forgets {
                    let frames = frames.into_iter().map(|frame| (partition, frame));
                    inner.durable.extend(frames);
                }
                let _ = reply.send(Ok(inner.durable.len() as u64));
            }
            Mode::Hold => inner.held.push(Held {
                partition,
                frames,
                reply,
            }),
            Mode::Closed => return Err(BusError::Closed),
            Mode::Fail | Mode::Full => {
                let _ = reply.send(Err(BusError::Write("no room".into())));
            }
        }
        Ok(receipt)
    }

    async fn close(&self) {}
}
