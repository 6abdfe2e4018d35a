//! How PostgreSQL takes and gives the values of rows: binary COPY, arrays for one statement, rows.

use crate::batch::Result;
use crate::rows::{Cells, Columns, corrupt};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;
use std::convert::Infallible;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql, Type};

pub(super) type Params<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// A text of PostgreSQL cannot hold NUL, and one in a card's number must neither stop a partition
/// nor change a record: it is written as this mark and `0`, the mark itself as the mark and `1`.
const MARK: char = '\u{E000}';

pub(super) fn written(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => out.extend([MARK, '0']),
            MARK => out.extend([MARK, '1']),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

fn read(text: String) -> String {
    if !text.contains(MARK) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            MARK if chars.next() == Some('0') => out.push('\0'),
            c => out.push(c),
        }
    }
    out
}

/// Rows in the format of binary COPY.
pub(super) struct CopyRows {
    pub buffer: BytesMut,
}

impl CopyRows {
    pub fn new() -> Self {
        let mut buffer = BytesMut::with_capacity(1 << 18);
        buffer.put_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.put_u64(0); // no flags, no extension
        Self { buffer }
    }

    pub fn begin_row(&mut self, columns: i16) {
        self.buffer.put_i16(columns);
    }

    pub fn finish(&mut self) {
        self.buffer.put_i16(-1);
    }

    fn null(&mut self) {
        self.buffer.put_i32(-1);
    }
}

macro_rules! fixed {
    ($name:ident, $type:ty, $width:literal, $put:ident) => {
        fn $name(&mut self, v: Option<$type>) -> std::result::Result<(), Infallible> {
            match v {
                Some(v) => {
                    self.buffer.put_i32($width);
                    self.buffer.$put(v);
                }
                None => self.null(),
            }
            Ok(())
        }
    };
}

impl Cells for CopyRows {
    type Error = Infallible;

    fixed!(short, i16, 2, put_i16);
    fixed!(int, i32, 4, put_i32);
    fixed!(long, i64, 8, put_i64);
    fixed!(real, f64, 8, put_f64);

    fn flag(&mut self, v: Option<bool>) -> std::result::Result<(), Infallible> {
        match v {
            Some(v) => {
                self.buffer.put_i32(1);
                self.buffer.put_u8(v.into());
            }
            None => self.null(),
        }
        Ok(())
    }

    fn text(&mut self, v: Option<&str>) -> std::result::Result<(), Infallible> {
        self.bytes(v.map(written).as_deref().map(str::as_bytes))
    }

    fn bytes(&mut self, v: Option<&[u8]>) -> std::result::Result<(), Infallible> {
        match v {
            Some(v) => {
                // What is filed is bounded far below 2 GiB by the frames that it comes in.
                self.buffer
                    .put_i32(i32::try_from(v.len()).unwrap_or(i32::MAX));
                self.buffer.put_slice(v);
            }
            None => self.null(),
        }
        Ok(())
    }
}

impl From<Infallible> for crate::batch::StoreError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[derive(Debug)]
enum Column {
    Short(Vec<Option<i16>>),
    Int(Vec<Option<i32>>),
    Long(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

/// Rows as one array for each column: the parameters of a statement that unnests them.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    next: usize,
    rows: usize,
}

macro_rules! column {
    ($name:ident, $type:ty, $variant:ident) => {
        fn $name(&mut self, v: Option<$type>) -> std::result::Result<(), Infallible> {
            if self.rows == 0 {
                self.columns.push(Column::$variant(Vec::new()));
            }
            match &mut self.columns[self.next] {
                Column::$variant(values) => values.push(v),
                other => unreachable!("a column is of one type, not {other:?}"),
            }
            self.next += 1;
            Ok(())
        }
    };
}

impl Cells for Table {
    type Error = Infallible;

    column!(short, i16, Short);
    column!(int, i32, Int);
    column!(long, i64, Long);
    column!(real, f64, Real);
    column!(flag, bool, Flag);

    fn text(&mut self, v: Option<&str>) -> std::result::Result<(), Infallible> {
        self.owned_text(v.map(|t| written(t).into_owned()))
    }

    fn bytes(&mut self, v: Option<&[u8]>) -> std::result::Result<(), Infallible> {
        self.owned_bytes(v.map(<[u8]>::to_vec))
    }
}

impl Table {
    column!(owned_text, String, Text);
    column!(owned_bytes, Vec<u8>, Bytes);

    pub fn end_row(&mut self) {
        self.rows += 1;
        self.next = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// `unnest(...) AS n(names)`, its parameters from $1 on.
    pub fn unnest(&self, names: &str) -> String {
        let arrays: Vec<String> = self.columns.iter().zip(1..).map(array).collect();
        format!("unnest({}) AS n({names})", arrays.join(", "))
    }

    pub fn params(&self) -> Params<'_> {
        self.columns
            .iter()
            .map(|c| -> &(dyn ToSql + Sync) {
                match c {
                    Column::Short(v) => v,
                    Column::Int(v) => v,
                    Column::Long(v) => v,
                    Column::Real(v) => v,
                    Column::Flag(v) => v,
                    Column::Text(v) => v,
                    Column::Bytes(v) => v,
                }
            })
            .collect()
    }
}

fn array((column, number): (&Column, usize)) -> String {
    let of = match column {
        Column::Short(_) => "int2",
        Column::Int(_) => "int4",
        Column::Long(_) => "int8",
        Column::Real(_) => "float8",
        Column::Flag(_) => "bool",
        Column::Text(_) => "text",
        Column::Bytes(_) => "bytea",
    };
    format!("${number}::{of}[]")
}

/// Reads columns one after the other.
pub(super) struct Reader<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Reader<'r> {
    pub fn new(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    fn take<T: FromSql<'r>>(&mut self) -> Result<Option<T>> {
        let value = self
            .row
            .try_get(self.next)
            .map_err(|_| corrupt("a value of another type"))?;
        self.next += 1;
        Ok(value)
    }
}

impl Columns for Reader<'_> {
    fn integer(&mut self) -> Result<Option<i64>> {
        let of = self.row.columns().get(self.next).map(|c| c.type_().clone());
        Ok(match of {
            Some(Type::INT2) => self.take::<i16>()?.map(i64::from),
            Some(Type::INT4) => self.take::<i32>()?.map(i64::from),
            _ => self.take::<i64>()?,
        })
    }

    fn real(&mut self) -> Result<Option<f64>> {
        self.take()
    }

    fn flag(&mut self) -> Result<Option<bool>> {
        self.take()
    }

    fn text(&mut self) -> Result<Option<String>> {
        Ok(self.take::<String>()?.map(read))
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>> {
        self.take()
    }
}

/// All rows, each read from its first column on.
pub(super) fn all<T>(
    rows: &[Row],
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    rows.iter().map(|row| read(&mut Reader::new(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[a\0\u{E000}01]{0,12}") {
            let there = written(&text).into_owned();
            prop_assert!(!there.contains('\0'));
            prop_assert_eq!(read(there), text);
        }
    }
}
