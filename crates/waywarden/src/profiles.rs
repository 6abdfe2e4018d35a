//! `waywarden profiles`: the law as the program holds it.

use anyhow::{Result, bail};
use std::io::Write;
use waywarden_console::view::summary::BadgeThreshold;
use waywarden_model::Speed;
use waywarden_rules::{Profile, Profiles};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show this profile whole, with its clauses; without a name, list all.
    name: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(wanted) = &args.name {
        let Some((_, text)) = Profiles::built_in().find(|(name, _)| name == wanted) else {
            let names: Vec<&str> = Profiles::built_in().map(|(name, _)| name).collect();
            bail!(
                "there is no profile `{wanted}`; there are: {}",
                names.join(", ")
            );
        };
        write!(out, "{text}")?;
        return Ok(());
    }
    for profile in Profiles::vietnam().iter() {
        let date = |t: waywarden_model::Timestamp, none: &str| {
            if t.millis().abs() > i64::MAX / 8 {
                none.to_owned()
            } else {
                t.to_string()
            }
        };
        let (from, until) = (profile.validity.from, profile.validity.until);
        let (name, version) = (&profile.id.name, profile.id.version);
        writeln!(
            out,
            "{name} version {version}: {} to {}",
            date(from, "ever"),
            date(until, "now")
        )?;
    }
    Ok(())
}

/// The badge thresholds of the profiles that know one, as the summaries take them.
pub fn badge_thresholds() -> Vec<BadgeThreshold> {
    let profiles = Profiles::vietnam();
    let of = |p: &std::sync::Arc<Profile>| {
        p.badge.map(|badge| BadgeThreshold {
            from: p.validity.from,
            until: p.validity.until,
            per_1000_km: badge.per_1000_km,
            excess_over: Speed::from_kmh(badge.excess_over_kmh),
        })
    };
    profiles.iter().filter_map(of).collect()
}
