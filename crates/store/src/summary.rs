//! Sums over local days, made when they are read: of day rows, driving periods, driver days and
//! violations, so that each has one truth to recalculate. The statements are those of every
//! database; `?n` is the place of a value, which some write in another way.

use crate::batch::Result;
use crate::rows::Columns;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use waywarden_model::{Band, Distance, Kind, LocalDay, OperatorId, Plate, Speed, TimeZone};

/// Whose days are summed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SummaryOf {
    Vehicle,
    Driver,
    Operator,
}

impl SummaryOf {
    /// Name in queries; the column of day rows, periods and violations too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vehicle => "vehicle",
            Self::Driver => "driver",
            Self::Operator => "operator",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Vehicle, Self::Driver, Self::Operator]
            .into_iter()
            .find(|of| of.name() == name)
    }

    /// Where its days are.
    const fn days(self) -> &'static str {
        match self {
            Self::Vehicle | Self::Operator => "day_rows",
            Self::Driver => "driver_days",
        }
    }
}

/// Which sums; days with both ends included.
#[derive(Clone, PartialEq, Debug)]
pub struct SummaryFilter {
    pub of: SummaryOf,
    pub from: LocalDay,
    pub to: LocalDay,
    /// Only this one: a vehicle by id or plate, a driver by licence, an operator by tax code.
    pub only: Option<String>,
    /// Of vehicles, only those of this operator.
    pub operator: Option<OperatorId>,
    /// Speed violations are counted apart where their excess is greater.
    pub excess_over: Speed,
}

/// What the days of one vehicle, driver or operator come to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Summary {
    /// Id of the vehicle, licence of the driver, tax code of the operator.
    pub key: String,
    /// Of a vehicle, on the newest of its days.
    pub plate: Option<Plate>,
    /// Of a vehicle, on the newest of its days.
    pub operator: Option<OperatorId>,
    /// Days that have a row.
    pub days: u32,
    pub distance: Distance,
    pub driving_ms: i64,
    /// Stops, intervals over 60 s and the highest speed; None for drivers, whose days do not say.
    pub stops: Option<u64>,
    pub gaps_over_60_s: Option<u64>,
    pub max_speed: Option<Speed>,
    /// Those that stand and were not dismissed, by kind and band; of the day on which they begin.
    pub violations: Vec<ViolationSum>,
}

/// Violations of one kind, and for overspeed of one band.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ViolationSum {
    pub kind: Kind,
    pub band: Option<Band>,
    pub count: u64,
    pub distance: Distance,
    pub duration_ms: i64,
    /// Those whose excess is greater than the filter's.
    pub above: u64,
}

/// A value of a statement.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Int(i32),
    Long(i64),
    Text(String),
}

/// A statement with its values.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Query {
    pub sql: String,
    pub values: Vec<Value>,
}

impl Query {
    /// Takes a value and gives its place.
    fn put(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("?{}", self.values.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.put(Value::Text(text.to_owned()))
    }
}

/// Keys of one page, from the first to the last.
pub(crate) struct Span {
    pub first: String,
    pub last: String,
}

/// Columns that a row may be chosen by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Days,
    Periods,
    Violations,
}

impl SummaryFilter {
    /// Rows of a table that count, as an expression.
    fn rows(&self, q: &mut Query, table: Table, zone: &TimeZone) -> String {
        let column = self.of.name();
        let mut parts = vec![format!("{column} IS NOT NULL")];
        if table == Table::Days {
            let (from, to) = (q.put(Value::Int(self.from.0)), q.put(Value::Int(self.to.0)));
            parts.push(format!("day BETWEEN {from} AND {to}"));
        } else {
            let begins = q.put(Value::Long(zone.start_of(self.from).millis()));
            let ends = q.put(Value::Long(zone.start_of(self.to.plus(1)).millis()));
            parts.push(format!("start >= {begins} AND start < {ends}"));
        }
        if table == Table::Violations {
            parts.push("status IN ('new', 'confirmed')".to_owned());
        }
        if let Some(only) = &self.only {
            let id = q.text(only);
            parts.push(if self.of == SummaryOf::Vehicle {
                let plate = q.text(Plate::new(only).as_str());
                format!("({column} = {id} OR plate = {plate})")
            } else {
                format!("{column} = {id}")
            });
        }
        if let (SummaryOf::Vehicle, Some(operator)) = (self.of, &self.operator) {
            let operator = q.text(operator.as_str());
            parts.push(format!("operator = {operator}"));
        }
        parts.join(" AND ")
    }

    fn rows_of(&self, q: &mut Query, table: Table, zone: &TimeZone, span: &Span) -> String {
        let rows = self.rows(q, table, zone);
        let (first, last) = (q.text(&span.first), q.text(&span.last));
        format!("{rows} AND {} BETWEEN {first} AND {last}", self.of.name())
    }

