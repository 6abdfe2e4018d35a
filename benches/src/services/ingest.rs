//! From devices on sockets to Kafka, acknowledged: the gateway beside a stub of it and beside the
//! library's producer alone.

use super::Place;
use super::place::PARTITIONS;
use crate::Effort;
use crate::children::Served;
use crate::devices::{self, Answers, Sends, id};
use crate::servers::Server;
use crate::table::{Floor, Goal, Row, median, rounds};
use anyhow::Result;
use std::time::{Duration, Instant};
use waywarden_model::SourceId;

/// Groups of frames that a device has before it sends the same again.
const GROUPS: usize = 16;

/// Longest time for which the brokers are warmed up.
const WARM_UP: Duration = Duration::from_secs(60);
/// Rounds without a better one after which they are warm.
const STEADY: u32 = 6;

/// How often the stub and the gateway take turns in a round: a machine changes its speed within
/// seconds, and what is compared should meet the same one.
const TURNS: u32 = 3;

struct Load {
    devices: usize,
    per_frame: usize,
    window: usize,
    goal: f64,
}

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let loads = [
        Load {
            devices: 200,
            per_frame: 20,
            window: 4,
            goal: 400_000.0,
        },
        Load {
            devices: 1_000,
            per_frame: 1,
            window: 4,
            goal: 40_000.0,
        },
    ];
    warm_up(&loads[0])?;
    loads.iter().map(|load| row(load, effort)).collect()
}

/// Brokers that have just begun compile while they serve, with as many cores as there are: sends
/// them messages until they do not get faster any more.
fn warm_up(load: &Load) -> Result<()> {
    let until = Instant::now() + WARM_UP;
    let (mut best, mut since) = (0.0, 0);
    while since < STEADY && Instant::now() < until {
        let rate = bare(load)?;
        since = if rate > best * 1.02 { 0 } else { since + 1 };
        best = rate.max(best);
    }
    Ok(())
}

/// Records a second, of one round.
#[derive(Default)]
struct Measured {
    gateway: f64,
    stub: f64,
    bare: f64,
    /// Microseconds of processor time a frame.
    gateway_us: f64,
    stub_us: f64,
}

fn row(load: &Load, effort: Effort) -> Result<Row> {
    let all = rounds(effort.rounds, || {
        let mut round = Measured {
            bare: bare(load)?,
            ..Measured::default()
        };
        for turn in 0..TURNS {
            for is_stub in [turn % 2 == 0, turn % 2 == 1] {
                let server = match is_stub {
                    true => Server::Stub,
                    false => Server::KafkaGateway,
                };
                let (rate, us) = served(server, load, effort)?;
                let (rate, us) = (rate / f64::from(TURNS), us / f64::from(TURNS));
                if is_stub {
                    round.stub += rate;
                    round.stub_us += us;
                } else {
                    round.gateway += rate;
                    round.gateway_us += us;
                }
            }
        }
        Ok(round)
    })?;
    let of = |value: fn(&Measured) -> f64| all.iter().map(value).collect::<Vec<f64>>();
    Ok(Row {
        figure: format!(
            "acknowledged from Kafka, {} devices, {} a frame",
            load.devices, load.per_frame
        ),
        unit: "records/s",
        rounds: of(|m| m.gateway),
        goal: Some(Goal::AtLeast(load.goal)),
        floor: Some(Floor {
            what: "stub gateway",
            rounds: of(|m| m.stub),
            at_least: Some(0.8),
        }),
        limit: format!(
            "{} frames of each device in flight; devices, gateway and one node of Kafka on the \
             same cores. These limit it, and how long a message lingers for its batch: 5 ms at \
             the stub, 5 ms at most at the gateway. The gateway takes {:.1} us of processor time a \
             frame, the stub {:.1} us. The stub sends the frame as it came, the gateway, which has \
             its spool, the frame and its records. The library's producer alone, with the \
             gateway's messages and no devices: {:.0} records/s.",
            load.window,
            median(&of(|m| m.gateway_us)),
            median(&of(|m| m.stub_us)),
            median(&of(|m| m.bare)),
        ),
    })
}

fn sends(load: &Load) -> Vec<Sends> {
    (0..load.devices)
        .map(|device| Sends::new(device, GROUPS, load.window, load.per_frame))
        .collect()
}

/// Records a second, and microseconds of the server's processor time a frame.
fn served(server: Server, load: &Load, effort: Effort) -> Result<(f64, f64)> {
    let place = Place::new(PARTITIONS)?;
    place.make_topic()?;
    let served = Served::start(server, &place.served())?;
    let answers = Answers::Acknowledgements;
    let span = Duration::from_secs(6) / effort.shorter / TURNS;
    let rate = devices::runtime()?.block_on(async {
        let connected = devices::connect(served.address, answers, sends(load)).await?;
        devices::send_for(connected, span).await
    })?;
    // Of the time to warm up too; the rate is the same.
    let frames = rate * (span + span.min(Duration::from_secs(1))).as_secs_f64();
    let us = served.cpu_seconds()? * 1e6 / frames;
    Ok((rate * load.per_frame as f64, us))
}

/// Records a second of the library's producer with the messages of the gateway.
fn bare(load: &Load) -> Result<f64> {
    let place = Place::new(PARTITIONS)?;
    place.make_topic()?;
    let sends = sends(load);
    let messages = devices::messages(&sends, load.per_frame);
    let sources: Vec<SourceId> = (0..load.devices).map(|d| SourceId::new(id(d))).collect();
    let producer = place.producer()?;
    // The first message waits for the library to know the brokers.
    producer.send(&sources[0], &messages[0])?;
    producer.flush()?;
    let times = 400_000_usize.div_ceil(messages.len() * load.per_frame);
    let begun = Instant::now();
    for _ in 0..times {
        for (n, message) in messages.iter().enumerate() {
            producer.send(&sources[n / load.window % load.devices], message)?;
        }
    }
    producer.flush()?;
    let records = times * messages.len() * load.per_frame;
    Ok(records as f64 / begun.elapsed().as_secs_f64())
}
