//! Vehicles without valid data on a day, and vehicles with two sources at once (TT 71/2024 Annex
//! IV): the registers held against the days' rows. Nothing of it is kept, so nothing of it is
//! recalculated: what late data or an import changes, the next reading has.

use std::collections::BTreeMap;
use waywarden_model::registry::{Fitting, Registers, Validity, Vehicle};
use waywarden_model::{LocalDay, OperatorId, Plate, SourceId, TimeZone, Timestamp, VehicleId};
use waywarden_store::read::DayFilter;
use waywarden_store::{ReadStore, StoreError};

/// What is sent again after an outage comes within 5 days (TT 71/2024 art. 6.2).
const SENT_AGAIN_MS: i64 = 5 * 86_400_000;
/// Rows read at once.
const PAGE: usize = 5000;

/// What was improper about a vehicle's transmission on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Not one record, and the day is over.
    NoRecords,
    /// Records, but no valid one, and the day is over.
    OnlyInvalid,
    /// Two sources that were fitted at the same time both sent valid records.
    TwoSources,
}

impl Finding {
    pub const ALL: [Self; 3] = [Self::NoRecords, Self::OnlyInvalid, Self::TwoSources];

    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRecords => "no_records",
            Self::OnlyInvalid => "only_invalid",
            Self::TwoSources => "two_sources",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }
}

/// One finding, with the sources that it rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct Improper {
    pub day: LocalDay,
    pub vehicle: VehicleId,
    pub plate: Plate,
    pub operator: Option<OperatorId>,
    pub finding: Finding,
    /// Each with its records and the valid ones among them.
    pub sources: Vec<(SourceId, Counts)>,
    /// Late data of the day is not expected any more.
    pub settled: bool,
}

/// Records of a source on a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub records: u32,
    pub valid: u32,
}

/// Which vehicles; fields left out do not narrow.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Narrowed {
    /// Plate (normalised) or vehicle id.
    pub vehicle: Option<String>,
    pub operator: Option<OperatorId>,
    pub finding: Option<Finding>,
}

impl Narrowed {
    fn takes(&self, i: &Improper) -> bool {
        let named = |text: &String| i.vehicle.as_str() == text || i.plate == Plate::new(text);
        self.vehicle.as_ref().is_none_or(named)
            && self.finding.is_none_or(|f| f == i.finding)
            && (self.operator.is_none() || self.operator == i.operator)
    }
}

/// All findings of a day, by vehicle; those of one vehicle in the order of [`Finding::ALL`].
///
/// # Errors
/// What the store said.
pub async fn of_day(
    store: &dyn ReadStore,
    registers: &Registers,
    (zone, day): (&TimeZone, LocalDay),
    now: Timestamp,
    narrowed: &Narrowed,
) -> Result<Vec<Improper>, StoreError> {
    let on_file = rows(store, day).await?;
    let mut found = judge(registers, (zone, day), now, &on_file);
    found.retain(|i| narrowed.takes(i));
    Ok(found)
}

/// Of all sources: a row names the vehicle that its source served first that day, and might be
/// missed by another one's name.
async fn rows(
    store: &dyn ReadStore,
    day: LocalDay,
) -> Result<BTreeMap<SourceId, Counts>, StoreError> {
    let filter = DayFilter {
        from: day,
        to: day,
        vehicle: None,
        operator: None,
        driver: None,
    };
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.day_rows(&filter, after, PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map(|d| (d.row.day, d.row.source.clone()));
        all.extend(page.into_iter().map(|d| {
            let counts = Counts {
                records: d.row.records,
                valid: d.row.valid,
            };
            (d.row.source, counts)
        }));
        if !full {
            return Ok(all);
        }
    }
}

/// A vehicle as the registers have it on a day.
struct Registered<'a> {
    first: &'a Vehicle,
    /// From the day's beginning to its end.
    all_day: bool,
    fittings: Vec<&'a Fitting>,
}

