//! Memory that a connection takes while nothing is said on it.

use crate::Effort;
use crate::children::Served;
use crate::devices::{self, Answers, Sends};
use crate::servers::Server;
use crate::table::{Goal, Row, rounds};
use anyhow::Result;

const WARM: usize = 500;
const DEVICES: usize = 10_000;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    Ok(vec![Row {
        figure: format!("memory of an idle connection, {DEVICES} of them"),
        unit: "bytes",
        rounds: rounds(effort.rounds, bytes_each)?,
        goal: Some(Goal::AtMost(2048.0)),
        floor: None,
        limit: "Anonymous memory of the gateway's process on embedded log, each device logged in \
                and with one frame acknowledged. The connection's task, its session, its timer, \
                its names in two tables; the kernel's own buffers are not in it."
            .to_owned(),
    }])
}

fn bytes_each() -> Result<f64> {
    let gateway = Served::start(Server::Gateway, &[])?;
    let runtime = devices::runtime()?;
    let answers = Answers::Acknowledgements;
    runtime.block_on(async {
        // What grows once for all: the log's page cache, buffers of the threads, the allocator.
        let warm = (0..WARM)
            .map(|device| Sends::new(device, 60, 1, 1))
            .collect();
        let warm =
            devices::send_all(devices::connect(gateway.address, answers, warm).await?).await?;
        let before = gateway.memory()?;
        let many = (WARM..WARM + DEVICES)
            .map(|device| Sends::new(device, 1, 1, 1))
            .collect();
        let many =
            devices::send_all(devices::connect(gateway.address, answers, many).await?).await?;
        let grown = gateway.memory()?.saturating_sub(before);
        drop((warm, many));
        Ok(grown as f64 / DEVICES as f64)
    })
}
