//! `waywarden import`: registers from files, all of them or nothing.

use crate::store::{Data, block_on};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use waywarden_model::registry::import::Reach;
use waywarden_model::registry::{Device, ImportFile, ImportSet, Registers};
use waywarden_model::{SourceId, TimeZone, Timestamp};
use waywarden_store::{RegisterChange, Store};

/// Sources read at once.
const PAGE: usize = 1000;
/// Sources that are judged again are named up to this many.
const NAMED: usize = 5;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// Zone of dates without one.
    #[arg(long, value_name = "ZONE", default_value = "Asia/Ho_Chi_Minh")]
    time_zone: String,
    /// What is kept with the new version.
    #[arg(long, default_value = "import")]
    note: String,
    /// Files named after their registers (vehicles.csv, routes.geojson, ...), or folders of them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Result<()> {
    let zone = crate::zone::by_name(&args.time_zone)?;
    block_on(async {
        let store = args.data.open().await?;
        let partitions = args.data.config()?.log.partitions;
        for line in import(store.as_ref(), &args.files, &zone, &args.note, partitions).await? {
            eprintln!("waywarden: {line}");
        }
        Ok(())
    })
}

/// Imports and says what came of it, a line each.
///
/// # Errors
/// Everything that is wrong in the files, a line each; nothing is taken then.
pub async fn import(
    store: &dyn Store,
    files: &[PathBuf],
    zone: &TimeZone,
    note: &str,
    partitions: u32,
) -> Result<Vec<String>> {
    let contents = read(files)?;
    let head = store.registry_head().await?;
    let base = match head {
        0 => Registers::default(),
        version => store.registers(version).await?,
    };
    let named: Vec<ImportFile<'_>> = contents
        .iter()
        .map(|(name, bytes)| ImportFile {
            name,
            kind: None,
            bytes,
        })
        .collect();
    let set = match ImportSet::parse(&named, zone, &base) {
        Ok(set) => set,
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            bail!("nothing was taken:\n{}", lines.join("\n"));
        }
    };
    let mut said: Vec<String> = set
        .warnings
        .iter()
        .map(|w| format!("warning: {w}"))
        .collect();
    for c in &set.changes {
        let (added, changed, removed) = (c.added, c.changed, c.removed);
        said.push(format!(
            "{:?}: {added} new, {changed} changed, {removed} gone",
            c.register
        ));
    }
    let otherwise = decoded_otherwise(&base, &set.registers);
    let change = RegisterChange {
        expected_head: head,
        registers: set.registers,
        author: "import".to_owned(),
        note: note.to_owned(),
        now: crate::clock::now(),
        partitions,
    };
    let version = store.save_registers(change).await?;
    if version == head {
        said.push(format!("registry version {version} says the same already"));
        return Ok(said);
    }
    said.push(match set.reach.earliest() {
        Some(t) if t.millis() < 0 => format!("registry version {version}; it holds for all times"),
        Some(t) => format!("registry version {version}; it reaches back to {t}"),
        None => format!("registry version {version}"),
    });
    said.extend(name(&judged_again(store, &set.reach).await?));
    said.extend(otherwise);
    Ok(said)
}

/// Devices that were registered before whose zone or dialect is another now: what they sent is on
/// file as it was decoded.
fn decoded_otherwise(before: &Registers, now: &Registers) -> Option<String> {
    let settings = |d: &Device| (d.utc_offset_s, d.dialect.clone());
    let other = |d: &&Device| {
        let mut known = before.devices.iter().filter(|b| b.id == d.id).peekable();
        known.peek().is_some() && known.all(|b| settings(b) != settings(d))
    };
    let count = now.devices.iter().filter(other).count();
    let many = match count {
        0 => return None,
        1 => "1 device is".to_owned(),
        many => format!("{many} devices are"),
    };
    Some(format!(
        "{many} decoded otherwise from now on; what is on file stands until `waywarden recalculate \
         --redecode`"
    ))
}

/// Sources that the workers mark when they come to the version, and from when on; their records
/// that are filed until then may add others.
async fn judged_again(store: &dyn Store, reach: &Reach) -> Result<Vec<(SourceId, Timestamp)>> {
    let (mut found, mut after) = (Vec::new(), None);
    if reach.earliest().is_none() {
        return Ok(found);
    }
    loop {
        let page = store.newest_records(after.as_ref(), PAGE).await?;
        for (source, newest) in &page {
            let from = reach.judged_again(source, Some(*newest));
            found.extend(from.map(|from| (source.clone(), from)));
        }
        match page.into_iter().next_back() {
            Some((last, _)) => after = Some(last),
            None => return Ok(found),
        }
    }
}

/// How many there are, and the first of them by name.
fn name(again: &[(SourceId, Timestamp)]) -> Option<String> {
    let first = again.iter().take(NAMED).map(|(source, from)| {
        if from.millis() < 0 {
            format!("{source} from its first record on")
        } else {
            format!("{source} from {from} on")
        }
    });
    let mut named: Vec<String> = first.collect();
    if again.len() > NAMED {
        named.push(format!("and {} more", again.len() - NAMED));
    }
    let many = if again.len() == 1 {
        "1 source is"
    } else {
        &format!("{} sources are", again.len())
    };
    let said = format!("{many} judged again: {}", named.join(", "));
    (!again.is_empty()).then_some(said)
}

fn read(files: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut paths = Vec::new();
    for path in files {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
            for entry in entries {
                paths.push(entry?.path());
            }
        } else {
            paths.push(path.clone());
        }
    }
    paths.sort();
    let named = |path: &Path| -> Result<(String, Vec<u8>)> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        Ok((name.into_owned(), bytes))
    };
    paths.iter().map(|p| named(p)).collect()
}
