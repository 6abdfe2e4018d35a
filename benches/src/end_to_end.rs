//! From devices on sockets to rows on file, through the real program on embedded storage.

use crate::children::Program;
use crate::devices::{self, Answers, Sends};
use crate::table::{Floor, Goal, Row, median, rounds};
use crate::{Effort, floor};
use anyhow::Result;
use std::time::{Duration, Instant};

struct Load {
    devices: usize,
    per_frame: usize,
    /// Frames of each device, and how many of them are in flight.
    frames: usize,
    window: usize,
    goal: f64,
    limit: &'static str,
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
            limit: "The one thread that writes the store, of whose time rows take half and the \
                    evidence of violations a third; it shares the cores with the devices.",
        },
        Load {
            devices: 10_000,
            per_frame: 1,
            frames: 32 / shorter,
            window: 1,
            goal: 25_000.0,
            limit: "System calls: a read and a write for each record take three fifths of the \
                    gateway's threads, and the devices need the same on the same cores.",
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
    let mut bare = Vec::new();
    let measured = rounds(effort.rounds, || {
        bare.push(floor::append_and_insert(
            &messages,
            in_flight,
            load.devices,
            in_flight * load.per_frame,
        )?);
        measure(sends.clone(), records as u64)
    })?;
    let of = |value: fn(&Measured) -> f64| measured.iter().map(value).collect::<Vec<f64>>();
    Ok(Row {
        figure: format!(
            "end to end, {} devices, {} a frame",
            load.devices, load.per_frame
        ),
        unit: "records/s filed",
        rounds: of(|m| m.filed),
        goal: Some(Goal::AtLeast(load.goal)),
        floor: Some(Floor {
            what: "append and insert",
            rounds: bare,
            at_least: None,
        }),
        limit: format!(
            "{records} records a round, {} of each device's frames in flight, {} bytes of log a \
             record, a violation for every 60 records of a device; from the first byte sent until \
             nothing waits to be filed or judged, while acknowledging went at {:.0} records/s and \
             the program took {:.1} us of processor time a record. {} Floor: two threads, the same \
             messages appended and the same rows inserted by key, a transaction a round of all \
             devices.",
            load.window,
            bytes / records,
            median(&of(|m| m.acknowledged)),
            median(&of(|m| m.cpu_us)),
            load.limit,
        ),
    })
}

/// Of one round.
struct Measured {
    /// Records a second until they were filed and judged.
    filed: f64,
    /// Records a second until they were acknowledged.
    acknowledged: f64,
    /// Microseconds of the program's processor time a record.
    cpu_us: f64,
}

fn measure(sends: Vec<Sends>, records: u64) -> Result<Measured> {
    let program = Program::start(None, &[])?;
    let runtime = devices::runtime()?;
    let connected = runtime.block_on(devices::connect(
        program.teltonika,
        Answers::Acknowledgements,
        sends,
    ))?;
    let (begun, cpu) = (Instant::now(), program.cpu_seconds()?);
    let connected = runtime.block_on(devices::send_all(connected))?;
    let acknowledged = begun.elapsed();
    program.settled(records)?;
    let filed = begun.elapsed();
    let cpu = program.cpu_seconds()? - cpu;
    drop(connected);
    let rate = |time: Duration| records as f64 / time.as_secs_f64();
    Ok(Measured {
        filed: rate(filed),
        acknowledged: rate(acknowledged),
        cpu_us: cpu * 1e6 / records as f64,
    })
}
