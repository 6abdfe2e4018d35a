//! Violations by filter and key.

use crate::batch::Result;
use crate::filed::{limit as rows, violation, violation_columns};
use crate::read::{FiledViolation, ViolationFilter, ViolationKey};
use crate::sqlite::rows::all;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use waywarden_model::{Plate, ViolationId};

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
        violation_columns()
    );
    all(c, &sql, params_from_iter(values), |r| violation(r))
}

pub(in crate::sqlite) fn one(c: &Connection, id: ViolationId) -> Result<Option<FiledViolation>> {
    let columns = violation_columns();
    let sql = format!("SELECT {columns} FROM violations v WHERE v.id = ?");
    Ok(all(c, &sql, [id.bytes().as_slice()], |r| violation(r))?.pop())
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
