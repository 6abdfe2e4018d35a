//! `waywarden profiles`: the law as the program holds it, with an operator's own profiles.

use crate::config::Config;
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use waywarden_console::view::summary::BadgeThreshold;
use waywarden_model::{Speed, TimeZone, Timestamp};
use waywarden_rules::{Library, Profile, ProfileError, Profiles};

/// Largest profile that is read; those built in have some kilobytes.
const MOST_BYTES: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show this profile whole, with its clauses; without a name, list all.
    name: Option<String>,
    #[command(flatten)]
    own: Own,
}

/// Where an operator's own profiles are.
#[derive(Debug, clap::Args)]
pub struct Own {
    /// Folder of an operator's own profiles, in place of `rules.profiles`.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
    /// The configuration that names folder and regime; without it the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Own {
    /// The configuration, with the folder that was named over it.
    pub fn config(&self) -> Result<Config> {
        let mut config = Config::read(self.config.as_deref())?;
        if let Some(folder) = &self.profiles {
            config.profiles = Some(folder.clone());
        }
        Ok(config)
    }
}

pub fn run(args: &Args) -> Result<()> {
    let library = library(args.own.config()?.profiles.as_deref())?;
    let mut out = std::io::stdout().lock();
    if let Some(wanted) = &args.name {
        let entry = library.get(wanted).ok_or_else(|| ProfileError::Unknown {
            name: wanted.clone(),
            known: library.names().join(", "),
        })?;
        write!(out, "{}", entry.text)?;
        return Ok(());
    }
    for entry in library.iter() {
        let profile = &entry.profile;
        let date = |t: Timestamp, none: &str| {
            if t.millis().abs() > i64::MAX / 8 {
                none.to_owned()
            } else {
                t.to_string()
            }
        };
        let (from, until) = (profile.validity.from, profile.validity.until);
        let (name, version) = (&profile.id.name, profile.id.version);
        let file = entry.file.as_ref().map(|f| format!(", from {f}"));
        writeln!(
            out,
            "{name} version {version}: {} to {}, regime {}{}",
            date(from, "ever"),
            date(until, "now"),
            profile.regime,
            file.unwrap_or_default()
        )?;
    }
    Ok(())
}

/// The badge thresholds of the profiles that know one, as the summaries take them.
pub fn badge_thresholds(law: &Profiles) -> Vec<BadgeThreshold> {
    let of = |p: &std::sync::Arc<Profile>| {
        p.badge.map(|badge| BadgeThreshold {
            from: p.validity.from,
            until: p.validity.until,
            per_1000_km: badge.per_1000_km,
            excess_over: Speed::from_kmh(badge.excess_over_kmh),
        })
    };
    law.iter().filter_map(of).collect()
}

/// The profiles built in, and those of a folder: each file in it that ends in `.toml`.
///
/// # Errors
/// A folder or file that cannot be read, a profile that is refused (with file, key and what it
/// must be), dates of a regime that leave a gap or overlap.
pub fn library(folder: Option<&Path>) -> Result<Library> {
    let mut library = Library::built_in();
    let Some(folder) = folder else {
        return Ok(library);
    };
    let of_folder = || format!("profiles in {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(of_folder)? {
        let path = entry.with_context(of_folder)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let name = path.display().to_string();
        let size = std::fs::metadata(&path)
            .with_context(|| name.clone())?
            .len();
        anyhow::ensure!(
            size <= MOST_BYTES,
            "{name} is larger than {MOST_BYTES} bytes"
        );
        let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
        library.add(&name, &text).with_context(|| name.clone())?;
    }
    library.check().with_context(of_folder)?;
    Ok(library)
}

/// What the worker judges by: the regime of the configuration, among the profiles of its folder.
///
/// # Errors
/// What [`library`] refuses, and a name that is neither a regime nor a profile.
pub fn law(config: &Config) -> Result<Profiles> {
    let library = library(config.profiles.as_deref())?;
    Ok(library.law(&config.regime, TimeZone::vietnam())?)
}
