//! `waywarden evaluate`: the rules on files, through the same code as the worker's.

use anyhow::{Context as _, Result};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use waywarden_model::registry::{Registers, Registry};
use waywarden_model::{TimeZone, Timestamp};
use waywarden_roads::Network;
use waywarden_rules::evaluate::{evaluate, input, output::Line};
use waywarden_rules::{Context, Profile, Profiles};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records, JSON Lines or CSV: vehicle or device, time, lat, lon, speed_kmh; optional
    /// course_deg, ignition, driver_id, odometer_m, door. In any order; repeated lines count once.
    #[arg(long, value_name = "FILE")]
    records: PathBuf,
    /// Vehicles, CSV: plate; optional class, transport, speed_limit_kmh, break_minutes.
    #[arg(long, value_name = "FILE")]
    vehicles: Option<PathBuf>,
    /// Judge by this profile whatever the date: a built-in name, or a file.
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    /// Records dated later are left out; the default is the clock.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_rfc3339)]
    now: Option<Timestamp>,
    /// Zone of the local days and weeks.
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    time_zone: String,
    /// Print the day summaries instead of the violations.
    #[arg(long)]
    summaries: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let zone = crate::zone::by_name(&args.time_zone)?;
    let profiles = profiles(args.profile.as_deref(), zone)?;
    let registers = match &args.vehicles {
        Some(path) => in_file(path, |text| Ok(input::vehicles(text)?))?,
        None => Registers::default(),
    };
    let registry = Registry::new(1, registers);
    let network = Network::build(&registry);
    let records = in_file(&args.records, |text| Ok(input::records(text)?))?;
    let now = args
        .now
        .unwrap_or_else(|| Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()));
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let found = evaluate(records, &ctx, now);
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.summaries {
        for row in &found.day_rows {
            serde_json::to_writer(&mut out, row)?;
            out.write_all(b"\n")?;
        }
    } else {
        for violation in &found.violations {
            serde_json::to_writer(&mut out, &Line::from(violation))?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn in_file<T>(path: &Path, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    read(&text).with_context(name)
}

/// By date, or one profile alone: a built-in one by its name, else a file.
fn profiles(wanted: Option<&str>, zone: TimeZone) -> Result<Profiles> {
    let Some(wanted) = wanted else {
        let law = Profiles::vietnam();
        return Ok(Profiles::new(
            zone,
            law.iter().map(|p| (**p).clone()).collect(),
        )?);
    };
    let text = match Profiles::built_in().find(|(name, _)| *name == wanted) {
        Some((_, text)) => text.to_owned(),
        None => std::fs::read_to_string(wanted).with_context(|| format!("profile {wanted}"))?,
    };
    Ok(Profiles::only(zone, Profile::parse(wanted, &text)?))
}
