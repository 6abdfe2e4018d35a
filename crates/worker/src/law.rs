//! What a partition judges with: one registry version, its roads, the regime's profiles.

use std::sync::Arc;
use waywarden_model::registry::{Registers, Registry};
use waywarden_roads::Network;
use waywarden_rules::{Context, Profiles};

/// One registry version ready to judge with.
#[derive(Debug, Clone)]
pub struct Law {
    registry: Arc<Registry>,
    network: Arc<Network>,
    profiles: Arc<Profiles>,
}

impl Law {
    pub fn new(version: u32, registers: Registers, profiles: Arc<Profiles>) -> Self {
        let registry = Registry::new(version, registers);
        let network = Arc::new(Network::build(&registry));
        Self {
            registry: Arc::new(registry),
            network,
            profiles,
        }
    }

    /// The same profiles with another registry version.
    #[must_use]
    pub fn with_registers(&self, version: u32, registers: Registers) -> Self {
        Self::new(version, registers, Arc::clone(&self.profiles))
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            registry: &self.registry,
            network: &self.network,
            profiles: &self.profiles,
        }
    }

    pub fn registers(&self) -> &Registers {
        self.registry.registers()
    }

    /// Number of the registry version.
    pub fn version(&self) -> u32 {
        self.registry.version()
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        &self.profiles
    }
}
