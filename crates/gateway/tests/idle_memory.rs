//! An idle connection holds no buffer: at most 2 KiB of user-space memory each.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use support::{Directory, Mode, TestLog};
use tokio_util::sync::CancellationToken;
use waywarden_gateway::{GatewayConfig, Listener, Speaks, Surroundings, serve, wire_sessions};
use waywarden_model::{Protocol, Record, Timestamp};
use waywarden_wire::{Transport, device_side};

const BOUND: usize = 2048;
const WARM: usize = 300;
const MEASURED: usize = 4_000;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Handles that this process may open; each connection takes one on either side.
fn handles() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|l| l.starts_with("Max open files"));
    let soft = line.unwrap().split_whitespace().nth(3).unwrap();
    soft.parse().unwrap_or(usize::MAX)
}

/// Logs in and has one frame acknowledged, so that the connection has used everything once.
fn settled(address: SocketAddr, n: usize) -> TcpStream {
    let mut side = device_side(Protocol::Teltonika, &format!("35209308{n:07}"));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&side.connect()).unwrap();
    let mut accepted = [0];
    stream.read_exact(&mut accepted).unwrap();
    side.receive(&accepted, &mut Vec::new());
    let record = Record::fix(
        Timestamp::from_secs(1_773_104_405),
        waywarden_model::Position::new(20.95, 107.04).unwrap(),
    );
    stream.write_all(&side.data(&[record]).1).unwrap();
    let mut acknowledged = [0; 4];
    stream.read_exact(&mut acknowledged).unwrap();
    assert_eq!(acknowledged, [0, 0, 0, 1]);
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_takes_at_most_two_kibibytes() {
    let measured = MEASURED.min((handles() - 200) / 2 - WARM);
    assert!(measured >= 100, "too few file handles to measure anything");
    let folder = tempfile::tempdir().unwrap();
    let mut config = GatewayConfig {
        data: folder.path().to_owned(),
        listeners: vec![Listener {
            address: ([127, 0, 0, 1], 0).into(),
            speaks: Speaks::Any,
            transport: Transport::Tcp,
        }],
        ..GatewayConfig::default()
    };
    config.limits.connections_per_address = usize::MAX;
    config.disk_reserve = 0;
    let log = Arc::new(TestLog::forgetful());
    log.set(Mode::Confirm);
    let shutdown = CancellationToken::new();
    let surroundings = Surroundings {
        log,
        spool: None,
        directory: Arc::new(Directory),
        sessions: wire_sessions(),
        clock: Arc::new(|| Timestamp::from_secs(1_773_104_405)),
        free_space: Arc::new(|| Ok(1 << 40)),
        metrics: &prometheus::Registry::new(),
        shutdown: shutdown.clone(),
    };
    let handle = serve(config, surroundings).await.unwrap();
    let address = handle.listeners()[0].address;
    let connect = move |from: usize, n: usize| {
        (from..from + n)
            .map(|n| settled(address, n))
            .collect::<Vec<_>>()
    };
    let warm = tokio::task::spawn_blocking(move || connect(0, WARM));
    let warm = warm.await.unwrap();
    // Room for the clients' own handles, so that they are not counted.
    let before = resident();
    let idle = tokio::task::spawn_blocking(move || connect(WARM, measured));
    let idle = idle.await.unwrap();
    let after = resident();
    assert_eq!(handle.connections(), WARM + measured);
    let each = (after - before.min(after)) / measured;
    println!("{each} bytes for each of {measured} idle connections");
    assert!(each <= BOUND, "{each} bytes for each idle connection");
    drop((warm, idle));
    shutdown.cancel();
    handle.stopped().await;
}
