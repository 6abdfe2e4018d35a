//! One record of one source: filter, limit, rules, in this order.

use crate::driving::{self, Scene};
use crate::filter::{self, Filtered, Fix};
use crate::overspeed::{self, Interval};
use crate::places::Seen;
use crate::profile::{Profile, Profiles};
use crate::state::{Anchor, Outputs, SourceState};
use crate::unregistered_stop::Stands;
use crate::{jump, limit, permits, power_cut, transmission_gap};
use std::sync::Arc;
use waywarden_model::registry::{Assignment, Registry};
use waywarden_model::{
    DayRow, DriverId, DriverSaid, InvalidReason, Record, RecordKind, Timestamp, Verdict,
};
use waywarden_roads::Network;

/// What judging reads beside the record: one registry version, its roads, the law.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub registry: &'a Registry,
    pub network: &'a Network,
    pub profiles: &'a Profiles,
}

/// Whom the source serves at the record's time.
#[derive(Debug)]
pub(crate) struct Served<'a> {
    pub vehicle: &'a Option<Arc<Assignment>>,
    pub registry: u32,
}

impl Served<'_> {
    /// A second source of a vehicle is filed, not judged.
    fn primary(&self) -> bool {
        self.vehicle.as_ref().is_none_or(|v| v.primary)
    }

    /// Break that ends continuous driving in this vehicle, milliseconds.
    pub fn break_ms(&self, profile: &Profile) -> i64 {
        let vehicle = self.vehicle.as_deref();
        let common = profile.break_ms(vehicle.and_then(|v| v.transport));
        let own = vehicle.and_then(|v| v.break_ms);
        // Where the law has breaks of its own, the register's says nothing.
        own.filter(|_| profile.hours.breaks.is_none())
            .unwrap_or(common)
    }
}

/// Whether a record is filed among the positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    File,
    /// Dated after its receipt by more than the profile's tolerance (reading A5): set aside, so
    /// that a wrong clock never moves a vehicle's state.
    Future,
    /// Older than the retention.
    Expired,
}

/// Decides over a record by its event time and the time of its receipt.
pub fn admit(
    time: Timestamp,
    received: Timestamp,
    profiles: &Profiles,
    retention_ms: Option<i64>,
) -> Admit {
    let tolerance = profiles.at(received).filter.future_tolerance_s * 1000;
    if time.since(received) > tolerance {
        Admit::Future
    } else if retention_ms.is_some_and(|kept| received.since(time) > kept) {
        Admit::Expired
    } else {
        Admit::File
    }
}

/// Folds one record in. Records of a source come in order of event time, each strictly later than
/// the one before it; sorting and choosing among records of one instant (A1, A2) is the caller's.
pub fn step(
    state: &mut SourceState,
    record: &Record,
    ctx: &Context<'_>,
    out: &mut Outputs,
) -> Verdict {
    debug_assert!(
        state.last_time.is_none_or(|t| t < record.time),
        "records come in order"
    );
    state.last_time = Some(record.time);
    let version = ctx.registry.version();
    let kept = state.assignment.take();
    let kept = kept.filter(|(v, d)| *v == version && d.validity.holds_at(record.time));
    let (_, dated) =
        kept.unwrap_or_else(|| (version, ctx.registry.assignment(&state.source, record.time)));
    let profile = ctx.profiles.at(record.time);
    let served = Served {
        vehicle: &dated.value,
        registry: version,
    };
    let verdict = judge(state, record, ctx, &served, profile, out);
    power(state, record, &served, profile, out);
    count(state, record, verdict, &served, ctx, out);
    state.assignment = Some((version, dated));
    verdict
}

fn judge(
    state: &mut SourceState,
    record: &Record,
    ctx: &Context<'_>,
    served: &Served<'_>,
    profile: &Profile,
    out: &mut Outputs,
) -> Verdict {
    let filtered = filter::check(
        &mut state.filter,
        state.last.as_ref().map(|l| (l.time, l.position)),
        record,
        &profile.filter,
    );
    let scene = Scene {
        source: &state.source.clone(),
        served,
        profile,
        zone: ctx.profiles.zone(),
    };
    let driver = driver_after(state, record, ctx);
    let Some(filtered) = filtered else {
        said(state, record, driver);
        return Verdict::NotAFix;
    };
    match filtered {
        Filtered::Invalid(reason) => {
            if names_driver(record.kind, reason) {
                said(state, record, driver);
            }
            Verdict::Invalid(reason)
        }
        Filtered::Placed(reason) => {
            if names_driver(record.kind, reason) {
                said(state, record, driver);
            }
            let driver = state.driver.clone();
            place(state, record, driver, served, profile, out);
            Verdict::Invalid(reason)
        }
        Filtered::Valid(fix) => {
            let to = anchor(record, fix, &driver);
            place(state, record, driver.clone(), served, profile, out);
            if served.primary() {
                drive(state, record, &to, ctx, &scene, out);
            }
            said(state, record, driver);
            // No more than is asked for: else no state would be what it was before a late record.
            let enough = profile.tampering.as_ref().map_or(0, |t| t.jump_fixes);
            state.shown = state.shown.saturating_add(1).min(enough);
            state.last = Some(to);
            Verdict::Valid
        }
        Filtered::Anchored(fix) => {
            let to = anchor(record, fix, &driver);
            if let Some(from) = state.last.as_ref().filter(|_| served.primary()) {
                let from = (from, state.shown);
                let jumped = jump::between(from, &to, &state.source, served, profile);
                out.all(jumped);
            }
            state.shown = 1;
            stop_computing(state, &scene, &to, out);
            said(state, record, driver);
            state.placed = Some(to.clone());
            state.last = Some(to);
            Verdict::Valid
        }
    }
}

