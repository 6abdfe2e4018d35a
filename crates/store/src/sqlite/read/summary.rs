//! Sums over days, from the file.

use crate::batch::Result;
use crate::rows::Columns;
use crate::sqlite::rows::{Reader, all};
use crate::summary::{Query, Summary, SummaryFilter, Sums, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use waywarden_model::TimeZone;

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(n) => ValueRef::Integer((*n).into()),
            Self::Long(n) => ValueRef::Integer(*n),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
        }))
    }
}

pub(super) fn summaries(
    c: &Connection,
    zone: &TimeZone,
    f: &SummaryFilter,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Summary>> {
    let mut sums = Sums::new(f.of, run(c, &f.keys(zone, after, limit), |r| r.string())?);
    let Some(span) = sums.span() else {
        return Ok(Vec::new());
    };
    run(c, &f.days(zone, &span), |r| sums.days(r))?;
    if let Some(newest) = f.newest(zone, &span) {
        run(c, &newest, |r| sums.newest(r))?;
    }
    if let Some(driving) = f.driving(zone, &span) {
        run(c, &driving, |r| sums.driving(r))?;
    }
    run(c, &f.violations(zone, &span), |r| sums.violations(r))?;
    Ok(sums.finish())
}

fn run<T>(
    c: &Connection,
    q: &Query,
    row: impl FnMut(&mut Reader<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    all(c, &q.sql, params_from_iter(&q.values), row)
}
