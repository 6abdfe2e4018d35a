//! The simulated fleet of somebody who has none yet.

use crate::fleet::{DAY_MS, fleet};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use tokio_util::sync::CancellationToken;
use waywarden_gateway::{Listener, Speaks};
use waywarden_model::{Protocol, TimeZone, Timestamp};
use waywarden_simulator::{Span, Told, device::Pace};
use waywarden_wire::Transport;

/// Number of the simulated vehicle that tells its past weeks: its habit are long days, and its
/// protocol takes many records a frame.
const WEEK_TOLD_BY: u32 = 3;

/// Drives the fleet in the background: what lies before now is due at once and goes as fast as it
/// is acknowledged, what comes after it goes with the clock.
///
/// The fleet sets out on the Monday of the week before it is first driven, and `begun` keeps that
/// day: started again it drives on as before and tells the past day once more. One vehicle, whose
/// days are long, tells the whole way, so that there is a week to judge.
pub fn drive(
    vehicles: u32,
    listeners: &[Listener],
    begun: &Path,
    stop: CancellationToken,
) -> Result<()> {
    let tcp = listeners.iter().filter(|l| l.transport == Transport::Tcp);
    let taken: Vec<(Protocol, SocketAddr)> = tcp
        .filter_map(|l| match l.speaks {
            Speaks::One(protocol) => Some((protocol, l.address)),
            Speaks::Any => None,
        })
        .collect();
    let now = crate::clock::now();
    let span = Span {
        from: set_out(begun, now)?,
        until: now.plus_millis(365 * DAY_MS),
        every_ms: 10_000,
    };
    let pace = Pace::Times {
        factor: 1.0,
        from: now,
    };
    let mut config = fleet(taken, vehicles, span, pace);
    config.shifts = true;
    config.told = Told::Since {
        from: now.plus_millis(-DAY_MS),
        whole: WEEK_TOLD_BY,
    };
    tokio::spawn(async move {
        if let Err(error) = waywarden_simulator::fleet::run(config, stop).await {
            tracing::warn!(%error, "the simulated fleet stopped");
        }
    });
    Ok(())
}

/// When the fleet of this data folder set out; now, where it did not yet.
fn set_out(kept: &Path, now: Timestamp) -> Result<Timestamp> {
    let said = || kept.display().to_string();
    match std::fs::read_to_string(kept) {
        Ok(text) => return Timestamp::parse_rfc3339(text.trim()).with_context(said),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(e).with_context(said),
    }
    let zone = TimeZone::vietnam();
    let from = zone.start_of(zone.day_of(now.plus_millis(-7 * DAY_MS)).monday());
    std::fs::write(kept, from.to_string()).with_context(said)?;
    Ok(from)
}
