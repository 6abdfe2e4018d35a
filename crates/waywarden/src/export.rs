//! `waywarden export`: positions and violations on file, streamed to standard output.

use crate::exit::Ending;
use crate::store::{Data, block_on};
use anyhow::{Context, Result};
use std::io::{BufWriter, stdout};
use waywarden_console::export::{self, PositionRange};
use waywarden_console::view::Format;
use waywarden_model::TimeZone;
use waywarden_model::registry::{Registers, Registry};
use waywarden_store::read::ViolationFilter;
use waywarden_store::{ReadOfData, Store};

/// Bytes handed to standard output at once.
const PIECE: usize = 64 << 10;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// What is written.
    #[arg(value_enum)]
    what: What,
    /// First instant: RFC 3339, or a day (its beginning in the configured time zone).
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Behind the last instant.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Plate, id of a vehicle, or device; all when left out.
    #[arg(long, value_name = "VEHICLE")]
    vehicle: Option<String>,
    #[arg(long, value_enum)]
    format: Written,
    /// Why it is read; kept in the record of reads.
    #[arg(long, default_value = "operations")]
    purpose: String,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// By device and time.
    Positions,
    /// By start, the newest first; the period is that of the start.
    Violations,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Violations => "violations",
        }
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Written {
    /// Comma-separated with a header line.
    Csv,
    /// An object a line.
    Jsonl,
}

impl From<Written> for Format {
    fn from(written: Written) -> Self {
        match written {
            Written::Csv => Self::Csv,
            Written::Jsonl => Self::JsonLines,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let zone = TimeZone::vietnam();
    let range = PositionRange {
        from: crate::zone::instant("--from", &args.from, &zone)?,
        to: crate::zone::instant("--to", &args.to, &zone)?,
        vehicle: args.vehicle.clone(),
    };
    if range.from >= range.to {
        let why = format!("--from {} is not before --to {}", args.from, args.to);
        return Err(Ending::Usage(why).into());
    }
    let written = block_on(async {
        let store = args.data.open_existing().await?;
        store.record_read(read(args, &range)).await?;
        write(store.as_ref(), args, range).await
    })?;
    eprintln!("waywarden: {written} {}", args.what.name());
    Ok(())
}

async fn write(store: &dyn Store, args: &Args, range: PositionRange) -> Result<u64> {
    let mut out = BufWriter::with_capacity(PIECE, stdout());
    let format = args.format.into();
    let written = match args.what {
        What::Positions => {
            let registry = registry(store).await?;
            export::positions(store, &registry, &range, format, &mut out).await
        }
        What::Violations => {
            let filter = ViolationFilter {
                from: Some(range.from),
                to: Some(range.to),
                vehicle: range.vehicle,
                ..ViolationFilter::default()
            };
            export::violations(store, &filter, format, &mut out).await
        }
    };
    written.context("what was written is not complete")
}

async fn registry(store: &dyn Store) -> Result<Registry> {
    let version = store.registry_head().await?;
    let registers = match version {
        0 => Registers::default(),
        version => store.registers(version).await?,
    };
    Ok(Registry::new(version, registers))
}

/// The row for the record of reads. Whoever may read the store's file needs no token: the system's
/// user stands in its place.
fn read(args: &Args, range: &PositionRange) -> ReadOfData {
    let whose = range.vehicle.as_deref().unwrap_or("all vehicles");
    let object = format!(
        "{} of {whose} from {} to {}",
        args.what.name(),
        range.from,
        range.to
    );
    ReadOfData {
        at: crate::clock::now(),
        token: format!("command:uid={}", rustix::process::getuid().as_raw()),
        what: "export".to_owned(),
        object: object.chars().take(500).collect(),
        purpose: args.purpose.chars().take(200).collect(),
    }
}
