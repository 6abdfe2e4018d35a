//! Records judged in a second on one core, with all rules of the Vietnamese profile on.

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
pub fn judged_per_second() {
    let plates: String = (0..VEHICLES)
        .map(|n| format!("14C{n:05},truck_over_3_5t,goods\n"))
        .collect();
    let registers = match input::vehicles(&format!("plate,class,transport\n{plates}")) {
        Ok(registers) => registers,
        Err(error) => return eprintln!("rules: {error}"),
    };
    let registry = Registry::new(1, registers);
    let (network, profiles) = (Network::empty(), Profiles::vietnam());
    let ctx = Context {
        registry: &registry,
        network: &network,
        profiles: &profiles,
    };
    let mut rates = Vec::new();
    for _ in 0..5 {
        rates.push(round(&ctx));
    }
    rates.sort_by(f64::total_cmp);
    eprintln!(
        "rules step, {VEHICLES} vehicles, batches of {BATCH} records a source: {:.2} M records/s ({:.2} to {:.2})",
        rates[2], rates[0], rates[4]
    );
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
    (VEHICLES * RECORDS_EACH) as f64 / seconds / 1e6
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
