//! Five days of one vehicle judged again, by the program that has judged them before: from the
//! store's rows to the difference that is filed.

use crate::Effort;
use crate::children::{Program, Said, program};
use crate::devices::{self, Answers, SELDOM, Sends};
use crate::table::{Goal, Row, rounds};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::Command;

/// One record each ten seconds for five days.
pub const RECORDS: usize = 5 * 24 * 360;
pub const PER_FRAME: usize = 20;
const WINDOW: usize = 4;

/// The words of the line that tells of a rebuild, and how long a rebuild waits for more.
const JUDGED: &str = "late data judged";

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let program = Program::start(None, &environment())?;
    let frames = RECORDS / PER_FRAME;
    let sends = vec![Sends::too_fast(
        0,
        frames / WINDOW,
        WINDOW,
        PER_FRAME,
        SELDOM,
    )];
    let runtime = devices::runtime()?;
    let answers = Answers::Acknowledgements;
    let connected = runtime.block_on(devices::connect(program.teltonika, answers, sends))?;
    let connected = runtime.block_on(devices::send_all(connected))?;
    program.settled(RECORDS as u64)?;
    let mut before = 0;
    let took = rounds(effort.rounds, || {
        before += 1;
        judge_again(program.data(), &[], program.said(), before - 1)
    })?;
    drop(connected);
    Ok(vec![row("SQLite", took, 150.0, "")])
}

/// What a program is told so that it tells of rebuilds.
pub fn environment() -> Vec<(String, String)> {
    [
        ("WAYWARDEN__TELEMETRY__LEVEL", "info,waywarden_worker=debug"),
        ("WAYWARDEN__WORKER__LATE_QUIET", "10ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

pub fn row(from: &str, took: Vec<f64>, goal: f64, more: &str) -> Row {
    Row {
        figure: format!("five days of a vehicle judged again, {from}"),
        unit: "ms",
        rounds: took,
        goal: Some(Goal::AtMost(goal)),
        floor: None,
        limit: format!(
            "{RECORDS} records, a violation in two hours of driving; as the worker tells it: from \
             taking up the mark until the difference, which is none, is filed.{more}"
        ),
    }
}

/// Marks the whole time for a program that runs; gives the milliseconds that it took, once it has
/// told of `before` rebuilds.
///
/// # Errors
/// The command fails, or the program tells of none.
pub fn judge_again(
    data: &Path,
    environment: &[(String, String)],
    said: &Said,
    before: usize,
) -> Result<f64> {
    let done = Command::new(program()?)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(["recalculate", "--from", "2026-01-01", "--to", "2027-01-01"])
        .arg("--data")
        .arg(data)
        .output()?;
    let why = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "recalculate: {why}");
    let (_, line) = said.nth(JUDGED, before)?;
    milliseconds(&line).with_context(|| format!("no time in `{line}`"))
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