/// What a record says of its power supply counts whether or not it has a fix.
fn power(
    state: &mut SourceState,
    record: &Record,
    served: &Served<'_>,
    profile: &Profile,
    out: &mut Outputs,
) {
    if !served.primary() {
        return;
    }
    // Long after the last fix nobody knows whether it still drives (D5).
    let long_ms = served.break_ms(profile);
    let seen = |l: &&Anchor| record.time.since(l.time) < long_ms;
    let last = state.last.as_ref().filter(seen);
    let driven = last.filter(|_| state.driving.open_since().is_some());
    let driven_by = driven.map(|l| l.driver.as_ref());
    let (cut, source) = (&mut state.power, &state.source);
    let over = power_cut::take(cut, source, record, driven_by, served, profile);
    out.all(over);
}

/// A reader of cards needs no satellites: what a record without a fix says about the driver
/// counts, and a card record always does. Of the rest A9 holds: as if it were not there.
fn names_driver(kind: RecordKind, reason: InvalidReason) -> bool {
    use InvalidReason::{NoFix, NoSpeed, ZeroCoordinate};
    let card = matches!(kind, RecordKind::CardIn | RecordKind::CardOut);
    card || matches!(reason, NoFix | NoSpeed | ZeroCoordinate)
}

fn anchor(record: &Record, fix: Fix, driver: &Option<DriverId>) -> Anchor {
    Anchor {
        time: record.time,
        position: fix.position,
        speed: fix.speed,
        driver: driver.clone(),
    }
}

/// The driver behind this record: what it says, else who drove before (carried over 'not said').
fn driver_after(state: &mut SourceState, record: &Record, ctx: &Context<'_>) -> Option<DriverId> {
    if record.kind == RecordKind::CardOut {
        return None;
    }
    match &record.driver {
        DriverSaid::NotSaid => state.driver.clone(),
        DriverSaid::Nobody => None,
        DriverSaid::Licence(id) => Some(id.clone()),
        DriverSaid::Card(card) => Some(state.named.holder(card, record.time, ctx)),
    }
}

/// What a record says of the driver counts from behind it on.
fn said(state: &mut SourceState, record: &Record, driver: Option<DriverId>) {
    if driver != state.driver {
        driving::change_driver(&mut state.driving, record.time, driver.as_ref());
        state.driver = driver;
    }
}

/// A record whose time and position are valid fills a transmission gap (reading E1). Whom it names
/// is the driver of the gap that begins with it.
fn place(
    state: &mut SourceState,
    record: &Record,
    driver: Option<DriverId>,
    served: &Served<'_>,
    profile: &Profile,
    out: &mut Outputs,
) {
    let Some(position) = record.position else {
        return;
    };
    let to = Anchor {
        time: record.time,
        position,
        speed: record.speed.unwrap_or_default(),
        driver,
    };
    if let Some(from) = &state.placed {
        let gap = transmission_gap::between(from, &to, &state.source, served, profile);
        out.all(gap);
    }
    state.placed = Some(to);
}

