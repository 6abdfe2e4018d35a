//! Records judged in a second on one core, with all rules of the Vietnamese profile on.

use crate::Effort;
use crate::table::{Goal, Row, rounds};
use anyhow::Result;
use std::time::Instant;
use waywarden_model::registry::Registry;
use waywarden_model::{Position, Record, SourceId, Speed, Timestamp};
use waywarden_roads::Network;
use waywarden_rules::evaluate::input;
use waywarden_rules::{Context, Outputs, Profiles, SourceState, flush, step};

const VEHICLES: usize = 10_000;
const RECORDS_EACH: usize = 100;
const BATCH: usize = 20;

/// 10,000 vehicles, each with a fix every 10 s: driving, at times too fast, at times stopped.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let plates: String = (0..VEHICLES)
        .map(|n| format!("14C{n:05},truck_over_3_5t,goods\n"))
        .collect();
    let registers = input::vehicles(&format!("plate,class,transport\n{plates}"))
        .map_err(|error| anyhow::anyhow!("vehicles: {error}"))?;
    let registry = Registry::new(1, registers);
    let (network, profiles) = (Network::empty(), Profiles::vietnam());
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    Ok(vec![Row {
        figure: format!("rule step, {VEHICLES} vehicles"),
        unit: "records/s",
        rounds: rounds(effort.rounds, || Ok(round(&ctx)))?,
        goal: Some(Goal::AtLeast(1e6)),
        floor: None,
        limit: format!(
            "All rules of the Vietnamese profile, {BATCH} records of a source at a time, one core. \
             The memory of the states: each batch finds its source's in none of the caches."
        ),
    }])
}

fn round(ctx: &Context<'_>) -> f64 {
    let source = |n: usize| SourceId::new(format!("14C{n:05}"));
    let mut states: Vec<SourceState> = (0..VEHICLES).map(|n| SourceState::new(source(n))).collect();
    let journeys: Vec<Vec<Record>> = (0..64).map(journey).collect();
    let mut out = Outputs::default();
    let mut given_out = 0;
    let begun = Instant::now();
    for batch in 0..RECORDS_EACH / BATCH {
        for (n, state) in states.iter_mut().enumerate() {
            for record in &journeys[n % journeys.len()][batch * BATCH..(batch + 1) * BATCH] {
                step(state, record, ctx, &mut out);
            }
            flush(state, &mut out);
        }
        given_out += out.periods.len() + out.violations.len() + out.day_rows.len();
        out.clear();
    }
    let seconds = begun.elapsed().as_secs_f64();
    assert!(given_out > VEHICLES, "judging gives something out");
    (VEHICLES * RECORDS_EACH) as f64 / seconds
}

fn journey(seed: usize) -> Vec<Record> {
    let mut lat = 20.9;
    (0..RECORDS_EACH)
        .map(|n| {
            let kmh = match (n + seed) / 12 % 5 {
                0 => 0,
                3 => 95,
                _ => 55,
            };
            lat += f64::from(kmh) / 360.0 / 111.195;
            let time = Timestamp::from_secs(1_773_100_800 + 10 * n as i64);
            let place = Position::new(lat, 107.0).map(|p| Record::fix(time, p));
            let fix = place.unwrap_or_else(|| Record::status(time));
            Record {
                speed: Some(Speed::from_centi(kmh * 100 + (n % 7) as i32)),
                ..fix
            }
        })
        .collect()
}
