//! Import of registers: files in, a complete new state of all registers out, or every error.
//!
//! An import replaces the registers whose files are given, keeps the others, and is refused as a
//! whole where anything in it is wrong. Columns and codes are described in `docs/registers.md`.

mod banned;
mod change;
mod check;
mod error;
mod evaluation;
mod features;
mod fields;
mod geojson;
mod ring;
mod rows;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub(super) use banned::ALL as EVERY_CLASS;
pub use change::{Change, Reach, reach};
pub use error::{MOST_ERRORS, Place, Problem, RegisterError};
pub(super) use rows::{CARD, DEVICE, DRIVER, FITTING, OPERATOR, STANDINGS, VEHICLE};

use super::{
    Card, Device, Driver, Fitting, Operator, Registers, Route, Sign, Validity, Vehicle, Zone,
};
use crate::time::TimeZone;
use error::{At, Errors};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use table::Columns;

/// Largest file of an import: some million rows.
const MOST_BYTES: usize = 256 << 20;

/// The registers, each a file of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RegisterKind {
    Vehicles,
    Drivers,
    Cards,
    Operators,
    Devices,
    Fittings,
    Routes,
    Zones,
    Signs,
}

impl RegisterKind {
    pub const ALL: [Self; 9] = [
        Self::Vehicles,
        Self::Drivers,
        Self::Cards,
        Self::Operators,
        Self::Devices,
        Self::Fittings,
        Self::Routes,
        Self::Zones,
        Self::Signs,
    ];

    /// Name, which is the stem of its file's name too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vehicles => "vehicles",
            Self::Drivers => "drivers",
            Self::Cards => "cards",
            Self::Operators => "operators",
            Self::Devices => "devices",
            Self::Fittings => "fittings",
            Self::Routes => "routes",
            Self::Zones => "zones",
            Self::Signs => "signs",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// Ending of its file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Routes | Self::Zones | Self::Signs => "geojson",
            _ => "csv",
        }
    }

    /// By the stem of a file's name: `data/vehicles.csv` is the vehicles.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        Self::from_name(file.split('.').next().unwrap_or(file))
    }
}

impl fmt::Display for RegisterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A file to import.
#[derive(Clone, Copy, Debug)]
pub struct ImportFile<'a> {
    /// As errors shall name it.
    pub name: &'a str,
    /// None: told by the name.
    pub kind: Option<RegisterKind>,
    pub bytes: &'a [u8],
}

/// A good import: the new state of all registers and what is new in it.
#[derive(Clone, PartialEq, Debug)]
pub struct ImportSet {
    pub registers: Registers,
    /// Registers that change; none for an import of what is there already.
    pub changes: Vec<Change>,
    pub reach: Reach,
    /// What looks wrong and is taken.
    pub warnings: Vec<RegisterError>,
}

impl ImportSet {
    /// Reads and checks `files` against each other and against `base`; dates are in `zone`.
    ///
    /// # Errors
    /// Everything that is wrong, in order of file and line, up to [`MOST_ERRORS`].
    pub fn parse(
        files: &[ImportFile<'_>],
        zone: &TimeZone,
        base: &Registers,
    ) -> Result<Self, Vec<RegisterError>> {
        let mut errors = Errors::default();
        let mut warnings = Errors::default();
        let mut sets = Sets::on_file(base);
        let mut seen = BTreeSet::new();
        for file in files {
            let Some((kind, source)) = open(file, &mut errors) else {
                continue;
            };
            if seen.insert(kind) {
                sets.replace(kind, &source, zone, &mut errors, &mut warnings);
            } else {
                errors.push(&source.at(0), "", Problem::TwoFiles(kind));
            }
        }
        check::check(&sets, |_| true, &mut errors);
        if !errors.is_empty() {
            return Err(errors.finish());
        }
        let registers = sets.registers();
        Ok(Self {
            changes: change::changes(base, &registers),
            reach: change::reach(base, &registers),
            warnings: warnings.finish(),
            registers,
        })
    }
}

/// A file's text under the name that errors give it.
struct Source<'a> {
    file: Arc<str>,
    text: &'a str,
}

impl Source<'_> {
    fn at(&self, line: u32) -> At {
        At {
            file: self.file.clone(),
            line,
        }
    }
}

fn open<'a>(file: &ImportFile<'a>, errors: &mut Errors) -> Option<(RegisterKind, Source<'a>)> {
    let at = |line| At {
        file: file.name.into(),
        line,
    };
    let Some(kind) = file
        .kind
        .or_else(|| RegisterKind::from_file_name(file.name))
    else {
        let known = RegisterKind::ALL.map(RegisterKind::name).join(", ");
        errors.push(&at(0), "", Problem::NoKind(known));
        return None;
    };
    if file.bytes.len() > MOST_BYTES {
        errors.push(&at(0), "", Problem::TooLarge(MOST_BYTES >> 20));
        return None;
    }
    match std::str::from_utf8(file.bytes) {
        Ok(text) => {
            let source = Source {
                file: file.name.into(),
                text: text.strip_prefix('\u{feff}').unwrap_or(text),
            };
            Some((kind, source))
        }
        Err(e) => {
            let good = &file.bytes[..e.valid_up_to()];
            let line = 1 + good.iter().filter(|b| **b == b'\n').count();
            let byte = file.bytes.get(e.valid_up_to()).copied().unwrap_or(0);
            let at = at(u32::try_from(line).unwrap_or(u32::MAX));
            errors.push(&at, "", Problem::Encoding(byte));
            None
        }
    }
}

