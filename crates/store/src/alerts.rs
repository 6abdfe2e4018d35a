//! Alerts as every database files them: which columns there are, and what a list asks for.

use crate::batch::Result;
use crate::rows::{Cells, Columns, corrupt};
use waywarden_model::{
    Ahead, Alert, AlertId, AlertKind, DriverId, Kind, OperatorId, Plate, Rule, Subject, Timestamp,
};

/// Which alerts; fields left out do not narrow.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AlertFilter {
    /// Start at or after.
    pub from: Option<Timestamp>,
    /// Start before.
    pub to: Option<Timestamp>,
    pub kind: Option<AlertKind>,
    /// Plate (normalised) or vehicle id.
    pub vehicle: Option<String>,
    pub operator: Option<OperatorId>,
    pub open: Option<bool>,
}

/// Key of an alert in the order of lists: newest start first, then id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlertKey {
    pub start: Timestamp,
    pub id: AlertId,
}

/// Columns of [`put_alert`] behind the identity, and of [`alert`].
pub(crate) const ALERT: &str = "kind, ahead, rule, subject, vehicle, plate, driver, operator, \
     start, raised, ended, amount_ms, limit_ms";

pub(crate) fn put_alert<C: Cells>(c: &mut C, a: &Alert) -> std::result::Result<(), C::Error> {
    c.bytes(Some(&a.id().bytes()))?;
    c.text(Some(a.kind.name()))?;
    c.text(a.ahead.map(|of| of.kind.name()))?;
    c.text(a.ahead.and_then(|of| of.rule).map(Rule::name))?;
    c.text(Some(&a.subject.key()))?;
    c.text(a.vehicle.as_ref().map(|v| v.as_str()))?;
    c.text(a.plate.as_ref().map(Plate::as_str))?;
    c.text(a.driver.as_ref().map(DriverId::as_str))?;
    c.text(a.operator.as_ref().map(|o| o.as_str()))?;
    c.long(Some(a.start.millis()))?;
    c.long(Some(a.raised.millis()))?;
    c.long(a.ended.map(Timestamp::millis))?;
    c.long(a.amount_ms)?;
    c.long(a.limit_ms)
}

pub(crate) fn alert(c: &mut impl Columns) -> Result<Alert> {
    let kind = c.must("alert kind", AlertKind::from_name)?;
    let ahead = c.named("kind", Kind::from_name)?;
    let rule = c.named("rule", Rule::from_name)?;
    Ok(Alert {
        kind,
        ahead: ahead.map(|kind| Ahead { kind, rule }),
        subject: c.must("subject", Subject::from_key)?,
        vehicle: c.id()?,
        plate: c.plate()?,
        driver: c.id()?,
        operator: c.id()?,
        start: c.time()?,
        raised: c.time()?,
        ended: c.time_opt()?,
        amount_ms: c.opt()?,
        limit_ms: c.opt()?,
    })
}

/// The subject is its one parameter, which both databases call `$1`.
pub(crate) const OPEN_AHEAD: &str =
    "SELECT id FROM alerts WHERE subject = $1 AND ended IS NULL AND kind = 'limit_ahead'";

pub(crate) fn alert_id(c: &mut impl Columns) -> Result<AlertId> {
    let id = c.blob()?.try_into().map_err(|_| corrupt("alert id"))?;
    Ok(AlertId::from_bytes(id))
}

/// Open alerts of each kind, in the order of [`AlertKind::ALL`].
pub(crate) fn by_kind(found: &[(AlertKind, u64)]) -> Vec<(AlertKind, u64)> {
    let of = |kind| {
        found
            .iter()
            .find(|(k, _)| *k == kind)
            .map_or(0, |(_, n)| *n)
    };
    AlertKind::ALL.map(|kind| (kind, of(kind))).to_vec()
}

/// A row of kind and number.
pub(crate) fn counted(c: &mut impl Columns) -> Result<(AlertKind, u64)> {
    let kind = c.text()?.and_then(|t| AlertKind::from_name(&t));
    Ok((kind.ok_or_else(|| corrupt("alert kind"))?, c.number()?))
}

pub(crate) const OPEN_BY_KIND: &str =
    "SELECT kind, count(*) FROM alerts WHERE ended IS NULL GROUP BY kind";
