//! Per partition: reads the bus, steps the rules, commits results and position together.

mod law;
mod partition;
mod source;
mod stage;
mod subjects;

pub use law::Law;
pub use partition::{Clock, Filed, Options, Partition, WorkerError};
pub use stage::Stage;
pub use subjects::Subjects;
