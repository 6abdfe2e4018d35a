//! Five days of one vehicle judged as late data from TimescaleDB: with its pages in memory, and with
//! none.

use super::filing::filed;
use super::place::{PARTITIONS, Place};
use crate::Effort;
use crate::children::Role;
use crate::devices::{self, id};
use crate::rebuild::{Judged, PER_FRAMES, RECORDS, again_row, environment, late_row, mark, sends};
use crate::table::{Row, rounds};
use anyhow::Result;
use waywarden_model::SourceId;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let place = Place::new(PARTITIONS)?;
    place.make_topic()?;
    let producer = place.producer()?;
    let all = [place.environment(), environment()].concat();
    let worker = Role::start("worker", &[], &all)?;
    worker.line("partition claimed")?;
    let mut judged = Judged::new(worker.said());
    let mut device = 0;
    let late = rounds(effort.rounds, || {
        let source = SourceId::new(id(device));
        for (sends, per_frame) in sends(device, 1).into_iter().zip(PER_FRAMES) {
            for message in devices::messages(&[sends], per_frame) {
                producer.send(&source, &message)?;
            }
        }
        producer.flush()?;
        device += 1;
        filed(&place, (device * (RECORDS + 1)) as u64)?;
        judged.took()
    })?;
    let mut again = || {
        mark(worker.data(), &all, &id(0))?;
        judged.took()
    };
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
        late_row("TimescaleDB", late, 400.0),
        again_row("TimescaleDB warm", warm, 400.0, ""),
        again_row("TimescaleDB cold", cold, 4000.0, how),
    ])
}

/// Empties the system's cache of files; false where that is not allowed.
fn forget_files() -> bool {
    rustix::fs::sync();
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}
