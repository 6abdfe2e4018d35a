//! What a vehicle does: trips, stops and habits, as records in the order in which they are sent.

use crate::road::Road;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use waywarden_model::{CardId, Course, DriverSaid, Position, Record, Speed, Timestamp};

/// What a driver of the fleet is like; decides which violations a day shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Keeps the limits.
    Plain,
    /// Drives too fast at times, by 3 to 45 km/h.
    Fast,
    /// Drives more than four hours without a break.
    Tireless,
    /// Takes breaks and drives eleven hours in the day.
    LongDay,
    /// Leaves the road for a while.
    Astray,
    /// Loses coverage and sends the stored records afterwards.
    Shadowed,
}

impl Habit {
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Fast,
        Self::Tireless,
        Self::LongDay,
        Self::Astray,
        Self::Shadowed,
    ];

    /// Habit of vehicle `n`: they take turns.
    pub fn of(n: u32) -> Self {
        Self::ALL[n as usize % Self::ALL.len()]
    }

    /// Minutes by which the working day of vehicle `n` begins later than five in the morning where
    /// the fleet drives in shifts: spread over the day so that neither the night nor a break is
    /// everybody's. A long day leaves room for one shift alone.
    const fn shift_minutes(self, n: u32) -> i64 {
        let (number, round) = (n as i64, n as i64 / Self::ALL.len() as i64);
        match self {
            Self::LongDay => 0,
            _ => (660 * number + 60 * round) % 1440,
        }
    }

    /// Minutes driven between two breaks, minutes of a break, hours driven in a day.
    const fn rhythm(self) -> (i64, i64, i64) {
        match self {
            Self::Tireless => (270, 30, 7),
            Self::LongDay => (215, 20, 11),
            Self::Plain | Self::Fast | Self::Astray | Self::Shadowed => (110, 25, 6),
        }
    }
}

/// Event times simulated: from (inclusive) to until (exclusive), one record every `every_ms`.
///
/// What a vehicle does follows from the seed, its number and `from`: two fleets of one `from` drive
/// alike, whatever part of it each of them tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
    /// At least 1,000.
    pub every_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Drive,
    Rest,
}

/// One vehicle: an endless source of records up to its end, the same for the same seed.
#[derive(Debug)]
pub struct Vehicle {
    random: ChaCha8Rng,
    road: Road,
    habit: Habit,
    /// Milliseconds by which its day is behind the local one.
    shift_ms: i64,
    span: Span,
    now: Timestamp,
    phase: Phase,
    phase_ends: Timestamp,
    driven_today_ms: i64,
    today: i64,
    metres: f64,
    kmh: f64,
    target_kmh: f64,
    card: CardId,
    /// Kept back while there is no coverage.
    stored: VecDeque<Record>,
    covered_again: Option<Timestamp>,
    ready: VecDeque<Record>,
}

const DAY_MS: i64 = 86_400_000;
/// Local time of Vietnam: a working day begins at five in the morning there.
const LOCAL_MS: i64 = 7 * 3_600_000;
const BEGINS_MS: i64 = 5 * 3_600_000;

