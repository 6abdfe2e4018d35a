//! Who is connected: bounds of number, one connection a device, and waking them all.

use futures::task::AtomicWaker;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use waywarden_model::SourceId;

/// What others may ask of a connection, and the way to wake it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    asked: AtomicU8,
    pub(crate) waker: AtomicWaker,
}

impl Signal {
    /// The device came again on another connection.
    const REPLACED: u8 = 1;
    /// Read no more, finish what is in flight.
    const STOP: u8 = 2;
    /// Give up.
    const ABORT: u8 = 4;

    fn ask(&self, what: u8) {
        self.asked.fetch_or(what, Ordering::AcqRel);
        self.waker.wake();
    }

    fn is(&self, what: u8) -> bool {
        self.asked.load(Ordering::Acquire) & what != 0
    }

    pub(crate) fn replaced(&self) -> bool {
        self.is(Self::REPLACED)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.is(Self::STOP)
    }

    pub(crate) fn aborted(&self) -> bool {
        self.is(Self::ABORT)
    }
}

/// All connections of the gateway.
#[derive(Debug)]
pub(crate) struct Connections {
    max: usize,
    max_per_address: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// What newcomers find already asked of them.
    asked: u8,
    open: HashMap<u64, Arc<Signal>>,
    /// Open connections that count against the bounds.
    by_address: HashMap<IpAddr, usize>,
    counted: usize,
    devices: HashMap<SourceId, u64>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    Connections,
    Address,
}

impl Refusal {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Address => "address",
        }
    }
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    connections: Arc<Connections>,
    id: u64,
    address: Option<IpAddr>,
    device: Option<SourceId>,
    pub(crate) signal: Arc<Signal>,
}

impl Connections {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Self {
        Self {
            max,
            max_per_address,
            table: Mutex::default(),
        }
    }

    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, Refusal> {
        let mut table = self.table();
        if table.counted >= self.max {
            return Err(Refusal::Connections);
        }
        let from_there = table.by_address.entry(address).or_default();
        if *from_there >= self.max_per_address {
            return Err(Refusal::Address);
        }
        *from_there += 1;
        table.counted += 1;
        let id = table.next;
        table.next += 1;
        let signal = Arc::new(Signal::default());
        signal.asked.store(table.asked, Ordering::Release);
        table.open.insert(id, Arc::clone(&signal));
        Ok(Admission {
            connections: Arc::clone(self),
            id,
            address: Some(address),
            device: None,
            signal,
        })
    }

    pub(crate) fn open(&self) -> usize {
        self.table().counted
    }

    /// Nobody reads any more; what is in flight is finished.
    pub(crate) fn stop(&self) {
        self.ask_all(Signal::STOP);
    }

    /// Everybody ends at once.
    pub(crate) fn abort(&self) {
        self.ask_all(Signal::ABORT);
    }

    /// Everybody looks again at what they may do.
    pub(crate) fn wake_all(&self) {
        self.ask_all(0);
    }

    fn ask_all(&self, what: u8) {
        let signals: Vec<Arc<Signal>> = {
            let mut table = self.table();
            table.asked |= what;
            table.open.values().cloned().collect()
        };
        for signal in signals {
            signal.ask(what);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// The connection is this device's. Another one of the same device is asked to end: it is
    /// half open, and the device does not know it any more.
    pub(crate) fn identify(&mut self, device: &SourceId) {
        if self.device.as_ref() == Some(device) {
            return;
        }
        let mut table = self.connections.table();
        if let Some(former) = self.device.take()
            && table.devices.get(&former) == Some(&self.id)
        {
            table.devices.remove(&former);
        }
        let old = table.devices.insert(device.clone(), self.id);
        let old = old.and_then(|id| table.open.get(&id).cloned());
        drop(table);
        if let Some(signal) = old {
            signal.ask(Signal::REPLACED);
        }
        self.device = Some(device.clone());
    }

    /// The socket is closed: it no longer counts against the bounds, though what it took may
    /// still be in flight.
    pub(crate) fn uncount(&mut self) {
        let Some(address) = self.address.take() else {
            return;
        };
        let mut table = self.connections.table();
        table.counted -= 1;
        if let Some(n) = table.by_address.get_mut(&address) {
            *n -= 1;
            if *n == 0 {
                table.by_address.remove(&address);
            }
        }
        if let Some(device) = self.device.take()
            && table.devices.get(&device) == Some(&self.id)
        {
            table.devices.remove(&device);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.uncount();
        self.connections.table().open.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, n).into()
    }

    #[test]
    fn numbers_are_bounded_and_given_back() {
        let all = Arc::new(Connections::new(3, 2));
        let first = all.admit(address(1)).unwrap();
        let second = all.admit(address(1)).unwrap();
        assert_eq!(all.admit(address(1)).unwrap_err(), Refusal::Address);
        let third = all.admit(address(2)).unwrap();
        assert_eq!(all.admit(address(3)).unwrap_err(), Refusal::Connections);
        drop(first);
        let again = all.admit(address(1)).unwrap();
        assert_eq!(all.open(), 3);
        drop((second, third, again));
        assert_eq!(all.open(), 0);
        assert!(all.table().by_address.is_empty() && all.table().open.is_empty());
    }

    #[test]
    fn the_newest_connection_of_a_device_stays() {
        let all = Arc::new(Connections::new(9, 9));
        let device = SourceId::from("352093081429150");
        let mut old = all.admit(address(1)).unwrap();
        let mut new = all.admit(address(2)).unwrap();
        old.identify(&device);
        old.identify(&device);
        assert!(!old.signal.replaced());
        new.identify(&device);
        assert!(old.signal.replaced() && !new.signal.replaced());
        // The end of the old one must not forget the new one.
        drop(old);
        let mut newest = all.admit(address(3)).unwrap();
        newest.identify(&device);
        assert!(new.signal.replaced());
        drop((new, newest));
        assert!(all.table().devices.is_empty());
    }

    #[test]
    fn newcomers_hear_what_was_asked() {
        let all = Arc::new(Connections::new(9, 9));
        let there = all.admit(address(1)).unwrap();
        all.stop();
        let late = all.admit(address(1)).unwrap();
        assert!(there.signal.stopped() && late.signal.stopped());
        assert!(!late.signal.aborted());
    }
}
