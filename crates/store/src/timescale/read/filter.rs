//! Filters of lists as SQL over `v`, with their values as numbered parameters.

use crate::alerts::AlertFilter;
use crate::read::ViolationFilter;
use crate::timescale::cells::{Params, written};
use tokio_postgres::types::ToSql;
use waywarden_model::Plate;

pub(in crate::timescale) struct Filter {
    clauses: Vec<String>,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Filter {
    pub fn new() -> Self {
        Self {
            clauses: Vec::new(),
            values: Vec::new(),
        }
    }

    pub fn of(f: &ViolationFilter) -> Self {
        let mut this = Self::new();
        let text = |t: &str| written(t).into_owned();
        this.narrow("v.start >=", f.from.map(|t| t.millis()));
        this.narrow("v.start <", f.to.map(|t| t.millis()));
        this.narrow("v.kind =", f.kind.map(|k| k.name().to_owned()));
        this.narrow(
            "v.operator =",
            f.operator.as_ref().map(|o| text(o.as_str())),
        );
        this.narrow("v.driver =", f.driver.as_ref().map(|d| text(d.as_str())));
        this.narrow("v.band =", f.band.as_deref().map(text));
        this.narrow("v.status =", f.status.map(|s| s.name().to_owned()));
        this.narrow("v.open =", f.open);
        this.vehicle("v", f.vehicle.as_deref());
        this
    }

    pub fn of_alerts(f: &AlertFilter) -> Self {
        let mut this = Self::new();
        this.narrow("v.start >=", f.from.map(|t| t.millis()));
        this.narrow("v.start <", f.to.map(|t| t.millis()));
        this.narrow("v.kind =", f.kind.map(|k| k.name().to_owned()));
        let operator = f.operator.as_ref();
        this.narrow(
            "v.operator =",
            operator.map(|o| written(o.as_str()).into_owned()),
        );
        this.narrow("(v.ended IS NULL) =", f.open);
        this.vehicle("v", f.vehicle.as_deref());
        this
    }

    /// Its id or its plate.
    pub fn vehicle(&mut self, table: &str, vehicle: Option<&str>) {
        if let Some(vehicle) = vehicle {
            let id = self.put(written(vehicle).into_owned());
            let plate = self.put(written(Plate::new(vehicle).as_str()).into_owned());
            self.and(&format!(
                "({table}.vehicle = {id} OR {table}.plate = {plate})"
            ));
        }
    }

    pub fn narrow<T: ToSql + Sync + Send + 'static>(&mut self, compare: &str, value: Option<T>) {
        if let Some(value) = value {
            let place = self.put(value);
            self.and(&format!("{compare} {place}"));
        }
    }

    pub fn and(&mut self, clause: &str) {
        self.clauses.push(clause.to_owned());
    }

    /// Takes a value and gives its place in the SQL.
    pub fn put(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// Always a valid expression.
    pub fn clause(&self) -> String {
        match self.clauses.as_slice() {
            [] => "true".to_owned(),
            some => some.join(" AND "),
        }
    }

    pub fn params(&self) -> Params<'_> {
        let plain = |v| -> &(dyn ToSql + Sync) { v };
        self.values.iter().map(|v| plain(v.as_ref())).collect()
    }
}
