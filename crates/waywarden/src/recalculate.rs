//! `waywarden recalculate`: a span of time is judged again on purpose, after a profile, a route or
//! a register changed; or is told what would change.

mod redecode;

use crate::exit::Ending;
use crate::roles::{directory, worker};
use crate::store::{Data, block_on};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use waywarden_console::export::{PositionRange, serves};
use waywarden_model::registry::Registry;
use waywarden_model::{Plate, SourceId, TimeZone};
use waywarden_store::read::{ChangeKind, PositionPage};
use waywarden_store::{DataFolder, FolderError, Foreseen, Store, Stretch};
use waywarden_worker::{Law, Preview};

/// Sources read or marked at once.
const PAGE: usize = 500;
/// Time between two looks at the marks of a running program.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: Data,
    /// First instant: RFC 3339, or a day (its beginning in the configured time zone).
    #[arg(long, value_name = "TIME")]
    from: String,
    /// Behind the last instant.
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Plate, id of a vehicle, or device; all when left out.
    #[arg(long, value_name = "VEHICLE")]
    vehicle: Option<String>,
    /// Only tell what would change, a line of JSON each; nothing is written.
    #[arg(long)]
    dry_run: bool,
    /// Decode the frames of that time again first, by the registers as they are now: for a device
    /// whose zone or dialect was registered wrong. The times are those on file, 62 days at most.
    /// Prints a line of JSON for each device.
    #[arg(long, conflicts_with = "readmit")]
    redecode: bool,
    /// Take in what was set aside because it was dated in the future when it came, where that time
    /// has come, and judge it.
    #[arg(long, conflicts_with = "dry_run")]
    readmit: bool,
    /// Wait until a program that runs on the store has judged everything that is marked.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
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
    block_on(async {
        let store = args.data.open_existing().await?;
        if args.redecode {
            let (sources, marked) = redecode(store.as_ref(), args, &range).await?;
            if sources == 0 && range.vehicle.is_some() {
                return Err(nothing_of(&range));
            }
            if args.dry_run || marked == 0 {
                return Ok(());
            }
            return judge(&store, args, marked).await;
        }
        if args.dry_run {
            return tell(store.as_ref(), args, &range).await;
        }
        let partitions = args.data.config()?.log.partitions;
        let marked = if args.readmit {
            readmit(store.as_ref(), &range, partitions).await?
        } else {
            let stretches = stretches(store.as_ref(), &range).await?;
            for some in stretches.chunks(PAGE) {
                let now = crate::clock::now();
                store.mark_sources(some.to_vec(), partitions, now).await?;
            }
            stretches.len()
        };
        judge(&store, args, marked).await
    })
}

/// Longest time whose frames are decoded again at once: what they say is kept in memory.
const LONGEST_MS: i64 = 62 * 86_400_000;

/// Decodes the frames of the range again and asks for what that changes; gives how many sources
/// have any, and of how many something changes.
async fn redecode(store: &dyn Store, args: &Args, range: &PositionRange) -> Result<(usize, usize)> {
    if range.to.since(range.from) > LONGEST_MS {
        let why = "--redecode takes 62 days at once: run it for one part after the other";
        return Err(Ending::Usage(why.to_owned()).into());
    }
    let config = args.data.config()?;
    let registry = directory::registry(store).await?;
    let profiles = crate::profiles::law(&config)?;
    let by = redecode::Deciding {
        registry: &registry,
        profiles: &profiles,
        retention_ms: worker::options(&config).bounds().retention_ms,
    };
    let upto = range.to.plus_millis(-1);
    let mut sources: BTreeSet<SourceId> = store
        .set_aside(range.from, upto)
        .await?
        .into_iter()
        .filter(|source| serves(&registry, source, range))
        .collect();
    sources.extend(with_records(store, &registry, range).await?);
    let (looked_at, mut changed, mut all) = (sources.len(), 0, (0, 0, 0, 0));
    for source in sources {
        let stretch = Stretch {
            source,
            from: range.from,
            upto,
        };
        let (redecoded, told) = redecode::of_source(store, &by, &stretch).await?;
        print_line(&told.line(&stretch.source))?;
        all.0 += told.frames;
        all.1 += told.changed;
        all.2 += told.removed;
        all.3 += told.filed;
        changed += usize::from(told.changed > 0);
        if !args.dry_run {
            let now = crate::clock::now();
            store
                .ask_redecoded(redecoded, config.log.partitions, now)
                .await?;
        }
    }
    let (frames, others, removed, filed) = all;
    let what = if args.dry_run {
        "; nothing was written"
    } else {
        ""
    };
    eprintln!(
        "waywarden: devices {looked_at}, frames {frames}, of which say something else {others}: \
         records removed {removed}, filed {filed}{what}"
    );
    Ok((looked_at, changed))
}

/// Asks for what was set aside as future in the range; gives how many sources it is of.
async fn readmit(store: &dyn Store, range: &PositionRange, partitions: u32) -> Result<usize> {
    let (registry, now) = (directory::registry(store).await?, crate::clock::now());
    let upto = range.to.plus_millis(-1).min(now);
    let aside = store.set_aside(range.from, upto).await?;
    let theirs = aside.into_iter().filter(|s| serves(&registry, s, range));
    let stretches: Vec<Stretch> = theirs
        .map(|source| Stretch {
            source,
            from: range.from,
            upto,
        })
        .collect();
    let mut records = 0;
    for some in stretches.chunks(PAGE) {
        records += store.readmit(some.to_vec(), partitions, now).await?;
    }
    eprintln!("waywarden: records taken in: {records}");
    Ok(stretches.len())
}

