//! Sums over days, of vehicles, drivers and operators.

use super::params::{Params, bad, day, flag, limit, named, purpose};
use crate::auth::Identity;
use crate::cursor::{pack, unpack};
use crate::error::{ApiError, Problem};
use crate::state::App;
use crate::view::summary::{BadgeThreshold, SummaryView};
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use waywarden_model::{LocalDay, Speed, TimeZone};
use waywarden_store::{Summary, SummaryFilter, SummaryOf};

/// Sums read at once where most may be left out.
const PAGE: usize = 1000;
/// Days summed at most.
const MAX_DAYS: i32 = 366;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// `vehicle`, `driver` or `operator`.
    by: String,
    /// A calendar month, YYYY-MM; in place of `from` and `to`.
    month: Option<String>,
    /// First local day, YYYY-MM-DD.
    from: Option<String>,
    /// Last local day; at most 366 days are summed.
    to: Option<String>,
    /// Plate or vehicle id, by vehicle.
    vehicle: Option<String>,
    /// Licence number, by driver.
    driver: Option<String>,
    /// Tax code, by vehicle or operator.
    operator: Option<String>,
    /// `true`: only the vehicles that reach the badge threshold in the month.
    reaches_badge_threshold: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
    /// Why drivers are read; recorded. `operations` when left out.
    purpose: Option<String>,
}

/// Sums of days; of one page.
#[derive(Serialize, ToSchema, Debug)]
pub(super) struct SummaryPage {
    by: &'static str,
    /// First local day.
    from: String,
    /// Last local day.
    to: String,
    /// What the rate counts in these days, and from which on a vehicle's badge is revoked; null
    /// where no such rule is known.
    badge: Option<BadgeView>,
    items: Vec<SummaryView>,
    /// Give it as `cursor` to read on; null at the end.
    next: Option<String>,
}

#[derive(Serialize, ToSchema, Debug)]
struct BadgeView {
    per_1000_km: u32,
    /// An excess up to it is not counted.
    excess_over_kmh: f64,
}

/// What is asked, read and checked.
struct Asked {
    filter: SummaryFilter,
    badge: Option<BadgeThreshold>,
    month: bool,
    reached: bool,
    limit: usize,
    after: Option<String>,
}

/// Sums over a month or over days, by key; of drivers the reading is recorded.
#[utoipa::path(get, path = "/api/v1/summaries", tag = "days", params(SummaryQuery),
    responses((status = 200, body = SummaryPage), (status = 400, body = Problem), (status = 401, body = Problem)))]
pub(super) async fn summaries(
    State(app): State<Arc<App>>,
    Extension(me): Extension<Identity>,
    Params(q): Params<SummaryQuery>,
    headers: HeaderMap,
) -> Result<Json<SummaryPage>, ApiError> {
    let asked = read(&q, &app.badge)?;
    if asked.filter.of == SummaryOf::Driver {
        let object = q.driver.as_deref().unwrap_or("all");
        let why = purpose(&headers, q.purpose.as_deref());
        app.record(&me.name, "driver", object, &why).await?;
    }
    let (found, next) = find(&app, &asked).await?;
    Ok(Json(SummaryPage {
        by: asked.filter.of.name(),
        from: asked.filter.from.to_string(),
        to: asked.filter.to.to_string(),
        badge: asked.badge.map(|b| BadgeView {
            per_1000_km: b.per_1000_km,
            excess_over_kmh: b.excess_over.kmh(),
        }),
        items: found.iter().map(|s| view(s, &asked)).collect(),
        next: next.map(|key| pack(&[&key])),
    }))
}

fn view(s: &Summary, asked: &Asked) -> SummaryView {
    SummaryView::new(s, asked.filter.of, asked.badge, asked.month)
}

/// One page, and the key behind which the next begins.
async fn find(app: &App, asked: &Asked) -> Result<(Vec<Summary>, Option<String>), ApiError> {
    let at_once = if asked.reached { PAGE } else { asked.limit + 1 };
    let (mut found, mut after) = (Vec::new(), asked.after.clone());
    loop {
        let page = app
            .store
            .summaries(&asked.filter, after.as_deref(), at_once)
            .await?;
        let end = page.len() < at_once;
        after = page.last().map(|s| s.key.clone());
        found
            .extend(page.into_iter().filter(|s| {
                !asked.reached || view(s, asked).reaches_badge_threshold == Some(true)
            }));
        if end || found.len() > asked.limit {
            break;
        }
    }
    let more = found.len() > asked.limit;
    found.truncate(asked.limit);
    let next = found.last().filter(|_| more).map(|s| s.key.clone());
    Ok((found, next))
}

