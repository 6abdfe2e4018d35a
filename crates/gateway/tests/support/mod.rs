//! A gateway on loopback with a log, a protocol, a disk and a clock that tests hold in their hands.

#![allow(clippy::unwrap_used)] // the helpers of a test are part of the test
#![allow(dead_code, unused_imports)] // every test file uses its own share

mod device;
mod lines;
mod log;

pub use device::Device;
pub use lines::LineSession;
pub use log::{Mode, TestLog};

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Append;
use waywarden_gateway::{
    GatewayConfig, GatewayHandle, Listener, NewSession, Speaks, Surroundings, serve,
};
use waywarden_model::{DeviceDirectory, DeviceProfile, Protocol, Standing, Timestamp};
use waywarden_wire::{Session, Transport};

/// Answers by the first letter: `held...`, `refused...`, the rest is known.
pub struct Directory;

impl DeviceDirectory for Directory {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        let id = candidates[0].as_str();
        let standing = match id {
            _ if id.starts_with("held") => Standing::Held,
            _ if id.starts_with("refused") => Standing::Refused,
            _ => Standing::Known,
        };
        DeviceProfile {
            source: id.into(),
            standing,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

/// A gateway and everything around it.
pub struct Gateway {
    pub handle: GatewayHandle,
    pub log: Arc<TestLog>,
    pub shutdown: CancellationToken,
    pub metrics: prometheus::Registry,
    /// Free bytes that the disk claims; the reserve is 1,000.
    pub free: Arc<AtomicU64>,
    /// Milliseconds since the epoch that the clock shows.
    pub clock: Arc<AtomicI64>,
    pub folder: TempDir,
}

pub const NOW: i64 = 1_773_104_405_000;

/// Two listeners on any port: TCP first, then UDP.
pub fn config() -> GatewayConfig {
    let listener = |transport| Listener {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        speaks: Speaks::One(Protocol::Gt06),
        transport,
    };
    let mut config = GatewayConfig {
        listeners: vec![listener(Transport::Tcp), listener(Transport::Udp)],
        disk_reserve: 1000,
        ..GatewayConfig::default()
    };
    config.times.disk_check = Duration::from_millis(20);
    config.times.retry = (Duration::from_millis(10), Duration::from_millis(50));
    config
}

pub fn sessions() -> NewSession {
    Arc::new(|_, _| Some(Box::new(LineSession::default()) as Box<dyn Session>))
}

impl Gateway {
    pub async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::on(Arc::new(TestLog::new()), change).await
    }

    pub async fn on(log: Arc<TestLog>, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config();
        config.data = folder.path().to_owned();
        change(&mut config);
        let free = Arc::new(AtomicU64::new(1 << 40));
        let clock = Arc::new(AtomicI64::new(NOW));
        let (disk, time) = (Arc::clone(&free), Arc::clone(&clock));
        let metrics = prometheus::Registry::new();
        let shutdown = CancellationToken::new();
        let surroundings = Surroundings {
            log: Arc::clone(&log) as Arc<dyn Append>,
            spool: None,
            directory: Arc::new(Directory),
            sessions: sessions(),
            clock: Arc::new(move || Timestamp::from_millis(time.load(Ordering::SeqCst))),
            free_space: Arc::new(move || Ok(disk.load(Ordering::SeqCst))),
            metrics: &metrics,
            shutdown: shutdown.clone(),
        };
        let handle = serve(config, surroundings).await.unwrap();
        Self {
            handle,
            log,
            shutdown,
            metrics,
            free,
            clock,
            folder,
        }
    }

    pub fn address(&self, transport: Transport) -> SocketAddr {
        let mut listeners = self.handle.listeners().iter();
        listeners
            .find(|l| l.transport == transport)
            .unwrap()
            .address
    }

    /// A connection that has said nothing.
    pub async fn connect(&self) -> Device {
        Device::connect(self.address(Transport::Tcp)).await
    }

    /// A device that is logged in.
    pub async fn device(&self, id: &str) -> Device {
        let mut device = self.connect().await;
        device.send(&format!("L {id}\n")).await;
        assert_eq!(device.line().await, "ok");
        device
    }

    /// Sum of a metric over its labels that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.metrics.gather();
        let name = format!("waywarden_gateway_{name}");
        let found = families.iter().filter(|f| f.name() == name);
        found
            .flat_map(|f| f.get_metric())
            .filter(|m| label.is_empty() || m.get_label().iter().any(|l| l.value() == label))
            .map(|m| m.get_counter().get_value() + m.get_gauge().get_value())
            .sum()
    }

    pub fn ill(&self) -> Vec<&'static str> {
        self.handle.health().iter().map(|h| h.label()).collect()
    }
}

/// Waits, within five seconds, for what must become true.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("did not happen within 5 s: {what}");
}
