//! Whether a ring of a polygon is closed and simple.

use super::error::Problem;
use crate::record::Position;

type Point = (f64, f64);

/// A piece of the ring and its number along it.
#[derive(Clone, Copy)]
struct Edge {
    number: usize,
    from: Point,
    to: Point,
}

impl Edge {
    fn west(&self) -> f64 {
        self.from.0.min(self.to.0)
    }

    fn east(&self) -> f64 {
        self.from.0.max(self.to.0)
    }
}

/// # Errors
/// What is wrong with the ring: too few positions, open, or crossing or touching itself.
pub(super) fn check(ring: &[Position]) -> Result<(), Problem> {
    if ring.len() < 4 {
        return Err(Problem::ShortRing);
    }
    if ring.first() != ring.last() {
        return Err(Problem::OpenRing);
    }
    let mut points: Vec<Point> = ring.iter().map(|p| (p.lon(), p.lat())).collect();
    points.dedup();
    if points.len() < 4 {
        return Err(Problem::ShortRing);
    }
    let mut edges: Vec<Edge> = points
        .windows(2)
        .enumerate()
        .map(|(number, w)| Edge {
            number,
            from: w[0],
            to: w[1],
        })
        .collect();
    let last = edges.len() - 1;
    // Sweep from west to east: only edges whose spans of longitude overlap are compared.
    edges.sort_by(|a, b| a.west().total_cmp(&b.west()));
    let mut open: Vec<Edge> = Vec::new();
    for edge in edges {
        open.retain(|o| o.east() >= edge.west());
        if open.iter().any(|o| clash(o, &edge, last)) {
            return Err(Problem::CrossedRing);
        }
        open.push(edge);
    }
    Ok(())
}

/// Whether two edges meet where they should not: neighbours share exactly one point.
fn clash(a: &Edge, b: &Edge, last: usize) -> bool {
    let (first, second) = if a.number < b.number { (a, b) } else { (b, a) };
    if first.number + 1 == second.number {
        return folds_back(first.from, first.to, second.to);
    }
    if first.number == 0 && second.number == last {
        return folds_back(second.from, second.to, first.to);
    }
    meet(a, b)
}

/// Whether the way from `a` over `b` to `c` goes back along itself.
fn folds_back(a: Point, b: Point, c: Point) -> bool {
    let dot = (a.0 - b.0) * (c.0 - b.0) + (a.1 - b.1) * (c.1 - b.1);
    side(a, b, c) == 0.0 && dot > 0.0
}

fn meet(a: &Edge, b: &Edge) -> bool {
    let (p, q) = (side(a.from, a.to, b.from), side(a.from, a.to, b.to));
    let (r, s) = (side(b.from, b.to, a.from), side(b.from, b.to, a.to));
    if p * q < 0.0 && r * s < 0.0 {
        return true;
    }
    (p == 0.0 && within(a, b.from))
        || (q == 0.0 && within(a, b.to))
        || (r == 0.0 && within(b, a.from))
        || (s == 0.0 && within(b, a.to))
}

/// Positive where `c` lies left of the way from `a` to `b`, 0 on it.
fn side(a: Point, b: Point, c: Point) -> f64 {
    (b.0 - a.0) * (c.1 - a.1) - (b.1 - a.1) * (c.0 - a.0)
}

fn within(e: &Edge, p: Point) -> bool {
    let (south, north) = (e.from.1.min(e.to.1), e.from.1.max(e.to.1));
    (e.west()..=e.east()).contains(&p.0) && (south..=north).contains(&p.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(points: &[(f64, f64)]) -> Vec<Position> {
        points
            .iter()
            .map(|(x, y)| Position::new(*y, *x).unwrap())
            .collect()
    }

    #[test]
    fn rings_of_every_kind() {
        let square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        let bow = [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)];
        let spike = [(0.0, 0.0), (2.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
        let touching = [
            (0.0, 0.0),
            (2.0, 0.0),
            (2.0, 2.0),
            (1.0, 0.0),
            (0.0, 2.0),
            (0.0, 0.0),
        ];
        let doubled = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
        assert_eq!(check(&ring(&square)), Ok(()));
        assert_eq!(check(&ring(&doubled)), Ok(()));
        assert_eq!(check(&ring(&square[..4])), Err(Problem::OpenRing));
        assert_eq!(check(&ring(&square[..3])), Err(Problem::ShortRing));
        for bad in [&bow[..], &spike[..], &touching[..]] {
            assert_eq!(check(&ring(bad)), Err(Problem::CrossedRing), "{bad:?}");
        }
        let line = [(0.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.0, 0.0)];
        assert_eq!(check(&ring(&line)), Err(Problem::ShortRing));
    }

    proptest! {
        #[test]
        fn stars_are_simple_until_two_corners_change_places(
            radii in prop::collection::vec(0.5..1.0f64, 8..40), at in 0..8usize
        ) {
            let corners = radii.len();
            let mut points: Vec<(f64, f64)> = radii.iter().enumerate().map(|(i, r)| {
                #[allow(clippy::cast_precision_loss)] // a few dozen
                let turn = i as f64 / corners as f64 * std::f64::consts::TAU;
                (r * turn.cos(), r * turn.sin())
            }).collect();
            let close = |mut p: Vec<(f64, f64)>| { p.push(p[0]); ring(&p) };
            prop_assert_eq!(check(&close(points.clone())), Ok(()));
            points.swap(at, (at + corners / 2) % corners);
            prop_assert_eq!(check(&close(points)), Err(Problem::CrossedRing));
        }
    }
}
