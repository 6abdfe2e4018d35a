//! `waywarden evaluate`: the rules on files, through the same code as the worker's.

use crate::profiles::{Own, library};
use anyhow::{Context as _, Result};
use std::io::{BufWriter, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use waywarden_model::registry::{ImportFile, RegisterKind, Registers, Registry};
use waywarden_model::{TimeZone, Timestamp};
use waywarden_roads::Network;
use waywarden_rules::evaluate::input::{self, Input, Part};
use waywarden_rules::evaluate::{conclude, judge, output};
use waywarden_rules::{Context, Library, Profile, Profiles};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records, JSON Lines or CSV: vehicle or device, time, lat, lon, speed_kmh; optional
    /// course_deg, ignition, driver_id, odometer_m, door. In any order; repeated lines count once.
    #[arg(long, value_name = "FILE")]
    records: PathBuf,
    /// The register of vehicles, CSV: plate; optional among others class, transport,
    /// speed_limit_kmh, break_minutes.
    #[arg(long, value_name = "FILE")]
    vehicles: Option<PathBuf>,
    /// The register of drivers, CSV.
    #[arg(long, value_name = "FILE")]
    drivers: Option<PathBuf>,
    /// The register of drivers' cards, CSV.
    #[arg(long, value_name = "FILE")]
    cards: Option<PathBuf>,
    /// Which device serves which vehicle, CSV; for records that name their device.
    #[arg(long, value_name = "FILE")]
    fittings: Option<PathBuf>,
    /// The register of routes, GeoJSON.
    #[arg(long, value_name = "FILE")]
    routes: Option<PathBuf>,
    /// The register of zones, GeoJSON.
    #[arg(long, value_name = "FILE")]
    zones: Option<PathBuf>,
    /// The register of signs, GeoJSON.
    #[arg(long, value_name = "FILE")]
    signs: Option<PathBuf>,
    /// Judge by this regime, by the dates of its profiles, or by this profile whatever the date: a
    /// name, or a file. The default is the Vietnamese law by date.
    #[arg(long, value_name = "NAME|FILE")]
    profile: Option<String>,
    #[command(flatten)]
    own: Own,
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
    let config = args.own.config()?;
    let wanted = args.profile.as_deref().unwrap_or(&config.regime);
    let profiles = law(wanted, &library(config.profiles.as_deref())?, zone.clone())?;
    let registry = Registry::new(1, registers(args, &zone)?);
    let network = Network::build(&registry);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let records = in_file(&args.records, |text| {
        let input = Input::new(text)?;
        let parts = side_by_side(input.parts(cores), |part: Part<'_>| part.read());
        Ok(input::together(parts)?)
    })?;
    let now = args
        .now
        .unwrap_or_else(|| Timestamp::from_millis(jiff::Timestamp::now().as_millisecond()));
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let mut sources: Vec<_> = records.into_iter().collect();
    let mut shares = Vec::new();
    let each = sources.len().div_ceil(cores).max(1);
    while !sources.is_empty() {
        shares.push(sources.split_off(sources.len().saturating_sub(each)));
    }
    let judged = side_by_side(shares, |share| judge(share, &ctx, now));
    let found = conclude(judged, &ctx);
    let mut out = BufWriter::new(std::io::stdout().lock());
    if args.summaries {
        for day in output::days(&found, &zone) {
            serde_json::to_writer(&mut out, &day)?;
            out.write_all(b"\n")?;
        }
    } else {
        for violation in &found.violations {
            serde_json::to_writer(&mut out, &output::Line::from(violation))?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// A thread for each of the few items; the results in their order.
fn side_by_side<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let work = &work;
        let begin = |item| scope.spawn(move || work(item));
        let threads: Vec<_> = items.into_iter().map(begin).collect();
        let end = |thread: std::thread::ScopedJoinHandle<'_, R>| {
            // A panic goes on where it would have been without threads.
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(end).collect()
    })
}

fn in_file<T>(path: &Path, read: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(name)?;
    read(&text).with_context(name)
}

/// The registers whose files were given.
fn registers(args: &Args, zone: &TimeZone) -> Result<Registers> {
    use RegisterKind::{Cards, Drivers, Fittings, Routes, Signs, Vehicles, Zones};
    let mut contents = Vec::new();
    for (kind, path) in [
        (Vehicles, &args.vehicles),
        (Drivers, &args.drivers),
        (Cards, &args.cards),
        (Fittings, &args.fittings),
        (Routes, &args.routes),
        (Zones, &args.zones),
        (Signs, &args.signs),
    ] {
        if let Some(path) = path {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).with_context(|| name.clone())?;
            contents.push((kind, name, bytes));
        }
    }
    let mut files = Vec::new();
    for (kind, name, bytes) in &contents {
        files.push(ImportFile {
            name,
            kind: Some(*kind),
            bytes,
        });
    }
    Registers::for_evaluation(&files, zone).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// A regime or a profile by its name, else an operator's own in a file.
fn law(wanted: &str, library: &Library, zone: TimeZone) -> Result<Profiles> {
    if library.names().contains(&wanted) || !Path::new(wanted).exists() {
        return Ok(library.law(wanted, zone)?);
    }
    let read = |text: &str| Ok(Profile::parse(wanted, text)?);
    Ok(Profiles::only(zone, in_file(Path::new(wanted), read)?))
}
