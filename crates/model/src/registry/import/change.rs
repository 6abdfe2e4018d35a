//! What an import changes: rows per register, and how far back look-ups differ.

use super::RegisterKind;
use crate::ids::{DriverId, SourceId, VehicleId};
use crate::registry::{
    Card, Device, Driver, Fitting, Operator, Permit, Registers, Route, Sign, Validity, Vehicle,
    Zone,
};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// Rows of one register that an import adds, changes and removes.
///
/// A row is known again by its key and `from`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    pub register: RegisterKind,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
}

/// From when on look-ups that judging depends on give other answers.
///
/// Names, addresses and devices are left out: no finding depends on them after receipt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reach {
    /// For every source: zones, signs and cards may concern any.
    pub every_source: Option<Timestamp>,
    /// For single sources: their fittings, their vehicles, the routes and operators of these.
    pub sources: BTreeMap<SourceId, Timestamp>,
    /// For the sources of the vehicles that these drove: their licences. Only what they drove tells
    /// which.
    pub drivers: BTreeMap<DriverId, Timestamp>,
}

impl Reach {
    /// Earliest instant concerned; None when nothing that is judged by differs.
    pub fn earliest(&self) -> Option<Timestamp> {
        let single = self.sources.values().chain(self.drivers.values()).min();
        self.every_source.into_iter().chain(single.copied()).min()
    }

    /// From when on the records of `source` are concerned, whoever drove.
    pub fn of(&self, source: &SourceId) -> Option<Timestamp> {
        let single = self.sources.get(source).copied();
        self.every_source.into_iter().chain(single).min()
    }

    /// From when on `source` is judged again, whose newest record on file is of `newest`: whoever
    /// marks sources and whoever says which are marked asks this.
    pub fn judged_again(&self, source: &SourceId, newest: Option<Timestamp>) -> Option<Timestamp> {
        self.of(source).filter(|from| newest >= Some(*from))
    }
}

/// A row with a key and dates.
trait Dated: Clone + PartialEq {
    fn key(&self) -> &str;
    fn validity(&self) -> Validity;
    fn set_validity(&mut self, validity: Validity);

    /// When the permits that it tells of lapse.
    fn permits(&mut self) -> Vec<&mut Permit> {
        Vec::new()
    }

    /// What of it no finding depends on is cleared.
    fn forget(&mut self) {}

    /// From when on it makes a difference that `other` holds from `t` on in its place, or that
    /// nothing does: a permit makes none before it lapses.
    fn differs(&self, other: Option<&Self>, t: Timestamp) -> Option<Timestamp> {
        let (mut a, mut b) = (self.clone(), other.cloned());
        let ours = taken(&mut a);
        let theirs = b
            .as_mut()
            .map_or_else(|| vec![Permit::default(); ours.len()], taken);
        let same = b.map_or_else(|| a.says_nothing(), |b| a == b);
        if !same {
            return Some(t);
        }
        let permits = ours.iter().zip(&theirs);
        let first = permits.filter_map(|(a, b)| a.first_difference(b)).min();
        first.map(|from| from.max(t))
    }

    /// Whether it is as good as no row, its permits aside.
    fn says_nothing(&self) -> bool {
        false
    }
}

/// A row's permits, taken out of it together with its dates and what no finding depends on.
fn taken<T: Dated>(row: &mut T) -> Vec<Permit> {
    row.set_validity(Validity::ALWAYS);
    row.forget();
    row.permits().into_iter().map(std::mem::take).collect()
}

macro_rules! dated {
    ($($row:ty: $key:ident $({ $($more:tt)* })?),*) => {$(
        impl Dated for $row {
            fn key(&self) -> &str {
                std::borrow::Borrow::<str>::borrow(&self.$key)
            }
            fn validity(&self) -> Validity {
                self.validity
            }
            fn set_validity(&mut self, validity: Validity) {
                self.validity = validity;
            }
            $($($more)*)?
        }
    )*};
}

dated!(Card: id, Device: id, Fitting: source, Route: id, Zone: id, Sign: id);
dated!(Vehicle: id {
    fn permits(&mut self) -> Vec<&mut Permit> {
        vec![&mut self.inspection, &mut self.badge]
    }
});
dated!(Driver: id {
    fn permits(&mut self) -> Vec<&mut Permit> {
        vec![&mut self.licence]
    }

    fn forget(&mut self) {
        self.name.clear();
        self.operator = None;
    }

    fn says_nothing(&self) -> bool {
        self.licence_class.is_none()
    }
});
dated!(Operator: id {
    fn permits(&mut self) -> Vec<&mut Permit> {
        vec![&mut self.licence]
    }

    fn forget(&mut self) {
        self.name.clear();
        (self.address, self.phone) = (None, None);
    }

    fn says_nothing(&self) -> bool {
        true
    }
});

