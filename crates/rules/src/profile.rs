//! The law as data: profiles with their dates, and a regime as a row of profiles without gaps.

mod content;
mod hours;
mod library;
mod optional;

pub use hours::{
    Breaks, Clock, Closed, Cycle, DailyRest, Hours, Night, Rolling, RollingKind, Shift, WeekZone,
    WeeklyRest, Weeks,
};
pub use library::{Entry, Library};
pub use optional::{Identification, Licences, Stops, Tampering, Zones};

use serde::Deserialize;
use std::sync::Arc;
use waywarden_model::registry::{Class, RoadSetting, Transport, Validity};
use waywarden_model::{ProfileId, Speed, TimeZone, Timestamp};

/// Why a profile or a regime cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("profile {name}: {what}")]
    Syntax { name: String, what: String },
    #[error("profile {name}: {field} is {value}, it must be {must}")]
    Impossible {
        name: String,
        field: &'static str,
        value: String,
        must: &'static str,
    },
    #[error("profiles {first} and {second} leave {what} at {at}")]
    Dates {
        first: String,
        second: String,
        what: &'static str,
        at: Timestamp,
    },
    #[error("a regime needs at least one profile")]
    Empty,
    #[error("profile {name} version {version} is there already, from {file}")]
    Twice {
        name: String,
        version: u32,
        file: String,
    },
    #[error("there is no profile `{name}`; there are: {known}")]
    Unknown { name: String, known: String },
}

/// TT 71/2024 Annex II.I.1, with readings A1 to A9.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Seconds that a record may be dated after its receipt, in service (A5).
    pub future_tolerance_s: i64,
    /// km/h from the last valid record at which a record is invalid.
    pub implied_speed_kmh: i32,
    /// km/h by the device at which a record is invalid.
    pub max_speed_kmh: i32,
    /// From which equal speed on records are invalid (A6); 0: never.
    pub frozen_speed_from: u32,
    /// Rejected records in a row that agree with each other and become the new anchor (A3b);
    /// 0: never.
    pub reanchor_after: u32,
    /// Degrees of latitude, from south to north (A7).
    pub lat: [f64; 2],
    /// Degrees of longitude, from west to east (A7).
    pub lon: [f64; 2],
}

/// TT 71/2024 Annex II, with readings C1 to C12.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overspeed {
    pub gap_s: i64,
    pub mean_up_to_s: i64,
    pub tolerance_kmh: i32,
    /// km/h by which V itself must exceed the limit as well (C11); 0: not asked.
    pub entry_excess_kmh: i32,
    pub hold_s: i64,
    /// Held for more than `hold_s`, not just for as long.
    pub hold_strictly: bool,
}

/// TT 71/2024 Annex III and the limits of hours, with readings D1 to D19.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Driving {
    pub moving_above_kmh: i32,
    pub displacement_m: i64,
    /// None: continuous driving, a local day or a week has no limit of its own.
    pub continuous_s: Option<i64>,
    pub day_s: Option<i64>,
    pub week_s: Option<i64>,
    pub break_s: i64,
    pub short_break_s: i64,
    pub short_break_for: Vec<Transport>,
}

/// TT 71/2024 Annex IV.III, readings E1 and E2.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transmission {
    pub gap_s: i64,
    pub gap_m: i64,
}

/// Our own rule on leaving the registered route.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteDeviation {
    /// Metres beyond the half-width from which a fix is outside.
    pub margin_m: u32,
    /// Consecutive fixes outside before an episode can exist.
    pub min_fixes: u32,
    pub min_s: i64,
    pub min_m: i64,
}

/// NĐ 158/2024 art. 23.10c: from how many speed violations per 1000 km in a calendar month on a
/// vehicle's badge is revoked. Nothing is judged by it: it is a figure of the summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Badge {
    pub per_1000_km: u32,
    /// km/h; an excess up to it, and of exactly it, is not counted.
    pub excess_over_kmh: i32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    regime: String,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    filter: Filter,
    overspeed: Overspeed,
    /// Left out: a class alone limits nothing, only signs, zones and the vehicle's own limit do.
    limits: Option<std::collections::BTreeMap<Class, [i32; 4]>>,
    driving: Driving,
    transmission: Option<Transmission>,
    route: RouteDeviation,
    badge: Option<Badge>,
    identification: Option<Identification>,
    stops: Option<Stops>,
    zones: Option<Zones>,
    licences: Option<Licences>,
    tampering: Option<Tampering>,
    #[serde(default)]
    hours: Hours,
}

