//! Five days of one vehicle judged by the worker as late data: when its device comes back and sends
//! what it had kept, and once more on purpose.

use crate::Effort;
use crate::children::{Program, Said, program};
use crate::devices::{self, Answers, SELDOM, Sends};
use crate::table::{Goal, Row, rounds};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;

/// One record each ten seconds for five days.
pub const RECORDS: usize = 5 * 24 * 360;
const PER_FRAME: usize = 20;

/// The words of the line that tells of a rebuild.
const JUDGED: &str = "late data judged";

/// What a device sends that was away: its newest record, and then all before it.
pub fn sends(device: usize, window: usize) -> [Sends; 2] {
    let groups = RECORDS / PER_FRAME / window;
    [
        Sends::too_fast(device, RECORDS, 1, 1, 1, SELDOM),
        Sends::too_fast(device, 0, groups, window, PER_FRAME, SELDOM),
    ]
}

/// Records in a frame of the one and of the other.
pub const PER_FRAMES: [usize; 2] = [1, PER_FRAME];

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let program = Program::start(None, &environment())?;
    let runtime = devices::runtime()?;
    let mut judged = Judged::new(program.said());
    let mut device = 0;
    let late = rounds(effort.rounds, || {
        for sends in sends(device, 4) {
            let answers = Answers::Acknowledgements;
            let connected = devices::connect(program.teltonika, answers, vec![sends]);
            runtime.block_on(async { devices::send_all(connected.await?).await })?;
        }
        device += 1;
        program.settled((device * (RECORDS + 1)) as u64)?;
        judged.took()
    })?;
    let again = rounds(effort.rounds, || {
        mark(program.data(), &[], &devices::id(0))?;
        judged.took()
    })?;
    Ok(vec![
        late_row("SQLite", late, 150.0),
        again_row("SQLite", again, 150.0, ""),
    ])
}

/// What a program is told so that it tells of rebuilds, and waits for the whole of a journey.
pub fn environment() -> Vec<(String, String)> {
    [
        ("WAYWARDEN__TELEMETRY__LEVEL", "info,waywarden_worker=debug"),
        ("WAYWARDEN__WORKER__LATE_QUIET", "2s"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

pub fn late_row(store: &str, took: Vec<f64>, goal: f64) -> Row {
    row(
        format!("five days of a vehicle come late, {store}"),
        took,
        goal,
        "The newest record came first, so that each of the others gets its verdict here; filed \
         with them: what they show.",
    )
}

pub fn again_row(store: &str, took: Vec<f64>, goal: f64, more: &str) -> Row {
    row(
        format!("five days of a vehicle judged again, {store}"),
        took,
        goal,
        &format!("On purpose, by the same law: nothing changes.{more}"),
    )
}

fn row(figure: String, took: Vec<f64>, goal: f64, what: &str) -> Row {
    Row {
        figure,
        unit: "ms",
        rounds: took,
        goal: Some(Goal::AtMost(goal)),
        floor: None,
        limit: format!(
            "{RECORDS} records; as the worker tells it, from taking up the mark until the difference \
             is filed. {what}"
        ),
    }
}

/// Rebuilds that a program tells of, one after the other.
pub struct Judged<'a> {
    said: &'a Said,
    told: usize,
}

impl<'a> Judged<'a> {
    pub const fn new(said: &'a Said) -> Self {
        Self { said, told: 0 }
    }

    /// Milliseconds of the next one.
    ///
    /// # Errors
    /// It is not told of within a minute.
    pub fn took(&mut self) -> Result<f64> {
        let (_, line) = self.said.nth(JUDGED, self.told)?;
        self.told += 1;
        milliseconds(&line).with_context(|| format!("no time in `{line}`"))
    }
}

/// Marks the whole time of a device, for a program that runs.
///
/// # Errors
/// The command fails.
pub fn mark(data: &Path, environment: &[(String, String)], device: &str) -> Result<()> {
    let done = Command::new(program()?)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(["recalculate", "--from", "2026-01-01", "--to", "2027-01-01"])
        .args(["--vehicle", device, "--data"])
        .arg(data)
        .output()?;
    let why = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "recalculate: {why}");
    Ok(())
}

/// The time that a line names as `took`.
fn milliseconds(line: &str) -> Option<f64> {
    let (_, behind) = line.split_once("took=")?;
    let text = behind.split_whitespace().next()?;
    let (number, unit) = [("ms", 1.0), ("\u{b5}s", 1e-3), ("ns", 1e-6), ("s", 1e3)]
        .into_iter()
        .find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)))?;
    Some(number.parse::<f64>().ok()? * unit)
}
