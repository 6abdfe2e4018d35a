//! Real protocols over real sockets into the real log: what is acknowledged is there.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use support::Directory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, Log, Options, decode};
use waywarden_gateway::{
    GatewayConfig, GatewayError, GatewayHandle, Listener, Speaks, Surroundings, serve,
    wire_sessions,
};
use waywarden_model::hash::partition_of;
use waywarden_model::{Frame, Message, Position, Protocol, Record, Speed, Timestamp};
use waywarden_wire::{DeviceEvent, DeviceSide, Transport, device_side};

const NOW: Timestamp = Timestamp::from_secs(1_773_104_405);

async fn gateway(
    folder: &std::path::Path,
    log: Arc<dyn Log>,
    listeners: &[Speaks],
    shutdown: &CancellationToken,
) -> Result<GatewayHandle, GatewayError> {
    let listener = |speaks: &Speaks| Listener {
        address: ([127, 0, 0, 1], 0).into(),
        speaks: *speaks,
        transport: Transport::Tcp,
    };
    let config = GatewayConfig {
        data: folder.to_owned(),
        listeners: listeners.iter().map(listener).collect(),
        disk_reserve: 0,
        ..GatewayConfig::default()
    };
    let surroundings = Surroundings {
        log,
        spool: None,
        directory: Arc::new(Directory),
        sessions: wire_sessions(),
        clock: Arc::new(|| NOW),
        free_space: waywarden_gateway::free_space_of(folder),
        metrics: &prometheus::Registry::new(),
        shutdown: shutdown.clone(),
    };
    serve(config, surroundings).await
}

fn fix(n: i64) -> Record {
    let place = Position::new(20.95 + 0.001 * n as f64, 107.04).unwrap();
    Record {
        speed: Some(Speed::from_kmh(40)),
        ..Record::fix(NOW.plus_millis(n * 1000), place)
    }
}

/// Sends `frames` at once and waits until every one is acknowledged.
async fn drive(stream: &mut TcpStream, side: &mut dyn DeviceSide, frames: &[Vec<Record>]) {
    stream.write_all(&side.connect()).await.unwrap();
    if side.waits_for_acceptance() {
        hear(stream, side, 1).await;
    }
    let mut sent = Vec::new();
    let mut bytes = Vec::new();
    for records in frames {
        let (tag, frame) = side.data(records);
        sent.push(tag);
        bytes.extend(frame);
    }
    stream.write_all(&bytes).await.unwrap();
    let heard = hear(stream, side, sent.len()).await;
    for tag in sent {
        assert!(heard.contains(&DeviceEvent::Acknowledged { tag }), "{tag}");
    }
}

async fn hear(stream: &mut TcpStream, side: &mut dyn DeviceSide, n: usize) -> Vec<DeviceEvent> {
    let (mut input, mut events) = (Vec::new(), Vec::new());
    while events.len() < n {
        let read = stream.read_buf(&mut input).await.unwrap();
        assert!(read > 0, "closed after {events:?}");
        let consumed = side.receive(&input, &mut events);
        input.drain(..consumed);
    }
    events
}

async fn filed(log: &dyn Log, source: &str) -> Vec<Frame> {
    let partition = partition_of(&source.into(), log.identity().partitions);
    let (begin, _) = log.range(partition).await.unwrap();
    let entries = log.read(partition, begin, 10_000, 1 << 24).await.unwrap();
    let messages = entries.iter().map(|e| decode(&e.payload).unwrap());
    messages
        .filter_map(|m| match m {
            Message::Frame(frame) if frame.source.as_str() == source => Some(frame),
            _ => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_in_the_log_after_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = || EmbeddedLog::open(&folder.path().join("log"), Options::default()).unwrap();
    let log: Arc<dyn Log> = Arc::new(open());
    let shutdown = CancellationToken::new();
    let g = gateway(folder.path(), Arc::clone(&log), &[Speaks::Any], &shutdown)
        .await
        .unwrap();
    let devices = [
        (Protocol::Teltonika, "352093081429150", 5),
        (Protocol::Gt06, "864717003283581", 1),
    ];
    for (protocol, id, records) in devices {
        let mut side = device_side(protocol, id);
        let frames: Vec<Vec<Record>> = (0..20)
            .map(|f| (0..records).map(|r| fix(f * records + r)).collect())
            .collect();
        let mut stream = TcpStream::connect(g.listeners()[0].address).await.unwrap();
        drive(&mut stream, side.as_mut(), &frames).await;
    }
    shutdown.cancel();
    g.stopped().await;
    log.close().await;
    drop((g, log));
    let log = open();
    for (protocol, id, records) in devices {
        let frames = filed(&log, id).await;
        assert_eq!(frames.len(), 20, "{protocol}");
        let times: Vec<Timestamp> = frames
            .iter()
            .flat_map(|f| f.records.iter().map(|r| r.time))
            .collect();
        let expected: Vec<Timestamp> = (0..20 * records)
            .map(|n| NOW.plus_millis(n * 1000))
            .collect();
        assert_eq!(times, expected, "{protocol}");
        assert!(
            frames
                .iter()
                .all(|f| f.protocol == protocol && f.received == NOW)
        );
        assert!(frames.iter().all(|f| !f.raw.is_empty() && !f.held));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_a_protocol_that_is_not_spoken_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = || Arc::new(support::TestLog::new());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let shutdown = CancellationToken::new();
    let serve_on = |listener: Listener| {
        let config = GatewayConfig {
            data: folder.path().to_owned(),
            listeners: vec![listener],
            ..GatewayConfig::default()
        };
        let surroundings = Surroundings {
            log: log(),
            spool: None,
            directory: Arc::new(Directory),
            sessions: wire_sessions(),
            clock: Arc::new(|| NOW),
            free_space: Arc::new(|| Ok(u64::MAX)),
            metrics: &prometheus::Registry::new(),
            shutdown: shutdown.clone(),
        };
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(serve(config, surroundings))
        })
    };
    let busy = serve_on(Listener {
        address: taken.local_addr().unwrap(),
        speaks: Speaks::Any,
        transport: Transport::Tcp,
    });
    assert!(matches!(busy, Err(GatewayError::Bind { .. })));
    let unspoken = serve_on(Listener {
        address: ([127, 0, 0, 1], 0).into(),
        speaks: Speaks::One(Protocol::Gt06),
        transport: Transport::Udp,
    });
    let error = unspoken.unwrap_err();
    assert_eq!(error.to_string(), "gt06 is not spoken over Udp");
}