fn drive(
    state: &mut SourceState,
    record: &Record,
    to: &Anchor,
    ctx: &Context<'_>,
    scene: &Scene<'_>,
    out: &mut Outputs,
) {
    let Scene {
        served, profile, ..
    } = *scene;
    let interval = state
        .last
        .as_ref()
        .map(|from| overspeed::interval(from, to, &profile.overspeed));
    if let (Some(from), Some(interval)) = (&state.last, interval) {
        let vehicle = served.vehicle.as_deref();
        let here = (to.position, record.course);
        let limit = limit::at(ctx.network, profile, vehicle, here, to.time);
        let pair = (from, to);
        let run = &mut state.overspeed;
        let ended = overspeed::take(run, pair, interval, &limit, served, profile);
        out.all(ended.and_then(|e| e.closed(&state.source)));
    }
    let since = interval.map(|i| (i.ms, i.distance));
    let stopped = driving::take(&mut state.driving, to, since, scene, out);
    let seen = Seen {
        record,
        fix: to,
        distance: interval.map_or_else(Default::default, |i| i.distance),
        behind_silence: interval.is_some_and(|i| i.ms >= scene.break_ms()),
        stands: state.driving.stands_since().map(|since| Stands {
            // Of a stop that goes on behind a silence only what is seen again counts.
            since: if stopped { since } else { to.time },
            door: record.door,
        }),
    };
    let (places, source) = (&mut state.places, &state.source);
    places.take(source, &seen, ctx, (served, profile), out);
    roll_day(state, record.time, ctx, out);
    if state.driving.open_since().is_some() {
        let (permits, named) = (&mut state.permits, &mut state.named);
        permits::take(permits, named, to, ctx, served, profile);
    }
    if let Some(day) = &mut state.day {
        day.stops += u32::from(stopped);
        day.max_speed = day.max_speed.max(to.speed);
        if let Some(Interval {
            distance, average, ..
        }) = interval
        {
            day.distance += distance;
            day.gaps_over_60_s += u32::from(average.is_none());
        }
    }
}

/// Between the records before and behind a jump nothing is computed (A3b).
fn stop_computing(state: &mut SourceState, scene: &Scene<'_>, to: &Anchor, out: &mut Outputs) {
    let run = state.overspeed.take();
    out.all(run.and_then(|e| e.closed(&state.source)));
    state.places.close(&state.source, out);
    driving::end(&mut state.driving, to, scene, out);
}

fn roll_day(state: &mut SourceState, t: Timestamp, ctx: &Context<'_>, out: &mut Outputs) {
    let today = ctx.profiles.zone().day_of(t);
    if state.day.as_ref().is_none_or(|d| d.day != today) {
        end_day(state, out);
        let begun = DayRow::new(state.source.clone(), today);
        state.day = Some(begun);
    }
}

fn count(
    state: &mut SourceState,
    record: &Record,
    verdict: Verdict,
    served: &Served<'_>,
    ctx: &Context<'_>,
    out: &mut Outputs,
) {
    roll_day(state, record.time, ctx, out);
    let Some(day) = &mut state.day else { return };
    if day.vehicle.is_none() {
        let vehicle = served.vehicle.as_deref();
        day.vehicle = vehicle.map(|v| v.vehicle.clone());
        day.plate = vehicle.map(|v| v.plate.clone());
        day.operator = vehicle.and_then(|v| v.operator.clone());
    }
    day.records += 1;
    match verdict {
        Verdict::Valid => day.valid += 1,
        Verdict::Invalid(reason) => day.invalid[reason as usize - 1] += 1,
        Verdict::NotAFix | Verdict::Late | Verdict::Held | Verdict::Unjudged => {}
    }
}

/// Ends what is counted by the day where one is over, so that the state before a local day's first
/// record does not hold figures of the day before.
pub fn end_day(state: &mut SourceState, out: &mut Outputs) {
    let permits = permits::close(&mut state.permits, &state.source);
    out.all(permits);
    state.day.take().into_iter().for_each(|d| out.day(d));
}

/// Gives out what goes on: called once for a batch of records of a source. What it gives is a
/// function of the state, so that the size of batches changes no fact.
pub fn flush(state: &mut SourceState, out: &mut Outputs) {
    let growing = state
        .overspeed
        .as_mut()
        .and_then(|e| e.growing(&state.source));
    out.all(growing);
    let source = &state.source;
    state.places.flush(source, out);
    out.all(power_cut::growing(&mut state.power, source));
    out.all(permits::growing(&mut state.permits, source));
    state.day.iter().for_each(|d| out.day(d.clone()));
}

/// End of the data: what is open is judged with what is there (reading C8).
pub fn finish(state: &mut SourceState, ctx: &Context<'_>, out: &mut Outputs) {
    if let Some(last) = state.last.clone() {
        let profile = ctx.profiles.at(last.time);
        let vehicle = state.assignment.as_ref().and_then(|(_, d)| d.value.clone());
        let served = Served {
            vehicle: &vehicle,
            registry: ctx.registry.version(),
        };
        let scene = Scene {
            source: &state.source.clone(),
            served: &served,
            profile,
            zone: ctx.profiles.zone(),
        };
        stop_computing(state, &scene, &last, out);
    }
    end_day(state, out);
    let cut = power_cut::close(&mut state.power, &state.source);
    out.all(cut);
    flush(state, out);
}