/// One profile: the rules' numbers and the dates between which they are the law.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub id: ProfileId,
    pub regime: String,
    pub validity: Validity,
    pub filter: Filter,
    pub overspeed: Overspeed,
    pub driving: Driving,
    /// None: the regime has no rule on gaps in the transmission.
    pub transmission: Option<Transmission>,
    pub route: RouteDeviation,
    /// None where the law knows no such threshold, or it was not checked.
    pub badge: Option<Badge>,
    pub identification: Option<Identification>,
    pub stops: Option<Stops>,
    pub zones: Option<Zones>,
    pub licences: Option<Licences>,
    pub tampering: Option<Tampering>,
    pub hours: Hours,
    /// Hash of all of it.
    pub(crate) content: u64,
    /// km/h by class and setting, in the order of [`RoadSetting::ALL`].
    limits: Vec<(Class, [Speed; 4])>,
}

impl Profile {
    /// Reads and checks a profile; `name` is what errors call it until it is read.
    ///
    /// # Errors
    /// Text that is no TOML, an unknown key, a class without limits, a number that cannot be.
    pub fn parse(name: &str, text: &str) -> Result<Self, ProfileError> {
        let file: File = toml::from_str(text).map_err(|e| ProfileError::Syntax {
            name: name.to_owned(),
            what: e.to_string().trim_end().to_owned(),
        })?;
        file.check()?;
        Ok(Self {
            id: ProfileId {
                name: file.name.into(),
                version: file.version,
            },
            regime: file.regime,
            validity: Validity {
                from: file.from.unwrap_or(Timestamp::MIN),
                until: file.until.unwrap_or(Timestamp::MAX),
            },
            filter: file.filter,
            overspeed: file.overspeed,
            driving: file.driving,
            transmission: file.transmission,
            route: file.route,
            badge: file.badge,
            identification: file.identification,
            stops: file.stops,
            zones: file.zones,
            licences: file.licences,
            tampering: file.tampering,
            hours: file.hours,
            content: content::of(text),
            limits: file
                .limits
                .unwrap_or_default()
                .into_iter()
                .map(|(c, v)| (c, v.map(Speed::from_kmh)))
                .collect(),
        })
    }

    /// Limit of a class on a road of this setting; None for a class that the profile lacks.
    pub fn class_limit(&self, class: Class, setting: RoadSetting) -> Option<Speed> {
        let column = RoadSetting::ALL.iter().position(|s| *s == setting)?;
        self.limits
            .iter()
            .find(|(c, _)| *c == class)
            .map(|(_, row)| row[column])
    }

    /// The highest class limit of a setting: what an unknown class is held to.
    pub fn highest_class_limit(&self, setting: RoadSetting) -> Speed {
        let of = |(c, _): &(Class, [Speed; 4])| self.class_limit(*c, setting);
        self.limits
            .iter()
            .filter_map(of)
            .max()
            .unwrap_or(Speed::from_kmh(i32::MAX / 100))
    }

    /// Milliseconds of break that end continuous driving; of an unknown transport the common one.
    /// Under a profile with breaks of its own ([`Hours::breaks`]), a gap that proves no driving.
    pub fn break_ms(&self, transport: Option<Transport>) -> i64 {
        let short = transport.is_some_and(|t| self.driving.short_break_for.contains(&t));
        1000 * if short {
            self.driving.short_break_s
        } else {
            self.driving.break_s
        }
    }
}

