//! A published sign: the stretch along which it holds, and for which direction of travel.

use crate::geometry::{Area, Plane, course};
use std::sync::Arc;
use waywarden_model::registry::{Sign, Validity};
use waywarden_model::{Course, Position, Speed, Timestamp};

/// Largest angle between the heading and the sign's direction, in 0.01 degree.
const WITHIN: u16 = 4_500;

/// A sign of the register, cut into straight pieces.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) id: Arc<str>,
    pub(crate) limit: Speed,
    half_width_m: f64,
    both_ways: bool,
    validity: Validity,
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    from: Position,
    to: Position,
    /// None where neither the sign nor the line says: then it holds for no heading of one way.
    direction: Option<Course>,
}

impl Stretch {
    /// The stretch and, for each piece, the box that the index keeps.
    pub(crate) fn of(sign: &Sign) -> (Self, Vec<Area>) {
        let ends = match sign.line.as_slice() {
            [only] => vec![(*only, *only)],
            line => line.windows(2).map(|w| (w[0], w[1])).collect(),
        };
        let pieces: Vec<Piece> = ends
            .into_iter()
            .map(|(from, to)| Piece {
                from,
                to,
                direction: sign.direction.or_else(|| course(from, to)),
            })
            .collect();
        let areas = pieces
            .iter()
            .filter_map(|p| Area::of(&[p.from, p.to]))
            .map(|a| a.widened(sign.half_width_m))
            .collect();
        let stretch = Self {
            id: sign.id.clone(),
            limit: sign.limit,
            half_width_m: sign.half_width_m,
            both_ways: sign.both_ways,
            validity: sign.validity,
            pieces,
        };
        (stretch, areas)
    }

    pub(crate) fn in_force(&self, t: Timestamp) -> bool {
        self.validity.holds_at(t)
    }

    /// Whether piece `n` holds where `plane` has its origin, for a vehicle heading `heading`.
    /// Without a heading a one-way sign does not apply: a guess must not accuse.
    pub(crate) fn holds(&self, n: usize, plane: &Plane, heading: Option<Course>) -> bool {
        let Some(piece) = self.pieces.get(n) else {
            return false;
        };
        self.applies_to(piece, heading)
            && plane.distance_to_segment(piece.from, piece.to) <= self.half_width_m
    }

    fn applies_to(&self, piece: &Piece, heading: Option<Course>) -> bool {
        let (Some(heading), Some(direction)) = (heading, piece.direction) else {
            return self.both_ways;
        };
        let angle = heading.angle_to(direction);
        angle <= WITHIN || (self.both_ways && 18_000 - angle <= WITHIN)
    }
}