/// A row and where it stands; None: on file before the import.
#[derive(Clone)]
struct Located<T> {
    row: T,
    at: Option<At>,
}

/// The rows of one register.
struct Rows<T> {
    rows: Vec<Located<T>>,
    /// Keys of rows that could not be read: references to them are not reported too.
    broken: BTreeSet<String>,
    /// The file that replaces the register.
    replaced: Option<At>,
}

impl<T: Clone> Rows<T> {
    fn on_file(rows: &[T]) -> Self {
        let located = |row: &T| Located {
            row: row.clone(),
            at: None,
        };
        Self {
            rows: rows.iter().map(located).collect(),
            ..Self::of_file()
        }
    }
}

impl<T> Rows<T> {
    fn of_file() -> Self {
        Self {
            rows: Vec::new(),
            broken: BTreeSet::new(),
            replaced: None,
        }
    }

    fn take(&mut self, at: &At, key: Option<String>, row: Option<T>) {
        match row {
            Some(row) => self.rows.push(Located {
                row,
                at: Some(at.clone()),
            }),
            None => self.broken.extend(key),
        }
    }

    fn from(mut self, source: &Source<'_>) -> Self {
        self.replaced = Some(source.at(0));
        self
    }

    fn plain(self) -> Vec<T> {
        self.rows.into_iter().map(|r| r.row).collect()
    }
}

/// All registers while an import is read.
struct Sets {
    vehicles: Rows<Vehicle>,
    drivers: Rows<Driver>,
    cards: Rows<Card>,
    operators: Rows<Operator>,
    devices: Rows<Device>,
    fittings: Rows<Fitting>,
    routes: Rows<Route>,
    zones: Rows<Zone>,
    signs: Rows<Sign>,
}

impl Sets {
    fn on_file(base: &Registers) -> Self {
        Self {
            vehicles: Rows::on_file(&base.vehicles),
            drivers: Rows::on_file(&base.drivers),
            cards: Rows::on_file(&base.cards),
            operators: Rows::on_file(&base.operators),
            devices: Rows::on_file(&base.devices),
            fittings: Rows::on_file(&base.fittings),
            routes: Rows::on_file(&base.routes),
            zones: Rows::on_file(&base.zones),
            signs: Rows::on_file(&base.signs),
        }
    }

    fn replace(
        &mut self,
        kind: RegisterKind,
        source: &Source<'_>,
        zone: &TimeZone,
        errors: &mut Errors,
        warnings: &mut Errors,
    ) {
        let (s, z, e, w) = (source, zone, errors, warnings);
        let columns = |all, needed| Columns { all, needed };
        match kind {
            RegisterKind::Vehicles => {
                let c = columns(VEHICLE, &["plate"]);
                self.vehicles = rows::read(s, z, e, &c, rows::vehicle).from(s);
            }
            RegisterKind::Drivers => {
                let c = columns(DRIVER, &["licence", "name"]);
                self.drivers = rows::read(s, z, e, &c, rows::driver).from(s);
            }
            RegisterKind::Cards => {
                let c = columns(CARD, &["card", "driver"]);
                self.cards = rows::read(s, z, e, &c, rows::card).from(s);
            }
            RegisterKind::Operators => {
                let c = columns(OPERATOR, &["tax_code", "name"]);
                self.operators = rows::read(s, z, e, &c, rows::operator).from(s);
            }
            RegisterKind::Devices => {
                let c = columns(DEVICE, &["id"]);
                self.devices = rows::read(s, z, e, &c, rows::device).from(s);
            }
            RegisterKind::Fittings => {
                let c = columns(FITTING, &["source", "vehicle"]);
                self.fittings = rows::read(s, z, e, &c, rows::fitting).from(s);
            }
            RegisterKind::Routes => self.routes = features::routes(s, z, e, w).from(s),
            RegisterKind::Zones => self.zones = features::zones(s, z, e, w).from(s),
            RegisterKind::Signs => self.signs = features::signs(s, z, e, w).from(s),
        }
    }

    /// The rows in an order of their own, so that the order of lines makes no difference.
    fn registers(self) -> Registers {
        fn sorted<T, K: Ord>(rows: Rows<T>, key: impl Fn(&T) -> (K, Validity)) -> Vec<T> {
            let mut rows = rows.plain();
            rows.sort_by_cached_key(|r| {
                let (key, validity) = key(r);
                (key, validity.from)
            });
            rows
        }
        Registers {
            vehicles: sorted(self.vehicles, |r| (r.id.clone(), r.validity)),
            drivers: sorted(self.drivers, |r| (r.id.clone(), r.validity)),
            cards: sorted(self.cards, |r| (r.id.clone(), r.validity)),
            operators: sorted(self.operators, |r| (r.id.clone(), r.validity)),
            devices: sorted(self.devices, |r| (r.id.clone(), r.validity)),
            fittings: sorted(self.fittings, |r| (r.source.clone(), r.validity)),
            routes: sorted(self.routes, |r| (r.id.clone(), r.validity)),
            zones: sorted(self.zones, |r| (r.id.clone(), r.validity)),
            signs: sorted(self.signs, |r| (r.id.clone(), r.validity)),
        }
    }
}
