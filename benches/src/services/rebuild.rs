//! Five days of one vehicle judged again from TimescaleDB: with its pages in memory, and with none.

use super::filing::filed;
use super::place::{PARTITIONS, Place};
use crate::Effort;
use crate::children::Role;
use crate::devices::{self, SELDOM, Sends, id};
use crate::rebuild::{PER_FRAME, RECORDS, environment, judge_again, row};
use crate::table::{Row, rounds};
use anyhow::Result;
use waywarden_model::SourceId;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let place = Place::new(PARTITIONS)?;
    place.make_topic()?;
    let sends = Sends::too_fast(0, RECORDS / PER_FRAME, 1, PER_FRAME, SELDOM);
    let producer = place.producer()?;
    let source = SourceId::new(id(0));
    for message in devices::messages(&[sends], PER_FRAME) {
        producer.send(&source, &message)?;
    }
    producer.flush()?;
    let all = [place.environment(), environment()].concat();
    let worker = Role::start("worker", &[], &all)?;
    worker.line("partition claimed")?;
    filed(&place, RECORDS as u64)?;
    let mut before = 0;
    let mut again = || {
        before += 1;
        judge_again(worker.data(), &all, worker.said(), before - 1)
    };
    // The first one fills what the session keeps.
    again()?;
    let warm = rounds(effort.rounds, &mut again)?;
    let mut dropped = true;
    let cold = rounds(effort.rounds, || {
        place.forget_pages()?;
        dropped &= forget_files();
        again()
    })?;
    let how = match dropped {
        true => " Nothing is in the server's buffers nor in the system's cache of files.",
        false => " Nothing is in the server's buffers; the system's cache could not be emptied.",
    };
    Ok(vec![
        row("TimescaleDB, warm", warm, 400.0, ""),
        row("TimescaleDB, cold", cold, 4000.0, how),
    ])
}

/// Empties the system's cache of files; false where that is not allowed.
fn forget_files() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
