//! The same product on Kafka and TimescaleDB, as `make bench-services` starts them. Each figure
//! stands beside what the same services do, in the same round and on the same cores, when nothing
//! is asked of them but to take the same data.

mod filing;
mod ingest;
mod place;
mod rebuild;
mod stub;
mod takeover;

pub use filing::rows as filing;
pub use ingest::rows as ingest;
pub use place::{PARTITIONS, Place, served_log};
pub use rebuild::rows as rebuild;
pub use stub::stub;
pub use takeover::rows as takeover;
