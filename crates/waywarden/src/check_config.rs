//! `waywarden check-config`: what a configuration says, and what is wrong or doubtful in it.

use crate::config::{Config, KEYS, document, example, problems_of};
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;
use waywarden_model::Timestamp;

/// No clock that is right stands before this program was written.
const WRITTEN: &str = "2026-01-01T00:00:00Z";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; without it the defaults and the environment are checked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a file with every key and its default instead.
    #[arg(long, conflicts_with = "config")]
    defaults: bool,
    /// Print docs/configuration.md instead.
    #[arg(long, hide = true, conflicts_with_all = ["config", "defaults"])]
    document: bool,
}

/// Prints the keys that differ from their defaults; everything wrong or doubtful goes to standard
/// error. Keys name the files of secrets and are not to hold one; where the store's server has a
/// password all the same, it is not shown.
///
/// # Errors
/// [`Ending::Usage`](crate::exit::Ending::Usage) where the program would not start with it.
pub fn run(args: &Args) -> Result<()> {
    let made = match (args.defaults, args.document) {
        (true, _) => Some(example()),
        (_, true) => Some(document()),
        _ => None,
    };
    if let Some(text) = made {
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let (config, default) = (Config::read(args.config.as_deref())?, Config::default());
    let mut out = std::io::stdout().lock();
    for key in KEYS {
        let value = (key.show)(&config);
        if value != (key.show)(&default) {
            writeln!(out, "{} = {value}", key.name)?;
        }
    }
    let doubts = problems_of(&config).into_iter().filter(|p| !p.refused);
    let doubts = doubts.map(|p| p.said(&config));
    let now = crate::clock::now();
    for text in doubts.chain(disk(&config)).chain(clock(&config, now)) {
        eprintln!("waywarden: warning: {text}");
    }
    config.check()
}

/// A disk that is smaller than its reserve would never be read for.
fn disk(config: &Config) -> Option<String> {
    // A folder that is not made yet will be on the disk of the one above it.
    let folder = std::path::absolute(&config.data).ok()?;
    let folder = folder.ancestors().find(|p| p.is_dir())?;
    let free = waywarden_gateway::free_space_of(folder)().ok()?;
    let reserve = config.gateway.disk_reserve;
    (free < reserve).then(|| {
        format!(
            "`gateway.disk_reserve` is {reserve} bytes, and {free} are free at {}: no device is \
             read until there is more",
            folder.display()
        )
    })
}

/// Stamps of receipt are evidence: a clock that is plainly wrong is said before it makes any.
fn clock(config: &Config, now: Timestamp) -> Option<String> {
    let written = Timestamp::parse_rfc3339(WRITTEN).ok()?;
    if now < written {
        return Some(format!("the clock says {now}, which is past; set it first"));
    }
    let last = std::fs::read_to_string(config.data.join("last-stamp")).ok()?;
    let last = Timestamp::from_millis(last.trim().parse().ok()?);
    let tolerance = i64::try_from(config.gateway.times.clock_tolerance.as_millis()).ok()?;
    (last.since(now) > tolerance).then(|| {
        format!(
            "the clock says {now}, and data was received here at {last} already: it stands back"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_back_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data = dir.path().to_owned();
        let now = Timestamp::parse_rfc3339("2026-03-10T00:00:00Z").unwrap();
        assert_eq!(clock(&config, now), None);
        for (ahead, said) in [(-1000, false), (59_000, false), (61_000, true)] {
            let stamp = now.plus_millis(ahead).millis();
            std::fs::write(dir.path().join("last-stamp"), format!("{stamp}\n")).unwrap();
            assert_eq!(clock(&config, now).is_some(), said, "{ahead}");
        }
        let old = Timestamp::parse_rfc3339("1980-01-06T00:00:00Z").unwrap();
        assert!(clock(&config, old).unwrap().contains("1980"));
    }

    #[test]
    fn a_reserve_that_the_disk_does_not_have_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data = dir.path().join("not/made/yet");
        config.gateway.disk_reserve = 0;
        assert_eq!(disk(&config), None);
        config.gateway.disk_reserve = u64::MAX;
        assert!(disk(&config).unwrap().contains("no device is read"));
    }
}
