//! Settings of a gateway, with the defaults that fit a province's fleet.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use waywarden_model::Protocol;
use waywarden_wire::{Settings, Transport};

/// What is spoken on a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    One(Protocol),
    /// Recognised by the first bytes. TCP only: a datagram has no first bytes before it.
    Any,
}

impl Speaks {
    /// Bounded label for metrics and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::One(protocol) => protocol.name(),
            Self::Any => "auto",
        }
    }
}

/// One address that devices connect to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    pub address: SocketAddr,
    pub speaks: Speaks,
    pub transport: Transport,
}

/// Everything that a gateway can be told.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Name in ticks: which gateway was listening.
    pub name: String,
    /// Where the last stamp is kept, and whose disk is watched.
    pub data: PathBuf,
    /// Default: every protocol on its customary port of 127.0.0.1, Teltonika also over UDP, and
    /// port 5000 for whatever comes.
    pub listeners: Vec<Listener>,
    /// What the decoders need: largest frame, leniency, key of authentication codes.
    pub wire: Settings,
    pub limits: Limits,
    pub times: Times,
    /// Free bytes of the data folder's disk below which no socket is read. Default 1 GiB.
    pub disk_reserve: u64,
}

/// Bounds of number and size. What is above one is not read, or not let in; nothing is dropped.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections. Default 20,000.
    pub connections: usize,
    /// Open connections from one address; carriers put many devices behind one. Default 2,000.
    pub connections_per_address: usize,
    /// Bytes of one connection that are not durable yet. Default 256 KiB.
    pub connection_bytes: usize,
    /// Bytes of all connections that are not durable yet. Default 64 MiB, at least 128 KiB.
    pub total_bytes: usize,
    /// Bytes of replies that a device has not read. Default 16 KiB.
    pub reply_bytes: usize,
    /// Frames that one held device may file in a day. Default 20,000.
    pub held_frames: u32,
    /// Held devices that may file in a day. Default 1,000.
    pub held_devices: usize,
    /// Late records taken in a second over all connections, so that live ones do not stand behind
    /// them in the log. Zero: no bound. Default 30,000.
    pub late_records: u32,
    /// Unknown and faulty frames that are kept for a look. Default 256, of at most 1 KiB each.
    pub odd_frames: usize,
}

/// Bounds of time.
#[derive(Clone, Debug)]
pub struct Times {
    /// From connecting to saying who it is. Default 60 s.
    pub log_in: Duration,
    /// Without a whole frame. Default 1,800 s.
    pub idle: Duration,
    /// From the first byte of a frame to its last. Default 60 s.
    pub frame: Duration,
    /// For a device to take a reply. Default 30 s.
    pub write: Duration,
    /// From its own time to its receipt, after which a record is late. Default 10 min.
    pub late: Duration,
    /// To make what is in flight durable when shutting down. Default 10 s.
    pub shutdown: Duration,
    /// Between ticks. Default 10 s.
    pub tick: Duration,
    /// Between looks at the free disk. Default 1 s.
    pub disk_check: Duration,
    /// First and longest wait before a failed write is tried again. Default 100 ms and 5 s.
    pub retry: (Duration, Duration),
    /// How far the clock may stand before the last stamp while the gateway is ready. Default 60 s.
    pub clock_tolerance: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            name: "gateway".into(),
            data: PathBuf::from("data"),
            listeners: customary_listeners(),
            wire: Settings::default(),
            limits: Limits::default(),
            times: Times::default(),
            disk_reserve: 1024 * 1024 * 1024,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 2_000,
            connection_bytes: 256 * 1024,
            total_bytes: 64 * 1024 * 1024,
            reply_bytes: 16 * 1024,
            held_frames: 20_000,
            held_devices: 1_000,
            late_records: 30_000,
            odd_frames: 256,
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            log_in: Duration::from_secs(60),
            idle: Duration::from_secs(1_800),
            frame: Duration::from_secs(60),
            write: Duration::from_secs(30),
            late: Duration::from_secs(600),
            shutdown: Duration::from_secs(10),
            tick: Duration::from_secs(10),
            disk_check: Duration::from_secs(1),
            retry: (Duration::from_millis(100), Duration::from_secs(5)),
            clock_tolerance: Duration::from_secs(60),
        }
    }
}

/// Port of the listener that recognises the protocol.
const ANY_PORT: u16 = 5000;

fn customary_listeners() -> Vec<Listener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut listeners: Vec<Listener> = Protocol::ALL
        .iter()
        .map(|protocol| Listener {
            address: at(protocol.port()),
            speaks: Speaks::One(*protocol),
            transport: Transport::Tcp,
        })
        .collect();
    listeners.push(Listener {
        address: at(Protocol::Teltonika.port()),
        speaks: Speaks::One(Protocol::Teltonika),
        transport: Transport::Udp,
    });
    listeners.push(Listener {
        address: at(ANY_PORT),
        speaks: Speaks::Any,
        transport: Transport::Tcp,
    });
    listeners
}
