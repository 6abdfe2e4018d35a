//! Alerts in the file.

use super::read::Filter;
use super::rows::{Binder, all};
use crate::alerts::{
    ALERT, AlertFilter, AlertKey, OPEN_AHEAD, OPEN_BY_KIND, alert, alert_id, by_kind, counted,
    put_alert,
};
use crate::batch::Result;
use crate::filed::limit as rows;
use rusqlite::{Connection, params_from_iter};
use waywarden_model::{Alert, AlertId, AlertKind, Subject, Timestamp};

/// Files alerts as they are now; `partition` is that of whoever found them.
pub(super) fn file(conn: &Connection, partition: Option<u32>, alerts: &[Alert]) -> Result<()> {
    let mut stmt = conn.prepare_cached(&format!(
        "INSERT INTO alerts (\"partition\", id, {ALERT})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, amount_ms = excluded.amount_ms,
             vehicle = excluded.vehicle, plate = excluded.plate, operator = excluded.operator"
    ))?;
    for a in alerts {
        let mut b = Binder::new(&mut stmt);
        b.put(partition)?;
        put_alert(&mut b, a)?;
        b.execute()?;
    }
    Ok(())
}

/// Ends all that the partition had found: with the states went what would have ended it.
pub(super) fn end_all(conn: &Connection, partition: u32, at: Timestamp) -> Result<()> {
    conn.prepare_cached(
        "UPDATE alerts SET ended = max(raised, ?2) WHERE \"partition\" = ?1 AND ended IS NULL",
    )?
    .execute((partition, at.millis()))?;
    Ok(())
}

/// The subject's limits that came near and go on.
pub(super) fn open_ahead(conn: &Connection, subject: &Subject) -> Result<Vec<AlertId>> {
    all(conn, OPEN_AHEAD, [subject.key()], |r| alert_id(r))
}

pub(super) fn end(conn: &Connection, over: &[AlertId], at: Timestamp) -> Result<()> {
    let mut stmt =
        conn.prepare_cached("UPDATE alerts SET ended = max(raised, ?2) WHERE id = ?1")?;
    for id in over {
        stmt.execute((id.bytes(), at.millis()))?;
    }
    Ok(())
}

pub(super) fn list(
    c: &Connection,
    f: &AlertFilter,
    after: Option<AlertKey>,
    limit: usize,
) -> Result<Vec<Alert>> {
    let mut filter = Filter::new();
    filter.narrow("start >= ?", f.from.map(|t| t.millis().into()));
    filter.narrow("start < ?", f.to.map(|t| t.millis().into()));
    filter.narrow("kind = ?", f.kind.map(|k| k.name().to_owned().into()));
    let operator = f.operator.as_ref().map(|o| o.as_str().to_owned().into());
    filter.narrow("operator = ?", operator);
    filter.narrow("(ended IS NULL) = ?", f.open.map(|o| i64::from(o).into()));
    filter.vehicle("(vehicle = ? OR plate = ?)", f.vehicle.as_ref());
    if let Some(key) = after {
        let values = [key.start.millis().into(), key.id.bytes().to_vec().into()];
        filter.and("(start, id) < (?, ?)", values);
    }
    let (clause, mut values) = filter.parts();
    values.push(rows(limit).into());
    let sql =
        format!("SELECT {ALERT} FROM alerts WHERE {clause} ORDER BY start DESC, id DESC LIMIT ?");
    all(c, &sql, params_from_iter(values), |r| alert(r))
}

pub(super) fn open_by_kind(c: &Connection) -> Result<Vec<(AlertKind, u64)>> {
    Ok(by_kind(&all(c, OPEN_BY_KIND, [], |r| counted(r))?))
}