fn judge(
    registers: &Registers,
    (zone, day): (&TimeZone, LocalDay),
    now: Timestamp,
    on_file: &BTreeMap<SourceId, Counts>,
) -> Vec<Improper> {
    let span = Validity {
        from: zone.start_of(day),
        until: zone.start_of(day.plus(1)),
    };
    let counts = |f: &Fitting| on_file.get(&f.source).copied().unwrap_or_default();
    let mut found = Vec::new();
    for (vehicle, registered) in registered(registers, span) {
        let improper = |finding, mut of: Vec<&Fitting>| {
            of.sort_by(|a, b| a.source.cmp(&b.source));
            of.dedup_by(|a, b| a.source == b.source);
            Improper {
                day,
                vehicle: vehicle.clone(),
                plate: registered.first.plate.clone(),
                operator: registered.first.operator.clone(),
                finding,
                sources: of.iter().map(|f| (f.source.clone(), counts(f))).collect(),
                settled: now.since(span.until) >= SENT_AGAIN_MS,
            }
        };
        let fittings = &registered.fittings;
        let over = span.until <= now && registered.all_day;
        if over && fittings.iter().all(|f| counts(f).valid == 0) {
            let none = fittings.iter().all(|f| counts(f).records == 0);
            let finding = if none {
                Finding::NoRecords
            } else {
                Finding::OnlyInvalid
            };
            found.push(improper(finding, fittings.clone()));
        }
        let at_once = at_once(fittings, span, |f| counts(f).valid > 0);
        if !at_once.is_empty() {
            found.push(improper(Finding::TwoSources, at_once));
        }
    }
    found
}

fn registered(registers: &Registers, span: Validity) -> BTreeMap<&VehicleId, Registered<'_>> {
    let mut all: BTreeMap<&VehicleId, Registered<'_>> = BTreeMap::new();
    let mut ends: BTreeMap<&VehicleId, (bool, bool)> = BTreeMap::new();
    let mut vehicles: Vec<&Vehicle> = registers.vehicles.iter().collect();
    vehicles.sort_by_key(|v| v.validity.from);
    for v in vehicles.into_iter().filter(|v| v.validity.overlaps(&span)) {
        let (begin, end) = ends.entry(&v.id).or_default();
        *begin |= v.validity.holds_at(span.from);
        *end |= v.validity.holds_at(span.until.plus_millis(-1));
        let both = *begin && *end;
        let new = Registered {
            first: v,
            all_day: false,
            fittings: Vec::new(),
        };
        all.entry(&v.id).or_insert(new).all_day = both;
    }
    let here = |f: &&Fitting| f.validity.overlaps(&span);
    for fitting in registers.fittings.iter().filter(here) {
        if let Some(registered) = all.get_mut(&fitting.vehicle) {
            registered.fittings.push(fitting);
        }
    }
    all
}

