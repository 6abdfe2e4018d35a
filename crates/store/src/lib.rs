//! Tables, migrations and queries behind traits; the only crate that knows SQL.

pub mod batch;

pub use batch::*;