impl File {
    fn check(&self) -> Result<(), ProfileError> {
        let positive = |field, value: i64| self.must(value > 0, field, &value, "greater than 0");
        positive(
            "filter.implied_speed_kmh",
            self.filter.implied_speed_kmh.into(),
        )?;
        positive("filter.max_speed_kmh", self.filter.max_speed_kmh.into())?;
        positive("overspeed.gap_s", self.overspeed.gap_s)?;
        positive("overspeed.hold_s", self.overspeed.hold_s)?;
        positive(
            "driving.continuous_s",
            self.driving.continuous_s.unwrap_or(1),
        )?;
        positive("driving.day_s", self.driving.day_s.unwrap_or(1))?;
        positive("driving.week_s", self.driving.week_s.unwrap_or(1))?;
        positive("driving.break_s", self.driving.break_s)?;
        positive("driving.short_break_s", self.driving.short_break_s)?;
        let gap = self.transmission.as_ref().map_or(1, |t| t.gap_s);
        positive("transmission.gap_s", gap)?;
        if let Some(badge) = self.badge {
            positive("badge.per_1000_km", badge.per_1000_km.into())?;
        }
        for (field, value) in self.optional() {
            positive(field, value)?;
        }
        let mean = self.overspeed.mean_up_to_s;
        let fits = (0..=self.overspeed.gap_s).contains(&mean);
        self.must(
            fits,
            "overspeed.mean_up_to_s",
            &mean,
            "between 0 and overspeed.gap_s",
        )?;
        let day = self.driving.day_s.unwrap_or(1);
        self.must(day <= 86_400, "driving.day_s", &day, "at most 86400")?;
        if let Some((field, value, must)) = self.hours.fault() {
            return self.must(false, field, &value, must);
        }
        for (field, [low, high]) in [
            ("filter.lat", self.filter.lat),
            ("filter.lon", self.filter.lon),
        ] {
            self.must(
                low < high,
                field,
                &format!("{low} to {high}"),
                "from the lower to the higher",
            )?;
        }
        let limits = self.limits.as_ref();
        for (class, limits) in Class::ALL.iter().filter_map(|c| Some((c, limits?))) {
            let row = limits.get(class);
            self.must(
                row.is_some(),
                "limits",
                &format!("without {}", class.name()),
                "complete",
            )?;
            let sane = row.is_some_and(|r| r.iter().all(|v| (1..=200).contains(v)));
            self.must(sane, "limits", &class.name(), "between 1 and 200 km/h")?;
        }
        let empty = self.licences.as_ref().and_then(Licences::empty);
        let class = empty.map_or("", Class::name);
        self.must(empty.is_none(), "licences", &class, "good for something")?;
        let dates = self.from.unwrap_or(Timestamp::MIN) < self.until.unwrap_or(Timestamp::MAX);
        self.must(
            dates,
            "until",
            &self.until.map_or(String::new(), |t| t.to_string()),
            "after from",
        )
    }

    /// Numbers of the optional sections that must be greater than 0.
    fn optional(&self) -> Vec<(&'static str, i64)> {
        let identification = self.identification.iter().flat_map(|s| s.positive());
        let stops = self.stops.iter().flat_map(|s| s.positive());
        let zones = self.zones.iter().flat_map(|s| s.positive());
        let tampering = self.tampering.iter().flat_map(|s| s.positive());
        let all = identification.chain(stops).chain(zones).chain(tampering);
        all.collect()
    }

    #[allow(clippy::needless_pass_by_value)] // numbers and texts alike, shown only on failure
    fn must(
        &self,
        holds: bool,
        field: &'static str,
        value: &dyn ToString,
        must: &'static str,
    ) -> Result<(), ProfileError> {
        if holds {
            return Ok(());
        }
        Err(ProfileError::Impossible {
            name: self.name.clone(),
            field,
            value: value.to_string(),
            must,
        })
    }
}

/// A regime: profiles one after the other without gap or overlap, and the zone of its days.
#[derive(Debug, Clone)]
pub struct Profiles {
    zone: TimeZone,
    utc: TimeZone,
    profiles: Vec<Arc<Profile>>,
}

