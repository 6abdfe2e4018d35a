//! From a frame to the violation that it closes, as somebody sees it who asks over HTTP.

use crate::Effort;
use crate::children::{Program, folder};
use crate::devices::{self, Answers, Sends, id};
use crate::floor::{Appending, Inserting};
use crate::servers::now;
use crate::services::Place;
use crate::table::{Floor, Goal, Row, percentile_99, rounds};
use anyhow::{Context as _, Result, ensure};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waywarden_model::{Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::{DeviceSide, device_side};

/// Devices that send one record a second each.
const BACKGROUND: usize = 5_000;
const PROBES: usize = 8;
/// Numbers of probe vehicles begin here.
const FIRST_PROBE: usize = 900_000;
/// Longest wait for one.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the list of violations.
const POLL: Duration = Duration::from_millis(10);

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let span = Duration::from_secs(24) / effort.shorter;
    let all = rounds(effort.rounds, || {
        let bare = bare_commits(span / 4)?;
        Ok((seen_after(span, &[])?, bare))
    })?;
    let (seen, bare): (Vec<Seen>, Vec<f64>) = all.into_iter().unzip();
    Ok(vec![Row {
        figure: "frame to violation over HTTP, 99th percentile".to_owned(),
        unit: "ms",
        rounds: percentiles(&seen),
        goal: Some(Goal::AtMost(300.0)),
        floor: Some(Floor {
            what: "two bare commits",
            rounds: bare,
            at_least: None,
        }),
        limit: format!(
            "{} The log's commit, then the store's: a batch waits for the one that is being \
             written. Floor: 99th percentile of a bare append and a bare keyed insert one after \
             the other, 50 records each, nothing else running.",
            counted(&seen)
        ),
    }])
}

/// The same on Kafka and TimescaleDB.
pub fn on_services(effort: Effort) -> Result<Vec<Row>> {
    let span = Duration::from_secs(24) / effort.shorter;
    let seen = rounds(effort.rounds, || {
        let place = Place::new(crate::services::PARTITIONS)?;
        seen_after(span, &place.environment())
    })?;
    Ok(vec![Row {
        figure: "frame to violation, on Kafka and TimescaleDB, 99th percentile".to_owned(),
        unit: "ms",
        rounds: percentiles(&seen),
        goal: Some(Goal::AtMost(700.0)),
        floor: None,
        limit: format!(
            "{} The producer's linger and the brokers' sync, then a batch of its partition, which \
             waits for the one that is being committed.",
            counted(&seen)
        ),
    }])
}

fn percentiles(seen: &[Seen]) -> Vec<f64> {
    seen.iter().map(|s| percentile_99(&s.waits)).collect()
}

fn counted(seen: &[Seen]) -> String {
    let samples: usize = seen.iter().map(|s| s.waits.len()).sum();
    let load: Vec<f64> = seen.iter().map(|s| s.load).collect();
    format!(
        "While {BACKGROUND} devices send a record a second each ({:.0} records/s were \
         acknowledged), {PROBES} probe vehicles close a run of overspeed again and again; from \
         the write of the closing frame until GET /api/v1/violations, asked every {} ms, shows it \
         closed; {samples} samples.",
        crate::table::median(&load),
        POLL.as_millis(),
    )
}

struct Seen {
    /// Milliseconds.
    waits: Vec<f64>,
    /// Records of the background acknowledged in a second.
    load: f64,
}

