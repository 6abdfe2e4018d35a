//! Who is told what: from stamps and ticks, whatever the batches and restarts.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::sync::Arc;
use waywarden_model::{
    Alert, AlertKind, Distance, Frame, Kind, Message, Period, Plate, Position, Protocol, Record,
    SourceId, Speed, Subject, Tick, Timestamp,
};
use waywarden_rules::Profiles;
use waywarden_rules::evaluate::input;
use waywarden_store::{
    AlertFilter, Batch, FactStore, Options as StoreOptions, ReadStore, SqliteStore, WorkerStore,
};
use waywarden_worker::{Bounds, Law, Stage, Subjects, Telling};

const START_S: i64 = 1_773_100_800; // 2026-03-10T00:00:00Z
const MINUTE: i64 = 60;

fn at(s: i64) -> Timestamp {
    Timestamp::from_secs(START_S + s)
}

fn law() -> Law {
    let registers = input::vehicles("plate,class\n14C1,truck_over_3_5t\n").unwrap();
    Law::new(1, registers, Arc::new(Profiles::vietnam()))
}

/// At `kmh` on a straight road: (received, dated), seconds.
fn frame(received: i64, dated: i64, kmh: i32, ignition: Option<bool>) -> Message {
    let lat = 20.0 + dated as f64 * f64::from(kmh) * 2.5e-6;
    let place = Position::new(lat, 106.0).unwrap();
    let record = Record {
        speed: Some(Speed::from_centi(kmh * 100 + (dated % 7) as i32)),
        ignition,
        ..Record::fix(at(dated), place)
    };
    of_records(received, vec![record])
}

fn of_records(received: i64, records: Vec<Record>) -> Message {
    Message::Frame(Frame {
        source: SourceId::from("14C1"),
        protocol: Protocol::Teltonika,
        received: at(received),
        held: false,
        records,
        told_offset_s: None,
        raw: vec![1],
    })
}

fn tick(s: i64) -> Message {
    Message::Tick(Tick {
        gateway: "g".to_owned(),
        listening_since: at(-600),
        now: at(s),
    })
}

/// A vehicle that drives, seen every 10 s and at once.
fn driving(seconds: std::ops::Range<i64>) -> Vec<Message> {
    seconds
        .step_by(10)
        .flat_map(|s| [frame(s + 1, s, 40, Some(true)), tick(s + 2)])
        .collect()
}

fn ticks(seconds: std::ops::Range<i64>) -> Vec<Message> {
    seconds.step_by(10).map(tick).collect()
}

/// All that is told, in order. A worker ends and another goes on after every `each` messages: the
/// saved states are those of the last checkpoint but one, so that the rest is replayed.
fn told_with(messages: &[Message], each: usize, telling: Telling) -> Vec<Alert> {
    let (mut told, mut listening, mut states) = (Vec::new(), None, Vec::new());
    let mut replayed: &[Message] = &[];
    for (n, part) in messages.chunks(each).enumerate() {
        let first = n * each;
        let mut stage = Stage::new(law(), Bounds::default());
        stage.tell(telling, listening.as_deref());
        stage.restore(&states).unwrap();
        for (m, message) in replayed.iter().enumerate() {
            stage.take((first - replayed.len() + m) as u64, message.clone());
        }
        stage.discard_output();
        let (checkpoint, rest) = part.split_at(part.len() / 2);
        for (m, message) in checkpoint.iter().enumerate() {
            stage.take((first + m) as u64, message.clone());
        }
        let next = first + checkpoint.len();
        let saved = stage.finish_batch(next as u64, true, at(0));
        told.extend(saved.alerts);
        listening = saved.listening;
        for state in saved.states {
            states.retain(|s: &waywarden_store::SavedState| s.source != state.source);
            states.push(state);
        }
        for (m, message) in rest.iter().enumerate() {
            stage.take((next + m) as u64, message.clone());
        }
        told.extend(
            stage
                .finish_batch((first + part.len()) as u64, false, at(0))
                .alerts,
        );
        replayed = rest;
    }
    told
}

/// The same however often a worker ends.
fn told(messages: &[Message]) -> Vec<(AlertKind, i64, i64, Option<i64>)> {
    let whole = told_with(messages, usize::MAX, Telling::default());
    // One that begins and ends within a batch is told once, as it is then.
    let last = |alerts: Vec<Alert>| {
        let mut last: Vec<Alert> = Vec::new();
        for a in alerts {
            last.retain(|l| l.id() != a.id());
            last.push(a);
        }
        last
    };
    let whole = last(whole);
    for each in [7, 100] {
        assert_eq!(last(told_with(messages, each, Telling::default())), whole);
    }
    let s = |t: Timestamp| t.since(at(0)) / 1000;
    let row = |a: &Alert| (a.kind, s(a.start), s(a.raised), a.ended.map(s));
    whole.iter().map(row).collect()
}

