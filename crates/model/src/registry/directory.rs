//! The registers as the gateway's directory of devices: answers from memory, never waits.

use super::Registry;
use crate::directory::{DeviceDirectory, DeviceProfile, Standing};
use crate::ids::SourceId;
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Longest identifier that is remembered as held.
const LONGEST: usize = 64;

/// What is done with devices that nobody registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnknownPolicy {
    /// Taken and filed, not judged; so many of them at most.
    #[default]
    Hold,
    /// Taken and judged like registered ones.
    Accept,
    Refuse,
}

/// Devices by their rows, else by their fittings, else by the policy.
#[derive(Debug)]
pub struct RegistryDirectory {
    registry: RwLock<Arc<Registry>>,
    policy: UnknownPolicy,
    max_held: usize,
    held: Mutex<BTreeSet<String>>,
    now: AtomicI64,
}

impl RegistryDirectory {
    /// At most `max_held` different unknown devices are held; later ones are refused.
    pub fn new(registry: Arc<Registry>, policy: UnknownPolicy, max_held: usize) -> Self {
        Self {
            registry: RwLock::new(registry),
            policy,
            max_held,
            held: Mutex::new(BTreeSet::new()),
            now: AtomicI64::new(Timestamp::MAX.millis() - 1),
        }
    }

    /// Sets the instant whose rows are looked up. Until it is set, rows without an end count.
    pub fn set_now(&self, now: Timestamp) {
        self.now.store(now.millis(), Ordering::Relaxed);
    }

    /// Answers by `registry` from now on; devices that it registers are no longer held.
    pub fn replace(&self, registry: Arc<Registry>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.at();
        held.retain(|id| registered(&registry, id, now).is_none());
        *self
            .registry
            .write()
            .unwrap_or_else(PoisonError::into_inner) = registry;
    }

    /// Identifiers that are held, in order.
    pub fn held(&self) -> Vec<String> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().cloned().collect()
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }

    fn unknown(&self, id: &str) -> Standing {
        match self.policy {
            UnknownPolicy::Accept => Standing::Known,
            UnknownPolicy::Refuse => Standing::Refused,
            UnknownPolicy::Hold => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                let room = held.len() < self.max_held && id.len() <= LONGEST;
                if held.contains(id) || (room && held.insert(id.to_owned())) {
                    Standing::Held
                } else {
                    Standing::Refused
                }
            }
        }
    }
}

impl DeviceDirectory for RegistryDirectory {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        let registry = {
            let lock = self.registry.read();
            lock.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let now = self.at();
        let found = candidates
            .iter()
            .find_map(|id| registered(&registry, id, now));
        found.unwrap_or_else(|| match candidates.first() {
            Some(id) => profile(id, self.unknown(id)),
            None => profile("", Standing::Refused),
        })
    }
}

/// None for what neither a row nor a fitting knows.
fn registered(registry: &Registry, id: &str, now: Timestamp) -> Option<DeviceProfile> {
    if let Some(device) = registry.device(id, now) {
        return Some(DeviceProfile {
            source: device.id.clone(),
            standing: device.standing,
            utc_offset_s: device.utc_offset_s,
            dialect: device.dialect.clone(),
        });
    }
    let fitted = registry.assignment(&SourceId::from(id), now).value;
    fitted.map(|_| profile(id, Standing::Known))
}

fn profile(id: &str, standing: Standing) -> DeviceProfile {
    DeviceProfile {
        source: id.into(),
        standing,
        utc_offset_s: None,
        dialect: None,
    }
}
