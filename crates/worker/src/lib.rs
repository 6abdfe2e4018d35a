//! Per partition: reads the bus, steps the rules, commits results and position together.

mod alerts;
mod crew;
mod law;
mod partition;
mod preview;
mod rebuild;
mod source;
mod stage;
mod subjects;

pub use alerts::Telling;
pub use crew::{Crew, CrewState, CrewView, MakeWork};
pub use law::Law;
pub use partition::{AcceptGap, Clock, Filed, Late, Options, Partition, Work, WorkerError};
pub use preview::Preview;
pub use rebuild::{Again, RebuildError, judge_again};
pub use stage::{Bounds, Stage};
pub use subjects::Subjects;
