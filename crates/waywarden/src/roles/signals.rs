//! The signals that end a process, or ask it for something.

use anyhow::Result;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What the program listens to. Made before anything is told: a signal without somebody who
/// listens would end it in the middle of something.
pub struct Signals {
    pub interrupt: Signal,
    pub terminate: Signal,
    /// SIGUSR1: a new link to the page.
    pub link: Signal,
}

impl Signals {
    pub fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            link: signal(SignalKind::user_defined1())?,
        })
    }

    /// Returns at the first signal that ends the process, with its name.
    pub async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
