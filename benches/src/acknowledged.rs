//! Frames acknowledged in a second, beside a bare echo of the same frames.

use crate::Effort;
use crate::children::{Program, Served};
use crate::devices::{self, Answers, Sends};
use crate::servers::Server;
use crate::table::{Floor, Goal, Row, rounds};
use anyhow::Result;
use std::net::SocketAddr;
use std::time::Duration;

const DEVICES: usize = 1_000;
/// Groups of frames that a device has before it sends the same again.
const GROUPS: usize = 16;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    [4, 1]
        .into_iter()
        .map(|window| row(window, effort))
        .chain([whole(effort)])
        .collect()
}

fn row(window: usize, effort: Effort) -> Result<Row> {
    let both = rounds(effort.rounds, || {
        let echo = Served::start(Server::Echo, &[])?;
        let bare = per_second(echo.address, Answers::Echo, window, effort)?;
        drop(echo);
        let gateway = Served::start(Server::Gateway, &[])?;
        let answers = Answers::Acknowledgements;
        Ok((per_second(gateway.address, answers, window, effort)?, bare))
    })?;
    Ok(Row {
        figure: format!("acknowledged, {DEVICES} devices, {window} in flight each"),
        unit: "frames/s",
        rounds: both.iter().map(|(acknowledged, _)| *acknowledged).collect(),
        goal: Some(Goal::AtLeast(60_000.0)),
        floor: Some(Floor {
            what: "bare echo",
            rounds: both.iter().map(|(_, bare)| *bare).collect(),
            at_least: None,
        }),
        limit: format!(
            "One record a frame, the gateway on the embedded log alone in its process. System \
             calls: a read and a write for every {window} frames on each side, which an echo needs \
             as well; then decoding, and the append with its sync."
        ),
    })
}

/// The same from the whole program, which judges and files at the same time.
fn whole(effort: Effort) -> Result<Row> {
    let window = 4;
    let rates = rounds(effort.rounds, || {
        let program = Program::start(None, &[])?;
        per_second(program.teltonika, Answers::Acknowledgements, window, effort)
    })?;
    Ok(Row {
        figure: format!("acknowledged by the whole program, {window} in flight each"),
        unit: "frames/s",
        rounds: rates,
        goal: None,
        floor: None,
        limit: "As above, with workers and store at work in the same process on the same cores: \
                each takes its share."
            .to_owned(),
    })
}

fn per_second(to: SocketAddr, answers: Answers, window: usize, effort: Effort) -> Result<f64> {
    let sends = (0..DEVICES).map(|device| Sends::new(device, GROUPS, window, 1));
    let span = Duration::from_secs(6) / effort.shorter;
    devices::runtime()?.block_on(async {
        let connected = devices::connect(to, answers, sends.collect()).await?;
        devices::send_for(connected, span).await
    })
}
