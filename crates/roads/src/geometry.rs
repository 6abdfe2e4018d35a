//! Planar geometry in metres around a point: exact enough over the widths of roads, and cheap.

use waywarden_model::{Course, Position};

/// Metres of one degree on a sphere of the mean radius of the Earth (6,371,008.8 m).
const METRES_PER_DEGREE: f64 = 6_371_008.8 * std::f64::consts::PI / 180.0;
/// Margin of search boxes near the poles, where a degree of longitude has no length.
const LEAST_COS: f64 = 0.01;

/// A local equirectangular projection: metres east and north of its origin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    origin: Position,
    east_per_degree: f64,
}

impl Plane {
    pub(crate) fn around(origin: Position) -> Self {
        Self {
            origin,
            east_per_degree: METRES_PER_DEGREE * libm::cos(origin.lat().to_radians()),
        }
    }

    pub(crate) fn xy(&self, p: Position) -> [f64; 2] {
        [
            (p.lon() - self.origin.lon()) * self.east_per_degree,
            (p.lat() - self.origin.lat()) * METRES_PER_DEGREE,
        ]
    }

    /// Metres from the origin to `p`.
    pub(crate) fn distance_to(&self, p: Position) -> f64 {
        let [x, y] = self.xy(p);
        (x * x + y * y).sqrt()
    }

    /// Metres from the origin to the segment from `a` to `b`.
    pub(crate) fn distance_to_segment(&self, a: Position, b: Position) -> f64 {
        Self::squared_to_segment(self.xy(a), self.xy(b)).sqrt()
    }

    /// Square metres: the square of the distance from the origin to a segment in metres.
    pub(crate) fn squared_to_segment([ax, ay]: [f64; 2], [bx, by]: [f64; 2]) -> f64 {
        let (dx, dy) = (bx - ax, by - ay);
        let squared = dx * dx + dy * dy;
        let along = if squared > 0.0 {
            (-(ax * dx + ay * dy) / squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let (x, y) = (ax + along * dx, ay + along * dy);
        x * x + y * y
    }

    /// Square metres: the square of the distance from the origin to the nearest point of `area`;
    /// never more than to what lies in it.
    pub(crate) fn squared_to_area(&self, area: &Area) -> f64 {
        let lon = self.origin.lon().clamp(area.low[0], area.high[0]) - self.origin.lon();
        let lat = self.origin.lat().clamp(area.low[1], area.high[1]) - self.origin.lat();
        let (x, y) = (lon * self.east_per_degree, lat * METRES_PER_DEGREE);
        x * x + y * y
    }
}

/// A box in degrees: [longitude, latitude] of its south-west and north-east corners.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Area {
    pub(crate) low: [f64; 2],
    pub(crate) high: [f64; 2],
}

impl Area {
    /// The smallest box around `points`; None for no points.
    pub(crate) fn of(points: &[Position]) -> Option<Self> {
        let first = points.first()?;
        let start = Self {
            low: [first.lon(), first.lat()],
            high: [first.lon(), first.lat()],
        };
        Some(points.iter().fold(start, |a, p| Self {
            low: [a.low[0].min(p.lon()), a.low[1].min(p.lat())],
            high: [a.high[0].max(p.lon()), a.high[1].max(p.lat())],
        }))
    }

    /// The box with `metres` more on each side (never less, a little more towards the poles).
    pub(crate) fn widened(self, metres: f64) -> Self {
        let lat = metres / METRES_PER_DEGREE * 1.001;
        let farthest = (self.low[1].abs().max(self.high[1].abs()) + lat).min(90.0);
        let lon = lat / libm::cos(farthest.to_radians()).max(LEAST_COS);
        Self {
            low: [self.low[0] - lon, self.low[1] - lat],
            high: [self.high[0] + lon, self.high[1] + lat],
        }
    }
}

/// Direction of travel from `a` to `b`; None where they are one place.
pub(crate) fn course(a: Position, b: Position) -> Option<Course> {
    let [x, y] = Plane::around(a).xy(b);
    if x == 0.0 && y == 0.0 {
        return None;
    }
    Course::from_degrees(libm::atan2(x, y).to_degrees())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn at(lat: f64, lon: f64) -> Position {
        Position::new(lat, lon).unwrap()
    }

    /// Great-circle distance on the same sphere, by another formula.
    pub(crate) fn haversine(a: Position, b: Position) -> f64 {
        let (p, q) = (a.lat().to_radians(), b.lat().to_radians());
        let half = ((q - p) / 2.0).sin().powi(2)
            + p.cos() * q.cos() * ((b.lon() - a.lon()).to_radians() / 2.0).sin().powi(2);
        2.0 * 6_371_008.8 * half.sqrt().asin()
    }

    #[test]
    fn courses_of_the_four_winds() {
        let home = at(20.95, 107.08);
        for (to, degrees) in [
            (at(21.0, 107.08), 0.0),
            (at(20.95, 107.2), 90.0),
            (at(20.9, 107.08), 180.0),
            (at(20.95, 107.0), 270.0),
        ] {
            assert_eq!(course(home, to).unwrap().degrees(), degrees);
        }
        assert_eq!(course(home, home), None);
    }

    proptest! {
        #[test]
        fn distance_agrees_with_the_great_circle(lat in 8.0..24.0f64, lon in 102.0..110.0f64,
            dlat in -0.05..0.05f64, dlon in -0.05..0.05f64) {
            let (a, b) = (at(lat, lon), at(lat + dlat, lon + dlon));
            let (plane, round) = (Plane::around(a).distance_to(b), haversine(a, b));
            prop_assert!((plane - round).abs() <= 0.001 * round + 0.001, "{plane} {round}");
        }

        #[test]
        fn a_segment_is_as_near_as_its_nearest_sample(lat in 20.0..22.0f64, lon in 106.0..108.0f64,
            s in prop::array::uniform4(-0.03..0.03f64)) {
            let p = at(lat, lon);
            let (a, b) = (at(lat + s[0], lon + s[1]), at(lat + s[2], lon + s[3]));
            let sampled = (0..=2000).map(|i| {
                let f = f64::from(i) / 2000.0;
                haversine(p, at(a.lat() + f * (b.lat() - a.lat()), a.lon() + f * (b.lon() - a.lon())))
            }).fold(f64::INFINITY, f64::min);
            let got = Plane::around(p).distance_to_segment(a, b);
            prop_assert!((got - sampled).abs() <= 0.001 * sampled + 3.0, "{got} {sampled}");
        }

        #[test]
        fn a_widened_box_holds_what_is_that_near(lat in -80.0..80.0f64, lon in -170.0..170.0f64,
            turn in 0.0..std::f64::consts::TAU, metres in 1.0..500.0f64) {
            let p = at(lat, lon);
            let area = Area::of(&[p]).unwrap().widened(metres);
            let north = turn.cos() * metres / METRES_PER_DEGREE;
            let east = turn.sin() * metres / METRES_PER_DEGREE / lat.to_radians().cos();
            prop_assert!(area.low[0] <= lon + east && lon + east <= area.high[0]);
            prop_assert!(area.low[1] <= lat + north && lat + north <= area.high[1]);
        }
    }
}
