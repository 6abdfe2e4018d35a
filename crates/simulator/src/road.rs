//! A line to drive along, there and back.

use waywarden_model::Position;

/// A polyline with its length.
#[derive(Debug, Clone)]
pub struct Road {
    points: Vec<Position>,
    /// Metres from the first point to each point.
    metres: Vec<f64>,
}

const METRES_PER_DEGREE: f64 = 111_194.93;

/// Coast road from Uông Bí over Hạ Long and Cẩm Phả to Vân Đồn, roughly: latitude, longitude.
const COAST: [(f64, f64); 10] = [
    (21.0340, 106.7700),
    (21.0200, 106.8400),
    (21.0060, 106.9300),
    (20.9810, 107.0200),
    (20.9560, 107.0750),
    (20.9720, 107.1300),
    (20.9990, 107.2100),
    (21.0100, 107.2900),
    (21.0450, 107.3600),
    (21.0750, 107.4150),
];

/// National road 18 westward from Uông Bí over Mạo Khê and Đông Triều to Sao Đỏ, roughly.
const WEST: [(f64, f64); 5] = [
    (21.0340, 106.7700),
    (21.0420, 106.6900),
    (21.0580, 106.6000),
    (21.0830, 106.5120),
    (21.1080, 106.3940),
];

/// National road 18 eastward from Mông Dương over Tiên Yên, Đầm Hà and Hải Hà to Móng Cái, roughly.
const EAST: [(f64, f64); 8] = [
    (21.0620, 107.3550),
    (21.1300, 107.3700),
    (21.2150, 107.3950),
    (21.3300, 107.4000),
    (21.3520, 107.5000),
    (21.3540, 107.5960),
    (21.4500, 107.7550),
    (21.5200, 107.9500),
];

impl Road {
    /// None with fewer than two points.
    pub fn new(points: Vec<Position>) -> Option<Self> {
        let mut metres = Vec::with_capacity(points.len());
        let mut sum = 0.0;
        for (n, point) in points.iter().enumerate() {
            if let Some(before) = n.checked_sub(1) {
                sum += apart(points[before], *point);
            }
            metres.push(sum);
        }
        (points.len() >= 2 && sum > 0.0).then_some(Self { points, metres })
    }

    /// The built-in road of the example.
    pub fn coast() -> Self {
        Self::of(&COAST)
    }

    /// All built-in roads: around Hạ Long, to the west and to the border in the east.
    pub fn built_in() -> [Self; 3] {
        [Self::coast(), Self::of(&WEST), Self::of(&EAST)]
    }

    fn of(points: &[(f64, f64)]) -> Self {
        let points = points
            .iter()
            .filter_map(|(lat, lon)| Position::new(*lat, *lon))
            .collect();
        Self::new(points).expect("several points of the globe, apart from each other")
    }

    /// The line itself, for a register of routes.
    pub fn points(&self) -> &[Position] {
        &self.points
    }

    /// Metres from end to end.
    pub fn length_m(&self) -> f64 {
        self.metres.last().copied().unwrap_or(0.0)
    }

    /// Place after `driven` metres (there and back again) and the heading in degrees.
    pub fn at(&self, driven: f64) -> (Position, f64) {
        let length = self.length_m();
        let phase = driven.rem_euclid(2.0 * length);
        let back = phase > length;
        let along = if back { 2.0 * length - phase } else { phase };
        let next = self
            .metres
            .partition_point(|m| *m <= along)
            .clamp(1, self.points.len() - 1);
        let (a, b) = (self.points[next - 1], self.points[next]);
        let part = (along - self.metres[next - 1]) / (self.metres[next] - self.metres[next - 1]);
        let lat = a.lat() + (b.lat() - a.lat()) * part;
        let lon = a.lon() + (b.lon() - a.lon()) * part;
        let east = (b.lon() - a.lon()) * libm::cos(lat.to_radians());
        let heading = libm::atan2(east, b.lat() - a.lat()).to_degrees();
        let heading = if back { heading + 180.0 } else { heading };
        (
            Position::new(lat, lon).unwrap_or(a),
            heading.rem_euclid(360.0),
        )
    }
}

fn apart(a: Position, b: Position) -> f64 {
    let east = (b.lon() - a.lon()) * libm::cos(a.lat().to_radians());
    libm::hypot(east, b.lat() - a.lat()) * METRES_PER_DEGREE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let road = Road::coast();
        let length = road.length_m();
        assert!((60_000.0..90_000.0).contains(&length), "{length}");
        let (start, heading) = road.at(0.0);
        assert_eq!((start.lat(), start.lon()), COAST[0]);
        assert!(
            (90.0..135.0).contains(&heading),
            "eastward and a little south: {heading}"
        );
        let (home, heading) = road.at(2.0 * length - 1.0);
        assert!(apart(home, start) < 1.5);
        assert!(heading > 180.0);
        let (a, b) = (road.at(5000.0).0, road.at(5100.0).0);
        assert!((apart(a, b) - 100.0).abs() < 1.0);
    }
}