/// Fittings of several sources that held at one time of the day, and whose sources sent. A device
/// that was changed on the day sent before or after the other one.
fn at_once<'a>(
    fittings: &[&'a Fitting],
    span: Validity,
    sent: impl Fn(&Fitting) -> bool,
) -> Vec<&'a Fitting> {
    let cut = |f: &Fitting| Validity {
        from: f.validity.from.max(span.from),
        until: f.validity.until.min(span.until),
    };
    let beside = |a: &&&Fitting| {
        let other = |b: &&Fitting| a.source != b.source && cut(a).overlaps(&cut(b)) && sent(b);
        sent(a) && fittings.iter().any(other)
    };
    fittings.iter().filter(beside).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::registry::Permit;

    const HOUR: i64 = 3_600_000;

    fn zone() -> TimeZone {
        TimeZone::vietnam()
    }

    fn today() -> LocalDay {
        LocalDay::parse("2026-03-10").unwrap()
    }

    /// Hours of the day.
    fn at(hour: i64) -> Timestamp {
        zone().start_of(today()).plus_millis(hour * HOUR)
    }

    fn between(from: i64, until: i64) -> Validity {
        Validity {
            from: at(from),
            until: at(until),
        }
    }

    fn vehicle(plate: &str, validity: Validity) -> Vehicle {
        Vehicle {
            id: "V1".into(),
            plate: Plate::new(plate),
            class: None,
            transport: None,
            operator: Some("5700000001".into()),
            route: None,
            speed_limit: None,
            break_ms: None,
            inspection: Permit::default(),
            badge: Permit::default(),
            validity,
        }
    }

    fn fitting(source: &str, primary: bool, validity: Validity) -> Fitting {
        Fitting {
            source: source.into(),
            vehicle: "V1".into(),
            primary,
            validity,
        }
    }

    /// Findings on the day after it is over, with rows (source, records, valid).
    fn found(
        vehicles: Vec<Vehicle>,
        fittings: Vec<Fitting>,
        rows: &[(&str, u32, u32)],
        now: i64,
    ) -> Vec<(&'static str, Vec<String>, bool)> {
        let registers = Registers {
            vehicles,
            fittings,
            ..Registers::default()
        };
        let row = |(s, records, valid): &(&str, u32, u32)| {
            let (records, valid) = (*records, *valid);
            (SourceId::from(*s), Counts { records, valid })
        };
        let on_file = rows.iter().map(row).collect();
        judge(&registers, (&zone(), today()), at(now), &on_file)
            .into_iter()
            .map(|i| {
                let sources = i.sources.iter().map(|(s, _)| s.to_string()).collect();
                (i.finding.name(), sources, i.settled)
            })
            .collect()
    }

    #[test]
    fn a_day_without_valid_data_shows_when_it_is_over() {
        let all = |rows: &[(&str, u32, u32)], now| {
            let one = vec![fitting("a", true, Validity::ALWAYS)];
            found(vec![vehicle("P", Validity::ALWAYS)], one, rows, now)
        };
        assert_eq!(all(&[], 23), []);
        assert_eq!(all(&[], 24), [("no_records", vec!["a".into()], false)]);
        assert_eq!(all(&[], 24 * 6), [("no_records", vec!["a".into()], true)]);
        let invalid = [("only_invalid", vec!["a".into()], false)];
        assert_eq!(all(&[("a", 5, 0)], 24), invalid);
        assert_eq!(all(&[("a", 5, 1)], 24), []);
        // Another one's data is not its own.
        assert_eq!(all(&[("b", 5, 5)], 24).len(), 1);
    }

    #[test]
    fn a_vehicle_that_was_registered_for_a_part_of_the_day_owes_no_data() {
        let of = |vehicles| found(vehicles, vec![], &[], 30).len();
        assert_eq!(of(vec![vehicle("P", between(-100, 100))]), 1);
        assert_eq!(of(vec![vehicle("P", between(3, 100))]), 0);
        assert_eq!(of(vec![vehicle("P", between(-100, 20))]), 0);
        assert_eq!(of(vec![vehicle("P", between(24, 100))]), 0);
        // Under a new plate from noon on.
        let renamed = [vehicle("P", between(-9, 12)), vehicle("Q", between(12, 99))];
        assert_eq!(of(renamed.to_vec()), 1);
    }

    #[test]
    fn two_that_send_at_once_are_found_and_a_changed_device_is_not() {
        let of = |fittings, rows: &[(&str, u32, u32)]| {
            found(vec![vehicle("P", Validity::ALWAYS)], fittings, rows, 12)
        };
        let both = [("a", 9, 9), ("b", 1, 1)];
        let beside = || {
            vec![
                fitting("a", true, Validity::ALWAYS),
                fitting("b", false, Validity::ALWAYS),
            ]
        };
        let two = [("two_sources", vec!["a".to_owned(), "b".to_owned()], false)];
        assert_eq!(of(beside(), &both), two);
        assert_eq!(of(beside(), &[("a", 9, 9), ("b", 1, 0)]), []);
        assert_eq!(of(beside(), &[("b", 1, 1)]), []);
        let changed = vec![
            fitting("a", true, between(-99, 10)),
            fitting("b", true, between(10, 99)),
        ];
        assert_eq!(of(changed, &both), []);
        // They meet on another day alone.
        let met_before = vec![
            fitting("a", true, between(-99, 10)),
            fitting("b", false, between(-99, -20)),
            fitting("b", true, between(10, 99)),
        ];
        assert_eq!(of(met_before, &both), []);
    }
}
