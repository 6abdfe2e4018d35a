//! Devices on real sockets, as cheap as they can be: what they send is made before the clock
//! starts, and they share one thread, since they take their time from the cores that are measured.

use anyhow::{Context as _, Result, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use waywarden_model::{Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::device_side;

/// Below the gateway's bound on connections from one address.
const DEVICES_PER_ADDRESS: usize = 1_500;

/// Event times begin here, far enough back that nothing is dated in the future.
const BEGIN_S: i64 = 1_773_100_800;

/// IMEI of a device.
pub fn id(device: usize) -> String {
    format!("35209308{device:07}")
}

/// Two minutes out of so many times two are driven too fast: once in ten minutes, far more than
/// on any road, so that what a violation costs is felt.
pub const OFTEN: usize = 5;
/// Once in two hours.
pub const SELDOM: usize = 60;

/// The `n`th record of a device: every 10 s, driving, too fast [`OFTEN`], at times stopped.
pub fn record(device: usize, n: usize) -> Record {
    record_too_fast(device, n, OFTEN)
}

/// As [`record`], with two minutes too fast out of `of` times two.
pub fn record_too_fast(device: usize, n: usize, of: usize) -> Record {
    let span = (n + device) / 12;
    let kmh = match (span % 5, span % of) {
        (0, _) => 0,
        (_, 3) => 95,
        _ => 55,
    };
    let steps = i32::try_from(n % 10_000).unwrap_or(0);
    let lat = 20.5 + f64::from(steps) * 55.0 / 360.0 / 111_195.0;
    let place = Position::new(lat, 107.0).expect("on the globe");
    let time = Timestamp::from_secs(BEGIN_S + 10 * i64::try_from(n).unwrap_or(0));
    Record {
        speed: Some(Speed::from_kmh(kmh)),
        ignition: Some(true),
        satellites: Some(11),
        odometer_m: Some(120_000 + 150 * n as u64),
        ..Record::fix(time, place)
    }
}

/// What a server says to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One byte to the log-in, four to a frame.
    Acknowledgements,
    /// The bytes themselves.
    Echo,
}

/// What a Teltonika device will send: its log-in, then groups of frames; a group is sent when the
/// one before is acknowledged whole.
#[derive(Debug, Clone)]
pub struct Sends {
    log_in: Vec<u8>,
    bytes: Vec<u8>,
    /// For each group, where it ends in `bytes`.
    ends: Vec<usize>,
    frames_a_group: usize,
    device: usize,
    /// Number of the first record.
    first: usize,
    /// See [`record_too_fast`].
    too_fast: usize,
}

impl Sends {
    /// `groups` groups of `window` frames of `per_frame` records, the records one after the other.
    pub fn new(device: usize, groups: usize, window: usize, per_frame: usize) -> Self {
        Self::too_fast(device, 0, groups, window, per_frame, OFTEN)
    }

    /// As [`Sends::new`], with the records of [`record_too_fast`] from the `first` on.
    pub fn too_fast(
        device: usize,
        first: usize,
        groups: usize,
        window: usize,
        per_frame: usize,
        of: usize,
    ) -> Self {
        let mut side = device_side(Protocol::Teltonika, &id(device));
        let log_in = side.connect();
        let (mut bytes, mut ends, mut n) = (Vec::new(), Vec::with_capacity(groups), first);
        for _ in 0..groups {
            for _ in 0..window {
                let records = (n..n + per_frame).map(|n| record_too_fast(device, n, of));
                let records: Vec<Record> = records.collect();
                bytes.extend(side.data(&records).1);
                n += per_frame;
            }
            ends.push(bytes.len());
        }
        bytes.shrink_to_fit();
        Self {
            log_in,
            bytes,
            ends,
            frames_a_group: window,
            device,
            first,
            too_fast: of,
        }
    }

    fn groups(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins
            .zip(&self.ends)
            .map(|(begin, end)| &self.bytes[begin..*end])
    }
}

/// A device that is logged in.
#[derive(Debug)]
pub struct Connected {
    sends: Sends,
    stream: TcpStream,
    answers: Answers,
}

/// Connects and logs in, from as many loopback addresses as the gateway's bounds ask for.
///
/// # Errors
/// The server refuses a connection or a log-in.
pub async fn connect(to: SocketAddr, answers: Answers, all: Vec<Sends>) -> Result<Vec<Connected>> {
    let mut connected = Vec::with_capacity(all.len());
    for sends in all {
        connected.push(connect_one(to, answers, sends).await?);
    }
    Ok(connected)
}

async fn connect_one(to: SocketAddr, answers: Answers, sends: Sends) -> Result<Connected> {
    let last = u8::try_from(2 + sends.device / DEVICES_PER_ADDRESS)?;
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    let mut stream = socket.connect(to).await.context("connecting a device")?;
    stream.set_nodelay(true)?;
    stream.write_all(&sends.log_in).await?;
    let mut answer = vec![0; sends.log_in.len()];
    match answers {
        Answers::Acknowledgements => {
            let taken = stream.read_u8().await.context("the answer to a log-in")?;
            ensure!(taken == 1, "the log-in was refused");
        }
        Answers::Echo => {
            stream.read_exact(&mut answer).await?;
        }
    }
    Ok(Connected {
        sends,
        stream,
        answers,
    })
}

impl Connected {
    /// For who sends what was not made before.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    async fn send(&mut self, group: usize) -> std::io::Result<()> {
        let begin = group.checked_sub(1).map_or(0, |g| self.sends.ends[g]);
        let bytes = &self.sends.bytes[begin..self.sends.ends[group]];
        self.stream.write_all(bytes).await?;
        let expected = match self.answers {
            Answers::Acknowledgements => 4 * self.sends.frames_a_group,
            Answers::Echo => bytes.len(),
        };
        let mut answer = [0; 1024];
        let mut left = expected;
        while left > 0 {
            let most = left.min(answer.len());
            let n = self.stream.read(&mut answer[..most]).await?;
            if n == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            left -= n;
        }
        Ok(())
    }
}

