//! `waywarden decode`: frames in hex from standard input, what they say as JSON.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, Write};
use waywarden_model::{DeviceDirectory, DeviceProfile, Protocol, SourceId, Standing, Timestamp};
use waywarden_wire::{Env, Progress, Session, Settings, Transport};

/// Reads frames, one a line; an empty line begins a new session. Prints one line of JSON for each
/// line read: `device_ids`, `records`, `replies_hex`, and `error` where there was one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Protocol of the frames; `auto`: recognised by the first bytes of each session.
    protocol: String,
    /// Take frames whose checksum is wrong.
    #[arg(long)]
    lenient_checksums: bool,
    /// Time of receipt of all frames; the default is the clock.
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_rfc3339)]
    now: Option<Timestamp>,
    /// Each line is a datagram.
    #[arg(long)]
    udp: bool,
}

/// Everybody is known by the first name that the frame gives.
struct Everybody;

impl DeviceDirectory for Everybody {
    fn look_up(&self, candidates: &[String]) -> DeviceProfile {
        DeviceProfile {
            source: SourceId::from(candidates.first().map_or("", String::as_str)),
            standing: Standing::Known,
            utc_offset_s: None,
            dialect: None,
        }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let settings = Settings {
        lenient_checksums: args.lenient_checksums,
        ..Settings::default()
    };
    let transport = if args.udp {
        Transport::Udp
    } else {
        Transport::Tcp
    };
    let open = || session(&args.protocol, transport);
    let (mut session, mut input) = (open()?, Vec::new());
    let mut out = std::io::stdout().lock();
    for (n, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line?;
        let text = line.trim();
        if text.is_empty() || args.udp {
            (session, input) = (open()?, Vec::new());
        }
        if text.is_empty() {
            continue;
        }
        input.extend(hex::decode(text).with_context(|| format!("line {}", n + 1))?);

        let now = args.now.unwrap_or_else(crate::clock::now);
        let env = Env {
            now,
            directory: &Everybody,
            settings: &settings,
        };
        let mut events = Vec::new();
        let progress = session.receive(&input, &env, &mut events);
        let (Progress::NeedMore { consumed } | Progress::Close { consumed, .. }) = progress;
        input.drain(..consumed.min(input.len()));
        serde_json::to_writer(&mut out, &waywarden_wire::json::line(&events, &progress))?;
        out.write_all(b"\n")?;
        if matches!(progress, Progress::Close { .. }) {
            (session, input) = (open()?, Vec::new());
        }
    }
    Ok(())
}

fn session(name: &str, transport: Transport) -> Result<Box<dyn Session>> {
    if name == "auto" {
        return Ok(Box::new(waywarden_wire::auto::Auto::new(transport)));
    }
    let by_transport = |p: &Protocol| waywarden_wire::session(*p, transport);
    let Some(session) = Protocol::from_name(name).and_then(|p| by_transport(&p)) else {
        let spoken = Protocol::ALL.iter().filter(|p| by_transport(p).is_some());
        let names: Vec<&str> = spoken.map(|p| p.name()).collect();
        bail!(
            "`{name}` is not decoded over this transport; what is: {}",
            names.join(", ")
        );
    };
    Ok(session)
}
