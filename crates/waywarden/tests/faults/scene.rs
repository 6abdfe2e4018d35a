//! What the faults meet: the installation, its fleet, and what is known of both.

use super::PARTITIONS;
use super::support::figures::Figures;
use super::support::installation::Installation;
use super::support::server::{Session, database};
use super::support::{Fleet, acknowledged};
use rand::{Rng, rngs::StdRng};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub struct Scene {
    pub place: Installation,
    pub fleet: Fleet,
    /// Of the fleet that meets the faults, and of the one behind them.
    pub ledgers: Vec<PathBuf>,
    pub random: StdRng,
    /// What the lives of the gateways told last, by gateway: a life that is killed tells no more.
    pub lives: Vec<Vec<Figures>>,
}

/// Waits until it is so.
pub fn until(what: &str, within: u64, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(within);
    while !ask() {
        assert!(Instant::now() < end, "not within {within} s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Scene {
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) {
        let pause = self.random.random_range(from_ms..to_ms);
        std::thread::sleep(Duration::from_millis(pause));
    }

    /// What each gateway tells now, which is also kept.
    pub fn figures(&mut self) -> Vec<Figures> {
        let gateways = self.place.gateways.iter_mut();
        let told: Vec<_> = gateways.map(|g| g.figures()).collect();
        for (lives, now) in self.lives.iter_mut().zip(&told) {
            let last = lives.last_mut().unwrap();
            for counter in ["frames_total", "durable_frames_total", "ticks_total"] {
                let (before, now) = (last.counted(counter), now.gateway(counter));
                assert!(before <= now, "{counter} went from {before} to {now}");
            }
            *last = now.clone();
        }
        told
    }

    /// The gateway of this number begins another life.
    pub fn another_life(&mut self, gateway: usize) {
        self.lives[gateway].push(Figures::default());
    }

    pub fn session(&self) -> Session {
        Session::open(&database(&self.place.environment))
    }

    /// How far the workers are, over all partitions.
    pub fn positions(&self) -> i64 {
        self.session()
            .number("SELECT sum(position)::int8 FROM partitions")
    }

    /// Devices are acknowledged again and again, for so long.
    pub fn acknowledged_meanwhile(&mut self, seconds: u64) {
        const LOOK: u64 = 10;
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut before = acknowledged(&self.ledgers[0]).len();
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_secs(LOOK)));
            let now = acknowledged(&self.ledgers[0]).len();
            assert!(self.fleet.is_driving(), "the fleet has come to its end");
            assert!(now > before, "nothing is acknowledged any more at {now}");
            before = now;
        }
    }

    pub fn each_partition_is_worked_once(&mut self) {
        let workers = &mut self.place.workers;
        until("each partition is worked once", 90, || {
            let told: Vec<_> = workers.iter_mut().map(|w| w.figures()).collect();
            let sum = |name: &str| -> u64 {
                told.iter()
                    .map(|f| f.of(&format!("waywarden_worker_{name}"), ""))
                    .sum()
            };
            assert_eq!(sum("stopped_partitions"), 0);
            sum("working_partitions") == u64::from(PARTITIONS)
        });
    }

    /// The workers go on.
    pub fn judging_goes_on(&self) {
        let before = self.positions();
        until("the workers go on", 60, || self.positions() > before);
    }
}