#[test]
fn a_driving_vehicle_that_is_not_heard_for_half_an_hour_is_silent_until_it_is_heard() {
    let silent = 30 * MINUTE;
    let before = [driving(0..600), ticks(600..591 + silent)].concat();
    assert_eq!(told(&before), []);
    let found = [before, ticks(591 + silent..4000)].concat();
    assert_eq!(
        told(&found),
        [(AlertKind::Silence, 591, 591 + silent, None)]
    );
    let again = [found, driving(4000..4300)].concat();
    assert_eq!(
        told(&again),
        [(AlertKind::Silence, 591, 591 + silent, Some(4001))]
    );
}

#[test]
fn who_is_told_knows_the_vehicle() {
    let messages = [driving(0..600), ticks(600..3000)].concat();
    let alerts = told_with(&messages, usize::MAX, Telling::default());
    let [alert] = alerts.as_slice() else {
        panic!("one alert: {alerts:?}");
    };
    assert_eq!(alert.subject, Subject::Source("14C1".into()));
    assert_eq!(alert.plate.as_ref().unwrap().as_str(), "14C1");
    assert_eq!(alert.limit_ms, Some(1_800_000));
}

#[test]
fn a_parked_vehicle_may_be_silent() {
    let stood = |ignition| {
        let stands = (600..900)
            .step_by(10)
            .map(|s| frame(s + 1, s, 0, ignition))
            .collect();
        [driving(0..600), stands, ticks(900..9000)].concat()
    };
    assert_eq!(told(&stood(Some(false))), []);
    // With its engine on it is in operation.
    assert_eq!(told(&stood(Some(true))).len(), 1);
    // A device that sleeps at once says so in one record.
    let off = vec![frame(601, 600, 0, Some(false))];
    assert_eq!(told(&[driving(0..600), off, ticks(610..9000)].concat()), []);
    // One that always says so, since nothing is wired to it, is known by its speed.
    let unwired: Vec<Message> = (600..900)
        .step_by(10)
        .map(|s| frame(s + 1, s, 40, Some(false)))
        .collect();
    let unwired = [driving(0..600), unwired, ticks(900..9000)].concat();
    assert_eq!(told(&unwired).len(), 1);
}

#[test]
fn an_outage_of_ours_is_no_silence() {
    // Nobody listened for two hours; the vehicle is heard again 20 minutes behind it.
    let outage = [driving(0..600), ticks(7800..9000), driving(9000..9100)].concat();
    assert_eq!(told(&outage), []);
    // What is counted begins with the first tick behind the outage.
    let longer = [driving(0..600), ticks(7800..10_000)].concat();
    assert_eq!(
        told(&longer),
        [(AlertKind::Silence, 591, 7800 + 30 * MINUTE, None)]
    );
}

#[test]
fn what_another_gateway_holds_back_is_waited_for() {
    let other = |s: i64| {
        Message::Tick(Tick {
            gateway: "other".to_owned(),
            listening_since: at(-600),
            now: at(s),
        })
    };
    let both = [driving(0..600), vec![other(590)], ticks(600..5000)].concat();
    assert_eq!(told(&both), []);
    // Its spool is drained: what it had heard comes in the order in which it came.
    let drained: Vec<Message> = (600..5000)
        .step_by(10)
        .flat_map(|s| [frame(s + 1, s, 40, Some(true)), other(s + 2)])
        .collect();
    assert_eq!(told(&[both, drained].concat()), []);
}

#[test]
fn nobody_is_told_of_silence_where_that_is_off() {
    let telling = Telling {
        silent_ms: None,
        ..Telling::default()
    };
    let messages = [driving(0..600), ticks(600..9000)].concat();
    assert_eq!(told_with(&messages, usize::MAX, telling), []);
}

#[test]
fn a_clock_that_goes_back_and_runs_on_was_set_back() {
    // At 600 the clock is set back by 25 minutes, at 900 it is right again.
    let back: Vec<Message> = (600..900)
        .step_by(10)
        .map(|s| frame(s + 1, s - 1500, 40, Some(true)))
        .collect();
    let messages = [driving(0..600), back.clone()].concat();
    assert_eq!(told(&messages), [(AlertKind::ClockSetBack, 601, 661, None)]);
    let alerts = told_with(&messages, usize::MAX, Telling::default());
    assert_eq!(alerts[0].amount_ms, Some(1_501_000));
    let mended = [messages, driving(900..1000)].concat();
    assert_eq!(
        told(&mended),
        [(AlertKind::ClockSetBack, 601, 661, Some(901))]
    );
    // A clock that never was right was not set back.
    assert_eq!(told(&back), []);
}

