//! How long it takes a worker that is given a partition until it judges, when the former one was
//! killed under load.

use super::Place;
use super::filing::filed;
use crate::Effort;
use crate::children::Role;
use crate::devices::{self, Sends, id, record};
use crate::table::{Goal, Row, median, rounds};
use anyhow::{Context as _, Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use waywarden_model::{Frame, Message, Protocol, SourceId, Timestamp};

const VEHICLES: usize = 10_000;
/// Records of each vehicle on file before.
const BEFORE: usize = 20;
/// Records a second while it happens.
const LOAD: usize = 5_000;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    // Longer than states are kept unsaved, unless in a hurry.
    let span = Duration::from_secs(40) / effort.shorter;
    let all = rounds(effort.rounds.min(2), || round(span))?;
    let claimed: Vec<f64> = all.iter().map(|(_, claimed)| *claimed).collect();
    Ok(vec![Row {
        figure: format!("a partition of {VEHICLES} vehicles is taken over"),
        unit: "ms until judged",
        rounds: all.iter().map(|(judged, _)| *judged).collect(),
        goal: Some(Goal::AtMost(5_000.0)),
        floor: None,
        limit: format!(
            "The former worker was killed {} s into a load of {LOAD} records/s; from the group's \
             word until its successor commits its first batch. {:.0} ms until the partition is \
             claimed: the former session is ended, {VEHICLES} states are read, and what the log \
             holds behind them is stepped again; then the backlog of the session's timeout.",
            span.as_secs(),
            median(&claimed),
        ),
    }])
}

/// Milliseconds until the first commit, and until the claim.
fn round(span: Duration) -> Result<(f64, f64)> {
    let place = Place::new(1)?;
    place.make_topic()?;
    let producer = place.producer()?;
    let sends: Vec<Sends> = (0..VEHICLES)
        .map(|device| Sends::new(device, 1, 1, BEFORE))
        .collect();
    for (device, message) in devices::messages(&sends, BEFORE).iter().enumerate() {
        producer.send(&SourceId::new(id(device)), message)?;
    }
    producer.flush()?;
    let former = Role::start("worker", &[], &place.environment())?;
    former.line("partition claimed")?;
    filed(&place, (VEHICLES * BEFORE) as u64)?;
    let successor = Role::start("worker", &[], &place.environment())?;
    successor.line("health and figures")?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| send_steadily(&producer, &stop));
        std::thread::sleep(span);
        drop(former);
        let measured = takes_over(&place, &successor);
        stop.store(true, Ordering::Relaxed);
        let sent = load.join();
        sent.map_err(|_| anyhow::anyhow!("the load panicked"))??;
        measured
    })
}

fn takes_over(place: &Place, successor: &Role) -> Result<(f64, f64)> {
    let given = successor.line("fall to this worker")?;
    devices::runtime()?.block_on(async {
        let session = place.session().await?;
        let sql = "SELECT position FROM partitions";
        let before: i64 = session.query_one(sql, &[]).await?.get(0);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let position: i64 = session.query_one(sql, &[]).await?.get(0);
            if position > before {
                break;
            }
            ensure!(Instant::now() < until, "nothing is judged");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let judged = given.elapsed();
        let claimed = successor.line("partition claimed")?.duration_since(given);
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        Ok((ms(judged), ms(claimed)))
    })
}

/// A record of each vehicle in turn, as its device would have sent it.
fn send_steadily(producer: &super::place::Bare, stop: &AtomicBool) -> Result<()> {
    let begun = Instant::now();
    let mut sent = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        let due = (begun.elapsed().as_secs_f64() * LOAD as f64) as usize;
        while sent < due {
            let (device, n) = (sent % VEHICLES, BEFORE + sent / VEHICLES);
            let source = SourceId::new(id(device));
            let frame = Frame {
                source: source.clone(),
                protocol: Protocol::Teltonika,
                received: Timestamp::from_secs(record(device, n).time.millis() / 1000),
                held: false,
                records: vec![record(device, n)],
                told_offset_s: None,
                raw: vec![0; 60],
            };
            producer.send(&source, &waywarden_bus::encode(&Message::Frame(frame)))?;
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    producer.flush().context("the end of the load")
}