/// Changes of the registers that differ, in the order of [`RegisterKind::ALL`].
pub(super) fn changes(old: &Registers, new: &Registers) -> Vec<Change> {
    let all = [
        count(RegisterKind::Vehicles, &old.vehicles, &new.vehicles),
        count(RegisterKind::Drivers, &old.drivers, &new.drivers),
        count(RegisterKind::Cards, &old.cards, &new.cards),
        count(RegisterKind::Operators, &old.operators, &new.operators),
        count(RegisterKind::Devices, &old.devices, &new.devices),
        count(RegisterKind::Fittings, &old.fittings, &new.fittings),
        count(RegisterKind::Routes, &old.routes, &new.routes),
        count(RegisterKind::Zones, &old.zones, &new.zones),
        count(RegisterKind::Signs, &old.signs, &new.signs),
    ];
    all.into_iter()
        .filter(|c| c.added + c.changed + c.removed > 0)
        .collect()
}

fn count<T: Dated>(register: RegisterKind, old: &[T], new: &[T]) -> Change {
    let by_key = |rows: &'_ [T]| -> BTreeMap<(String, Timestamp), usize> {
        let keys = rows.iter().enumerate();
        keys.map(|(i, r)| ((r.key().to_owned(), r.validity().from), i))
            .collect()
    };
    let (before, after) = (by_key(old), by_key(new));
    let mut change = Change {
        register,
        added: 0,
        changed: 0,
        removed: before.keys().filter(|k| !after.contains_key(k)).count(),
    };
    for (key, i) in &after {
        match before.get(key) {
            None => change.added += 1,
            Some(j) if old[*j] != new[*i] => change.changed += 1,
            Some(_) => {}
        }
    }
    change
}

/// How far back the look-ups of `new` differ from those of `old`.
pub fn reach(old: &Registers, new: &Registers) -> Reach {
    let zones = differences(&old.zones, &new.zones).into_values();
    let signs = differences(&old.signs, &new.signs).into_values();
    let cards = differences(&old.cards, &new.cards).into_values();
    let drivers = differences(&old.drivers, &new.drivers).into_iter();
    let mut reach = Reach {
        every_source: zones.chain(signs).chain(cards).min(),
        sources: BTreeMap::new(),
        drivers: drivers.map(|(id, from)| (id.into(), from)).collect(),
    };
    for (source, from) in differences(&old.fittings, &new.fittings) {
        earlier(&mut reach.sources, SourceId::from(source), from);
    }
    let mut vehicles: BTreeMap<VehicleId, Timestamp> = BTreeMap::new();
    for (id, from) in differences(&old.vehicles, &new.vehicles) {
        earlier(&mut vehicles, VehicleId::from(id), from);
    }
    let routes = differences(&old.routes, &new.routes);
    let operators = differences(&old.operators, &new.operators);
    for vehicle in old.vehicles.iter().chain(&new.vehicles) {
        let route = vehicle.route.as_deref().and_then(|r| routes.get(r));
        let operator = vehicle.operator.as_ref();
        let operator = operator.and_then(|o| operators.get(o.as_str()));
        let from = route.into_iter().chain(operator).min();
        if let Some(from) = from.filter(|f| **f < vehicle.validity.until) {
            let from = vehicle.validity.from.max(*from);
            earlier(&mut vehicles, vehicle.id.clone(), from);
        }
    }
    for fitting in old.fittings.iter().chain(&new.fittings) {
        let from = vehicles.get(&fitting.vehicle);
        if let Some(from) = from.filter(|f| **f < fitting.validity.until) {
            let from = fitting.validity.from.max(*from);
            earlier(&mut reach.sources, fitting.source.clone(), from);
        }
    }
    reach
}

fn earlier<K: Ord>(map: &mut BTreeMap<K, Timestamp>, key: K, from: Timestamp) {
    let at = map.entry(key).or_insert(from);
    *at = from.min(*at);
}

/// For each key whose rows differ, the first instant at which another row holds.
fn differences<'a, T: Dated>(old: &'a [T], new: &'a [T]) -> BTreeMap<&'a str, Timestamp> {
    let mut keys: BTreeMap<&str, (Vec<&T>, Vec<&T>)> = BTreeMap::new();
    for row in old {
        keys.entry(row.key()).or_default().0.push(row);
    }
    for row in new {
        keys.entry(row.key()).or_default().1.push(row);
    }
    keys.into_iter()
        .filter_map(|(key, (old, new))| Some((key, first_difference(&old, &new)?)))
        .collect()
}

/// What holds changes only where a row begins or ends, and where a permit lapses between.
fn first_difference<T: Dated>(old: &[&T], new: &[&T]) -> Option<Timestamp> {
    let at = |rows: &[&'_ T], t| -> Option<T> {
        let row = rows.iter().find(|r| r.validity().holds_at(t))?;
        Some((*row).clone())
    };
    let mut edges: Vec<Timestamp> = old
        .iter()
        .chain(new)
        .flat_map(|r| [r.validity().from, r.validity().until])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let next = edges.iter().skip(1).copied().chain([Timestamp::MAX]);
    edges.iter().zip(next).find_map(|(t, next)| {
        let from = match (at(old, *t), at(new, *t)) {
            (None, None) => None,
            (Some(a), b) => a.differs(b.as_ref(), *t),
            (None, Some(b)) => b.differs(None, *t),
        };
        from.filter(|from| *from < next)
    })
}
