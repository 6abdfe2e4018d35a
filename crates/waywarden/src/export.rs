//! `waywarden export`: positions, violations and reports over days, streamed to standard output.

use crate::exit::Ending;
use crate::store::{Data, block_on};
use anyhow::{Context, Result};
use std::io::{BufWriter, stdout};
use waywarden_console::export::{self, PositionRange};
use waywarden_console::transmission::Narrowed;
use waywarden_console::view::Format;
use waywarden_console::view::summary::BadgeThreshold;
use waywarden_model::registry::{Registers, Registry};
use waywarden_model::{LocalDay, Speed, TimeZone};
use waywarden_store::read::ViolationFilter;
use waywarden_store::{ReadOfData, Store, SummaryFilter, SummaryOf};

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
    /// Whose sums: `vehicle`, `driver` or `operator`.
    #[arg(long, value_name = "WHOSE", default_value = "vehicle", value_parser = whose)]
    by: SummaryOf,
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
    /// Sums over the days of the period, of what `--by` names.
    Summaries,
    /// Days of the period on which a vehicle sent no valid data, or two sources of it sent at once.
    Transmission,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Positions => "positions",
            Self::Violations => "violations",
            Self::Summaries => "summaries",
            Self::Transmission => "transmission",
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
        What::Summaries => {
            let (filter, badge) = sums(args, &range)?;
            export::summaries(store, &filter, badge, format, &mut out).await
        }
        What::Transmission => {
            let (registry, zone) = (registry(store).await?, TimeZone::vietnam());
            let narrowed = Narrowed {
                vehicle: range.vehicle.clone(),
                ..Narrowed::default()
            };
            let asked = (&narrowed, crate::clock::now());
            let days = (&zone, days(&range, &zone));
            export::transmission(store, &registry, days, asked, format, &mut out).await
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

fn whose(text: &str) -> Result<SummaryOf, String> {
    SummaryOf::from_name(text).ok_or_else(|| "vehicle, driver or operator".to_owned())
}

/// The days that the range touches; `--vehicle` narrows sums by vehicle alone.
///
/// # Errors
/// [`Ending::Usage`] where it would narrow nothing.
fn sums(args: &Args, range: &PositionRange) -> Result<(SummaryFilter, Option<BadgeThreshold>)> {
    if args.vehicle.is_some() && args.by != SummaryOf::Vehicle {
        let why = format!("--vehicle does not narrow sums by {}", args.by.name());
        return Err(Ending::Usage(why).into());
    }
    let zone = TimeZone::vietnam();
    let law = crate::profiles::law(&args.data.config()?)?;
    let badge = BadgeThreshold::at(&crate::profiles::badge_thresholds(&law), range.from);
    let filter = SummaryFilter {
        of: args.by,
        from: days(range, &zone).0,
        to: days(range, &zone).1,
        only: range.vehicle.clone(),
        operator: None,
        excess_over: badge.map_or(Speed::ZERO, |b| b.excess_over),
    };
    Ok((filter, badge))
}

/// The first and the last local day that the range touches.
fn days(range: &PositionRange, zone: &TimeZone) -> (LocalDay, LocalDay) {
    let last = range.to.plus_millis(-1);
    (zone.day_of(range.from), zone.day_of(last))
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