    /// Whoever has a day or a violation, behind `after`; in the order of keys.
    pub(crate) fn keys(&self, zone: &TimeZone, after: Option<&str>, limit: usize) -> Query {
        let (column, days) = (self.of.name(), self.of.days());
        let mut q = Query::default();
        let rows = self.rows(&mut q, Table::Days, zone);
        let violations = self.rows(&mut q, Table::Violations, zone);
        let behind = after.map_or_else(String::new, |after| {
            let after = q.text(after);
            format!("WHERE found > {after}")
        });
        let limit = q.put(Value::Long(crate::filed::limit(limit)));
        q.sql = format!(
            "SELECT found FROM (SELECT {column} AS found FROM {days} WHERE {rows}
                 UNION SELECT {column} FROM violations WHERE {violations}) k
             {behind} ORDER BY found LIMIT {limit}"
        );
        q
    }

    /// Sums of days by key, read by [`Sums::days`].
    pub(crate) fn days(&self, zone: &TimeZone, span: &Span) -> Query {
        let (column, days) = (self.of.name(), self.of.days());
        let mut q = Query::default();
        let rows = self.rows_of(&mut q, Table::Days, zone, span);
        let rest = match self.of {
            SummaryOf::Driver => "CAST(sum(driving_ms) AS BIGINT)",
            SummaryOf::Vehicle | SummaryOf::Operator => {
                "CAST(sum(stops) AS BIGINT), CAST(sum(gaps) AS BIGINT), max(max_speed)"
            }
        };
        q.sql = format!(
            "SELECT {column}, count(DISTINCT day), CAST(sum(distance) AS BIGINT), {rest}
             FROM {days} WHERE {rows} GROUP BY {column}"
        );
        q
    }

    /// Plate and operator on the newest day, read by [`Sums::newest`]; None where it is not a
    /// vehicle's.
    pub(crate) fn newest(&self, zone: &TimeZone, span: &Span) -> Option<Query> {
        if self.of != SummaryOf::Vehicle {
            return None;
        }
        let mut q = Query::default();
        let rows = self.rows_of(&mut q, Table::Days, zone, span);
        q.sql = format!(
            "SELECT vehicle, plate, operator FROM (
                 SELECT vehicle, plate, operator, row_number() OVER
                     (PARTITION BY vehicle ORDER BY day DESC, source) AS place
                 FROM day_rows WHERE {rows}) n WHERE place = 1"
        );
        Some(q)
    }

    /// Sums of driving by key, read by [`Sums::driving`]; None for drivers, whose days say it. By
    /// way of the sources that have days, since periods are found by their source.
    pub(crate) fn driving(&self, zone: &TimeZone, span: &Span) -> Option<Query> {
        if self.of == SummaryOf::Driver {
            return None;
        }
        let column = self.of.name();
        let mut q = Query::default();
        let days = self.rows_of(&mut q, Table::Days, zone, span);
        let rows = self.rows_of(&mut q, Table::Periods, zone, span);
        q.sql = format!(
            "SELECT {column}, CAST(sum(\"end\" - start) AS BIGINT) FROM periods
             WHERE source IN (SELECT source FROM day_rows WHERE {days}) AND {rows}
             GROUP BY {column}"
        );
        Some(q)
    }

    /// Sums of violations by key, kind and band, read by [`Sums::violations`].
    pub(crate) fn violations(&self, zone: &TimeZone, span: &Span) -> Query {
        let column = self.of.name();
        let mut q = Query::default();
        let over = q.put(Value::Int(self.excess_over.centi()));
        let rows = self.rows_of(&mut q, Table::Violations, zone, span);
        q.sql = format!(
            "SELECT {column}, kind, band, count(*), CAST(coalesce(sum(distance), 0) AS BIGINT),
                 CAST(sum(duration_ms) AS BIGINT),
                 CAST(sum(CASE WHEN max_excess > {over} THEN 1 ELSE 0 END) AS BIGINT)
             FROM violations WHERE {rows} GROUP BY {column}, kind, band
             ORDER BY {column}, kind, band"
        );
        q
    }
}

/// Sums of one page, while they are read.
#[derive(Debug)]
pub(crate) struct Sums {
    of: SummaryOf,
    /// As the database orders them, which may write a text in another way.
    keys: Vec<String>,
    by_key: BTreeMap<String, Summary>,
}

impl Sums {
    pub fn new(of: SummaryOf, keys: Vec<String>) -> Self {
        Self {
            of,
            keys,
            by_key: BTreeMap::new(),
        }
    }

    /// None where the page is empty.
    pub fn span(&self) -> Option<Span> {
        Some(Span {
            first: self.keys.first()?.clone(),
            last: self.keys.last()?.clone(),
        })
    }

    fn of_row(&mut self, c: &mut impl Columns) -> Result<&mut Summary> {
        Ok(self.by_key.entry(c.string()?).or_default())
    }

    pub fn days(&mut self, c: &mut impl Columns) -> Result<()> {
        let of = self.of;
        let sum = self.of_row(c)?;
        sum.days = c.number()?;
        sum.distance = Distance::from_decimetres(c.number()?);
        if of == SummaryOf::Driver {
            sum.driving_ms = c.number()?;
        } else {
            sum.stops = Some(c.number()?);
            sum.gaps_over_60_s = Some(c.number()?);
            sum.max_speed = Some(Speed::from_centi(c.number()?));
        }
        Ok(())
    }

    pub fn newest(&mut self, c: &mut impl Columns) -> Result<()> {
        let sum = self.of_row(c)?;
        sum.plate = c.plate()?;
        sum.operator = c.id()?;
        Ok(())
    }

    pub fn driving(&mut self, c: &mut impl Columns) -> Result<()> {
        let sum = self.of_row(c)?;
        sum.driving_ms = c.number()?;
        Ok(())
    }

    pub fn violations(&mut self, c: &mut impl Columns) -> Result<()> {
        let sum = self.of_row(c)?;
        sum.violations.push(ViolationSum {
            kind: c.must("kind", Kind::from_name)?,
            band: c.named("band", Band::from_name)?,
            count: c.number()?,
            distance: Distance::from_decimetres(c.number()?),
            duration_ms: c.number()?,
            above: c.number()?,
        });
        Ok(())
    }

    /// In the order of keys.
    pub fn finish(mut self) -> Vec<Summary> {
        let named = |key: String| Summary {
            key: key.clone(),
            ..self.by_key.remove(&key).unwrap_or_default()
        };
        self.keys.into_iter().map(named).collect()
    }
}
