//! Violations by filter and key.

use super::{corrupt, failed, rows};
use crate::batch::Result;
use crate::read::{FiledViolation, Status, ViolationFilter, ViolationKey};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use waywarden_model::{
    Band, Distance, Kind, LimitSource, Plate, ProfileId, Rule, Speed, Subject, Timestamp,
    Violation, ViolationId,
};

/// Columns of [`read_row`], of a table that is called `v`.
pub(super) const COLUMNS: &str = "v.id, v.kind, v.rule, v.subject, v.vehicle, v.plate, v.driver, \
    v.operator, v.start, v.\"end\", v.open, v.band, v.\"limit\", v.limit_source, v.max_excess, \
    v.distance, v.duration_ms, v.limit_ms, v.profile, v.profile_version, v.registry, v.figures, \
    v.spans, v.status, v.evidence_changed, v.revision, v.replaced_by, v.updated";
/// How many columns these are: what a query adds stands behind them.
pub(super) const WIDTH: usize = 28;

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
        "SELECT {COLUMNS} FROM violations v WHERE {clause} \
         ORDER BY v.start DESC, v.id DESC LIMIT ?"
    );
    let mut q = c.prepare_cached(&sql).map_err(failed)?;
    let mut found = q.query(params_from_iter(values)).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        out.push(read_row(row)?);
    }
    Ok(out)
}

pub(super) fn one(c: &Connection, id: ViolationId) -> Result<Option<FiledViolation>> {
    let sql = format!("SELECT {COLUMNS} FROM violations v WHERE v.id = ?");
    let mut q = c.prepare_cached(&sql).map_err(failed)?;
    q.query_row([id.bytes().as_slice()], |row| Ok(read_row(row)))
        .optional()
        .map_err(failed)?
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

pub(super) fn read_row(row: &Row<'_>) -> Result<FiledViolation> {
    let id: Vec<u8> = get(row, 0)?;
    let violation = facts(row)?;
    let replaced: Option<Vec<u8>> = get(row, 26)?;
    Ok(FiledViolation {
        id: violation_id(&id)?,
        violation,
        status: Status::from_name(&text(row, 23)?).ok_or_else(|| corrupt("violation status"))?,
        evidence_changed: get(row, 24)?,
        revision: get(row, 25)?,
        replaced_by: replaced.as_deref().map(violation_id).transpose()?,
        updated: Timestamp::from_millis(get(row, 27)?),
    })
}

fn facts(row: &Row<'_>) -> Result<Violation> {
    let named = |i: usize| -> Result<Option<String>> { get(row, i) };
    Ok(Violation {
        kind: Kind::from_name(&text(row, 1)?).ok_or_else(|| corrupt("violation kind"))?,
        rule: known(named(2)?, Rule::from_name, "violation rule")?,
        subject: Subject::from_key(&text(row, 3)?).ok_or_else(|| corrupt("violation subject"))?,
        vehicle: named(4)?.as_deref().map(Into::into),
        plate: named(5)?.as_deref().map(Plate::new),
        driver: named(6)?.as_deref().map(Into::into),
        operator: named(7)?.as_deref().map(Into::into),
        start: Timestamp::from_millis(get(row, 8)?),
        end: Timestamp::from_millis(get(row, 9)?),
        open: get(row, 10)?,
        band: known(named(11)?, Band::from_name, "violation band")?,
        limit: get::<Option<i32>>(row, 12)?.map(Speed::from_centi),
        limit_source: known(named(13)?, LimitSource::from_name, "limit source")?,
        max_excess: get::<Option<i32>>(row, 14)?.map(Speed::from_centi),
        distance: get::<Option<i64>>(row, 15)?.map(Distance::from_decimetres),
        duration_ms: get(row, 16)?,
        limit_ms: get(row, 17)?,
        profile: ProfileId {
            name: text(row, 18)?.into(),
            version: get(row, 19)?,
        },
        registry: get(row, 20)?,
        figures: json(&text(row, 21)?, "violation figures")?,
        spans: json(&text(row, 22)?, "violation spans")?,
    })
}

fn known<T>(
    name: Option<String>,
    from: impl Fn(&str) -> Option<T>,
    what: &str,
) -> Result<Option<T>> {
    name.map(|n| from(&n).ok_or_else(|| corrupt(what)))
        .transpose()
}

fn json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| corrupt(what))
}

pub(super) fn violation_id(bytes: &[u8]) -> Result<ViolationId> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| corrupt("violation id"))?;
    Ok(ViolationId::from_bytes(bytes))
}

pub(super) fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, i: usize) -> Result<T> {
    row.get(i).map_err(failed)
}

pub(super) fn text(row: &Row<'_>, i: usize) -> Result<String> {
    get(row, i)
}
