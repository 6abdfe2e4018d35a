//! `waywarden check-config`: what a configuration says, and what is wrong or doubtful in it.

use crate::config::{Config, KEYS, document, example, problems_of};
use crate::exit::Ending;
use anyhow::Result;
use std::io::Write;
use std::path::PathBuf;

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
/// error.
///
/// # Errors
/// [`Ending::Usage`] where the program would not start with it.
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
    let mut errors = Vec::new();
    for (is_error, text) in problems_of(&config) {
        if is_error {
            errors.push(text);
        } else {
            eprintln!("waywarden: warning: {text}");
        }
    }
    if let Some(text) = disk(&config) {
        eprintln!("waywarden: warning: {text}");
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Ending::Usage(errors.join("\n")).into())
    }
}

/// A disk that is smaller than its reserve would never be read for.
fn disk(config: &Config) -> Option<String> {
    let folder = config.data.ancestors().find(|p| p.is_dir())?;
    let free = waywarden_gateway::free_space_of(folder)().ok()?;
    let reserve = config.gateway.disk_reserve;
    (free < reserve).then(|| {
        format!("`gateway.disk_reserve` is {reserve} bytes, and {free} are free: no device is read")
    })
}
