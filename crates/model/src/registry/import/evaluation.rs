//! Registers for records at hand: some files of them, without a store.

use super::error::Errors;
use super::{ImportFile, RegisterKind, Sets, check, open};
use crate::directory::Standing;
use crate::registry::import::{Problem, RegisterError};
use crate::registry::{Device, Fitting, Registers, Vehicle};
use crate::time::TimeZone;
use crate::{SourceId, VehicleId};
use std::collections::BTreeSet;

impl Registers {
    /// Reads the files that there are. References into a register without a file are not asked
    /// after. Records name their vehicle by its plate: each vehicle is fitted with a source whose id
    /// is its plate, for as long as the plate is its.
    ///
    /// # Errors
    /// Everything that is wrong, as for an import.
    pub fn for_evaluation(
        files: &[ImportFile<'_>],
        zone: &TimeZone,
    ) -> Result<Self, Vec<RegisterError>> {
        let (mut errors, mut warnings) = (Errors::default(), Errors::default());
        let mut sets = Sets::on_file(&Self::default());
        let mut given = BTreeSet::new();
        for file in files {
            let Some((kind, source)) = open(file, &mut errors) else {
                continue;
            };
            if given.insert(kind) {
                sets.replace(kind, &source, zone, &mut errors, &mut warnings);
            } else {
                errors.push(&source.at(0), "", Problem::TwoFiles(kind));
            }
        }
        check::check(&sets, |kind| given.contains(&kind), &mut errors);
        if !errors.is_empty() {
            return Err(errors.finish());
        }
        let mut registers = sets.registers();
        let (devices, fittings): (Vec<_>, Vec<_>) = registers.vehicles.iter().map(by_plate).unzip();
        if !given.contains(&RegisterKind::Devices) {
            registers.devices = devices;
        }
        registers.fittings.extend(fittings);
        Ok(registers)
    }
}

fn by_plate(v: &Vehicle) -> (Device, Fitting) {
    let source = SourceId::from(v.plate.as_str());
    let device = Device {
        id: source.clone(),
        protocol: None,
        utc_offset_s: None,
        dialect: None,
        standing: Standing::Known,
        validity: v.validity,
    };
    let fitting = Fitting {
        source,
        vehicle: VehicleId::clone(&v.id),
        primary: true,
        validity: v.validity,
    };
    (device, fitting)
}
