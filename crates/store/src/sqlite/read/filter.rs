//! A filter as SQL: always a valid expression, with its values in their order.

use rusqlite::types::Value;
use waywarden_model::Plate;

pub(in crate::sqlite) struct Filter {
    clause: String,
    values: Vec<Value>,
}

impl Filter {
    pub fn new() -> Self {
        Self {
            clause: String::from("1"),
            values: Vec::new(),
        }
    }

    /// Asks for it where there is a value.
    pub fn narrow(&mut self, sql: &str, value: Option<Value>) {
        if value.is_some() {
            self.and(sql, value);
        }
    }

    pub fn and(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.clause.push_str(" AND ");
        self.clause.push_str(sql);
        self.values.extend(values);
    }

    /// A vehicle by its number or its plate, of which `sql` compares the one and the other.
    pub fn vehicle(&mut self, sql: &str, vehicle: Option<&String>) {
        if let Some(vehicle) = vehicle {
            let plate = Plate::new(vehicle).as_str().to_owned();
            self.and(sql, [vehicle.clone().into(), plate.into()]);
        }
    }

    pub fn parts(self) -> (String, Vec<Value>) {
        (self.clause, self.values)
    }
}
