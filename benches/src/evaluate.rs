//! `waywarden evaluate` over a file: the whole command, from its start to its end.

use crate::Effort;
use crate::children::{folder, program};
use crate::devices::record;
use crate::table::{Goal, Row, rounds};
use anyhow::{Result, ensure};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use waywarden_model::{Position, Record, Speed};

const VEHICLES: usize = 1_000;
const RECORDS_EACH: usize = 1_000;

type Line = fn(&str, &Record) -> String;

pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    [
        ("records.csv", csv as Line),
        ("records.jsonl", json as Line),
    ]
    .into_iter()
    .map(|(name, line)| row(name, line, effort))
    .collect()
}

fn row(name: &str, line: Line, effort: Effort) -> Result<Row> {
    let each = RECORDS_EACH / effort.shorter as usize;
    let place = folder()?;
    let (records, vehicles) = (place.path().join(name), place.path().join("vehicles.csv"));
    let head = match name.ends_with(".csv") {
        true => "vehicle,time,lat,lon,speed_kmh,ignition\n",
        false => "",
    };
    let mut text = head.to_owned();
    // As a feed has them: one vehicle after the other, again and again.
    for n in 0..each {
        for vehicle in 0..VEHICLES {
            text += &line(&plate(vehicle), &record(vehicle, n));
        }
    }
    std::fs::write(&records, text)?;
    let mut register = "plate,class,transport\n".to_owned();
    for vehicle in 0..VEHICLES {
        writeln!(register, "{},truck_over_3_5t,goods", plate(vehicle))?;
    }
    std::fs::write(&vehicles, register)?;
    Ok(Row {
        figure: format!("waywarden evaluate, {name}"),
        unit: "records/s",
        rounds: rounds(effort.rounds, || {
            Ok((VEHICLES * each) as f64 / seconds(&records, &vehicles)?)
        })?,
        goal: Some(Goal::AtLeast(500_000.0)),
        floor: None,
        limit: format!(
            "{} records of {VEHICLES} vehicles in turn, the Vietnamese profiles; from the start of \
             the process to its end, violations written to nowhere. Reading the lines, then the \
             rules, on all cores.",
            VEHICLES * each
        ),
    })
}

fn seconds(records: &Path, vehicles: &Path) -> Result<f64> {
    let begun = Instant::now();
    let status = Command::new(program()?)
        .arg("evaluate")
        .arg("--records")
        .arg(records)
        .arg("--vehicles")
        .arg(vehicles)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "evaluate ended with {status}");
    Ok(begun.elapsed().as_secs_f64())
}

fn plate(vehicle: usize) -> String {
    format!("14C{vehicle:05}")
}

fn kmh(r: &Record) -> f64 {
    f64::from(r.speed.map_or(0, Speed::centi)) / 100.0
}

fn degrees(r: &Record) -> (f64, f64) {
    let of = |axis: fn(Position) -> f64| r.position.map_or(0.0, axis);
    (of(Position::lat), of(Position::lon))
}

fn csv(plate: &str, r: &Record) -> String {
    let ((lat, lon), kmh) = (degrees(r), kmh(r));
    format!("{plate},{},{lat:.6},{lon:.6},{kmh},true\n", r.time)
}

fn json(plate: &str, r: &Record) -> String {
    let ((lat, lon), kmh, time) = (degrees(r), kmh(r), r.time);
    format!(
        "{{\"vehicle\":\"{plate}\",\"time\":\"{time}\",\"lat\":{lat:.6},\"lon\":{lon:.6},\
         \"speed_kmh\":{kmh},\"ignition\":true}}\n"
    )
}
