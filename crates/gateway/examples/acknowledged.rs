//! Measures frames acknowledged a second: many devices, one record a frame, the embedded log.
//!
//! `cargo run --release -p waywarden-gateway --example acknowledged [DEVICES] [SECONDS] [WINDOW]`
//! The devices run in the same process, on a thread of their own.

#![allow(clippy::print_stdout)] // the figure is what it is for

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, Log, Options};
use waywarden_gateway::{
    GatewayConfig, Listener, Speaks, Surroundings, free_space_of, serve, wire_sessions,
};
use waywarden_model::{
    DeviceDirectory, DeviceProfile, Position, Protocol, Record, Speed, Standing, Timestamp,
};
use waywarden_wire::{Transport, device_side};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Everybody;

impl DeviceDirectory for Everybody {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        DeviceProfile {
            source: candidates.first().map_or("", String::as_str).into(),
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::from_millis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0)))
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let devices = args.next().transpose()?.unwrap_or(1000);
    let seconds = args.next().transpose()?.unwrap_or(5);
    let window = args.next().transpose()?.unwrap_or(1);
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let shutdown = CancellationToken::new();
    let registry = prometheus::Registry::new();
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(
        &folder.path().join("log"),
        Options::default(),
    )?);
    let mut config = GatewayConfig {
        data: folder.path().to_owned(),
        listeners: vec![Listener {
            address: ([127, 0, 0, 1], 0).into(),
            speaks: Speaks::One(Protocol::Teltonika),
            transport: Transport::Tcp,
        }],
        ..GatewayConfig::default()
    };
    // What the devices send is of one day in spring.
    config.limits.late_records = 0;
    config.limits.connections_per_address = usize::MAX;
    let handle = runtime.block_on(serve(
        config,
        Surroundings {
            log: Arc::clone(&log) as Arc<dyn Append>,
            spool: None,
            directory: Arc::new(Everybody),
            sessions: wire_sessions(),
            clock: Arc::new(now),
            free_space: free_space_of(folder.path()),
            metrics: &registry,
            shutdown: shutdown.clone(),
        },
    ))?;
    let address = handle.listeners()[0].address;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&acknowledged);
    // Left running when the measurement is over: the process ends.
    std::thread::spawn(move || fleet(address, devices, window, &counter));
    let connected = || u64::try_from(handle.connections()).unwrap_or(0);
    while connected() < devices || acknowledged.load(Ordering::Relaxed) < devices {
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = std::time::Instant::now();
    let before = acknowledged.load(Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(seconds));
    let frames = acknowledged.load(Ordering::Relaxed) - before;
    let rate = frames as f64 / start.elapsed().as_secs_f64();
    println!("{devices} devices, {window} frames in flight each: {rate:.0} frames/s acknowledged");
    Ok(())
}

fn fleet(address: SocketAddr, devices: u64, window: u64, acknowledged: &Arc<AtomicU64>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the devices");
    let all = (0..devices).map(|n| device(address, n, window, Arc::clone(acknowledged)));
    let ended = runtime.block_on(async {
        let tasks: Vec<_> = all.map(tokio::spawn).collect();
        for task in tasks {
            task.await??;
        }
        Ok::<(), Failure>(())
    });
    eprintln!("the fleet ended: {ended:?}");
}

/// Sends `window` frames, waits for as many acknowledgements, and again.
async fn device(
    address: SocketAddr,
    n: u64,
    window: u64,
    acknowledged: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let mut side = device_side(Protocol::Teltonika, &format!("35209308{n:07}"));
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&side.connect()).await?;
    stream.read_u8().await?;
    side.receive(&[1], &mut Vec::new());
    let place = Position::new(20.95, 107.04).ok_or("on the globe")?;
    let record = Record {
        speed: Some(Speed::from_kmh(40)),
        ..Record::fix(now(), place)
    };
    let frame = side.data(&[record]).1;
    let batch = frame.repeat(usize::try_from(window)?);
    let mut answers = vec![0; 4 * usize::try_from(window)?];
    loop {
        stream.write_all(&batch).await?;
        stream.read_exact(&mut answers).await?;
        acknowledged.fetch_add(window, Ordering::Relaxed);
    }
}
