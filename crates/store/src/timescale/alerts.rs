//! Alerts on the server.

use super::TimescaleStore;
use super::cells::{Table, all, written};
use super::read::Filter;
use super::trouble::Outcome;
use super::work::Work;
use crate::alerts::{
    ALERT, AlertFilter, AlertKey, OPEN_AHEAD, OPEN_BY_KIND, alert, alert_id, by_kind, counted,
    put_alert,
};
use crate::batch::Result;
use crate::filed::limit as rows;
use crate::rows::Cells;
use std::collections::BTreeMap;
use waywarden_model::{Alert, AlertId, AlertKind, Subject, Timestamp};

/// Files alerts as they are now; `partition` is that of whoever found them.
pub(super) async fn file(work: &Work<'_>, partition: Option<u32>, alerts: &[Alert]) -> Outcome<()> {
    let last: BTreeMap<AlertId, &Alert> = alerts.iter().map(|a| (a.id(), a)).collect();
    let mut table = Table::default();
    for a in last.into_values() {
        table.long(partition.map(i64::from))?;
        put_alert(&mut table, a)?;
        table.end_row();
    }
    let names = format!("\"partition\", id, {ALERT}");
    work.put(&table, &names, &[], |rows| {
        format!(
            "INSERT INTO alerts ({names}) SELECT {names} FROM {rows}
             ON CONFLICT (id) DO UPDATE SET ended = excluded.ended,
                 amount_ms = excluded.amount_ms, vehicle = excluded.vehicle,
                 plate = excluded.plate, operator = excluded.operator"
        )
    })
    .await?;
    Ok(())
}

/// Ends all that the partition had found: with the states went what would have ended it.
pub(super) async fn end_all(work: &Work<'_>, partition: u32, at: Timestamp) -> Outcome<()> {
    let sql = "UPDATE alerts SET ended = greatest(raised, $2)
               WHERE \"partition\" = $1 AND ended IS NULL";
    let key = i64::from(partition);
    work.execute(sql, &[&key, &at.millis()]).await?;
    Ok(())
}

/// The subject's limits that came near and go on.
pub(super) async fn open_ahead(work: &Work<'_>, subject: &Subject) -> Outcome<Vec<AlertId>> {
    let found = work.rows(OPEN_AHEAD, &[&written(&subject.key())]).await?;
    Ok(all(&found, |r| alert_id(r))?)
}

pub(super) async fn end(work: &Work<'_>, over: &[AlertId], at: Timestamp) -> Outcome<()> {
    if over.is_empty() {
        return Ok(());
    }
    let ids: Vec<Vec<u8>> = over.iter().map(|id| id.bytes().to_vec()).collect();
    let sql = "UPDATE alerts SET ended = greatest(raised, $2) WHERE id = ANY($1)";
    work.execute(sql, &[&ids, &at.millis()]).await?;
    Ok(())
}

pub(super) async fn list(
    store: &TimescaleStore,
    filter: &AlertFilter,
    after: Option<AlertKey>,
    limit: usize,
) -> Result<Vec<Alert>> {
    let mut f = Filter::of_alerts(filter);
    if let Some(key) = after {
        let (start, id) = (f.put(key.start.millis()), f.put(key.id.bytes().to_vec()));
        f.and(&format!("(v.start, v.id) < ({start}, {id})"));
    }
    let limit = f.put(rows(limit));
    let sql = format!(
        "SELECT {ALERT} FROM alerts v WHERE {} ORDER BY v.start DESC, v.id DESC LIMIT {limit}",
        f.clause(),
    );
    all(&store.rows(&sql, &f.params()).await?, |r| alert(r))
}

pub(super) async fn open_by_kind(work: &Work<'_>) -> Outcome<Vec<(AlertKind, u64)>> {
    let found = work.rows(OPEN_BY_KIND, &[]).await?;
    Ok(by_kind(&all(&found, |r| counted(r))?))
}