impl Profiles {
    /// Joins profiles by their dates.
    ///
    /// # Errors
    /// No profile, or a gap or an overlap between two that follow one another.
    pub fn new(zone: TimeZone, mut profiles: Vec<Profile>) -> Result<Self, ProfileError> {
        profiles.sort_by_key(|p| p.validity.from);
        if profiles.is_empty() {
            return Err(ProfileError::Empty);
        }
        for pair in profiles.windows(2) {
            let (first, second) = (&pair[0], &pair[1]);
            let what = match first.validity.until.cmp(&second.validity.from) {
                std::cmp::Ordering::Less => "a gap",
                std::cmp::Ordering::Greater => "an overlap",
                std::cmp::Ordering::Equal => continue,
            };
            return Err(ProfileError::Dates {
                first: first.id.name.to_string(),
                second: second.id.name.to_string(),
                what,
                at: first.validity.until.min(second.validity.from),
            });
        }
        Ok(Self {
            zone,
            utc: TimeZone::utc(),
            profiles: profiles.into_iter().map(Arc::new).collect(),
        })
    }

    /// The Vietnamese law by date.
    pub fn vietnam() -> Self {
        let law = Library::built_in().law("vn", TimeZone::vietnam());
        law.expect("built in, held by a test")
    }

    /// One profile for all times, whatever its dates.
    pub fn only(zone: TimeZone, mut profile: Profile) -> Self {
        profile.validity = Validity::ALWAYS;
        Self {
            zone,
            utc: TimeZone::utc(),
            profiles: vec![Arc::new(profile)],
        }
    }

    /// The profile in force at `t`; before the first and behind the last, the nearest.
    pub fn at(&self, t: Timestamp) -> &Arc<Profile> {
        let n = self.profiles.partition_point(|p| p.validity.from <= t);
        &self.profiles[n.saturating_sub(1)]
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Profile>> {
        self.profiles.iter()
    }

    /// Zone of the local days and weeks.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Zone whose Monday begins a week (reading F2): one for the regime, by its last profile that
    /// says one.
    pub fn week_zone(&self) -> &TimeZone {
        let mut said = self.profiles.iter().rev();
        let said = said.find_map(|p| p.hours.weeks.as_ref().map(|w| w.zone));
        match said {
            Some(WeekZone::Utc) => &self.utc,
            Some(WeekZone::Local) | None => &self.zone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_law_changes_at_local_midnight() {
        let law = Profiles::vietnam();
        let name = |t: &str| {
            law.at(Timestamp::parse_rfc3339(t).unwrap())
                .id
                .name
                .to_string()
        };
        assert_eq!(name("2024-12-31T23:59:59+07:00"), "vn-tt09");
        assert_eq!(name("2025-01-01T00:00:00+07:00"), "vn-36-2024");
        assert_eq!(name("2026-07-01T00:00:00+07:00"), "vn-118-2025");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let library = Library::built_in();
        let good = &library.get("vn-36-2024").unwrap().text;
        for (from, to, error) in [
            (
                "hold_s = 20",
                "hold_s = 0",
                "overspeed.hold_s is 0, it must be greater than 0",
            ),
            ("hold_s = 20", "holds = 20", "unknown field `holds`"),
            (
                "day_s = 36000",
                "day_s = 90000",
                "driving.day_s is 90000, it must be at most 86400",
            ),
            ("mixer = [60, 50, 60, 50]", "", "limits is without mixer"),
            (
                "unidentified_s = 300",
                "unidentified_s = 0",
                "identification.unidentified_s is 0, it must be greater than 0",
            ),
            (
                "tractor_with_semi_trailer = [\"CE\", \"FC\"]",
                "tractor_with_semi_trailer = []",
                "licences is tractor_with_semi_trailer, it must be good for something",
            ),
            (
                "lat = [8.0, 23.5]",
                "lat = [23.5, 8.0]",
                "filter.lat is 23.5 to 8",
            ),
        ] {
            let text = Profile::parse("p", &good.replace(from, to))
                .unwrap_err()
                .to_string();
            assert!(text.contains(error), "{text}");
        }
    }

    #[test]
    fn a_gap_between_dates_is_an_error() {
        let library = Library::built_in();
        let named = |name| library.get(name).unwrap().profile.clone();
        let two = vec![named("vn-tt09"), named("vn-118-2025")];
        let error = Profiles::new(TimeZone::vietnam(), two).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("leave a gap at 2024-12-31T17:00:00Z"),
            "{error}"
        );
    }
}
