//! Per partition: reads the bus, steps the rules, commits results and position together.

mod alerts;
mod crew;
mod error;
mod law;
mod options;
mod partition;
mod preview;
mod rebuild;
mod source;
mod stage;
mod subjects;
mod work;

pub use alerts::Telling;
pub use crew::{Crew, CrewState, CrewView, MakeWork};
pub use error::WorkerError;
pub use law::Law;
pub use options::{AcceptGap, Clock, Filed, Late, Options, Turns};
pub use partition::Partition;
pub use preview::Preview;
pub use rebuild::{Again, RebuildError, judge_again};
pub use stage::{Bounds, Stage};
pub use subjects::Subjects;
pub use work::Work;