/// Judges what is marked, or leaves it to the program that runs.
async fn judge(store: &Arc<dyn Store>, args: &Args, marked: usize) -> Result<()> {
    let config = args.data.config()?;
    let alone = match DataFolder::open(&config.data) {
        // The folder guards one machine; a server tells of the others.
        Ok(folder) => (!store.is_worked().await?).then_some(folder),
        Err(FolderError::InUse(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(folder) = alone {
        eprintln!("waywarden: sources judged again: {marked}");
        worker::catch_up(&config, folder.path(), store).await?;
    } else {
        eprintln!("waywarden: sources marked: {marked}; the running program judges them again");
        while args.wait && left(store.as_ref()).await? > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    let status = store.status().await?;
    let (marks, hours) = (status.marks, status.dirty_subjects);
    eprintln!("waywarden: left to judge: sources {marks}, hours of drivers or vehicles {hours}");
    Ok(())
}

async fn left(store: &dyn Store) -> Result<u64> {
    let status = store.status().await?;
    Ok(status.marks + status.dirty_subjects)
}

/// The sources that have records in the range.
///
/// # Errors
/// [`Ending::Usage`] where a vehicle was named that has none: a misspelt plate must not pass for
/// one that is judged.
async fn stretches(store: &dyn Store, range: &PositionRange) -> Result<Vec<Stretch>> {
    let registry = directory::registry(store).await?;
    let found = with_records(store, &registry, range).await?;
    if found.is_empty() && range.vehicle.is_some() {
        return Err(nothing_of(range));
    }
    let stretch = |source| Stretch {
        source,
        from: range.from,
        upto: range.to.plus_millis(-1),
    };
    Ok(found.into_iter().map(stretch).collect())
}

fn nothing_of(range: &PositionRange) -> anyhow::Error {
    let whose = range.vehicle.as_ref().map(|v| format!(" of `{v}`"));
    let whose = whose.unwrap_or_default();
    Ending::Usage(format!("there is no record{whose} in that time")).into()
}

/// The sources of the range's vehicle that have records on file in it.
async fn with_records(
    store: &dyn Store,
    registry: &Registry,
    range: &PositionRange,
) -> Result<Vec<SourceId>> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.newest_records(after.as_ref(), PAGE).await?;
        let Some((last, _)) = page.last() else {
            break;
        };
        after = Some(last.clone());
        for (source, newest) in page {
            if newest < range.from || !serves(registry, &source, range) {
                continue;
            }
            let first = PositionPage {
                source,
                from: range.from,
                to: range.to,
                after: None,
                limit: 1,
            };
            if !store.positions(&first).await?.is_empty() {
                found.push(first.source);
            }
        }
    }
    Ok(found)
}

fn print_line(line: &serde_json::Value) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("what was told is not complete")
}

/// A violation that would change, as a line of JSON. Drivers are not named: who may see them reads
/// them from the API, which records it.
fn line(f: &Foreseen) -> serde_json::Value {
    let v = &f.violation;
    serde_json::json!({
        "change": f.kind, "id": f.id, "kind": v.kind, "rule": v.rule,
        "vehicle": v.plate.as_ref().map(Plate::as_str), "start": v.start, "end": v.end,
        "open": v.open, "band": v.band, "replaced_by": f.replaced_by,
    })
}

/// Tells what judging the range again would change.
async fn tell(store: &dyn Store, args: &Args, range: &PositionRange) -> Result<()> {
    let config = args.data.config()?;
    let registry = directory::registry(store).await?;
    let profiles = Arc::new(crate::profiles::law(&config)?);
    let law = Law::new(registry.version(), registry.registers().clone(), profiles);
    let bounds = worker::options(&config).bounds();
    let stretches = stretches(store, range).await?;
    let sources = stretches.len();
    let mut told = Told::default();
    let mut preview = Preview::new(store, &law, bounds, crate::clock::now());
    for stretch in stretches {
        told.tell(&preview.source(stretch).await?)?;
    }
    let mut hours = 0;
    while let Some(found) = preview.next_subject().await? {
        told.tell(&found)?;
        hours += 1;
    }
    let waiting = store.status().await?.marks;
    let changes: Vec<String> = ChangeKind::ALL
        .iter()
        .filter_map(|kind| Some((told.counts.get(kind.name())?, kind.name())))
        .map(|(n, name)| format!("{n} {name}"))
        .collect();
    let changes = match changes.as_slice() {
        [] => "nothing would change".to_owned(),
        some => format!("{} would be", some.join(", ")),
    };
    eprintln!(
        "waywarden: sources {sources}, hours of drivers or vehicles {hours}: {changes}; nothing \
         was written"
    );
    if waiting > 0 {
        eprintln!("waywarden: sources marked besides: {waiting}; what they change is not in it");
    }
    Ok(())
}

/// What was told so far, by the name of the change.
#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
}

impl Told {
    fn tell(&mut self, found: &[Foreseen]) -> Result<()> {
        for change in found {
            print_line(&line(change))?;
            *self.counts.entry(change.kind.name()).or_default() += 1;
        }
        Ok(())
    }
}
