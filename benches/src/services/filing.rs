//! From Kafka to rows in TimescaleDB with all rules on, beside a bare binary COPY of the same rows
//! into the same tables.

use super::Place;
use super::place::PARTITIONS;
use crate::Effort;
use crate::children::Role;
use crate::devices::{self, Sends, id};
use crate::table::{Floor, Goal, Row, median, rounds};
use anyhow::{Context as _, Result, ensure};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::SinkExt as _;
use std::time::{Duration, Instant};
use waywarden_model::{Position, SourceId, Speed};

struct Load {
    devices: usize,
    per_frame: usize,
    frames: usize,
    /// Two minutes too fast out of so many times two.
    too_fast: usize,
    goal: Option<f64>,
    at_least: Option<f64>,
}

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let shorter = effort.shorter as usize;
    let loads = [
        Load {
            devices: 200,
            per_frame: 20,
            frames: 400 / shorter,
            too_fast: devices::SELDOM,
            goal: Some(150_000.0),
            at_least: Some(0.6),
        },
        Load {
            devices: 200,
            per_frame: 20,
            frames: 400 / shorter,
            too_fast: devices::OFTEN,
            goal: None,
            at_least: None,
        },
        Load {
            devices: 10_000,
            per_frame: 1,
            frames: 64 / shorter,
            too_fast: devices::SELDOM,
            goal: None,
            at_least: Some(0.6),
        },
    ];
    // Brokers that have just begun compile while they serve.
    worked(&loads[0])?;
    loads.iter().map(|load| row(load, effort)).collect()
}

struct Measured {
    filed: f64,
    bare: f64,
    /// Microseconds of the worker's processor time a record.
    cpu_us: f64,
}

fn row(load: &Load, effort: Effort) -> Result<Row> {
    let all = rounds(effort.rounds, || {
        let bare = bare_copy(load)?;
        let (filed, cpu_us) = worked(load)?;
        Ok(Measured {
            filed,
            bare,
            cpu_us,
        })
    })?;
    let of = |value: fn(&Measured) -> f64| all.iter().map(value).collect::<Vec<f64>>();
    Ok(Row {
        figure: format!(
            "Kafka to TimescaleDB, {} devices, {} a frame, too fast in {} min",
            load.devices,
            load.per_frame,
            2 * load.too_fast
        ),
        unit: "records/s filed",
        rounds: of(|m| m.filed),
        goal: load.goal.map(Goal::AtLeast),
        floor: Some(Floor {
            what: "bare COPY",
            rounds: of(|m| m.bare),
            at_least: load.at_least,
        }),
        limit: format!(
            "{} records a round wait on {PARTITIONS} partitions; from the claim of the first until \
             all are filed. The server, which shares the cores: beside positions it takes raw \
             frames, days, periods, and a violation with its evidence for every {} records of a \
             device; the worker took {:.1} us of processor time a record. Floor: {PARTITIONS} \
             sessions send rows that were made before, in the order of the key, as many a \
             transaction as a batch of the worker has.",
            load.devices * load.frames * load.per_frame,
            12 * load.too_fast,
            median(&of(|m| m.cpu_us)),
        ),
    })
}

/// Records a second, and microseconds of processor time a record.
fn worked(load: &Load) -> Result<(f64, f64)> {
    let place = Place::new(PARTITIONS)?;
    place.make_topic()?;
    let sends: Vec<Sends> = (0..load.devices)
        .map(|device| Sends::too_fast(device, 0, load.frames, 1, load.per_frame, load.too_fast))
        .collect();
    let producer = place.producer()?;
    let messages = devices::messages(&sends, load.per_frame);
    for (n, message) in messages.iter().enumerate() {
        producer.send(&SourceId::new(id(n % load.devices)), message)?;
    }
    producer.flush()?;
    let records = (load.devices * load.frames * load.per_frame) as u64;
    let worker = Role::start("worker", &[], &place.environment())?;
    worker.line("partition claimed")?;
    let (begun, cpu) = (Instant::now(), worker.cpu_seconds()?);
    filed(&place, records)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = worker.cpu_seconds()? - cpu;
    Ok((records as f64 / seconds, cpu * 1e6 / records as f64))
}