fn seen_after(span: Duration, environment: &[(String, String)]) -> Result<Seen> {
    let registers = probes_registers(PROBES)?;
    let program = Program::start(Some(registers.path()), environment)?;
    let background = Background::start(program.teltonika);
    // Everybody is connected and has sent.
    while background.acknowledged() < 2 * BACKGROUND as u64 {
        if !background.runs() {
            return background
                .end()
                .and(Err(anyhow::anyhow!("the background ended")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (begun, before) = (Instant::now(), background.acknowledged());
    let waits = std::thread::scope(|scope| {
        let probes: Vec<_> = (0..PROBES)
            .map(|n| {
                let program = &program;
                scope.spawn(move || {
                    Probe::new(program, n)?.closes_while(|| Instant::now() < begun + span)
                })
            })
            .collect();
        let mut waits = Vec::new();
        for probe in probes {
            let seen = probe.join();
            waits.extend(seen.map_err(|_| anyhow::anyhow!("a probe panicked"))??);
        }
        Ok::<_, anyhow::Error>(waits)
    })?;
    let sent = background.acknowledged() - before;
    let load = sent as f64 / begun.elapsed().as_secs_f64();
    background.end()?;
    Ok(Seen { waits, load })
}

/// Vehicles and fittings of the probes, so that violations can be asked for by plate.
///
/// # Errors
/// The folder cannot be written.
pub fn probes_registers(probes: usize) -> Result<tempfile::TempDir> {
    let folder = folder()?;
    let mut vehicles = "plate,id,class,transport\n".to_owned();
    let mut fittings = "source,vehicle,primary\n".to_owned();
    for n in 0..probes {
        writeln!(vehicles, "{},P{n},truck_over_3_5t,goods", plate(n))?;
        writeln!(fittings, "{},P{n},true", id(FIRST_PROBE + n))?;
    }
    std::fs::write(folder.path().join("vehicles.csv"), vehicles)?;
    std::fs::write(folder.path().join("fittings.csv"), fittings)?;
    Ok(folder)
}

fn plate(probe: usize) -> String {
    format!("14C{:05}", 90_000 + probe)
}

/// The load beside the probes: a record a second from each device, spread over the second.
struct Background {
    stop: CancellationToken,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Background {
    fn start(to: SocketAddr) -> Self {
        let (stop, acknowledged) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let (told, counter) = (stop.clone(), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            devices::runtime()?.block_on(async {
                tokio::select! {
                    ended = send_steadily(to, &counter) => ended,
                    () = told.cancelled() => Ok(()),
                }
            })
        });
        Self {
            stop,
            acknowledged,
            thread,
        }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    fn runs(&self) -> bool {
        !self.thread.is_finished()
    }

    fn end(self) -> Result<()> {
        self.stop.cancel();
        let ended = self.thread.join();
        ended.map_err(|_| anyhow::anyhow!("the background panicked"))?
    }
}

async fn send_steadily(to: SocketAddr, acknowledged: &Arc<AtomicU64>) -> Result<()> {
    let sends = (0..BACKGROUND).map(|device| Sends::new(device, 0, 1, 1));
    let connected = devices::connect(to, Answers::Acknowledgements, sends.collect()).await?;
    let begun = tokio::time::Instant::now();
    let mut all = JoinSet::new();
    for (n, device) in connected.into_iter().enumerate() {
        let first = begun + Duration::from_secs(1).mul_f64(n as f64 / BACKGROUND as f64);
        all.spawn(every_second(
            device.into_stream(),
            n,
            first,
            Arc::clone(acknowledged),
        ));
    }
    // None ends by itself but in failing.
    all.join_next().await.context("there are devices")??
}

async fn every_second(
    mut stream: tokio::net::TcpStream,
    device: usize,
    first: tokio::time::Instant,
    acknowledged: Arc<AtomicU64>,
) -> Result<()> {
    let mut side = device_side(Protocol::Teltonika, &id(device));
    let mut every = tokio::time::interval_at(first, Duration::from_secs(1));
    let mut n = 0;
    loop {
        every.tick().await;
        let record = Record {
            time: now(),
            ..devices::record(device, n)
        };
        stream.write_all(&side.data(&[record]).1).await?;
        stream.read_exact(&mut [0; 4]).await?;
        acknowledged.fetch_add(1, Ordering::Relaxed);
        n += 1;
    }
}

/// A vehicle of the past hours that drives too fast and brakes, again and again.
pub struct Probe<'a> {
    program: &'a Program,
    plate: String,
    side: Box<dyn DeviceSide>,
    stream: TcpStream,
    time: Timestamp,
    lat: f64,
    /// 1 to the north, -1 to the south.
    heading: f64,
}

impl<'a> Probe<'a> {
    /// Connects and logs in.
    ///
    /// # Errors
    /// The program refuses it.
    pub fn new(program: &'a Program, n: usize) -> Result<Self> {
        let mut side = device_side(Protocol::Teltonika, &id(FIRST_PROBE + n));
        let mut stream = TcpStream::connect(program.teltonika)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(&side.connect())?;
        stream.read_exact(&mut [0; 1])?;
        side.receive(&[1], &mut Vec::new());
        Ok(Self {
            program,
            plate: plate(n),
            side,
            stream,
            // Each run takes a minute of event time: none comes near the present.
            time: now().plus_millis(-36 * 3_600_000),
            lat: 20.9,
            heading: 1.0,
        })
    }

    /// Milliseconds of each run that was closed.
    ///
    /// # Errors
    /// The connection is lost, or a violation is not shown within two minutes.
    pub fn closes_while(mut self, goes_on: impl Fn() -> bool) -> Result<Vec<f64>> {
        let mut waits = Vec::new();
        while goes_on() {
            let fast: Vec<Record> = (0..8).map(|_| self.drive(110)).collect();
            let start = fast.first().map(|r| r.time).context("a run has records")?;
            self.send(&fast)?;
            self.acknowledged()?;
            // The run is judged before it is closed.
            std::thread::sleep(Duration::from_millis(150));
            let slow: Vec<Record> = (0..2).map(|_| self.drive(50)).collect();
            let written = Instant::now();
            self.send(&slow)?;
            self.wait_for(start)?;
            waits.push(written.elapsed().as_secs_f64() * 1000.0);
            self.acknowledged()?;
            // A pause between two runs.
            let rest: Vec<Record> = (0..3).map(|_| self.drive(50)).collect();
            self.send(&rest)?;
            self.acknowledged()?;
        }
        Ok(waits)
    }

    /// The next record, 5 s on.
    fn drive(&mut self, kmh: i32) -> Record {
        self.time = self.time.plus_millis(5_000);
        self.lat += self.heading * f64::from(kmh) / 3.6 * 5.0 / 111_195.0;
        // It turns round: a jump back would be no journey, and judged as one.
        if !(20.9..23.0).contains(&self.lat) {
            self.heading = if self.lat < 21.0 { 1.0 } else { -1.0 };
        }
        let place = Position::new(self.lat, 107.0).expect("on the globe");
        Record {
            speed: Some(Speed::from_kmh(kmh)),
            satellites: Some(11),
            ..Record::fix(self.time, place)
        }
    }

    fn send(&mut self, records: &[Record]) -> Result<()> {
        Ok(self.stream.write_all(&self.side.data(records).1)?)
    }

    fn acknowledged(&mut self) -> Result<()> {
        Ok(self.stream.read_exact(&mut [0; 4])?)
    }

    /// Until a closed violation that began with this record, or the one before it, is shown.
    fn wait_for(&self, start: Timestamp) -> Result<()> {
        let since = start.plus_millis(-5_000);
        let path = format!(
            "/api/v1/violations?vehicle={}&kind=overspeed&open=false&limit=1&from={since}",
            self.plate
        );
        let until = Instant::now() + PATIENCE;
        loop {
            let page = self.program.get(&path)?;
            if page["items"]
                .as_array()
                .is_some_and(|items| !items.is_empty())
            {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "no violation of {} from {since}",
                self.plate
            );
            std::thread::sleep(POLL);
        }
    }
}

/// 99th percentile of an append and an insert, each on disk, one after the other; milliseconds.
fn bare_commits(span: Duration) -> Result<f64> {
    let folder = folder()?;
    let (mut appending, mut inserting) = (
        Appending::new(folder.path())?,
        Inserting::new(folder.path())?,
    );
    let payloads = vec![bytes::Bytes::from(vec![7; 200]); 50];
    let (end, mut took) = (Instant::now() + span, Vec::new());
    while Instant::now() < end {
        let begun = Instant::now();
        appending.commit(&payloads)?;
        let n = took.len();
        inserting.commit((0..50).map(|device| (device, devices::record(device, n))))?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        // 5,000 records a second.
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(percentile_99(&took))
}
