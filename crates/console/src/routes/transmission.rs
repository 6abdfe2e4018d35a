//! Vehicles whose transmission was improper, by day.

use super::params::{Page, Params, bad, day, limit, named};
use crate::cursor::{pack, unpack};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::transmission::{Finding, Improper, Narrowed, of_day};
use crate::view::transmission::TransmissionView;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use waywarden_model::{LocalDay, TimeZone};

/// Days looked at in one request at most; each is read whole.
const MAX_DAYS: i32 = 31;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TransmissionQuery {
    /// First local day, YYYY-MM-DD.
    from: String,
    /// Last local day; at most 31 days are looked at.
    to: String,
    /// Plate or vehicle id.
    vehicle: Option<String>,
    /// Tax code.
    operator: Option<String>,
    /// `no_records`, `only_invalid` or `two_sources`.
    finding: Option<String>,
    /// 1 to 1000; 100 when left out.
    limit: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A row's place: its day, vehicle and finding.
type Place = (LocalDay, String, usize);

fn place(i: &Improper) -> Place {
    let finding = Finding::ALL.iter().position(|f| *f == i.finding);
    (i.day, i.vehicle.to_string(), finding.unwrap_or(0))
}

fn after(cursor: &str) -> Option<Place> {
    let [day, vehicle, finding] = unpack::<3>(cursor)?;
    Some((LocalDay(day.parse().ok()?), vehicle, finding.parse().ok()?))
}

/// Vehicles without valid data on a day, and with two sources at once, by day and vehicle.
#[utoipa::path(get, path = "/api/v1/transmission", tag = "days", params(TransmissionQuery),
    responses((status = 200, body = Page<TransmissionView>), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(q): Params<TransmissionQuery>,
) -> Result<Json<Page<TransmissionView>>, ApiError> {
    let (from, to) = (day("from", &q.from)?, day("to", &q.to)?);
    if from > to || to.0 - from.0 >= MAX_DAYS {
        return Err(bad(
            "to",
            &format!("must be 0 to {} days behind `from`", MAX_DAYS - 1),
        ));
    }
    let limit = limit(q.limit.as_deref())?;
    let behind = match q.cursor.as_deref() {
        None => None,
        Some(c) => Some(after(c).ok_or_else(|| bad("cursor", "is not one of ours"))?),
    };
    let narrowed = Narrowed {
        finding: named("finding", q.finding.as_deref(), Finding::from_name)?,
        vehicle: q.vehicle,
        operator: q.operator.as_deref().map(Into::into),
    };
    let (registry, zone) = (app.registry().await?, TimeZone::vietnam());
    let first = behind.as_ref().map_or(from, |(day, ..)| from.max(*day));
    let mut rows: Vec<Improper> = Vec::new();
    for day in (first.0..=to.0).map(LocalDay) {
        let found = of_day(
            app.store.as_ref(),
            registry.registers(),
            (&zone, day),
            app.now(),
            &narrowed,
        );
        let new = |i: &Improper| behind.as_ref().is_none_or(|b| place(i) > *b);
        rows.extend(found.await?.into_iter().filter(new));
        if rows.len() > limit {
            break;
        }
    }
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| {
        let (day, vehicle, finding) = place(last);
        pack(&[&day.0.to_string(), &vehicle, &finding.to_string()])
    });
    let items = rows.iter().map(TransmissionView::from).collect();
    Ok(Json(Page { items, next }))
}
