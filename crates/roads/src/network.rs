//! The published limits, settings and routes of one registry version, indexed by place.

use crate::corridor::Corridor;
use crate::geometry::{Area, Plane};
use crate::sign::Stretch;
use crate::zone::Region;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use waywarden_model::registry::{Ban, Registry, RoadSetting};
use waywarden_model::{Course, LimitSource, Position, Speed, Timestamp};
use xxhash_rust::xxh3::Xxh3;

/// A box and what lies in it: the object's number and the number of its part.
type Entry = GeomWithData<Rectangle<[f64; 2]>, (u32, u32)>;

/// A limit that was published, and by what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedLimit {
    pub limit: Speed,
    /// [`LimitSource::Sign`] or [`LimitSource::Zone`].
    pub source: LimitSource,
    /// Id of the sign or zone in the register.
    pub object: Arc<str>,
}

/// Corridors, zones and signs of one registry version; immutable.
#[derive(Debug, Default)]
pub struct Network {
    corridors: Vec<Corridor>,
    by_id: HashMap<Arc<str>, Vec<usize>>,
    regions: Vec<Region>,
    region_index: RTree<Entry>,
    /// Whether any zone has a ban: most networks have none.
    bans: bool,
    stretches: Vec<Stretch>,
    stretch_index: RTree<Entry>,
    content_hash: u64,
}

impl Network {
    pub fn empty() -> Self {
        Self::default()
    }

    /// Indexes the routes, zones and signs of `registry`. Lines and rings are taken as checked.
    pub fn build(registry: &Registry) -> Self {
        let all = registry.registers();
        let corridors: Vec<Corridor> = all.routes.iter().map(Corridor::of).collect();
        let mut by_id: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (i, c) in corridors.iter().enumerate() {
            by_id.entry(c.id().clone()).or_default().push(i);
        }
        let (regions, region_index) = indexed(all.zones.iter().map(Region::of));
        let (stretches, stretch_index) = indexed(all.signs.iter().map(Stretch::of));
        Self {
            corridors,
            by_id,
            bans: all.zones.iter().any(|z| z.ban.is_some()),
            regions,
            region_index,
            stretches,
            stretch_index,
            content_hash: crate::network::hash::of(all),
        }
    }

    /// The published limit at `p` for a vehicle heading `course`: signs before zones, and among
    /// several in force the highest ("where lanes differ, the highest"); equal ones by id.
    pub fn limit_at(
        &self,
        p: Position,
        course: Option<Course>,
        t: Timestamp,
    ) -> Option<PublishedLimit> {
        self.sign_at(p, course, t).or_else(|| self.zone_at(p, t))
    }

    /// The road setting that a zone gives at `p`; of several the one with the higher class limits.
    pub fn setting_at(&self, p: Position, t: Timestamp) -> Option<RoadSetting> {
        let mut best = None;
        self.regions_at(p, t, |r| {
            best = best.into_iter().chain(r.setting).max_by_key(|s| rank(*s));
        });
        best
    }

    /// Ids of the zones at `p` whose ban `forbids`, each once, in order.
    pub fn bans_at(
        &self,
        p: Position,
        t: Timestamp,
        forbids: impl Fn(&Ban) -> bool,
    ) -> Vec<&Arc<str>> {
        if !self.bans {
            return Vec::new();
        }
        let mut ids = Vec::new();
        self.regions_at(p, t, |r| {
            if r.ban.as_ref().is_some_and(&forbids) {
                ids.push(&r.id);
            }
        });
        ids.sort();
        ids.dedup();
        ids
    }

    /// The corridor of route `id` as it is at `t`.
    pub fn route(&self, id: &str, t: Timestamp) -> Option<&Corridor> {
        let rows = self.by_id.get(id)?;
        rows.iter()
            .map(|i| &self.corridors[*i])
            .find(|c| c.validity().holds_at(t))
    }

    /// Hash of all content, the same for the same rows in any order.
    pub fn content_hash(&self) -> u64 {
        self.content_hash
    }

    fn sign_at(&self, p: Position, course: Option<Course>, t: Timestamp) -> Option<PublishedLimit> {
        let (mut best, mut plane) = (None, None);
        at_point(&self.stretch_index, p, |(s, n)| {
            let stretch = &self.stretches[s];
            let plane = plane.get_or_insert_with(|| Plane::around(p));
            if stretch.in_force(t) && stretch.holds(n, plane, course) {
                best = higher(best, (stretch.limit, &stretch.id));
            }
        });
        published(best, LimitSource::Sign)
    }

    fn zone_at(&self, p: Position, t: Timestamp) -> Option<PublishedLimit> {
        let mut best = None;
        self.regions_at(p, t, |r| {
            if let Some(limit) = r.limit {
                best = higher(best, (limit, &r.id));
            }
        });
        published(best, LimitSource::Zone)
    }

    /// Visits the regions in force that hold `p`; one of several polygons perhaps more than once.
    fn regions_at<'a>(&'a self, p: Position, t: Timestamp, mut visit: impl FnMut(&'a Region)) {
        at_point(&self.region_index, p, |(r, n)| {
            let region = &self.regions[r];
            if region.in_force(t) && region.holds(n, p) {
                visit(region);
            }
        });
    }
}

