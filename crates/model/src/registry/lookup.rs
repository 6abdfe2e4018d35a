//! One immutable version of the registers with the look-ups that judging needs.

use super::{Class, Device, Driver, Permit, Registers, Transport, Validity, Vehicle};
use crate::ids::{CardId, DriverId, OperatorId, Plate, SourceId, VehicleId};
use crate::time::Timestamp;
use crate::units::Speed;
use std::collections::HashMap;
use std::sync::Arc;

/// An answer and the instants for which it stays the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Dated<T> {
    pub value: T,
    pub validity: Validity,
}

/// What a source serves at a time, with all that the rules read of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment {
    pub vehicle: VehicleId,
    pub plate: Plate,
    pub operator: Option<OperatorId>,
    pub class: Option<Class>,
    pub transport: Option<Transport>,
    pub route: Option<Arc<str>>,
    pub speed_limit: Option<Speed>,
    pub break_ms: Option<i64>,
    pub inspection: Permit,
    pub badge: Permit,
    pub operator_licence: Permit,
    pub primary: bool,
}

/// An immutable, numbered state of all registers.
#[derive(Debug, Default)]
pub struct Registry {
    version: u32,
    registers: Registers,
    fittings: HashMap<SourceId, Vec<usize>>,
    vehicles: HashMap<VehicleId, Vec<usize>>,
    cards: HashMap<CardId, Vec<usize>>,
    drivers: HashMap<DriverId, Vec<usize>>,
    operators: HashMap<OperatorId, Vec<usize>>,
    devices: HashMap<SourceId, Vec<usize>>,
}

fn index<K: std::hash::Hash + Eq, T>(rows: &[T], key: impl Fn(&T) -> K) -> HashMap<K, Vec<usize>> {
    let mut map: HashMap<K, Vec<usize>> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        map.entry(key(row)).or_default().push(i);
    }
    map
}

impl Registry {
    /// Builds the indexes. The content is taken as checked: imports refuse what contradicts itself.
    pub fn new(version: u32, registers: Registers) -> Self {
        Self {
            version,
            fittings: index(&registers.fittings, |r| r.source.clone()),
            vehicles: index(&registers.vehicles, |r| r.id.clone()),
            cards: index(&registers.cards, |r| r.id.spelled()),
            drivers: index(&registers.drivers, |r| r.id.clone()),
            operators: index(&registers.operators, |r| r.id.clone()),
            devices: index(&registers.devices, |r| r.id.clone()),
            registers,
        }
    }

    pub fn version(&self) -> u32 {
        self.version
    }

    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// What `source` serves at `t` (its primary fitting, else a second one), and for how long that
    /// stays true; meant to be kept by the caller until it ends.
    pub fn assignment(&self, source: &SourceId, t: Timestamp) -> Dated<Option<Arc<Assignment>>> {
        let mut validity = Validity::ALWAYS;
        let rows = self.fittings.get(source).map_or(&[][..], Vec::as_slice);
        let fittings = rows.iter().map(|i| &self.registers.fittings[*i]);
        let fitting = current(fittings, |f| f.validity, t, &mut validity);
        let Some(fitting) = fitting else {
            return Dated {
                value: None,
                validity,
            };
        };
        let rows = self
            .vehicles
            .get(&fitting.vehicle)
            .map_or(&[][..], Vec::as_slice);
        let vehicles = rows.iter().map(|i| &self.registers.vehicles[*i]);
        let vehicle: Option<&Vehicle> = current(vehicles, |v| v.validity, t, &mut validity);
        let operator = vehicle.and_then(|v| v.operator.as_ref());
        let rows = operator.and_then(|id| self.operators.get(id));
        let rows = rows.map_or(&[][..], Vec::as_slice);
        let operators = rows.iter().map(|i| &self.registers.operators[*i]);
        let operator = current(operators, |o| o.validity, t, &mut validity);
        let value = vehicle.map(|v| {
            Arc::new(Assignment {
                vehicle: v.id.clone(),
                plate: v.plate.clone(),
                operator: v.operator.clone(),
                class: v.class,
                transport: v.transport,
                route: v.route.clone(),
                speed_limit: v.speed_limit,
                break_ms: v.break_ms,
                inspection: v.inspection,
                badge: v.badge,
                operator_licence: operator.map_or_else(Permit::default, |o| o.licence),
                primary: fitting.primary,
            })
        });
        Dated { value, validity }
    }

    /// Whose card it is at `t`, in whatever case its number is written, and for how long that stays
    /// true.
    pub fn driver_of_card(&self, card: &CardId, t: Timestamp) -> Dated<Option<&DriverId>> {
        let mut validity = Validity::ALWAYS;
        let rows = self.cards.get(&card.spelled());
        let cards = rows.into_iter().flatten();
        let cards = cards.map(|i| &self.registers.cards[*i]);
        let card = current(cards, |c| c.validity, t, &mut validity);
        Dated {
            value: card.map(|c| &c.driver),
            validity,
        }
    }

    /// The driver as he is at `t`, and for how long that stays true.
    pub fn driver(&self, id: &DriverId, t: Timestamp) -> Dated<Option<&Driver>> {
        let mut validity = Validity::ALWAYS;
        let rows = self.drivers.get(id);
        let drivers = rows.into_iter().flatten();
        let drivers = drivers.map(|i| &self.registers.drivers[*i]);
        let value = current(drivers, |d| d.validity, t, &mut validity);
        Dated { value, validity }
    }

    pub fn device(&self, id: &str, t: Timestamp) -> Option<&Device> {
        let rows = self.devices.get(id)?;
        rows.iter()
            .map(|i| &self.registers.devices[*i])
            .find(|d| d.validity.holds_at(t))
    }

    pub fn vehicle(&self, id: &VehicleId, t: Timestamp) -> Option<&Vehicle> {
        let rows = self.vehicles.get(id)?;
        rows.iter()
            .map(|i| &self.registers.vehicles[*i])
            .find(|v| v.validity.holds_at(t))
    }
}

/// The row that holds at `t`, and `validity` narrowed to where that stays the answer.
fn current<'a, T: 'a>(
    rows: impl Iterator<Item = &'a T>,
    dates: impl Fn(&T) -> Validity,
    t: Timestamp,
    validity: &mut Validity,
) -> Option<&'a T> {
    let mut found = None;
    for row in rows {
        let v = dates(row);
        if v.holds_at(t) {
            validity.from = validity.from.max(v.from);
            validity.until = validity.until.min(v.until);
            found = found.or(Some(row));
        } else if v.until <= t {
            validity.from = validity.from.max(v.until);
        } else {
            validity.until = validity.until.min(v.from);
        }
    }
    found
}
