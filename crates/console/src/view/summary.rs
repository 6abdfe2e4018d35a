//! Sums over days, with the rate of speed violations.

use super::{Seconds, csv_line, text_cell};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use waywarden_model::{Band, Distance, Kind, LocalDay, Speed, Timestamp};
use waywarden_store::{Summary, SummaryOf};

/// From how many speed violations per 1000 km in a calendar month on a vehicle's badge is revoked,
/// and when that is the law. The binary takes it from the profiles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadgeThreshold {
    pub from: Timestamp,
    pub until: Timestamp,
    pub per_1000_km: u32,
    /// An excess up to it is not counted.
    pub excess_over: Speed,
}

impl BadgeThreshold {
    /// The one in force at `t`.
    pub fn at(all: &[Self], t: Timestamp) -> Option<Self> {
        all.iter().copied().find(|b| b.from <= t && t < b.until)
    }

    /// Exact: count / km * 1000 against the threshold, in whole numbers. Without a distance there
    /// is no rate, and nobody reaches it.
    pub fn reached(self, count: u64, distance: Distance) -> bool {
        let dm = i128::from(distance.decimetres());
        dm > 0 && i128::from(count) * DM_PER_1000_KM >= i128::from(self.per_1000_km) * dm
    }
}

const DM_PER_1000_KM: i128 = 10_000_000;

/// Count per 1000 km, rounded down to 0.01, so that it never shows a threshold that is not
/// reached; None where the distance is not known.
#[allow(clippy::cast_precision_loss)] // hundredths of a rate are far below 2^53
fn per_1000_km(count: u64, distance: Distance) -> Option<f64> {
    let dm = i128::from(distance.decimetres());
    let hundredths = (dm > 0).then(|| i128::from(count) * DM_PER_1000_KM * 100 / dm)?;
    Some(hundredths as f64 / 100.0)
}

/// Overspeed of one band.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct BandView {
    #[schema(value_type = String, example = "10-20")]
    pub band: Band,
    pub count: u64,
    pub distance_km: f64,
    #[schema(value_type = f64)]
    pub duration_s: Seconds,
}

/// What the days of one vehicle, driver or operator come to.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct SummaryView {
    /// Plate on the newest of the days.
    pub vehicle: Option<String>,
    pub vehicle_id: Option<String>,
    pub driver_id: Option<String>,
    pub operator: Option<String>,
    /// Days with a row.
    pub days: u32,
    pub distance_km: f64,
    #[schema(value_type = f64)]
    pub driving_s: Seconds,
    pub stops: Option<u64>,
    pub gaps_over_60_s: Option<u64>,
    pub max_speed_kmh: Option<f64>,
    /// Overspeed in every band.
    pub bands: Vec<BandView>,
    /// Violations by kind; kinds without any are left out.
    pub violations: BTreeMap<&'static str, u64>,
    /// Speed violations that the rate counts.
    pub speed_violations: Option<u64>,
    /// Their number per 1000 km, rounded down; null where the distance or the rule is not known.
    pub per_1000_km: Option<f64>,
    /// Of a vehicle in a calendar month.
    pub reaches_badge_threshold: Option<bool>,
}

impl SummaryView {
    /// `badge`: what counts in these days; `month`: whether they are a calendar month.
    pub fn new(s: &Summary, of: SummaryOf, badge: Option<BadgeThreshold>, month: bool) -> Self {
        let is = |wanted: SummaryOf| (of == wanted).then(|| s.key.clone());
        let speeding = || s.violations.iter().filter(|v| v.kind == Kind::Overspeed);
        let band = |band: &Band| {
            let sum = speeding().find(|v| v.band == Some(*band));
            let distance = sum.map_or(Distance::ZERO, |v| v.distance);
            BandView {
                band: *band,
                count: sum.map_or(0, |v| v.count),
                distance_km: distance.km(),
                duration_s: Seconds::from_millis(sum.map_or(0, |v| v.duration_ms)),
            }
        };
        let mut violations: BTreeMap<&'static str, u64> = BTreeMap::new();
        for v in &s.violations {
            *violations.entry(v.kind.name()).or_default() += v.count;
        }
        let counted: u64 = speeding().map(|v| v.above).sum();
        let theirs = badge.filter(|_| month && of == SummaryOf::Vehicle && s.distance.km() > 0.0);
        Self {
            vehicle: s.plate.as_ref().map(ToString::to_string),
            vehicle_id: is(SummaryOf::Vehicle),
            driver_id: is(SummaryOf::Driver),
            operator: is(SummaryOf::Operator).or(s.operator.as_ref().map(ToString::to_string)),
            days: s.days,
            distance_km: s.distance.km(),
            driving_s: Seconds::from_millis(s.driving_ms),
            stops: s.stops,
            gaps_over_60_s: s.gaps_over_60_s,
            max_speed_kmh: s.max_speed.map(Speed::kmh),
            bands: Band::ALL.iter().map(band).collect(),
            violations,
            speed_violations: badge.map(|_| counted),
            per_1000_km: badge.and_then(|_| per_1000_km(counted, s.distance)),
            reaches_badge_threshold: theirs.map(|b| b.reached(counted, s.distance)),
        }
    }
}

