//! Violations by filter and key.

use super::rows;
use crate::batch::Result;
use crate::read::{FiledViolation, Status, ViolationFilter, ViolationKey};
use crate::sqlite::rows::{self as filed, Reader, VIOLATION, VIOLATION_COLUMNS, corrupt};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use waywarden_model::{Plate, Timestamp, ViolationId};

/// How many [`columns`] there are: what a query adds stands behind them.
pub(super) const WIDTH: usize = VIOLATION_COLUMNS + 6;

/// Columns of [`read_row`], of a table that is called `v`.
pub(super) fn columns() -> String {
    let facts: Vec<String> = VIOLATION
        .split(',')
        .map(|c| format!("v.{}", c.trim()))
        .collect();
    format!(
        "{}, v.id, v.status, v.evidence_changed, v.revision, v.replaced_by, v.updated",
        facts.join(", ")
    )
}

pub(super) fn list(
    c: &Connection,
    filter: &ViolationFilter,
    after: Option<ViolationKey>,
    limit: usize,
) -> Result<Vec<FiledViolation>> {
    let (mut clause, mut values) = where_clause(filter);
    if let Some(key) = after {
        clause.push_str(" AND (v.start, v.id) < (?, ?)");
        values.push(key.start.millis().into());
        values.push(key.id.bytes().to_vec().into());
    }
    values.push(rows(limit).into());
    let sql = format!(
        "SELECT {} FROM violations v WHERE {clause} \
         ORDER BY v.start DESC, v.id DESC LIMIT ?",
        columns()
    );
    let mut q = c.prepare_cached(&sql)?;
    let mut found = q.query(params_from_iter(values))?;
    let mut out = Vec::new();
    while let Some(row) = found.next()? {
        out.push(read_row(row)?);
    }
    Ok(out)
}

pub(super) fn one(c: &Connection, id: ViolationId) -> Result<Option<FiledViolation>> {
    let sql = format!("SELECT {} FROM violations v WHERE v.id = ?", columns());
    let mut q = c.prepare_cached(&sql)?;
    q.query_row([id.bytes().as_slice()], |row| Ok(read_row(row)))
        .optional()?
        .transpose()
}

/// The filter as SQL over `v`; always a valid expression.
pub(super) fn where_clause(f: &ViolationFilter) -> (String, Vec<Value>) {
    let mut clause = String::from("1");
    let mut values: Vec<Value> = Vec::new();
    let mut narrow = |sql: &str, value: Option<Value>| {
        if let Some(value) = value {
            clause.push_str(" AND ");
            clause.push_str(sql);
            values.push(value);
        }
    };
    narrow("v.start >= ?", f.from.map(|t| t.millis().into()));
    narrow("v.start < ?", f.to.map(|t| t.millis().into()));
    narrow("v.kind = ?", f.kind.map(|k| k.name().to_owned().into()));
    narrow(
        "v.operator = ?",
        f.operator.as_ref().map(|o| o.as_str().to_owned().into()),
    );
    narrow(
        "v.driver = ?",
        f.driver.as_ref().map(|d| d.as_str().to_owned().into()),
    );
    narrow("v.band = ?", f.band.clone().map(Into::into));
    narrow("v.status = ?", f.status.map(|s| s.name().to_owned().into()));
    narrow("v.open = ?", f.open.map(|o| i64::from(o).into()));
    if let Some(vehicle) = &f.vehicle {
        clause.push_str(" AND (v.vehicle = ? OR v.plate = ?)");
        values.push(vehicle.clone().into());
        values.push(Plate::new(vehicle).as_str().to_owned().into());
    }
    (clause, values)
}

/// Reads [`columns`].
pub(super) fn read_row(row: &Row<'_>) -> Result<FiledViolation> {
    let violation = filed::violation(row, 0)?;
    let mut r = Reader::new(row, VIOLATION_COLUMNS);
    let id = violation_id(&r.take::<Vec<u8>>()?)?;
    let status =
        Status::from_name(&r.take::<String>()?).ok_or_else(|| corrupt("violation status"))?;
    let (evidence_changed, revision) = (r.take()?, r.take()?);
    let replaced: Option<Vec<u8>> = r.take()?;
    Ok(FiledViolation {
        id,
        violation,
        status,
        evidence_changed,
        revision,
        replaced_by: replaced.as_deref().map(violation_id).transpose()?,
        updated: Timestamp::from_millis(r.take()?),
    })
}

pub(super) fn violation_id(bytes: &[u8]) -> Result<ViolationId> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| corrupt("violation id"))?;
    Ok(ViolationId::from_bytes(bytes))
}
