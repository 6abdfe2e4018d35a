//! Time of a stretch of work: by the clock on the wall, and by the processor, which others on the
//! machine take nothing from.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Seconds of the stretches that were run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Clock {
    pub wall_s: f64,
    /// Of this thread.
    pub cpu_s: f64,
}

impl Clock {
    pub fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (begun, cpu) = (Instant::now(), cpu_s());
        let done = work();
        self.wall_s += begun.elapsed().as_secs_f64();
        self.cpu_s += cpu_s() - cpu;
        done
    }
}

#[allow(clippy::cast_precision_loss)] // nanoseconds of a process that runs for minutes
fn cpu_s() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
