//! An area with a limit, a road setting or a ban of its own, prepared for asking whether it holds a point.

use crate::geometry::Area;
use geo::{Coord, Intersects, LineString, Polygon};
use std::sync::Arc;
use waywarden_model::registry::{Ban, RoadSetting, Validity, Zone};
use waywarden_model::{Position, Speed, Timestamp};

/// A zone of the register. Its outline counts as inside, the outline of a hole too.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) id: Arc<str>,
    pub(crate) limit: Option<Speed>,
    pub(crate) setting: Option<RoadSetting>,
    pub(crate) ban: Option<Ban>,
    validity: Validity,
    polygons: Vec<Polygon<f64>>,
}

impl Region {
    /// The region and, for each polygon, the box that the index keeps.
    pub(crate) fn of(zone: &Zone) -> (Self, Vec<Area>) {
        let mut areas = Vec::new();
        let mut polygons = Vec::new();
        for rings in &zone.polygons {
            let Some(area) = rings.first().and_then(|outer| Area::of(outer)) else {
                continue;
            };
            let mut lines = rings.iter().map(|r| line(r));
            let outer = lines.next().unwrap_or_else(|| LineString(vec![]));
            polygons.push(Polygon::new(outer, lines.collect()));
            areas.push(area);
        }
        let region = Self {
            id: zone.id.clone(),
            limit: zone.limit,
            setting: zone.setting,
            ban: zone.ban.clone(),
            validity: zone.validity,
            polygons,
        };
        (region, areas)
    }

    pub(crate) fn in_force(&self, t: Timestamp) -> bool {
        self.validity.holds_at(t)
    }

    /// Whether polygon `n` holds `p`. In degrees: inside and outside survive any scaling of axes.
    pub(crate) fn holds(&self, n: usize, p: Position) -> bool {
        self.polygons
            .get(n)
            .is_some_and(|polygon| polygon.intersects(&coordinate(p)))
    }
}

fn coordinate(p: Position) -> Coord<f64> {
    Coord {
        x: p.lon(),
        y: p.lat(),
    }
}

fn line(ring: &[Position]) -> LineString<f64> {
    LineString(ring.iter().map(|p| coordinate(*p)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::tests::at;

    fn square(low: f64, high: f64) -> Vec<Position> {
        [
            (low, low),
            (low, high),
            (high, high),
            (high, low),
            (low, low),
        ]
        .map(|(a, b)| at(21.0 + a, 107.0 + b))
        .to_vec()
    }

    #[test]
    fn a_hole_is_outside() {
        let (region, areas) = Region::of(&Zone {
            id: "z".into(),
            name: String::new(),
            polygons: vec![vec![square(0.0, 0.3), square(0.1, 0.2)], vec![]],
            limit: None,
            setting: None,
            ban: None,
            validity: Validity::ALWAYS,
        });
        assert_eq!(areas.len(), 1);
        assert!(region.holds(0, at(21.05, 107.05)));
        assert!(!region.holds(0, at(21.15, 107.15)));
        assert!(!region.holds(0, at(21.31, 107.15)));
        assert!(region.holds(0, at(21.0, 107.15)), "the outline counts");
        assert!(
            !region.holds(1, at(21.05, 107.05)),
            "an empty polygon holds nothing"
        );
    }
}
