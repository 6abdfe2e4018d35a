//! Records judged in a second on one core, and what the states take, with all rules on.

use crate::Effort;
use crate::clock::Clock;
use crate::fleet;
use crate::table::{Goal, Row, median, rounds};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::ops::Range;
use std::process::Command;
use waywarden_model::registry::{Registers, Registry};
use waywarden_model::{Kind, Record, TimeZone};
use waywarden_roads::Network;
use waywarden_rules::{Context, Library, Outputs, Profile, Profiles, SourceState, flush, step};

const VEHICLES: usize = 10_000;
const RECORDS_EACH: usize = 100;
/// Records of a source that come together.
const BATCH: usize = 20;
/// Sources whose records are made at once: few, as the worker decodes a message and judges it.
const SOURCES: usize = 20;
/// Messages of one of the worker's batches, whose facts are kept until it is filed.
const MESSAGES: usize = 4000;
/// Vehicles judged before memory is looked at.
const WARM: usize = 500;

/// The Vietnamese law, with the only section on driving that it lacks: closed hours.
fn law() -> Result<Profiles> {
    let library = Library::built_in();
    let text = &library.get("vn-118-2025").expect("built in").text;
    let closed = "[hours.closed]\nfrom = \"08:10\"\nuntil = \"08:12\"\nfor = [\"contract\"]\n";
    let profile = Profile::parse("all", &format!("{text}\n{closed}"))?;
    Ok(Profiles::only(TimeZone::vietnam(), profile))
}

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let registry = Registry::new(1, fleet::registers(VEHICLES));
    let plain = Registry::new(1, vehicles_alone(registry.registers()));
    let profiles = law()?;
    let (network, empty) = (Network::build(&registry), Network::empty());
    let ctx = |registry, network| Context {
        registry,
        network,
        profiles: &profiles,
    };
    let full = rounds(effort.rounds, || round(&ctx(&registry, &network)))?;
    let bare = rounds(effort.rounds, || round(&ctx(&plain, &empty)))?;
    let of = |part: fn(&Judged) -> f64, all: &[Judged]| all.iter().map(part).collect::<Vec<_>>();
    let rate = |j: &Judged| j.records_per_s;
    Ok(vec![
        Row {
            figure: format!("rule step, {VEHICLES} vehicles"),
            unit: "records/s",
            rounds: of(rate, &full),
            goal: Some(Goal::AtLeast(7e5)),
            floor: None,
            limit: format!(
                "By processor time, one core, {BATCH} records of a source at a time, each naming \
                 its driver's card. All rules: routes with stops, signs, zones, bans, permits, \
                 drivers, closed hours; {:.0} records/s by the clock on the wall, {:.0} with \
                 registers of vehicles and drivers alone. Limited by the memory of the states and \
                 of the registers: each batch finds its source's in none of the caches.",
                median(&of(|j| j.by_wall, &full)),
                median(&of(rate, &bare)),
            ),
        },
        Row {
            figure: format!("state of a vehicle, {VEHICLES} of them"),
            unit: "bytes",
            rounds: rounds(effort.rounds, bytes_each)?,
            goal: Some(Goal::AtMost(2048.0)),
            floor: None,
            limit: "Anonymous memory of a process that judged all records of the figure above, \
                    less what it held before the first of the vehicles. What the source serves \
                    is in it; the registers themselves are not."
                .to_owned(),
        },
    ])
}

fn vehicles_alone(all: &Registers) -> Registers {
    Registers {
        routes: Vec::new(),
        zones: Vec::new(),
        signs: Vec::new(),
        ..all.clone()
    }
}

struct Judged {
    records_per_s: f64,
    by_wall: f64,
}

/// Making the records is not counted.
fn round(ctx: &Context<'_>) -> Result<Judged> {
    let mut states = states(0..VEHICLES);
    let mut clock = Clock::default();
    let mut out = Outputs::default();
    let mut seen = Seen::default();
    for from in (0..RECORDS_EACH).step_by(BATCH) {
        for (n, some) in states.chunks_mut(SOURCES).enumerate() {
            let first = n * SOURCES;
            let batches: Vec<Vec<Record>> = (first..first + some.len())
                .map(|vehicle| fleet::journey(vehicle, from, BATCH))
                .collect();
            clock.run(|| judge(some, &batches, ctx, &mut out));
            if (n + 1).is_multiple_of(MESSAGES / SOURCES) {
                seen.take(&out);
                clock.run(|| out.clear());
            }
        }
    }
    seen.take(&out);
    seen.check()?;
    let records = (VEHICLES * RECORDS_EACH) as f64;
    Ok(Judged {
        records_per_s: records / clock.cpu_s,
        by_wall: records / clock.wall_s,
    })
}

fn states(vehicles: Range<usize>) -> Vec<SourceState> {
    vehicles
        .map(|n| SourceState::new(fleet::source(n)))
        .collect()
}

fn judge(
    states: &mut [SourceState],
    batches: &[Vec<Record>],
    ctx: &Context<'_>,
    out: &mut Outputs,
) {
    for (state, records) in states.iter_mut().zip(batches) {
        for record in records {
            step(state, record, ctx, out);
        }
        flush(state, out);
    }
}

/// What was given out: a rule that states nothing here would be measured as if it were off.
#[derive(Default)]
struct Seen {
    periods: usize,
    kinds: BTreeSet<Kind>,
}

impl Seen {
    fn take(&mut self, out: &Outputs) {
        self.periods += out.periods.len();
        self.kinds.extend(out.violations.values().map(|v| v.kind));
    }

    fn check(&self) -> Result<()> {
        ensure!(self.periods > VEHICLES, "{} periods", self.periods);
        for kind in [Kind::Overspeed, Kind::ClosedHours] {
            ensure!(self.kinds.contains(&kind), "no {kind:?}");
        }
        Ok(())
    }
}

/// What the states take, bytes each: in a process of its own, where nothing was freed before that
/// they could be put into.
fn bytes_each() -> Result<f64> {
    let program = std::env::current_exe()?;
    let told = Command::new(program).arg("--states").output()?;
    ensure!(told.status.success(), "the states could not be measured");
    Ok(String::from_utf8(told.stdout)?.trim().parse()?)
}

/// The other side of it: judges all records and says by how much the process has grown a vehicle.
///
/// # Errors
/// The system does not say.
#[allow(clippy::print_stdout)] // read by the process that measures
pub fn tell_states() -> Result<()> {
    let registry = Registry::new(1, fleet::registers(WARM + VEHICLES));
    let (network, profiles) = (Network::build(&registry), law()?);
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let all_of = |vehicles: Range<usize>| {
        let (mut kept, mut out) = (states(vehicles.clone()), Outputs::default());
        for (state, n) in kept.iter_mut().zip(vehicles) {
            for from in (0..RECORDS_EACH).step_by(BATCH) {
                let batch = [fleet::journey(n, from, BATCH)];
                judge(std::slice::from_mut(state), &batch, &ctx, &mut out);
                out.clear();
            }
        }
        kept
    };
    // What grows once for all is there before it is looked.
    let warm = all_of(0..WARM);
    let before = anonymous()?;
    let states = all_of(WARM..WARM + VEHICLES);
    let grown = anonymous()?.saturating_sub(before);
    println!("{}", grown as f64 / states.len() as f64);
    drop((warm, states));
    Ok(())
}

/// Anonymous memory of this process, bytes.
fn anonymous() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kib = line.and_then(|l| l.split_whitespace().next());
    Ok(kib.context("RssAnon")?.parse::<u64>()? * 1024)
}
