//! Positions for the pages that are open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use waywarden_console::LivePosition;
use waywarden_model::registry::{Registry, RegistryDirectory};
use waywarden_model::{Record, SourceId, Timestamp};
use waywarden_store::Store;
use waywarden_store::read::Latest;

/// Positions that a slow page may lag behind.
pub const CAPACITY: usize = 4096;
/// Between two looks at the store where the worker is another process.
const LOOK: Duration = Duration::from_secs(2);
/// Sources looked at.
const SOURCES: usize = 200_000;

/// A record as a page shows it; None for one that tells no place.
pub fn live(source: &SourceId, record: &Record, registry: &Registry) -> Option<LivePosition> {
    let position = record.position?;
    let fitted = registry.assignment(source, record.time).value;
    Some(LivePosition {
        source: source.to_string(),
        plate: fitted.map(|v| v.plate.to_string()),
        time: record.time,
        lat: position.lat(),
        lon: position.lon(),
        speed: record.speed.map(waywarden_model::Speed::kmh),
        course: record.course.map(waywarden_model::Course::degrees),
        driver: None,
    })
}

fn as_filed(newest: &Latest, registry: &Registry) -> LivePosition {
    let fitted = registry.assignment(&newest.source, newest.time).value;
    LivePosition {
        source: newest.source.to_string(),
        plate: fitted.map(|v| v.plate.to_string()),
        time: newest.time,
        lat: newest.lat,
        lon: newest.lon,
        speed: newest.speed_centi.map(|v| f64::from(v) / 100.0),
        course: newest.course_centi.map(|v| f64::from(v) / 100.0),
        driver: None,
    }
}

/// Tells the worker's newest records to the pages that are open.
pub fn tell_filed(
    positions: broadcast::Sender<LivePosition>,
    directory: Arc<RegistryDirectory>,
) -> waywarden_worker::Filed {
    Arc::new(move |source, record| {
        // Nobody watches: nobody is told.
        if positions.receiver_count() > 0
            && let Some(position) = live(source, record, &directory.registry())
        {
            // The last watcher may have gone in between.
            let _ = positions.send(position);
        }
    })
}

/// Reads what is new from the store while a page is open, until `stop`.
pub async fn follow_store(
    store: Arc<dyn Store>,
    directory: Arc<RegistryDirectory>,
    positions: broadcast::Sender<LivePosition>,
    stop: CancellationToken,
) {
    let mut known: HashMap<SourceId, Timestamp> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if positions.receiver_count() == 0 {
            // Whoever opens a page next is given the whole list first.
            known.clear();
            continue;
        }
        let Ok(latest) = store.latest(SOURCES).await else {
            continue; // readiness tells that the store is away
        };
        let (registry, first) = (directory.registry(), known.is_empty());
        for newest in latest {
            let before = known.insert(newest.source.clone(), newest.time);
            if !first && before.is_none_or(|t| t < newest.time) {
                let _ = positions.send(as_filed(&newest, &registry));
            }
        }
    }
}
