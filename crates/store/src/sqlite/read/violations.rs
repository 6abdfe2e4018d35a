//! Violations by filter and key.

use super::filter::Filter;
use crate::batch::Result;
use crate::filed::{limit as rows, violation, violation_columns};
use crate::read::{FiledViolation, ViolationFilter, ViolationKey};
use crate::sqlite::rows::all;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use waywarden_model::ViolationId;

pub(super) fn list(
    c: &Connection,
    filter: &ViolationFilter,
    after: Option<ViolationKey>,
    limit: usize,
) -> Result<Vec<FiledViolation>> {
    let mut filter = filter_of(filter);
    if let Some(key) = after {
        let values = [key.start.millis().into(), key.id.bytes().to_vec().into()];
        filter.and("(v.start, v.id) < (?, ?)", values);
    }
    let (clause, mut values) = filter.parts();
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
    filter_of(f).parts()
}

fn filter_of(f: &ViolationFilter) -> Filter {
    let mut filter = Filter::new();
    filter.narrow("v.start >= ?", f.from.map(|t| t.millis().into()));
    filter.narrow("v.start < ?", f.to.map(|t| t.millis().into()));
    filter.narrow("v.kind = ?", f.kind.map(|k| k.name().to_owned().into()));
    let operator = f.operator.as_ref().map(|o| o.as_str().to_owned().into());
    filter.narrow("v.operator = ?", operator);
    let driver = f.driver.as_ref().map(|d| d.as_str().to_owned().into());
    filter.narrow("v.driver = ?", driver);
    filter.narrow("v.band = ?", f.band.clone().map(Into::into));
    filter.narrow("v.status = ?", f.status.map(|s| s.name().to_owned().into()));
    filter.narrow("v.open = ?", f.open.map(|o| i64::from(o).into()));
    filter.vehicle("(v.vehicle = ? OR v.plate = ?)", f.vehicle.as_ref());
    filter
}
