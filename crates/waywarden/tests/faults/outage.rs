//! What is away for a minute, and disks that are full: devices are acknowledged all the time.

use super::GATEWAYS;
use super::scene::{Scene, until};
use super::strike::NODES;
use super::support::server::{Session, serve, service};
use super::support::wire::{Mood, Wire};
use rand::Rng;
use std::time::{Duration, Instant};

/// Seconds.
pub const AWAY: u64 = 60;
/// How long a disk stays full, seconds.
const FULL: u64 = 6;

/// The gateways keep what comes on their own disks.
pub fn of_kafka(scene: &mut Scene) {
    // The breaker is closed, so that it trips.
    scene.place.drained();
    let before = scene.figures();
    let begun = Instant::now();
    NODES.iter().for_each(|node| service("kill", node));
    until("every gateway spools", 30, || {
        let now = scene.figures();
        now.iter().all(|f| f.gateway("spool_active_state") == 1)
    });
    scene.acknowledged_meanwhile(AWAY.saturating_sub(begun.elapsed().as_secs()));
    let away = scene.figures();
    for (before, away) in before.iter().zip(&away) {
        assert_eq!(away.gateway("spool_active_state"), 1);
        assert!(away.gateway("spool_waiting_messages") > 0);
        assert!(away.gateway("spool_bytes") > 0);
        for counter in ["spool_trips_total", "spooled_messages_total"] {
            let (was, is) = (before.gateway(counter), away.gateway(counter));
            assert!(is > was, "{counter} was {was} and is {is}");
        }
        let failed = "append_failures_total";
        assert_eq!(away.gateway(failed), before.gateway(failed), "{failed}");
    }
    NODES.iter().for_each(|node| service("again", node));
    scene.place.drained();
    let after = scene.figures();
    for (away, after) in away.iter().zip(&after) {
        let drained =
            after.gateway("drained_messages_total") - away.gateway("drained_messages_total");
        assert!(drained >= away.gateway("spool_waiting_messages"));
    }
    scene.judging_goes_on();
}

pub fn of_postgres(scene: &mut Scene) {
    let before = scene.positions();
    service("kill", "postgres");
    scene.acknowledged_meanwhile(AWAY);
    service("again", "postgres");
    until("what came meanwhile is judged", 60, || {
        scene.positions() > before
    });
}

/// The disk of one gateway's spool is full while Kafka is away. That gateway acknowledges nothing
/// any more, says so, and goes on by itself.
pub fn full_spool(scene: &mut Scene) {
    spread_devices(scene);
    let n = scene.random.random_range(0..GATEWAYS);
    let before = scene.figures()[n].gateway("append_failures_total");
    let kafka: Vec<Wire> = scene.place.from_gateways.kafka.clone();
    let probe = scene.place.gateways[n].probe();
    let failing = || probe.ask("/readyz").1.contains("log_failing");
    let ballast = scene.place.disks[n].fill(0);
    kafka.iter().for_each(|w| w.set(Mood::Down));
    until("the spool's disk is full", 60, failing);
    assert!(scene.figures()[n].gateway("append_failures_total") > before);
    // The devices of the other gateway are still acknowledged.
    scene.acknowledged_meanwhile(FULL);
    assert!(failing(), "nothing is written where there is no room");
    std::fs::remove_file(ballast).unwrap();
    until("the spool is written again", 60, || !failing());
    kafka.iter().for_each(|w| w.set(Mood::Fine));
    scene.place.drained();
}

/// Each gateway has devices: those of one that was killed have gone to the other.
fn spread_devices(scene: &mut Scene) {
    until("each gateway has devices", 60, || {
        scene.place.devices.values().for_each(Wire::cut);
        std::thread::sleep(Duration::from_secs(2));
        let now = scene.figures();
        now.iter().all(|f| f.gateway("open_connections") > 0)
    });
}

/// PostgreSQL keeps its log for a standby that never comes until its disk is full: it panics, and
/// cannot be started before there is room.
pub fn full_postgres(scene: &mut Scene) {
    let before = scene.positions();
    service("fill", "postgres");
    let (session, end) = (
        Session::open("postgres"),
        Instant::now() + Duration::from_secs(60),
    );
    let traffic = "SELECT pg_logical_emit_message(false, 'traffic', repeat('x', 1000000))";
    while session.ask(traffic).is_ok() {
        assert!(Instant::now() < end, "the disk of PostgreSQL does not fill");
    }
    scene.acknowledged_meanwhile(FULL);
    let up = Session::try_open("postgres").and_then(|s| s.ask(traffic));
    assert!(up.is_err(), "it writes where there is no room");
    service("clear", "postgres");
    until("what came meanwhile is judged", 60, || {
        scene.positions() > before
    });
}

/// A small disk for PostgreSQL's log, until this is dropped.
pub struct SmallLog;

impl SmallLog {
    pub fn new() -> Self {
        service("narrow", "postgres");
        Self
    }
}

impl Drop for SmallLog {
    fn drop(&mut self) {
        // A test that has failed goes on to say why.
        if let Err(error) = serve("widen", "postgres") {
            eprintln!("the small disk of PostgreSQL stays: {error}");
        }
    }
}
