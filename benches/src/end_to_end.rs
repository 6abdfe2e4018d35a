//! From devices on sockets to rows on file, through the real program on embedded storage.

use crate::children::Program;
use crate::devices::{self, Answers, Sends};
use crate::table::{Floor, Goal, Row, rounds};
use crate::{Effort, floor};
use anyhow::Result;
use std::time::Instant;

struct Load {
    devices: usize,
    per_frame: usize,
    /// Frames of each device, and how many of them are in flight.
    frames: usize,
    window: usize,
    goal: f64,
}

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let shorter = effort.shorter as usize;
    let loads = [
        Load {
            devices: 200,
            per_frame: 20,
            frames: 240 / shorter,
            window: 4,
            goal: 100_000.0,
        },
        Load {
            devices: 10_000,
            per_frame: 1,
            frames: 32 / shorter,
            window: 1,
            goal: 25_000.0,
        },
    ];
    loads.iter().map(|load| row(load, effort)).collect()
}

fn row(load: &Load, effort: Effort) -> Result<Row> {
    let groups = load.frames / load.window;
    let sends: Vec<Sends> = (0..load.devices)
        .map(|device| Sends::new(device, groups, load.window, load.per_frame))
        .collect();
    let messages = devices::messages(&sends, load.per_frame);
    let bytes: usize = messages.iter().map(bytes::Bytes::len).sum();
    let records = load.devices * load.frames * load.per_frame;
    let in_flight = load.devices * load.window;
    let both = rounds(effort.rounds, || {
        let bare = floor::append_and_insert(
            &messages,
            in_flight,
            load.devices,
            in_flight * load.per_frame,
        )?;
        Ok((filed_per_second(sends.clone(), records as u64)?, bare))
    })?;
    let acknowledged = both
        .iter()
        .map(|((_, acknowledged), _)| *acknowledged)
        .collect::<Vec<_>>();
    Ok(Row {
        figure: format!(
            "end to end, {} devices, {} a frame",
            load.devices, load.per_frame
        ),
        unit: "records/s filed",
        rounds: both.iter().map(|((filed, _), _)| *filed).collect(),
        goal: Some(Goal::AtLeast(load.goal)),
        floor: Some(Floor {
            what: "append and insert",
            rounds: both.iter().map(|(_, bare)| *bare).collect(),
        }),
        limit: format!(
            "{records} records a round, {} of each device's frames in flight, {} bytes of log \
             a record; from the first byte sent until nothing waits to be filed or judged, while \
             acknowledging went at {:.0} records/s. The one thread that writes the store, which \
             shares the cores with decoding, the log and the devices. Floor: two threads, the same \
             messages appended and the same rows inserted by key, a transaction a round of all \
             devices.",
            load.window,
            bytes / records,
            crate::table::median(&acknowledged),
        ),
    })
}

/// Records a second until they are filed and judged, and until they were acknowledged.
fn filed_per_second(sends: Vec<Sends>, records: u64) -> Result<(f64, f64)> {
    let program = Program::start(None)?;
    let runtime = devices::runtime()?;
    let connected = runtime.block_on(devices::connect(
        program.teltonika,
        Answers::Acknowledgements,
        sends,
    ))?;
    let begun = Instant::now();
    let connected = runtime.block_on(devices::send_all(connected))?;
    let acknowledged = begun.elapsed();
    program.settled(records)?;
    let filed = begun.elapsed();
    drop(connected);
    let rate = |time: std::time::Duration| records as f64 / time.as_secs_f64();
    Ok((rate(filed), rate(acknowledged)))
}
