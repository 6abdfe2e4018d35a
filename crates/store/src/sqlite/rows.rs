//! How SQLite takes and gives the values of rows.

use crate::batch::Result;
use crate::rows::{Cells, Columns};
use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, Params, Row, Statement};

pub(crate) const RECORD_COLUMNS: usize = 21;

/// Writes values to parameters one after the other.
pub(crate) struct Binder<'s, 'c> {
    pub stmt: &'s mut Statement<'c>,
    next: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub fn new(stmt: &'s mut Statement<'c>) -> Self {
        Self { stmt, next: 1 }
    }

    pub fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.stmt.raw_bind_parameter(self.next, value)?;
        self.next += 1;
        Ok(())
    }

    pub fn execute(self) -> rusqlite::Result<usize> {
        self.stmt.raw_execute()
    }
}

impl Cells for Binder<'_, '_> {
    type Error = rusqlite::Error;

    fn short(&mut self, v: Option<i16>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn int(&mut self, v: Option<i32>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn long(&mut self, v: Option<i64>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn real(&mut self, v: Option<f64>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn flag(&mut self, v: Option<bool>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn text(&mut self, v: Option<&str>) -> rusqlite::Result<()> {
        self.put(v)
    }

    fn bytes(&mut self, v: Option<&[u8]>) -> rusqlite::Result<()> {
        self.put(v)
    }
}

/// Reads columns one after the other.
pub(crate) struct Reader<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Reader<'r, 's> {
    pub fn new(row: &'r Row<'s>, first: usize) -> Self {
        Self { row, next: first }
    }

    fn take<T: FromSql>(&mut self) -> Result<Option<T>> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }
}

impl Columns for Reader<'_, '_> {
    fn integer(&mut self) -> Result<Option<i64>> {
        self.take()
    }

    fn real(&mut self) -> Result<Option<f64>> {
        self.take()
    }

    fn flag(&mut self) -> Result<Option<bool>> {
        self.take()
    }

    fn text(&mut self) -> Result<Option<String>> {
        self.take()
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        self.take()
    }
}

/// All rows of a query, each read from its first column on.
pub(crate) fn all<T>(
    conn: &Connection,
    sql: &str,
    key: impl Params,
    mut read: impl FnMut(&mut Reader<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut stmt = conn.prepare_cached(sql)?;
    let mut found = stmt.query(key)?;
    let mut out = Vec::new();
    while let Some(row) = found.next()? {
        out.push(read(&mut Reader::new(row, 0))?);
    }
    Ok(out)
}

/// `count` placeholders, `?` by `?`.
pub(crate) fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