#[test]
fn what_a_device_kept_in_its_memory_is_no_other_clock() {
    // Ten minutes without a connection, then one record a second, oldest first or newest first.
    let memory: Vec<i64> = (600..1200).step_by(10).collect();
    let sent = |times: Vec<i64>| -> Vec<Message> {
        times
            .iter()
            .enumerate()
            .map(|(n, s)| frame(1201 + n as i64, *s, 40, Some(true)))
            .collect()
    };
    let oldest_first = [driving(0..600), sent(memory.clone()), driving(1300..1400)].concat();
    assert_eq!(told(&oldest_first), []);
    let newest_first: Vec<i64> = memory.into_iter().rev().collect();
    let live = vec![frame(1201, 1200, 40, Some(true))];
    let newest_first = [driving(0..600), live, sent(newest_first)].concat();
    assert_eq!(told(&newest_first), []);
    // One old record again and again, because its acknowledgement is lost.
    let again: Vec<Message> = (600..900)
        .step_by(10)
        .map(|s| frame(s + 1, 100, 40, Some(true)))
        .collect();
    assert_eq!(told(&[driving(0..600), again].concat()), []);
    // The device says itself that it kept them, however slowly it sends them.
    let kept: Vec<Message> = (600..900)
        .step_by(10)
        .map(|s| {
            let Message::Frame(mut f) = frame(s + 1, s - 500, 40, Some(true)) else {
                unreachable!()
            };
            f.records.iter_mut().for_each(|r| r.stored = true);
            Message::Frame(f)
        })
        .collect();
    assert_eq!(told(&[driving(0..600), kept].concat()), []);
}

/// What the worker's judge says to a store about four hours that come near.
#[tokio::test]
async fn a_driver_is_told_before_the_fifth_hour_in_the_one_vehicle_or_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("store.db"), StoreOptions::default()).unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    let driven = |vehicle: &str, from: i64, to: i64, open| Period {
        source: vehicle.into(),
        start: at(60 * from),
        end: at(60 * to),
        open,
        vehicle: Some(vehicle.into()),
        plate: Some(Plate::new(vehicle)),
        driver: Some("D1".into()),
        operator: None,
        break_ms: 900_000,
        distance: Distance::ZERO,
        registry: 1,
    };
    let judge = || Subjects::new(Arc::new(Profiles::vietnam()));
    let told = async |expected: u64, periods: Vec<Period>, judge: Subjects, now: i64| {
        let batch = Batch {
            periods,
            log: "log".into(),
            ..Batch::default()
        };
        let next = expected + 1;
        store.commit(&claim, expected, next, batch).await.unwrap();
        let judge = Arc::new(judge);
        store
            .judge_subjects(&claim, 1, 9, at(60 * now), judge)
            .await
            .unwrap();
        let all = AlertFilter::default();
        store.alerts(&all, None, 9).await.unwrap()
    };
    let first = driven("14C1", 0, 180, false);
    let second = |to, open| driven("14C2", 190, to, open);
    let telling = || judge().telling(Some(900_000));
    let early = told(0, vec![first, second(230, true)], telling(), 231).await;
    assert_eq!(early, []);
    // 3 h 51 min in two vehicles with ten minutes between them. Who tells nobody, tells nobody.
    assert_eq!(told(1, vec![second(241, true)], judge(), 242).await, []);
    let near = told(2, vec![second(242, true)], telling(), 243).await;
    let [alert] = near.as_slice() else {
        panic!("one alert: {near:?}");
    };
    let of = alert.ahead.unwrap();
    assert_eq!((of.kind, of.rule), (Kind::ContinuousDriving, None));
    assert_eq!((alert.start, alert.raised), (at(0), at(60 * 242)));
    assert_eq!(alert.vehicle.as_ref().unwrap().as_str(), "14C2");
    assert_eq!(alert.amount_ms, Some(60_000 * 232));
    // Passed: now it is a violation with the same beginning.
    let passed = told(3, vec![second(252, true)], telling(), 253).await;
    assert_eq!((passed.len(), passed[0].ended), (1, Some(at(60 * 253))));
    let facts = store.violations_after(None, 9).await.unwrap();
    let facts: Vec<_> = facts.iter().map(|v| (v.kind, v.start)).collect();
    assert_eq!(facts, [(Kind::ContinuousDriving, at(0))]);
}

#[test]
fn states_that_were_saved_before_there_were_alerts_are_taken_in() {
    let mut stage = Stage::new(law(), Bounds::default());
    stage.take(0, frame(1, 0, 40, Some(true)));
    let mut saved = stage.finish_batch(1, true, at(0)).states;
    // What is behind the state of the rules was not there.
    let with_alerts = saved[0].bytes.len();
    let mut later = Stage::new(law(), Bounds::default());
    later.restore(&saved).unwrap();
    let watch = postcard_len(&saved[0].bytes);
    saved[0].bytes.truncate(watch);
    assert!(saved[0].bytes.len() < with_alerts);
    let mut before = Stage::new(law(), Bounds::default());
    assert_eq!(before.restore(&saved).unwrap(), Vec::<SourceId>::new());
    before.take(1, frame(11, 10, 40, Some(true)));
    later.take(1, frame(11, 10, 40, Some(true)));
    let facts = |stage: &mut Stage| {
        let batch = stage.finish_batch(2, false, at(0));
        (batch.sources, batch.periods, batch.day_rows)
    };
    assert_eq!(facts(&mut before), facts(&mut later));
}

/// Bytes of the part in front: an optional instant and a length with as many bytes.
fn postcard_len(bytes: &[u8]) -> usize {
    type Front = (Option<i64>, Vec<u8>);
    let (_, rest) = postcard::take_from_bytes::<Front>(bytes).unwrap();
    bytes.len() - rest.len()
}
