//! Many devices in one process: who speaks what, drives where, and what came of it.

use crate::device::{Counts, Device, DeviceError, Pace, Sending, Shared};
use crate::ledger::{Ledger, LedgerError};
use crate::road::Road;
use crate::vehicle::{Span, Vehicle};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waywarden_model::{Protocol, Record, Timestamp};

/// A fleet to simulate.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The protocols spoken and where they are taken; the vehicles take turns over them.
    pub listeners: Vec<(Protocol, SocketAddr)>,
    /// Numbers of the vehicles, from `first` on.
    pub first: u32,
    pub vehicles: u32,
    pub seed: u64,
    pub span: Span,
    /// The part of the span that each vehicle sends, by its number; default all.
    pub told: Told,
    /// In shifts, so that at any minute somebody drives; else everybody drives by day.
    pub shifts: bool,
    pub pace: Pace,
    /// Records in one frame, at least 1; the protocol's own bound holds too.
    pub records_per_frame: usize,
    /// Frames in flight per device, at least 1.
    pub window: usize,
    /// A log-in or frame without an answer for this long makes a device connect again.
    pub patience: Duration,
    /// The vehicles take turns over them; none: the built-in ones.
    pub roads: Vec<Road>,
    /// Where the ledger is kept; None: nowhere.
    pub ledger: Option<PathBuf>,
    /// Counted up while the fleet drives, for whoever shows its progress.
    pub counts: Arc<Counts>,
}

/// From when on the vehicles' records are sent; what lies before is driven in silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Told {
    #[default]
    All,
    /// From here on; of vehicle `whole` all the same.
    Since { from: Timestamp, whole: u32 },
}

impl Told {
    /// Whether vehicle `n` sends the record of this time.
    pub fn tells(self, n: u32, time: Timestamp) -> bool {
        match self {
            Self::All => true,
            Self::Since { from, whole } => n == whole || time >= from,
        }
    }
}

/// What came of a simulation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FleetReport {
    pub vehicles: u64,
    /// Devices that the server refused.
    pub refused: u64,
    pub connections: u64,
    pub frames_sent: u64,
    pub frames_acknowledged: u64,
    pub records_generated: u64,
    pub records_acknowledged: u64,
}

/// Why a fleet cannot drive.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("no protocol and address to speak to")]
    NoListener,
    #[error("{0} is not spoken here")]
    NotSpoken(Protocol),
}

/// The identifier of vehicle `n`'s device and the protocol that it speaks.
///
/// Protocols take turns, and the turns shift after each round of habits, so that every habit is
/// told in every protocol.
pub fn speaks<T: Copy>(listeners: &[(Protocol, T)], n: u32) -> Option<(Protocol, T, String)> {
    let habits = u32::try_from(crate::Habit::ALL.len()).unwrap_or(1);
    let turn = (n as usize).wrapping_add((n / habits) as usize);
    let (protocol, to) = *listeners.get(turn.checked_rem(listeners.len())?)?;
    Some((protocol, to, device_id(protocol, n)))
}

/// The identifier of vehicle `n` in a protocol: [`crate::imei`] or [`crate::phone`].
pub fn device_id(protocol: Protocol, n: u32) -> String {
    match protocol {
        Protocol::Teltonika | Protocol::Gt06 => crate::imei(n),
        Protocol::Jt808 => crate::phone(n),
    }
}

/// Lets the fleet drive until every record is acknowledged, or until told to stop.
///
/// What is sent depends on the configuration alone; when it is sent, acknowledged and sent again
/// does not change it.
///
/// # Errors
/// Nobody to speak to, a protocol that is not spoken, or a ledger that cannot be written. A
/// device that is refused, or a server that is away, is none.
pub async fn run(config: FleetConfig, stop: CancellationToken) -> Result<FleetReport, FleetError> {
    let shared = Shared {
        ledger: Arc::new(Ledger::open(config.ledger.as_deref())?),
        counts: Arc::clone(&config.counts),
        // Ends the others when one cannot go on.
        stop: stop.child_token(),
    };
    let mut driving = JoinSet::new();
    for n in config.first..config.first.saturating_add(config.vehicles) {
        driving.spawn(device(&config, n, &shared)?.run());
    }
    let mut refused = 0;
    let mut failed = None;
    while let Some(ended) = driving.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(DeviceError::Refused)) => refused += 1,
            Ok(Err(DeviceError::Ledger(error))) => {
                shared.stop.cancel();
                failed = Some(error.into());
            }
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    failed.map_or(Ok(report(&config, refused)), Err)
}

fn device(
    config: &FleetConfig,
    n: u32,
    shared: &Shared,
) -> Result<Device<impl Iterator<Item = Record> + use<>>, FleetError> {
    let (protocol, to, id) = speaks(&config.listeners, n).ok_or(FleetError::NoListener)?;
    let sending = Sending {
        to,
        pace: config.pace,
        records_per_frame: config.records_per_frame,
        window: config.window,
        patience: config.patience,
    };
    let vehicle = Vehicle::new(config.seed, n, road(&config.roads, n), config.span);
    let vehicle = if config.shifts {
        vehicle.in_shifts(n)
    } else {
        vehicle
    };
    let told = config.told;
    let records = vehicle.filter(move |r| told.tells(n, r.time));
    Device::new(protocol, &id, records, sending, shared.clone())
        .ok_or(FleetError::NotSpoken(protocol))
}

/// The road of vehicle `n` among `roads`, or among the built-in ones where there are none.
fn road(roads: &[Road], n: u32) -> Road {
    let turn = |roads: &[Road]| roads.get((n as usize).checked_rem(roads.len())?).cloned();
    turn(roads)
        .or_else(|| turn(&Road::built_in()))
        .unwrap_or_else(Road::coast)
}

fn report(config: &FleetConfig, refused: u64) -> FleetReport {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let counts = &config.counts;
    FleetReport {
        vehicles: config.vehicles.into(),
        refused,
        connections: read(&counts.connections),
        frames_sent: read(&counts.frames_sent),
        frames_acknowledged: read(&counts.frames_acknowledged),
        records_generated: read(&counts.records_generated),
        records_acknowledged: read(&counts.records_acknowledged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Habit;
    use std::collections::BTreeSet;

    #[test]
    fn every_habit_is_told_in_every_protocol() {
        let listeners = Protocol::ALL.map(|p| (p, ()));
        let mut pairs = BTreeSet::new();
        for n in 0..18 {
            let (protocol, (), id) = speaks(&listeners, n).unwrap();
            assert_eq!(id, device_id(protocol, n));
            pairs.insert((protocol, format!("{:?}", Habit::of(n))));
        }
        assert_eq!(pairs.len(), 18);
        assert!(speaks::<()>(&[], 3).is_none());
    }
}
