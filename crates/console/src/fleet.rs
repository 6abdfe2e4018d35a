//! All vehicles with their last fixes, made at most once a second however many pages ask.

use crate::error::ApiError;
use crate::state::App;
use crate::view::vehicle::{VehicleView, status};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Mutex;
use waywarden_model::registry::Registry;
use waywarden_model::{Course, DriverSaid, SourceId, Speed, Timestamp, VehicleId, Verdict};
use waywarden_store::read::Latest;

/// Sources that the list holds at most.
const MAX_SOURCES: usize = 200_000;
const FRESH_MS: i64 = 1000;

#[derive(Debug, Default)]
pub(crate) struct Fleet(Mutex<Option<(Timestamp, Arc<Vec<VehicleView>>)>>);

impl Fleet {
    /// Sorted by id.
    pub async fn list(&self, app: &App) -> Result<Arc<Vec<VehicleView>>, ApiError> {
        let now = app.now();
        let mut held = self.0.lock().await;
        if let Some((at, list)) = &*held
            && (0..FRESH_MS).contains(&now.since(*at))
        {
            return Ok(Arc::clone(list));
        }
        let registry = app.registry().await?;
        let latest = app.store.latest(MAX_SOURCES).await?;
        let silent = i64::try_from(app.config.silent_after.as_millis()).unwrap_or(i64::MAX / 4);
        let list = Arc::new(build(&registry, latest, now, silent));
        *held = Some((now, Arc::clone(&list)));
        Ok(list)
    }
}

fn build(r: &Registry, latest: Vec<Latest>, now: Timestamp, silent_ms: i64) -> Vec<VehicleView> {
    let mut sources: BTreeMap<SourceId, Latest> =
        latest.into_iter().map(|l| (l.source.clone(), l)).collect();
    let names: HashMap<&str, &str> = r
        .registers()
        .operators
        .iter()
        .filter(|o| o.validity.holds_at(now))
        .map(|o| (o.id.as_str(), o.name.as_str()))
        .collect();
    // Of a vehicle's sources the primary one, else the one that was heard last.
    let mut serving: BTreeMap<&VehicleId, (&SourceId, bool)> = BTreeMap::new();
    for f in &r.registers().fittings {
        if f.validity.holds_at(now) {
            let slot = serving.entry(&f.vehicle).or_insert((&f.source, f.primary));
            if f.primary && !slot.1 {
                *slot = (&f.source, true);
            }
        }
    }
    let fitted: Vec<SourceId> = r
        .registers()
        .fittings
        .iter()
        .filter(|f| f.validity.holds_at(now))
        .map(|f| f.source.clone())
        .collect();
    let mut out = Vec::new();
    for v in &r.registers().vehicles {
        if !v.validity.holds_at(now) {
            continue;
        }
        let source = serving.get(&v.id).map(|(s, _)| *s);
        let fix = source.and_then(|s| sources.get(s));
        let mut view = of_fix(r, fix, now, silent_ms);
        view.id = v.id.to_string();
        view.vehicle = Some(v.plate.to_string());
        view.operator = v.operator.as_ref().map(ToString::to_string);
        view.operator_name = v
            .operator
            .as_ref()
            .and_then(|o| names.get(o.as_str()))
            .map(|n| (*n).to_owned());
        view.class = v.class.map(waywarden_model::registry::Class::name);
        view.transport = v.transport.map(waywarden_model::registry::Transport::name);
        view.source = source.map(ToString::to_string);
        out.push(view);
    }
    for s in &fitted {
        sources.remove(s);
    }
    for (source, fix) in &sources {
        let mut view = of_fix(r, Some(fix), now, silent_ms);
        view.id = format!("source:{source}");
        view.source = Some(source.to_string());
        out.push(view);
    }
    out.sort_by(|a, b| a.id.cmp(&b.id));
    out
}

fn of_fix(r: &Registry, fix: Option<&Latest>, now: Timestamp, silent_ms: i64) -> VehicleView {
    let speed = fix.and_then(|f| f.speed_centi);
    let received = fix.map(|f| f.received);
    VehicleView {
        id: String::new(),
        vehicle: None,
        operator: None,
        operator_name: None,
        class: None,
        transport: None,
        source: None,
        driver_id: fix.and_then(|f| driver(r, &f.said, f.time)),
        status: status(received, speed, now, silent_ms),
        held: fix.is_some_and(|f| f.verdict == Verdict::Held),
        time: fix.map(|f| f.time),
        received,
        lat: fix.map(|f| f.lat),
        lon: fix.map(|f| f.lon),
        speed_kmh: speed.map(|s| Speed::from_centi(s).kmh()),
        course_deg: fix
            .and_then(|f| f.course_centi)
            .map(|c| Course::from_centi(c).degrees()),
        ignition: fix.and_then(|f| f.ignition),
    }
}

/// Licence number of whom a record names; a card that nobody registered stays a card.
pub(crate) fn driver(r: &Registry, said: &DriverSaid, at: Timestamp) -> Option<String> {
    match said {
        DriverSaid::NotSaid | DriverSaid::Nobody => None,
        DriverSaid::Licence(d) => Some(d.to_string()),
        DriverSaid::Card(c) => Some(
            r.driver_of_card(c, at)
                .value
                .map_or_else(|| format!("card:{c}"), ToString::to_string),
        ),
    }
}