/// Visits the object and the part of each box that holds `p`: by a visitor, since the index's
/// iterator is a large thing to make for every record.
fn at_point(index: &RTree<Entry>, p: Position, mut visit: impl FnMut((usize, usize))) {
    let here = AABB::from_point([p.lon(), p.lat()]);
    let all_visited = index.locate_in_envelope_intersecting_int(&here, |entry| {
        visit((entry.data.0 as usize, entry.data.1 as usize));
        ControlFlow::<()>::Continue(())
    });
    debug_assert!(all_visited.is_continue());
}

fn indexed<T>(parts: impl Iterator<Item = (T, Vec<Area>)>) -> (Vec<T>, RTree<Entry>) {
    let mut objects = Vec::new();
    let mut entries = Vec::new();
    for (object, areas) in parts {
        let number = u32::try_from(objects.len()).unwrap_or(u32::MAX);
        for (part, area) in (0u32..).zip(areas) {
            let shape = Rectangle::from_corners(area.low, area.high);
            entries.push(Entry::new(shape, (number, part)));
        }
        objects.push(object);
    }
    (objects, RTree::bulk_load(entries))
}

/// Of two limits the higher one, of equal ones that with the smaller id.
fn higher<'a>(
    best: Option<(Speed, &'a Arc<str>)>,
    other: (Speed, &'a Arc<str>),
) -> Option<(Speed, &'a Arc<str>)> {
    best.into_iter()
        .chain([other])
        .max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)))
}

fn published(best: Option<(Speed, &Arc<str>)>, source: LimitSource) -> Option<PublishedLimit> {
    best.map(|(limit, object)| PublishedLimit {
        limit,
        source,
        object: object.clone(),
    })
}

/// Order of the settings by their limits in TT 38/2024: outside above built-up, dual above other.
fn rank(setting: RoadSetting) -> u8 {
    match setting {
        RoadSetting::BuiltUpOther => 0,
        RoadSetting::BuiltUpDual => 1,
        RoadSetting::OutsideOther => 2,
        RoadSetting::OutsideDual => 3,
    }
}

mod hash {
    use super::Xxh3;
    use waywarden_model::Position;
    use waywarden_model::registry::{Registers, Route, Sign, Validity, Zone};

    /// Rows are hashed one by one and combined in order of their hashes.
    pub(super) fn of(all: &Registers) -> u64 {
        let mut rows: Vec<u64> = Vec::new();
        rows.extend(all.routes.iter().map(route));
        rows.extend(all.zones.iter().map(zone));
        rows.extend(all.signs.iter().map(sign));
        rows.sort_unstable();
        let mut h = Xxh3::new();
        for row in rows {
            h.update(&row.to_le_bytes());
        }
        h.digest()
    }

    fn start(kind: u8, id: &str, validity: Validity) -> Xxh3 {
        let mut h = Xxh3::new();
        h.update(&[kind]);
        h.update(&(id.len() as u64).to_le_bytes());
        h.update(id.as_bytes());
        h.update(&validity.from.millis().to_le_bytes());
        h.update(&validity.until.millis().to_le_bytes());
        h
    }

    fn points(h: &mut Xxh3, line: &[Position]) {
        h.update(&(line.len() as u64).to_le_bytes());
        for p in line {
            h.update(&p.lat().to_bits().to_le_bytes());
            h.update(&p.lon().to_bits().to_le_bytes());
        }
    }

    fn route(r: &Route) -> u64 {
        let mut h = start(1, &r.id, r.validity);
        points(&mut h, &r.line);
        h.update(&r.half_width_m.to_bits().to_le_bytes());
        for s in &r.stops {
            points(&mut h, &[s.position]);
            h.update(&s.radius_m.to_bits().to_le_bytes());
            h.update(&[u8::from(s.terminal)]);
        }
        h.digest()
    }

    fn zone(z: &Zone) -> u64 {
        let mut h = start(2, &z.id, z.validity);
        for polygon in &z.polygons {
            h.update(&(polygon.len() as u64).to_le_bytes());
            polygon.iter().for_each(|ring| points(&mut h, ring));
        }
        h.update(&z.limit.map_or(i32::MIN, |l| l.centi()).to_le_bytes());
        h.update(z.setting.map_or("", |s| s.name()).as_bytes());
        if let Some(b) = &z.ban {
            h.update(&[1]);
            b.classes.iter().for_each(|c| h.update(c.name().as_bytes()));
            for hours in &b.hours {
                h.update(&[hours.from.to_le_bytes(), hours.until.to_le_bytes()].concat());
            }
            h.update(&b.direction.map_or(u16::MAX, |d| d.centi()).to_le_bytes());
        }
        h.digest()
    }

    fn sign(s: &Sign) -> u64 {
        let mut h = start(3, &s.id, s.validity);
        points(&mut h, &s.line);
        h.update(&s.half_width_m.to_bits().to_le_bytes());
        h.update(&s.direction.map_or(u16::MAX, |d| d.centi()).to_le_bytes());
        h.update(&[u8::from(s.both_ways)]);
        h.update(&s.limit.centi().to_le_bytes());
        h.digest()
    }
}

#[cfg(test)]
mod tests;
