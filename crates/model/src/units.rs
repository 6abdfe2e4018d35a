//! Physical quantities as integers, so that sums are exact and every machine gives one figure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A speed in 0.01 km/h (TT 71/2024 Annex II rounds speeds to two decimals).
///
/// May be negative: a device may say so, and the validity filter has a reason for it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct Speed(i32);

impl Speed {
    pub const ZERO: Self = Self(0);

    pub const fn from_centi(v: i32) -> Self {
        Self(v)
    }

    pub const fn from_kmh(v: i32) -> Self {
        Self(v * 100)
    }

    /// Nearest 0.01 km/h, half away from zero; not-a-number gives zero, the rest is held in range.
    pub fn from_kmh_f64(v: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)] // float to int casts saturate; NaN gives 0
        Self((v * 100.0).round() as i32)
    }

    /// Hundredths of a km/h.
    pub const fn centi(self) -> i32 {
        self.0
    }

    /// For display and JSON only; nothing is counted in it.
    pub fn kmh(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Add for Speed {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0.saturating_add(o.0))
    }
}

impl Sub for Speed {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self(self.0.saturating_sub(o.0))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} km/h", self.kmh())
    }
}

/// A distance in 0.1 m (TT 71/2024 Annex II rounds kilometres to four decimals).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct Distance(i64);

impl Distance {
    pub const ZERO: Self = Self(0);

    pub const fn from_decimetres(v: i64) -> Self {
        Self(v)
    }

    pub const fn from_metres(v: i64) -> Self {
        Self(v * 10)
    }

    /// Nearest 0.1 m, half away from zero.
    pub fn from_km_f64(km: f64) -> Self {
        #[allow(clippy::cast_possible_truncation)] // float to int casts saturate; NaN gives 0
        Self((km * 10_000.0).round() as i64)
    }

    /// Tenths of a metre.
    pub const fn decimetres(self) -> i64 {
        self.0
    }

    /// For display and JSON only.
    #[allow(clippy::cast_precision_loss)] // 2^53 tenths of a metre is far beyond any journey
    pub fn km(self) -> f64 {
        self.0 as f64 / 10_000.0
    }
}

impl Add for Distance {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self(self.0.saturating_add(o.0))
    }
}

impl AddAssign for Distance {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

/// A heading in 0.01 degree clockwise from north, 0 to 35,999.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct Course(u16);

impl Course {
    /// Brought into [0, 360); not-a-number and infinities give none.
    pub fn from_degrees(v: f64) -> Option<Self> {
        if !v.is_finite() {
            return None;
        }
        let centi = (v * 100.0).round().rem_euclid(36_000.0);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 36,000
        Some(Self(centi as u16 % 36_000))
    }

    /// Whole degrees; brought into [0, 360).
    pub const fn from_whole_degrees(v: u16) -> Self {
        Self(v % 360 * 100)
    }

    /// Hundredths of a degree; brought into [0, 36,000).
    pub const fn from_centi(v: u16) -> Self {
        Self(v % 36_000)
    }

    pub const fn centi(self) -> u16 {
        self.0
    }

    pub fn degrees(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Smallest angle between two headings, in 0.01 degree, 0 to 18,000.
    pub fn angle_to(self, other: Self) -> u16 {
        let d = self.0.abs_diff(other.0);
        d.min(36_000 - d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_away_from_zero() {
        assert_eq!(Speed::from_kmh_f64(88.09).centi(), 8809);
        assert_eq!(Speed::from_kmh_f64(-0.125).centi(), -13);
        assert_eq!(Distance::from_km_f64(0.083_14).decimetres(), 831);
        assert_eq!(Distance::from_km_f64(0.083_05).decimetres(), 831);
        assert_eq!(Speed::from_kmh_f64(f64::NAN), Speed::ZERO);
    }

    #[test]
    fn headings_wrap() {
        assert_eq!(Course::from_degrees(360.0), Some(Course::from_centi(0)));
        assert_eq!(Course::from_degrees(-90.0).unwrap().degrees(), 270.0);
        assert_eq!(
            Course::from_centi(35_500).angle_to(Course::from_centi(500)),
            1000
        );
        assert_eq!(Course::from_degrees(f64::INFINITY), None);
        for whole in [0, 1, 359, 360, 361, u16::MAX] {
            let course = Course::from_whole_degrees(whole);
            assert_eq!(Some(course), Course::from_degrees(f64::from(whole)));
        }
    }
}