impl Vehicle {
    pub fn new(seed: u64, number: u32, road: Road, span: Span) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(number));
        let metres = random.random_range(0.0..road.length_m());
        let span = Span {
            every_ms: span.every_ms.max(1000),
            ..span
        };
        Self {
            road,
            habit: Habit::of(number),
            shift_ms: 0,
            span,
            now: span.from,
            phase: Phase::Rest,
            phase_ends: span.from,
            driven_today_ms: 0,
            today: i64::MIN,
            metres,
            kmh: 0.0,
            target_kmh: 50.0,
            card: CardId::new(format!("{number:016X}")),
            stored: VecDeque::new(),
            covered_again: None,
            ready: VecDeque::new(),
            random,
        }
    }

    /// The same vehicle as one of a fleet in shifts. Its first day may hold parts of two of them.
    #[must_use]
    pub fn in_shifts(mut self, number: u32) -> Self {
        self.shift_ms = self.habit.shift_minutes(number) * 60_000;
        self
    }

    fn change_phase(&mut self) {
        let zone_ms = LOCAL_MS - self.shift_ms;
        let local = self.now.millis() + zone_ms;
        let day = local.div_euclid(DAY_MS);
        if day != self.today {
            self.today = day;
            self.driven_today_ms = 0;
        }
        let (drive_min, rest_min, hours) = self.habit.rhythm();
        let early = local.rem_euclid(DAY_MS) < BEGINS_MS;
        let enough = self.driven_today_ms >= hours * 3_600_000;
        let tomorrow = Timestamp::from_millis((day + 1) * DAY_MS - zone_ms);
        (self.phase, self.phase_ends) = if early {
            (Phase::Rest, tomorrow.plus_millis(BEGINS_MS - DAY_MS))
        } else if enough {
            (Phase::Rest, tomorrow)
        } else if self.phase == Phase::Rest {
            // Nobody drives beyond the hours of his habit, or into the night.
            let left = hours * 3_600_000 - self.driven_today_ms;
            let stage = self.now.plus_millis(left.min(drive_min * 60_000));
            (Phase::Drive, stage.min(tomorrow))
        } else {
            (Phase::Rest, self.now.plus_millis(rest_min * 60_000))
        };
    }

    fn drive(&mut self) {
        let seconds = self.span.every_ms as f64 / 1000.0;
        if self.phase == Phase::Drive {
            self.driven_today_ms += self.span.every_ms;
            if self.random.random_bool((seconds / 120.0).min(1.0)) {
                self.target_kmh = self.next_target();
            }
        }
        let target = if self.phase == Phase::Drive {
            self.target_kmh
        } else {
            0.0
        };
        // 4 km/h a second up, 8 down; a whisker of noise on the way.
        let change = (target - self.kmh).clamp(-8.0 * seconds, 4.0 * seconds);
        let noise = if target > 0.0 {
            self.random.random_range(-0.8..0.8)
        } else {
            0.0
        };
        let before = self.kmh;
        self.kmh = (self.kmh + change + noise).max(0.0);
        self.metres += (before + self.kmh) / 2.0 / 3.6 * seconds;
    }

    fn next_target(&mut self) -> f64 {
        if self.habit == Habit::Fast && self.random.random_bool(0.2) {
            // Above the 80 km/h of a heavy truck outside built-up areas, in every band.
            let excess = [3.0, 7.0, 15.0, 28.0, 45.0][self.random.random_range(0..5)];
            return 80.0 + 3.0 + excess;
        }
        self.random.random_range(35.0..72.0)
    }

    fn record(&mut self) -> Record {
        let (mut place, heading) = self.road.at(self.metres);
        let local_ms = self.now.millis() + LOCAL_MS - self.shift_ms;
        let minute = local_ms.rem_euclid(DAY_MS) / 60_000;
        if self.habit == Habit::Astray && (600..640).contains(&minute) {
            // Twenty minutes away from the road and twenty back to it, up to 3 km.
            let out = 20 - (minute - 620).abs();
            place = Position::new(place.lat() + out as f64 * 0.00135, place.lon()).unwrap_or(place);
        }
        let mut fix = Record::fix(self.now, place);
        // As the protocols carry it: whole km/h.
        fix.speed = Some(Speed::from_kmh_f64(self.kmh.round()));
        fix.course = Course::from_degrees(heading.round());
        fix.satellites = Some(self.random.random_range(7..14));
        fix.ignition = Some(self.phase == Phase::Drive || self.kmh > 0.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // metres driven
        let metres = self.metres as u64;
        fix.odometer_m = Some(metres);
        fix.driver = DriverSaid::Card(self.card.clone());
        fix
    }

    /// Sends at once, or keeps back what has no coverage: 25 minutes every three hours. Back in
    /// coverage the live record goes first, then what was stored, oldest first.
    fn send(&mut self, mut record: Record) {
        if self.habit != Habit::Shadowed {
            self.ready.push_back(record);
            return;
        }
        let minute = self.now.millis() / 60_000;
        if minute.rem_euclid(180) < 25 {
            record.stored = true;
            self.stored.push_back(record);
            self.covered_again = Some(self.now);
        } else {
            self.ready.push_back(record);
            self.ready.append(&mut self.stored);
            self.covered_again = None;
        }
    }
}