/// Waits until so many records are filed.
///
/// # Errors
/// They are not within five minutes, or more are.
pub fn filed(place: &Place, records: u64) -> Result<()> {
    devices::runtime()?.block_on(async {
        let session = place.session().await?;
        let until = Instant::now() + Duration::from_secs(300);
        loop {
            let sql = "SELECT coalesce(sum(filed), 0)::bigint FROM partitions";
            let filed: i64 = session.query_one(sql, &[]).await?.get(0);
            let filed = filed.cast_unsigned();
            if filed == records {
                return Ok(());
            }
            ensure!(filed < records, "{filed} records are filed, not {records}");
            ensure!(Instant::now() < until, "{filed} of {records} are filed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

/// Records a second of COPY alone: a session for each partition, devices spread over them.
fn bare_copy(load: &Load) -> Result<f64> {
    let place = Place::new(PARTITIONS)?;
    let sessions = PARTITIONS as usize;
    // As the bounds on a batch have it: 20,000 messages.
    let frames = (20_000 * sessions / load.devices).clamp(1, load.frames);
    let parts: Vec<Vec<Bytes>> = (0..sessions)
        .map(|part| {
            let mine: Vec<usize> = (part..load.devices).step_by(sessions).collect();
            let batches = (0..load.frames).step_by(frames);
            let rows = |first: usize| {
                let last = (first + frames).min(load.frames);
                let records = first * load.per_frame..last * load.per_frame;
                rows_of(&mine, records, load.too_fast)
            };
            batches.map(rows).collect()
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        place.make_tables().await?;
        let mut ready = Vec::new();
        for batches in parts {
            ready.push((place.session().await?, batches));
        }
        let begun = Instant::now();
        let tasks: Vec<_> = ready
            .into_iter()
            .map(|(session, batches)| {
                tokio::spawn(async move {
                    for rows in batches {
                        copy(&session, rows).await?;
                    }
                    Ok::<_, tokio_postgres::Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.context("a session panicked")??;
        }
        let records = load.devices * load.frames * load.per_frame;
        Ok(records as f64 / begun.elapsed().as_secs_f64())
    })
}

async fn copy(session: &tokio_postgres::Client, rows: Bytes) -> Result<(), tokio_postgres::Error> {
    // The columns that the worker fills, those that these devices do not say with nothing.
    let sql = "COPY positions (source, time, hash, received, frame, verdict, kind, lat, lon, \
               valid, altitude, speed, course, satellites, ignition, motion, door, odometer, \
               said, driver, alarms, stored, voltage, fuel, engine, event, vin) \
               FROM STDIN BINARY";
    let sink = session.copy_in::<_, Bytes>(sql).await?;
    futures::pin_mut!(sink);
    sink.send(rows).await?;
    sink.finish().await.map(drop)
}

/// Rows of these devices in the format of a binary COPY.
fn rows_of(devices: &[usize], records: std::ops::Range<usize>, too_fast: usize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"PGCOPY\n\xff\r\n\0");
    out.put_u64(0);
    for device in devices {
        for n in records.clone() {
            put_row(
                &mut out,
                *device,
                &devices::record_too_fast(*device, n, too_fast),
            );
        }
    }
    out.put_i16(-1);
    out.freeze()
}

fn put_row(out: &mut BytesMut, device: usize, r: &waywarden_model::Record) {
    let time = r.time.millis();
    let long = |out: &mut BytesMut, value: i64| put(out, &value.to_be_bytes());
    let int = |out: &mut BytesMut, value: Option<i32>| match value {
        Some(value) => put(out, &value.to_be_bytes()),
        None => out.put_i32(-1),
    };
    let short = |out: &mut BytesMut, value: i16| put(out, &value.to_be_bytes());
    let flag = |out: &mut BytesMut, value: Option<bool>| match value {
        Some(value) => put(out, &[u8::from(value)]),
        None => out.put_i32(-1),
    };
    let degrees = |out: &mut BytesMut, value: Option<f64>| match value {
        Some(value) => put(out, &value.to_be_bytes()),
        None => out.put_i32(-1),
    };
    let nothing = |out: &mut BytesMut, columns: usize| {
        (0..columns).for_each(|_| out.put_i32(-1));
    };
    out.put_i16(27);
    int(out, i32::try_from(device).ok());
    long(out, time);
    // Any 64 bits that differ: making the hash is not the database's work.
    long(
        out,
        time.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()),
    );
    long(out, time);
    long(out, time / 1000);
    short(out, 0);
    short(out, r.kind as i16);
    degrees(out, r.position.map(Position::lat));
    degrees(out, r.position.map(Position::lon));
    flag(out, Some(r.valid));
    int(out, r.altitude_dm);
    int(out, r.speed.map(Speed::centi));
    int(out, r.course.map(|c| i32::from(c.centi())));
    match r.satellites {
        Some(count) => short(out, count.into()),
        None => out.put_i32(-1),
    }
    flag(out, r.ignition);
    nothing(out, 2);
    match r.odometer_m {
        Some(metres) => long(out, metres.cast_signed()),
        None => out.put_i32(-1),
    }
    short(out, 0);
    nothing(out, 1);
    long(out, 0);
    flag(out, Some(r.stored));
    nothing(out, 5);
}

/// A value with its length before it.
fn put(out: &mut BytesMut, value: &[u8]) {
    out.put_i32(value.len() as i32);
    out.put_slice(value);
}