/// Columns of a sum, in order: for every band its count, kilometres and seconds, then the counts of
/// the other kinds.
pub fn columns() -> Vec<String> {
    let names = [
        "vehicle",
        "vehicle_id",
        "driver_id",
        "operator",
        "days",
        "distance_km",
        "driving_s",
        "stops",
        "gaps_over_60_s",
        "max_speed_kmh",
    ];
    let bands = Band::ALL.iter().flat_map(|band| {
        ["count", "km", "s"].map(|figure| format!("overspeed_{}_{figure}", band.name()))
    });
    let last = ["speed_violations", "per_1000_km", "reaches_badge_threshold"];
    let owned = |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
    let mut columns = owned(&names);
    columns.extend(bands);
    columns.extend(other_kinds().map(|kind| kind.name().to_owned()));
    columns.extend(owned(&last));
    columns
}

fn other_kinds() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|k| *k != Kind::Overspeed)
}

impl SummaryView {
    /// Cells in the order of [`columns`]; what does not apply is empty.
    pub(crate) fn csv(&self) -> Vec<u8> {
        fn some<T: ToString>(value: Option<T>) -> String {
            value.map(|v| v.to_string()).unwrap_or_default()
        }
        let own = |text: &Option<String>| text.as_deref().map(text_cell).unwrap_or_default();
        let mut cells = vec![
            own(&self.vehicle),
            own(&self.vehicle_id),
            own(&self.driver_id),
            own(&self.operator),
            self.days.to_string(),
            self.distance_km.to_string(),
            self.driving_s.to_string(),
            some(self.stops),
            some(self.gaps_over_60_s),
            some(self.max_speed_kmh),
        ];
        for band in &self.bands {
            cells.push(band.count.to_string());
            cells.push(band.distance_km.to_string());
            cells.push(band.duration_s.to_string());
        }
        let count = |kind: Kind| self.violations.get(kind.name()).copied().unwrap_or(0);
        cells.extend(other_kinds().map(|kind| count(kind).to_string()));
        cells.push(some(self.speed_violations));
        cells.push(some(self.per_1000_km));
        cells.push(some(self.reaches_badge_threshold));
        csv_line(cells)
    }
}

/// Whether the days, both included, are a calendar month.
pub fn is_month(from: LocalDay, to: LocalDay) -> bool {
    let (first, last, behind) = (from.civil(), to.civil(), to.plus(1).civil());
    (first.0, first.1) == (last.0, last.1) && first.2 == 1 && behind.2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn badge() -> BadgeThreshold {
        BadgeThreshold {
            from: Timestamp::from_secs(0),
            until: Timestamp::from_secs(10),
            per_1000_km: 5,
            excess_over: Speed::from_kmh(5),
        }
    }

    #[test]
    fn the_threshold_is_reached_exactly_where_the_rate_is() {
        for (count, dm, shown, reached) in [
            (5, 10_000_000, Some(5.0), true),
            (5, 10_000_001, Some(4.99), false),
            (4, 10_000_000, Some(4.0), false),
            (1, 2_000_000, Some(5.0), true),
            (1, 2_000_001, Some(4.99), false),
            (0, 10_000_000, Some(0.0), false),
            (3, 0, None, false),
        ] {
            let distance = Distance::from_decimetres(dm);
            assert_eq!(per_1000_km(count, distance), shown, "{count} in {dm}");
            assert_eq!(badge().reached(count, distance), reached, "{count} in {dm}");
        }
    }

    #[test]
    fn a_threshold_holds_from_its_beginning_until_before_its_end() {
        let at = |s| BadgeThreshold::at(&[badge()], Timestamp::from_secs(s)).is_some();
        assert_eq!([at(-1), at(0), at(9), at(10)], [false, true, true, false]);
    }

    #[test]
    fn only_all_the_days_of_a_month_are_one() {
        let is = |from, to| is_month(LocalDay::parse(from).unwrap(), LocalDay::parse(to).unwrap());
        assert!(is("2026-02-01", "2026-02-28") && is("2025-12-01", "2025-12-31"));
        assert!(!is("2026-02-01", "2026-02-27") && !is("2026-02-02", "2026-02-28"));
        assert!(!is("2026-02-01", "2026-03-31"));
    }
}
