//! The corridor of a registered route: how far from its line a vehicle is, and near which stops.

use crate::geometry::{Area, Plane};
use std::sync::Arc;
use waywarden_model::Position;
use waywarden_model::registry::{Route, Stop, Validity};

/// Segments that share one box, so that a long line is mostly skipped.
const PER_PIECE: usize = 16;

/// A route's line with its half-width and stops.
#[derive(Clone, Debug)]
pub struct Corridor {
    id: Arc<str>,
    half_width_m: f64,
    line: Vec<Position>,
    pieces: Vec<Area>,
    stops: Vec<Stop>,
    validity: Validity,
}

impl Corridor {
    pub(crate) fn of(route: &Route) -> Self {
        let pieces = (0..route.line.len().max(1) - 1)
            .step_by(PER_PIECE)
            .filter_map(|i| Area::of(&route.line[i..=(i + PER_PIECE).min(route.line.len() - 1)]))
            .collect();
        Self {
            id: route.id.clone(),
            half_width_m: route.half_width_m,
            line: route.line.clone(),
            pieces,
            stops: route.stops.clone(),
            validity: route.validity,
        }
    }

    /// Id of the route in the register.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Metres on either side of the line that still count as on the route.
    pub fn half_width_m(&self) -> f64 {
        self.half_width_m
    }

    pub(crate) fn validity(&self) -> Validity {
        self.validity
    }

    /// Metres from the line; infinite for a route without a line.
    pub fn offset_m(&self, p: Position) -> f64 {
        let plane = Plane::around(p);
        if let [only] = self.line.as_slice() {
            return plane.distance_to(*only);
        }
        // The nearest box first: what it holds is mostly nearer than all other boxes are.
        let boxes = self.pieces.iter().map(|area| plane.squared_to_area(area));
        let Some((first, _)) = boxes.clone().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return f64::INFINITY;
        };
        let mut best = self.squared_to_piece(first, &plane);
        for (n, to_box) in boxes.enumerate() {
            if n != first && to_box < best {
                best = best.min(self.squared_to_piece(n, &plane));
            }
        }
        best.sqrt()
    }

    /// Square metres: the square of the distance to piece `n`.
    fn squared_to_piece(&self, n: usize, plane: &Plane) -> f64 {
        let from = n * PER_PIECE;
        let to = (from + PER_PIECE).min(self.line.len() - 1);
        let mut last = plane.xy(self.line[from]);
        let mut best = f64::INFINITY;
        for next in &self.line[from + 1..=to] {
            let next = plane.xy(*next);
            best = best.min(Plane::squared_to_segment(last, next));
            last = next;
        }
        best
    }

    /// Within the radius of a terminal.
    pub fn near_terminal(&self, p: Position) -> bool {
        self.near(p, |s| s.terminal)
    }

    /// Whether any stop is registered.
    pub fn has_stops(&self) -> bool {
        !self.stops.is_empty()
    }

    /// Within the radius of a stop; a terminal is one.
    pub fn near_stop(&self, p: Position) -> bool {
        self.near(p, |_| true)
    }

    fn near(&self, p: Position, counts: impl Fn(&Stop) -> bool) -> bool {
        let plane = Plane::around(p);
        self.stops
            .iter()
            .any(|s| counts(s) && plane.distance_to(s.position) <= s.radius_m)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::tests::{at, haversine};
    use proptest::prelude::*;

    fn route(line: Vec<Position>, stops: Vec<Stop>) -> Corridor {
        Corridor::of(&Route {
            id: "r".into(),
            name: "r".to_owned(),
            line,
            half_width_m: 100.0,
            stops,
            validity: Validity::ALWAYS,
        })
    }

    #[test]
    fn offset_beside_beyond_and_without_a_line() {
        let c = route(vec![at(21.0, 107.0), at(21.0, 107.1)], vec![]);
        assert!(c.offset_m(at(21.0, 107.05)) < 0.001);
        assert!((c.offset_m(at(21.001, 107.05)) - 111.195).abs() < 0.01);
        let beyond = c.offset_m(at(21.0, 107.101));
        assert!((beyond - haversine(at(21.0, 107.1), at(21.0, 107.101))).abs() < 0.01);
        assert_eq!(
            route(vec![], vec![]).offset_m(at(21.0, 107.0)),
            f64::INFINITY
        );
        assert!(route(vec![at(21.0, 107.0)], vec![]).offset_m(at(21.0, 107.0)) < 0.001);
    }

    #[test]
    fn terminals_are_stops_but_stops_no_terminals() {
        let stop = |lon, terminal| Stop {
            name: String::new(),
            position: at(21.0, lon),
            radius_m: 150.0,
            terminal,
        };
        let c = route(vec![], vec![stop(107.0, true), stop(107.1, false)]);
        assert!(c.near_terminal(at(21.001, 107.0)) && c.near_stop(at(21.001, 107.0)));
        assert!(!c.near_terminal(at(21.001, 107.1)) && c.near_stop(at(21.001, 107.1)));
        assert!(!c.near_stop(at(21.002, 107.1)));
        assert!(c.has_stops() && !route(vec![], vec![]).has_stops());
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(steps in prop::collection::vec((-0.01..0.01f64, -0.01..0.01f64), 1..80),
            dlat in -0.2..0.2f64, dlon in -0.2..0.2f64) {
            let mut line = vec![at(21.0, 107.0)];
            for (y, x) in steps {
                let last = line[line.len() - 1];
                line.push(at(last.lat() + y, last.lon() + x));
            }
            let p = at(21.0 + dlat, 107.0 + dlon);
            let plain = line.windows(2)
                .map(|w| Plane::around(p).distance_to_segment(w[0], w[1]))
                .fold(f64::INFINITY, f64::min);
            prop_assert_eq!(route(line, vec![]).offset_m(p), plain);
        }

        #[test]
        fn offset_agrees_with_sampling_the_line(steps in prop::collection::vec((-0.01..0.01f64, -0.01..0.01f64), 1..12),
            dlat in -0.02..0.02f64, dlon in -0.02..0.02f64) {
            let mut line = vec![at(21.0, 107.0)];
            for (y, x) in steps {
                let last = line[line.len() - 1];
                line.push(at(last.lat() + y, last.lon() + x));
            }
            let p = at(21.0 + dlat, 107.0 + dlon);
            let mut sampled = f64::INFINITY;
            for w in line.windows(2) {
                for i in 0..=400 {
                    let f = f64::from(i) / 400.0;
                    let s = at(w[0].lat() + f * (w[1].lat() - w[0].lat()), w[0].lon() + f * (w[1].lon() - w[0].lon()));
                    sampled = sampled.min(haversine(p, s));
                }
            }
            let got = route(line, vec![]).offset_m(p);
            prop_assert!((got - sampled).abs() <= 0.002 * sampled + 3.0, "{} {}", got, sampled);
        }
    }
}
