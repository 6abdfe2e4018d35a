//! A fleet that comes back after five days without coverage: until all of it is judged, and how long
//! live data waits meanwhile.

use crate::Effort;
use crate::children::Program;
use crate::devices::{self, Answers};
use crate::latency::{Probe, probes_registers};
use crate::rebuild::{RECORDS, sends};
use crate::table::{Floor, Goal, Row, percentile_99, rounds};
use anyhow::{Context as _, Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Vehicles that come back, and the fleet that they stand for: everything is in proportion to the
/// records, none of which knows of another vehicle's.
const VEHICLES: usize = 80;
const FLEET: usize = 1_000;
const PROBES: usize = 4;
/// The same without anything else, before.
const QUIET: Duration = Duration::from_secs(10);
/// Longest time for all of it.
const PATIENCE: Duration = Duration::from_secs(1800);

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let vehicles = VEHICLES / effort.shorter as usize;
    // It takes minutes: one round says enough.
    let all = rounds(effort.rounds.min(1), || come_back(vehicles))?;
    let of = |part: fn(&Back) -> f64| all.iter().map(part).collect::<Vec<_>>();
    let samples: usize = all.iter().map(|b| b.samples).sum();
    Ok(vec![
        Row {
            figure: format!("{FLEET} vehicles back after five days, all judged"),
            unit: "min",
            rounds: of(|b| b.minutes),
            goal: Some(Goal::AtMost(60.0)),
            floor: None,
            limit: format!(
                "{vehicles} vehicles of {RECORDS} records each, the newest sent first, and \
                 {FLEET} / {vehicles} times the time from their first frame until every record is \
                 filed and no mark is left, on the embedded log and store. Live data is that of \
                 {PROBES} vehicles: while a partition has none it judges late data without a rest. \
                 One round.",
            ),
        },
        Row {
            figure: "frame to violation meanwhile, 99th percentile".to_owned(),
            unit: "ms",
            rounds: of(|b| b.meanwhile),
            goal: Some(Goal::AtMost(1_000.0)),
            floor: Some(Floor {
                what: "with nothing else",
                rounds: of(|b| b.quiet),
                at_least: None,
            }),
            limit: format!(
                "{PROBES} probe vehicles close a run of overspeed again and again while the others \
                 send as fast as they are acknowledged, and are judged. Of late records the \
                 gateway takes `gateway.late_records_per_second`, so that live ones do not stand \
                 behind them in the log. {samples} samples. Floor: the same program before they \
                 come."
            ),
        },
    ])
}

struct Back {
    /// For the fleet.
    minutes: f64,
    /// 99th percentiles, milliseconds.
    quiet: f64,
    meanwhile: f64,
    samples: usize,
}

fn come_back(vehicles: usize) -> Result<Back> {
    let registers = probes_registers(2 * PROBES)?;
    let program = Program::start(Some(registers.path()), &environment())?;
    let until = Instant::now() + QUIET;
    let (_, quiet) = beside_probes(&program, 0, || {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    })?;
    let runtime = devices::runtime()?;
    let (took, waits) = beside_probes(&program, PROBES, || {
        let begun = Instant::now();
        let [newest, kept]: [Vec<_>; 2] = {
            let all: Vec<_> = (0..vehicles).map(|device| sends(device, 4)).collect();
            let of = |n: usize| all.iter().map(|s| s[n].clone()).collect();
            [of(0), of(1)]
        };
        let made = begun.elapsed();
        for group in [newest, kept] {
            let connected = devices::connect(program.teltonika, Answers::Acknowledgements, group);
            runtime.block_on(async { devices::send_all(connected.await?).await })?;
        }
        all_judged(&program, begun + PATIENCE)?;
        Ok(begun.elapsed().saturating_sub(made))
    })?;
    Ok(Back {
        minutes: took.as_secs_f64() / 60.0 * FLEET as f64 / vehicles as f64,
        quiet: percentile_99(&quiet),
        meanwhile: percentile_99(&waits),
        samples: waits.len(),
    })
}

/// Late data in its pace, as by default, and the probes' not late: theirs is of yesterday.
fn environment() -> Vec<(String, String)> {
    let set = |name: &str, value: &str| (format!("WAYWARDEN__GATEWAY__{name}"), value.to_owned());
    let pace = waywarden_gateway::Limits::default().late_records;
    vec![
        set("LATE_RECORDS_PER_SECOND", &pace.to_string()),
        set("LATE_AFTER", "48h"),
    ]
}

/// Until nothing waits to be judged.
fn all_judged(program: &Program, until: Instant) -> Result<()> {
    loop {
        let status = program.get("/api/v1/status")?;
        if status["backlog"] == 0 && status["marks"] == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < until, "not judged: {status}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Does the work, and what the probes from the `first` on waited meanwhile, in milliseconds.
fn beside_probes<T>(
    program: &Program,
    first: usize,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Vec<f64>)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probes: Vec<_> = (first..first + PROBES)
            .map(|n| {
                let stop = &stop;
                scope.spawn(move || {
                    Probe::new(program, n)?.closes_while(|| !stop.load(Ordering::Relaxed))
                })
            })
            .collect();
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let mut waits = Vec::new();
        for probe in probes {
            let seen = probe.join().ok().context("a probe panicked")?;
            waits.extend(seen?);
        }
        Ok((done?, waits))
    })
}
