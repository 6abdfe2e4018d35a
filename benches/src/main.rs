//! Measures what the project claims and prints one table, each figure beside its goal and beside
//! the floor that was measured in the same run. Not a timed test: these are figures to compare
//! within one run on one machine.

mod acknowledged;
mod back;
mod children;
mod clock;
mod decode;
mod devices;
mod end_to_end;
mod evaluate;
mod fleet;
mod floor;
mod idle;
mod latency;
mod rebuild;
mod rules;
mod servers;
mod services;
mod table;

use anyhow::Result;
use clap::Parser;
use table::Row;

/// That of the program.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Debug, Parser)]
#[command(
    name = "waywarden-benches",
    about = "Prints the table of speed and size"
)]
struct Args {
    /// Only these parts.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// The parts on Kafka and TimescaleDB, which `make bench-services` starts.
    #[arg(long)]
    services: bool,
    /// Shorter rounds, and one of each.
    #[arg(long)]
    quick: bool,
    /// What the devices of a measurement are served by, in a process of its own.
    #[arg(long, value_enum, hide = true)]
    serve: Option<servers::Server>,
    /// What the states of the fleet take, in a process of its own.
    #[arg(long, hide = true)]
    states: bool,
}

/// A part of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Decode,
    Rules,
    Evaluate,
    EndToEnd,
    Acknowledged,
    Idle,
    Latency,
    Rebuild,
    ComeBack,
    KafkaIngest,
    KafkaFiling,
    KafkaLatency,
    KafkaTakeover,
    TimescaleRebuild,
}

/// What needs nothing but this machine; [`Part::ComeBack`] takes minutes, and is asked for by name.
const ALONE: [Part; 8] = [
    Part::Decode,
    Part::Rules,
    Part::Evaluate,
    Part::EndToEnd,
    Part::Acknowledged,
    Part::Idle,
    Part::Latency,
    Part::Rebuild,
];
const ON_SERVICES: [Part; 5] = [
    Part::KafkaIngest,
    Part::KafkaFiling,
    Part::KafkaLatency,
    Part::KafkaTakeover,
    Part::TimescaleRebuild,
];

impl Part {
    fn rows(self, effort: Effort) -> Result<Vec<Row>> {
        match self {
            Self::Decode => decode::rows(effort),
            Self::Rules => rules::rows(effort),
            Self::Evaluate => evaluate::rows(effort),
            Self::EndToEnd => end_to_end::rows(effort),
            Self::Acknowledged => acknowledged::rows(effort),
            Self::Idle => idle::rows(effort),
            Self::Latency => latency::rows(effort),
            Self::Rebuild => rebuild::rows(effort),
            Self::ComeBack => back::rows(effort),
            Self::KafkaIngest => services::ingest(effort),
            Self::KafkaFiling => services::filing(effort),
            Self::KafkaLatency => latency::on_services(effort),
            Self::KafkaTakeover => services::takeover(effort),
            Self::TimescaleRebuild => services::rebuild(effort),
        }
    }
}

/// How long is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Sizes and times of a round are divided by it.
    shorter: u32,
}

fn main() -> Result<()> {
    let args = Args::parse();
    // Each device takes a handle on both sides, and this process is one of them.
    servers::raise_open_files()?;
    if let Some(server) = args.serve {
        return servers::serve(server);
    }
    if args.states {
        return rules::tell_states();
    }
    let effort = match args.quick {
        true => Effort {
            rounds: 1,
            shorter: 4,
        },
        false => Effort {
            rounds: 3,
            shorter: 1,
        },
    };
    let chosen = match (args.only.as_slice(), args.services) {
        ([], false) => &ALONE[..],
        ([], true) => &ON_SERVICES[..],
        (only, _) => only,
    };
    let mut rows = Vec::new();
    for part in chosen {
        eprintln!("measuring: {part:?}");
        rows.extend(part.rows(effort)?);
    }
    table::print(&rows, effort.rounds);
    Ok(())
}
