//! Distances and average speeds, as the law computes and rounds them.

use waywarden_model::{Distance, Position, Speed};

/// Mean radius of the earth in the law's formula, kilometres (TT 71/2024 Annex II).
const EARTH_KM: f64 = 6371.0;

/// Great-circle distance by the spherical law of cosines, kilometres, not rounded.
pub fn great_circle_km(a: Position, b: Position) -> f64 {
    let (p, q) = (a.lat().to_radians(), b.lat().to_radians());
    let d = (b.lon() - a.lon()).to_radians();
    let cosine = libm::sin(p) * libm::sin(q) + libm::cos(p) * libm::cos(q) * libm::cos(d);
    // A hair over 1 for equal points (reading B4).
    libm::acos(cosine.clamp(-1.0, 1.0)) * EARTH_KM
}

/// Distance of the law between two valid records: rounded to 4 decimals of a kilometre, and only
/// when the later record moves (reading B1).
pub fn counted(a: Position, b: Position, later_speed: Speed) -> Distance {
    if later_speed > Speed::ZERO {
        raw(a, b)
    } else {
        Distance::ZERO
    }
}

/// Distance of the co-ordinates whatever the speed, rounded to 0.1 m (reading B5).
pub fn raw(a: Position, b: Position) -> Distance {
    if a == b {
        Distance::ZERO
    } else {
        Distance::from_km_f64(great_circle_km(a, b))
    }
}

/// Whether going from `a` to `b` in `ms` (> 0) takes `kmh` or more; raw co-ordinates, not rounded
/// (reading A4).
pub fn takes_at_least(a: Position, b: Position, ms: i64, kmh: i32) -> bool {
    #[allow(clippy::cast_precision_loss)] // milliseconds between two records of one vehicle
    let reach_km = f64::from(kmh) * ms as f64 / 3_600_000.0;
    // A degree is at most 111.2 km in either direction: most pairs need no trigonometry.
    let bound_km = 111.2 * ((b.lat() - a.lat()).abs() + (b.lon() - a.lon()).abs());
    bound_km >= reach_km && great_circle_km(a, b) >= reach_km
}

/// Vtb = D / T in 0.01 km/h, rounded half away from zero (readings B3, C3); `ms` > 0.
pub fn average_speed(d: Distance, ms: i64) -> Speed {
    // 0.1 m per ms is 360 km/h.
    Speed::from_centi(clamp(divide_rounded(d.decimetres() * 36_000, ms)))
}

/// Vtb = (V[n] + V[n-1]) / 2 in 0.01 km/h, rounded half away from zero.
pub fn mean_speed(a: Speed, b: Speed) -> Speed {
    Speed::from_centi(clamp(divide_rounded(
        i64::from(a.centi()) + i64::from(b.centi()),
        2,
    )))
}

/// Vtb x T / 3600, rounded to 4 decimals of a kilometre (reading B2).
pub fn travelled(v: Speed, ms: i64) -> Distance {
    Distance::from_decimetres(divide_rounded(i64::from(v.centi()) * ms, 36_000))
}

fn clamp(v: i64) -> i32 {
    i32::try_from(v).unwrap_or(if v < 0 { i32::MIN } else { i32::MAX })
}

/// a / b to the nearest integer, half away from zero; b > 0.
fn divide_rounded(a: i64, b: i64) -> i64 {
    let half = b / 2;
    if a >= 0 {
        (a + half) / b
    } else {
        (a - half) / b
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lon: f64, lat: f64) -> Position {
        Position::new(lat, lon).unwrap()
    }

    #[test]
    fn the_laws_own_vectors() {
        let d = raw(
            at(104.331_801_67, 22.142_736_67),
            at(104.331_888_33, 22.143_48),
        );
        assert_eq!(d.decimetres(), 831);
        let d = raw(at(105.651_398, 21.101_025), at(105.652_657, 21.100_183));
        assert_eq!(d.decimetres(), 1607);
    }

    #[test]
    fn average_of_the_first_vector() {
        // 0.0831 km in 13 s: 23.0123 km/h.
        assert_eq!(
            average_speed(Distance::from_decimetres(831), 13_000).centi(),
            2301
        );
        // 100 km/h for 5 s: 0.13889 km.
        assert_eq!(travelled(Speed::from_kmh(100), 5000).decimetres(), 1389);
        assert_eq!(
            mean_speed(Speed::from_centi(1), Speed::from_centi(2)).centi(),
            2
        );
    }

    #[test]
    fn no_movement_no_distance() {
        let p = at(107.0, 21.0);
        assert_eq!(counted(p, at(107.1, 21.0), Speed::ZERO), Distance::ZERO);
        assert_eq!(raw(p, p), Distance::ZERO);
        assert!(great_circle_km(p, p).is_finite());
    }

    #[test]
    fn the_quick_bound_changes_no_answer() {
        let p = at(107.0, 21.0);
        for metres in [1, 50, 277, 278, 279, 555, 556, 2000] {
            let q = at(107.0, 21.0 + f64::from(metres) / 111_194.926_6);
            // 200 km/h for 10 s is 555.6 m.
            assert_eq!(takes_at_least(p, q, 10_000, 200), metres > 555, "{metres}");
        }
    }
}