/// Every device sends all of its groups; gives the devices back when the last is acknowledged.
///
/// # Errors
/// A connection was lost.
pub async fn send_all(connected: Vec<Connected>) -> Result<Vec<Connected>> {
    let tasks: Vec<_> = connected
        .into_iter()
        .map(|mut device| {
            tokio::spawn(async move {
                for group in 0..device.sends.ends.len() {
                    device.send(group).await?;
                }
                Ok::<_, std::io::Error>(device)
            })
        })
        .collect();
    let mut connected = Vec::with_capacity(tasks.len());
    for task in tasks {
        connected.push(task.await?.context("a device lost its connection")?);
    }
    Ok(connected)
}

/// Every device sends its groups again and again; gives frames acknowledged in a second, measured
/// over `span` after as long a time to warm up (at most 1 s).
///
/// # Errors
/// A connection was lost.
pub async fn send_for(connected: Vec<Connected>, span: Duration) -> Result<f64> {
    let (stop, frames) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let tasks: Vec<_> = connected
        .into_iter()
        .map(|mut device| {
            let (stop, frames) = (Arc::clone(&stop), Arc::clone(&frames));
            tokio::spawn(async move {
                let groups = device.sends.ends.len();
                for group in (0..groups).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    device.send(group).await?;
                    frames.fetch_add(device.sends.frames_a_group as u64, Ordering::Relaxed);
                }
                Ok::<_, std::io::Error>(())
            })
        })
        .collect();
    tokio::time::sleep(span.min(Duration::from_secs(1))).await;
    let (begun, before) = (Instant::now(), frames.load(Ordering::Relaxed));
    tokio::time::sleep(span).await;
    let rate = (frames.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await?.context("a device lost its connection")?;
    }
    Ok(rate)
}

/// What the log holds of the frames, for the floor: messages in rounds of all devices.
pub fn messages(all: &[Sends], per_frame: usize) -> Vec<bytes::Bytes> {
    let groups = all.first().map_or(0, |sends| sends.ends.len());
    let mut messages = Vec::new();
    for group in 0..groups {
        for sends in all {
            let Some(bytes) = sends.groups().nth(group) else {
                continue;
            };
            for (n, raw) in bytes.chunks(bytes.len() / sends.frames_a_group).enumerate() {
                let first = sends.first + (group * sends.frames_a_group + n) * per_frame;
                let records = (first..first + per_frame)
                    .map(|n| record_too_fast(sends.device, n, sends.too_fast));
                messages.push(waywarden_bus::encode(&waywarden_model::Message::Frame(
                    waywarden_model::Frame {
                        source: id(sends.device).as_str().into(),
                        protocol: Protocol::Teltonika,
                        received: record(sends.device, first + per_frame).time,
                        held: false,
                        records: records.collect(),
                        told_offset_s: None,
                        raw: raw.to_vec(),
                    },
                )));
            }
        }
    }
    messages
}

/// A runtime of one thread for the devices.
///
/// # Errors
/// The system gives none.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
