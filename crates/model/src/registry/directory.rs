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

    /// The version that answers now.
    pub fn registry(&self) -> Arc<Registry> {
        Arc::clone(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
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

/// The settings of a device at an instant; the protocol's own where nothing is registered.
pub fn device_profile(registry: &Registry, source: &SourceId, t: Timestamp) -> DeviceProfile {
    let found = registered(registry, source.as_str(), t);
    found.unwrap_or_else(|| profile(source.as_str(), Standing::Known))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Device, Fitting, Registers, Validity};

    const NOW: Timestamp = Timestamp::from_secs(1_773_104_405);

    fn device(id: &str, standing: Standing, validity: Validity) -> Device {
        Device {
            id: id.into(),
            protocol: None,
            utc_offset_s: Some(25_200),
            dialect: None,
            standing,
            validity,
        }
    }

    fn directory(policy: UnknownPolicy) -> RegistryDirectory {
        let until_now = Validity {
            from: Timestamp::MIN,
            until: NOW,
        };
        let registers = Registers {
            devices: vec![
                device("1", Standing::Known, Validity::ALWAYS),
                device("2", Standing::Refused, Validity::ALWAYS),
                device("3", Standing::Known, until_now),
            ],
            ..Registers::default()
        };
        RegistryDirectory::new(Arc::new(Registry::new(1, registers)), policy, 2)
    }

    fn standing(d: &RegistryDirectory, ids: &[&str]) -> (String, Standing) {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let p = d.look_up(&ids);
        (p.source.to_string(), p.standing)
    }

    #[test]
    fn the_first_registered_candidate_wins() {
        let d = directory(UnknownPolicy::Accept);
        assert_eq!(
            standing(&d, &["01", "1", "2"]),
            ("1".to_owned(), Standing::Known)
        );
        assert_eq!(
            standing(&d, &["2", "1"]),
            ("2".to_owned(), Standing::Refused)
        );
        assert_eq!(standing(&d, &["9", "8"]), ("9".to_owned(), Standing::Known));
        assert_eq!(d.look_up(&["1".to_owned()]).utc_offset_s, Some(25_200));
        assert_eq!(standing(&d, &[]), (String::new(), Standing::Refused));
        let refusing = directory(UnknownPolicy::Refuse);
        assert_eq!(standing(&refusing, &["9"]).1, Standing::Refused);
    }

    #[test]
    fn rows_end_at_their_time() {
        let d = directory(UnknownPolicy::Refuse);
        assert_eq!(standing(&d, &["3"]).1, Standing::Refused);
        d.set_now(NOW.plus_millis(-1));
        assert_eq!(standing(&d, &["3"]).1, Standing::Known);
    }

    #[test]
    fn held_devices_are_bounded_in_number() {
        let d = directory(UnknownPolicy::Hold);
        for (id, expected) in [
            ("a", Standing::Held),
            ("b", Standing::Held),
            ("c", Standing::Refused),
            ("a", Standing::Held),
        ] {
            assert_eq!(standing(&d, &[id]).1, expected, "{id}");
        }
        let registers = Registers {
            devices: vec![device("a", Standing::Known, Validity::ALWAYS)],
            fittings: vec![Fitting {
                source: "b".into(),
                vehicle: "V".into(),
                primary: true,
                validity: Validity::ALWAYS,
            }],
            ..Registers::default()
        };
        d.replace(Arc::new(Registry::new(2, registers)));
        assert_eq!(d.held(), ["b"], "its fitting has no vehicle");
        assert_eq!(standing(&d, &["a"]).1, Standing::Known);
        assert_eq!(
            standing(&d, &["c"]).1,
            Standing::Held,
            "there is room again"
        );
    }
}
