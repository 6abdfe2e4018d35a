//! A made-up driver's time, minute by minute: driving and rests of every kind.

use waywarden_model::{Distance, Period, Subject, TimeZone, Timestamp};

/// Monday, 2025-01-06T00:00:00Z.
pub const MONDAY_S: i64 = 1_736_121_600;
pub const WEEK: usize = 7 * 24 * 60;

/// Numbers without end, the same for the same seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn from(&mut self, low: usize, high: usize) -> usize {
        let span = u64::try_from(high - low + 1).unwrap();
        low + usize::try_from(self.next() % span).unwrap()
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.from(0, all.len() - 1)]
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.from(1, n) == 1
    }
}

/// Stretches driven, as minutes from [`MONDAY_S`]; lengths lie about the limits of the law. Some
/// weeks are wild, some calm: days in which a reduced daily rest still fits, each shorter by it.
pub fn stretches(dice: &mut Dice, weeks: usize) -> Vec<(usize, usize)> {
    let mut driven = Vec::new();
    let mut now = dice.from(0, 3000);
    let (mut shifts, mut calm) = (0, false);
    while now < weeks * WEEK {
        for _ in 0..dice.from(1, if calm { 3 } else { 5 }) {
            let long = dice.of(&[10, 45, 90, 120, 135, 180, 240, 270, 271]);
            driven.push((now, now + long));
            now += long + dice.of(&[5, 15, 20, 29, 30, 44, 45, 46, 90, 120, 180, 200]);
        }
        let (_, end) = driven[driven.len() - 1];
        shifts += 1;
        let rest = match (shifts % 6, dice.from(0, 9)) {
            (0, 0..6) => dice.of(&[2700, 2760, 3240, 3900]),
            (0, _) => dice.of(&[1440, 1500, 2160, 2699, 4200, 5400, 6000]),
            (_, 0) => dice.from(400, 1300),
            _ if calm => dice.of(&[540, 541, 600, 659, 660]),
            _ => dice.of(&[420, 479, 480, 539, 540, 541, 600, 659, 660, 661, 720, 900]),
        };
        if shifts % 6 == 0 {
            calm = dice.one_in(2);
        }
        let holiday = dice.one_in(60).then(|| dice.from(9, 23) * 1440);
        now = end + holiday.unwrap_or(rest);
    }
    driven
}

pub fn at(minute: usize) -> Timestamp {
    Timestamp::from_secs(MONDAY_S + 60 * i64::try_from(minute).unwrap())
}

pub fn driver() -> Subject {
    Subject::Driver("220000000001".into())
}

/// Periods of what was driven, split at local midnight as the engine splits them.
pub fn periods(stretches: &[(usize, usize)], zone: &TimeZone) -> Vec<Period> {
    let mut all = Vec::new();
    for (start, end) in stretches.iter().map(|(a, b)| (at(*a), at(*b))) {
        let mut from = start;
        while from < end {
            let midnight = zone.start_of(zone.day_of(from).plus(1));
            all.push(Period {
                source: "14C1".into(),
                start: from,
                end: end.min(midnight),
                open: false,
                vehicle: Some("14C1".into()),
                plate: None,
                driver: Some("220000000001".into()),
                operator: None,
                break_ms: 900_000,
                distance: Distance::ZERO,
                registry: 1,
            });
            from = end.min(midnight);
        }
    }
    all
}