impl Iterator for Vehicle {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(record);
            }
            if self.now >= self.span.until {
                return self.stored.pop_front();
            }
            while self.now >= self.phase_ends {
                self.change_phase();
            }
            self.drive();
            let record = self.record();
            self.send(record);
            self.now = self.now.plus_millis(self.span.every_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32, seed: u64) -> Vec<Record> {
        let from = Timestamp::parse_rfc3339("2026-03-10T00:00:00+07:00").unwrap();
        let span = Span {
            from,
            until: from.plus_millis(DAY_MS),
            every_ms: 10_000,
        };
        Vehicle::new(seed, number, Road::coast(), span).collect()
    }

    #[test]
    fn a_seed_gives_one_fleet() {
        assert_eq!(day(1, 7), day(1, 7));
        assert_ne!(day(1, 7), day(1, 8));
        assert_ne!(day(1, 7), day(7, 7));
    }

    #[test]
    fn every_instant_is_sent_once() {
        for n in 0..6 {
            let mut times: Vec<i64> = day(n, 1).iter().map(|r| r.time.millis()).collect();
            assert_eq!(times.len(), 8640);
            times.sort_unstable();
            times.dedup();
            assert_eq!(times.len(), 8640, "{:?}", Habit::of(n));
        }
    }

    #[test]
    fn habits_show() {
        let fastest = |n| day(n, 3).iter().filter_map(|r| r.speed).max().unwrap();
        assert!(fastest(0) < Speed::from_kmh(80));
        assert!(fastest(1) > Speed::from_kmh(95));
        let shadowed = day(5, 3);
        assert!(shadowed.iter().any(|r| r.stored));
        assert!(
            shadowed.windows(2).any(|w| w[1].time < w[0].time),
            "late records"
        );
        let moving = |n: u32| {
            day(n, 3)
                .iter()
                .filter(|r| r.speed > Some(Speed::from_kmh(3)))
                .count()
        };
        assert!(
            moving(3) * 10 > 10 * 3600,
            "more than ten hours: {}",
            moving(3)
        );
        assert!(moving(0) * 10 < 8 * 3600);
    }

    #[test]
    fn at_any_minute_somebody_of_the_fleet_drives() {
        let from = Timestamp::parse_rfc3339("2026-03-10T00:00:00+07:00").unwrap();
        let span = Span {
            from,
            until: from.plus_millis(3 * DAY_MS),
            every_ms: 60_000,
        };
        for (fleet, enough) in [(12, 1), (18, 2), (30, 2)] {
            let mut moving = vec![0; 3 * 1440];
            for n in 0..fleet {
                let vehicle = Vehicle::new(1, n, Road::coast(), span).in_shifts(n);
                for r in vehicle.filter(|r| !r.stored && r.speed > Some(Speed::from_kmh(3))) {
                    let minute = (r.time.millis() - from.millis()) / 60_000;
                    moving[usize::try_from(minute).unwrap()] += 1;
                }
            }
            // The first day begins in the middle of somebody's shift.
            let (minute, fewest) = moving
                .iter()
                .enumerate()
                .skip(1440)
                .min_by_key(|(_, m)| **m)
                .unwrap();
            assert!(
                *fewest >= enough,
                "{fewest} of {fleet} drive at minute {minute}"
            );
        }
    }
}
