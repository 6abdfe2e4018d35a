//! Sections of a profile on hours that the Vietnamese law does not have: breaks in parts, driving
//! days between rests, daily and weekly rest, rolling sums. Each may be left out.

mod fault;

use serde::{Deserialize, Deserializer, de::Error as _};
use waywarden_model::registry::Transport;
use waywarden_model::{LocalDay, TimeZone, Timestamp};

/// Everything under `[hours]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    pub breaks: Option<Breaks>,
    pub night: Option<Night>,
    pub shift: Option<Shift>,
    pub daily_rest: Option<DailyRest>,
    pub weekly_rest: Option<WeeklyRest>,
    pub weeks: Option<Weeks>,
    #[serde(default)]
    pub rolling: Vec<Rolling>,
    pub cycle: Option<Cycle>,
    pub closed: Option<Closed>,
}

/// Breaks that end continuous driving, instead of the one of `driving.break_s`, which then is only
/// how long a gap in the data proves no driving (D5). A vehicle's own break does not count here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaks {
    /// Each row is one way to take it: its parts in seconds, in this order (F12).
    pub patterns: Vec<Vec<i64>>,
}

/// A shorter limit of continuous driving between two times of the local day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Night {
    pub from: Clock,
    pub until: Clock,
    pub continuous_s: i64,
}

/// The driving day, which lies between two rests and not between midnights.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Uninterrupted rest that ends it, seconds (F3).
    pub rest_s: i64,
    pub driving_s: i64,
    /// What `driving_s` may be extended to, and in how many days of a week (F4).
    pub extended_s: Option<i64>,
    #[serde(default)]
    pub extended_per_week: u32,
    /// No driving this long after the shift began, rests within it counted.
    pub window_s: Option<i64>,
    /// No driving after this much duty; of duty, records prove the driving alone.
    pub duty_s: Option<i64>,
    /// Two rests that together are as good as `rest_s`: the least of the longer one and the least
    /// of the shorter one.
    pub split_s: Option<[i64; 2]>,
}

/// Rest within the day (F5 to F8).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyRest {
    /// Seconds from the end of the rest before within which it must be taken.
    pub window_s: i64,
    pub regular_s: i64,
    pub reduced_s: i64,
    /// Reductions between two weekly rests.
    pub reduced_at_most: u32,
    /// A regular rest in two parts: first and second (F7).
    pub split_s: [i64; 2],
}

/// Rest within the week (F13, F14).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeeklyRest {
    pub regular_s: i64,
    pub reduced_s: i64,
    /// From the end of one to the beginning of the next, at most.
    pub within_s: i64,
    /// Weeks behind its own by whose end a reduced one is made up for.
    pub compensate_weeks: u8,
}

/// What a week is, and what two of them may hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weeks {
    pub zone: WeekZone,
    pub two_s: Option<i64>,
}

/// Whose Monday begins a week (F2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeekZone {
    Utc,
    Local,
}

/// Driving in any stretch of so many seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    pub kind: RollingKind,
    pub within_s: i64,
    pub driving_s: i64,
}

/// What a rolling sum stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollingKind {
    DailyDriving,
    WeeklyDriving,
}

/// Hours in so many consecutive local days, begun anew by a long rest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    pub days: u8,
    pub driving_s: i64,
    pub restart_s: i64,
}

/// Times of the local day at which vehicles of these kinds of transport stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    pub from: Clock,
    pub until: Clock,
    #[serde(rename = "for")]
    pub transports: Vec<Transport>,
}

/// A time of the local day, seconds from midnight; written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(pub u32);

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let two = |s: &str, below: u32| {
            let digits = s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit());
            s.parse::<u32>().ok().filter(|n| digits && *n < below)
        };
        text.split_once(':')
            .and_then(|(h, m)| Some(Self(two(h, 24)? * 3600 + two(m, 60)? * 60)))
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no time of day such as 22:00")))
    }
}

impl Breaks {
    /// The least pause that ends continuous driving by itself, milliseconds.
    pub(crate) fn whole_ms(&self) -> i64 {
        let whole = self.patterns.iter().filter(|p| p.len() == 1);
        whole.map(|p| p[0] * 1000).min().unwrap_or(i64::MAX)
    }
}

impl Clock {
    /// The stretches from `from` until `until` of each local day that lie between two instants,
    /// with the day on which they begin.
    pub(crate) fn stretches(
        (from, until): (Self, Self),
        zone: &TimeZone,
        (start, end): (Timestamp, Timestamp),
    ) -> impl Iterator<Item = (LocalDay, Timestamp, Timestamp)> {
        let at =
            |day: LocalDay, clock: Self| zone.start_of(day).plus_millis(i64::from(clock.0) * 1000);
        let over_midnight = i32::from(until.0 <= from.0);
        (zone.day_of(start).0 - 1..=zone.day_of(end).0)
            .map(LocalDay)
            .map(move |day| {
                let last = at(day.plus(over_midnight), until);
                (day, at(day, from).max(start), last.min(end))
            })
            .filter(|(_, from, to)| from < to)
    }
}