fn read(q: &SummaryQuery, badges: &[BadgeThreshold]) -> Result<Asked, ApiError> {
    let of = named("by", Some(&q.by), SummaryOf::from_name)?
        .ok_or_else(|| bad("by", "must be vehicle, driver or operator"))?;
    let (from, to) = span(q)?;
    let badge = BadgeThreshold::at(badges, TimeZone::vietnam().start_of(from));
    let month = q.month.is_some();
    let reached = flag(
        "reaches_badge_threshold",
        q.reaches_badge_threshold.as_deref(),
    )?
    .unwrap_or(false);
    if reached && (!month || of != SummaryOf::Vehicle) {
        let what = "is of vehicles in a `month`";
        return Err(bad("reaches_badge_threshold", what));
    }
    let only = match of {
        SummaryOf::Vehicle => &q.vehicle,
        SummaryOf::Driver => &q.driver,
        SummaryOf::Operator => &q.operator,
    };
    let belongs = |name, given: bool, to: &[SummaryOf]| match given && !to.contains(&of) {
        true => Err(bad(name, &format!("does not narrow sums by {}", of.name()))),
        false => Ok(()),
    };
    use SummaryOf::{Driver, Operator, Vehicle};
    belongs("vehicle", q.vehicle.is_some(), &[Vehicle])?;
    belongs("driver", q.driver.is_some(), &[Driver])?;
    belongs("operator", q.operator.is_some(), &[Vehicle, Operator])?;
    Ok(Asked {
        filter: SummaryFilter {
            of,
            from,
            to,
            only: only.clone(),
            operator: q.operator.as_deref().map(Into::into),
            excess_over: badge.map_or(Speed::ZERO, |b| b.excess_over),
        },
        badge,
        month,
        reached,
        limit: limit(q.limit.as_deref())?,
        after: cursor(q.cursor.as_deref())?,
    })
}

/// First and last day.
fn span(q: &SummaryQuery) -> Result<(LocalDay, LocalDay), ApiError> {
    match (&q.month, &q.from, &q.to) {
        (Some(month), None, None) => {
            month_of(month).ok_or_else(|| bad("month", "must be a month as YYYY-MM"))
        }
        (None, Some(from), Some(to)) => {
            let (from, to) = (day("from", from)?, day("to", to)?);
            if to < from {
                return Err(bad("to", "lies before `from`"));
            }
            if to.0 - from.0 >= MAX_DAYS {
                let what = format!("is more than {MAX_DAYS} days from `from` on");
                return Err(bad("to", &what));
            }
            Ok((from, to))
        }
        _ => Err(bad("month", "must be given, or both `from` and `to`")),
    }
}

fn month_of(text: &str) -> Option<(LocalDay, LocalDay)> {
    let first = LocalDay::parse(&format!("{text}-01")).ok()?;
    // 31 days behind its first day a month has ended, and the next one has not.
    let (.., over) = first.plus(31).civil();
    let days = 31 - i32::try_from(over).ok()? + 1;
    Some((first, first.plus(days - 1)))
}

fn cursor(text: Option<&str>) -> Result<Option<String>, ApiError> {
    text.map(|t| {
        let [key] = unpack::<1>(t).ok_or_else(|| bad("cursor", "is not one of ours"))?;
        Ok(key)
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_its_own_days() {
        let of = |text| month_of(text).map(|(a, b)| (a.to_string(), b.to_string()));
        for (month, last) in [
            ("2026-01", "2026-01-31"),
            ("2026-02", "2026-02-28"),
            ("2028-02", "2028-02-29"),
            ("2026-04", "2026-04-30"),
            ("2026-12", "2026-12-31"),
        ] {
            assert_eq!(of(month), Some((format!("{month}-01"), last.to_owned())));
        }
        for wrong in ["2026", "2026-13", "2026-3", "2026-03-01", "03-2026", ""] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
