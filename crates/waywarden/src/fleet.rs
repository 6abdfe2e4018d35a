//! `waywarden simulate` and `waywarden replay`: devices, simulated and recorded.

use crate::store::block_on;
use anyhow::{Context, Result, bail};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_model::{Protocol, Timestamp};
use waywarden_simulator::device::Pace;
use waywarden_simulator::{FleetConfig, FleetReport, Span, Told, replay as recorded};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Vehicles of the fleet.
    #[arg(long, default_value_t = 24)]
    vehicles: u32,
    /// Where a protocol is taken, PROTOCOL=ADDRESS; the vehicles take turns over them.
    #[arg(long, value_name = "PROTOCOL=ADDRESS", required = true)]
    to: Vec<String>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First event time; the default is a day ago.
    #[arg(long, value_parser = Timestamp::parse_rfc3339)]
    from: Option<Timestamp>,
    /// End of the event times; the default is now.
    #[arg(long, value_parser = Timestamp::parse_rfc3339)]
    until: Option<Timestamp>,
    /// Seconds between the records of a vehicle.
    #[arg(long, default_value_t = 10)]
    every: i64,
    /// Event time against the clock; 0: as fast as it is acknowledged.
    #[arg(long, default_value_t = 0.0)]
    speed_up: f64,
    #[arg(long, default_value_t = 20)]
    records_per_frame: usize,
    #[arg(long, default_value_t = 8)]
    window: usize,
    /// File that takes a line for every record made and acknowledged.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

pub fn simulate(args: SimulateArgs) -> Result<()> {
    let now = crate::clock::now();
    let from = args.from.unwrap_or(now.plus_millis(-DAY_MS));
    let until = args.until.unwrap_or(now);
    let pace = if args.speed_up > 0.0 {
        Pace::Times {
            factor: args.speed_up,
            from,
        }
    } else {
        Pace::Unbounded
    };
    let listeners = args
        .to
        .iter()
        .map(|text| listener(text))
        .collect::<Result<_>>()?;
    let config = FleetConfig {
        seed: args.seed,
        records_per_frame: args.records_per_frame,
        window: args.window,
        ledger: args.ledger,
        ..fleet(
            listeners,
            args.vehicles,
            Span {
                from,
                until,
                every_ms: args.every * 1000,
            },
            pace,
        )
    };
    let report = block_on(async {
        let stop = CancellationToken::new();
        let ended = stop.clone();
        tokio::spawn(async move {
            // Without the signal the fleet just drives to its end.
            if tokio::signal::ctrl_c().await.is_ok() {
                ended.cancel();
            }
        });
        Ok(waywarden_simulator::fleet::run(config, stop).await?)
    })?;
    say(&report);
    Ok(())
}

/// A fleet that takes turns over the listeners, with the settings that commands share.
pub fn fleet(
    listeners: Vec<(Protocol, SocketAddr)>,
    vehicles: u32,
    span: Span,
    pace: Pace,
) -> FleetConfig {
    FleetConfig {
        listeners,
        first: 1,
        vehicles,
        seed: 1,
        span,
        told: Told::All,
        shifts: false,
        pace,
        records_per_frame: 20,
        window: 8,
        patience: Duration::from_secs(30),
        roads: Vec::new(),
        ledger: None,
        counts: Arc::default(),
    }
}

fn listener(text: &str) -> Result<(Protocol, SocketAddr)> {
    let parsed = text.split_once('=').and_then(|(protocol, address)| {
        Some((Protocol::from_name(protocol)?, address.parse().ok()?))
    });
    parsed.with_context(|| format!("`{text}` is not of the form teltonika=127.0.0.1:5027"))
}

fn say(report: &FleetReport) {
    eprintln!(
        "waywarden: {} vehicles, {} records made, {} acknowledged in {} frames over {} connections",
        report.vehicles,
        report.records_generated,
        report.records_acknowledged,
        report.frames_acknowledged,
        report.connections
    );
}

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// Recorded sessions (JSON Lines with frames), or hex, a frame a line.
    file: PathBuf,
    /// Address of a listener.
    #[arg(long, value_name = "ADDRESS")]
    to: SocketAddr,
    /// Milliseconds to wait for an answer to a frame.
    #[arg(long, default_value_t = 500)]
    patience_ms: u64,
}

pub fn replay(args: &ReplayArgs) -> Result<()> {
    let name = || args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(name)?;
    let sessions = recorded::sessions(&text).with_context(name)?;
    if sessions.is_empty() {
        bail!("{} holds no frame", name());
    }
    let patience = Duration::from_millis(args.patience_ms);
    let report = block_on(async { Ok(recorded::send(&sessions, args.to, patience).await?) })?;
    eprintln!(
        "waywarden: {} sessions, {} frames, {} answered, {} sessions closed by the server",
        report.sessions, report.frames, report.answered, report.closed
    );
    Ok(())
}
