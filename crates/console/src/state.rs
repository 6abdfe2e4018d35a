//! What all handlers share.

use crate::config::ConsoleConfig;
use crate::error::ApiError;
use crate::fleet::Fleet;
use crate::live::{LiveChange, LivePosition};
use crate::sessions::Sessions;
use crate::view::summary::BadgeThreshold;
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::{Mutex, Semaphore, broadcast};
use utoipa::ToSchema;
use waywarden_model::Timestamp;
use waywarden_model::registry::Registry;
use waywarden_store::{ConsoleStore, ReadOfData};

/// The time; tests give their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// One partition of the log as its producer sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct Backlog {
    pub partition: u32,
    /// Next offset to be written.
    pub head: u64,
}

/// What the other roles of the process say about themselves.
#[derive(Clone, PartialEq, Debug, Default, Serialize, ToSchema)]
pub struct ServiceStatus {
    /// Why the service is not ready; empty when it is. Short labels.
    pub not_ready: Vec<String>,
    pub connections: u64,
    pub disk_free_bytes: Option<u64>,
    /// Below it the gateway stops reading.
    pub disk_reserve_bytes: Option<u64>,
    pub log: Vec<Backlog>,
}

/// Filled by the binary from gateway and worker; must not block.
pub trait StatusSource: Send + Sync + 'static {
    fn status(&self) -> ServiceStatus;
}

pub(crate) struct App {
    pub config: ConsoleConfig,
    pub store: Arc<dyn ConsoleStore>,
    pub status: Arc<dyn StatusSource>,
    pub metrics: prometheus::Registry,
    pub clock: Clock,
    pub badge: Vec<BadgeThreshold>,
    pub sessions: Sessions,
    pub positions: broadcast::Sender<LivePosition>,
    pub changes: broadcast::Sender<Arc<LiveChange>>,
    pub requests: Arc<Semaphore>,
    pub streams: Arc<Semaphore>,
    pub viewers: Arc<Semaphore>,
    pub fleet: Fleet,
    pub registry: Mutex<Arc<Registry>>,
    pub openapi: String,
    /// Cancelled when the console stops: streams end by themselves.
    pub stopping: tokio_util::sync::CancellationToken,
}

impl App {
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Newest registry version, read again only when there is a newer one.
    pub async fn registry(&self) -> Result<Arc<Registry>, ApiError> {
        let head = self.store.registry_head().await?;
        let mut held = self.registry.lock().await;
        if held.version() < head {
            *held = Arc::new(Registry::new(head, self.store.registers_of(head).await?));
        }
        Ok(Arc::clone(&held))
    }

    /// Records a reading of personal data before it is answered.
    pub async fn record(
        &self,
        who: &str,
        what: &str,
        object: &str,
        purpose: &str,
    ) -> Result<(), ApiError> {
        let read = ReadOfData {
            at: self.now(),
            token: who.to_owned(),
            what: what.to_owned(),
            object: object.chars().take(500).collect(),
            purpose: purpose.to_owned(),
        };
        Ok(self.store.record_read(read).await?)
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
