//! Registry versions as parts: each register's content by its hash, so that a version writes what
//! changed.

mod first;

use crate::batch::{Result, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use waywarden_model::registry::Registers;

/// How bodies are encoded: postcard of the register's rows, compressed by zstd. 1 had no permits and
/// no bans.
pub(crate) const FORMAT: u32 = 2;
const ZSTD_LEVEL: i32 = 3;
/// A register's size when unpacked, at most.
const REGISTER_BYTES: usize = 1 << 30;

/// One register's content, packed.
pub(crate) struct Part {
    pub kind: &'static str,
    pub hash: [u8; 32],
    pub body: Vec<u8>,
}

pub(crate) fn encode(r: &Registers) -> Result<Vec<Part>> {
    Ok(vec![
        part("vehicles", &r.vehicles)?,
        part("drivers", &r.drivers)?,
        part("cards", &r.cards)?,
        part("operators", &r.operators)?,
        part("devices", &r.devices)?,
        part("fittings", &r.fittings)?,
        part("routes", &r.routes)?,
        part("zones", &r.zones)?,
        part("signs", &r.signs)?,
    ])
}

fn part<T: Serialize>(kind: &'static str, rows: &[T]) -> Result<Part> {
    let failed = |e: &dyn std::fmt::Display| StoreError::Failed(format!("register {kind}: {e}"));
    let plain = postcard::to_stdvec(rows).map_err(|e| failed(&e))?;
    if plain.len() > REGISTER_BYTES {
        return Err(failed(&"too large"));
    }
    // The kind is hashed too: empty registers are not one blob.
    let hash = Sha256::new()
        .chain_update(kind.as_bytes())
        .chain_update([0])
        .chain_update(&plain)
        .finalize()
        .into();
    let body = zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(|e| failed(&e))?;
    Ok(Part { kind, hash, body })
}

/// The bodies of a version by kind, with their formats.
pub(crate) type Bodies = BTreeMap<String, (u32, Vec<u8>)>;

pub(crate) fn decode(bodies: &Bodies) -> Result<Registers> {
    Ok(Registers {
        vehicles: grown::<first::Vehicle, _>(bodies, "vehicles")?,
        drivers: grown::<first::Driver, _>(bodies, "drivers")?,
        cards: rows_of(bodies, "cards")?,
        operators: grown::<first::Operator, _>(bodies, "operators")?,
        devices: rows_of(bodies, "devices")?,
        fittings: rows_of(bodies, "fittings")?,
        routes: rows_of(bodies, "routes")?,
        zones: grown::<first::Zone, _>(bodies, "zones")?,
        signs: rows_of(bodies, "signs")?,
    })
}

/// Rows of a register that had less in the first format.
fn grown<Old, T>(bodies: &Bodies, kind: &str) -> Result<Vec<T>>
where
    Old: DeserializeOwned + Into<T>,
    T: DeserializeOwned,
{
    if bodies.get(kind).is_some_and(|(format, _)| *format == 1) {
        let rows: Vec<Old> = rows_of(bodies, kind)?;
        return Ok(rows.into_iter().map(Into::into).collect());
    }
    rows_of(bodies, kind)
}

fn rows_of<T: DeserializeOwned>(bodies: &Bodies, kind: &str) -> Result<Vec<T>> {
    let broken = |e: &dyn std::fmt::Display| StoreError::Corrupt(format!("register {kind}: {e}"));
    let (format, body) = bodies.get(kind).ok_or_else(|| broken(&"is missing"))?;
    if !(1..=FORMAT).contains(format) {
        return Err(broken(&format_args!("format {format}")));
    }
    let plain = zstd::stream::decode_all(body.as_slice()).map_err(|e| broken(&e))?;
    postcard::from_bytes(&plain).map_err(|e| broken(&e))
}

/// A registry version as one piece of bytes, for a copy on disk.
///
/// # Errors
/// Registers that are too large.
pub fn pack_registers(version: u32, registers: &Registers) -> Result<Vec<u8>> {
    let parts = encode(registers)?;
    let bodies: Bodies = parts
        .into_iter()
        .map(|p| (p.kind.to_owned(), (FORMAT, p.body)))
        .collect();
    postcard::to_stdvec(&(version, bodies)).map_err(|e| StoreError::Failed(e.to_string()))
}

/// Reads what [`pack_registers`] gave.
///
/// # Errors
/// Bytes that are damaged, or of a format that this program does not know.
pub fn unpack_registers(bytes: &[u8]) -> Result<(u32, Registers)> {
    let (version, bodies): (u32, Bodies) =
        postcard::from_bytes(bytes).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok((version, decode(&bodies)?))
}

/// No version of this number is on file.
pub(crate) fn unknown(version: u32) -> StoreError {
    StoreError::NotFound {
        what: "registry version",
        id: version.to_string(),
    }
}
