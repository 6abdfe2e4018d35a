//! Between log and store: what is filed does not depend on batches, restarts or repetition.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use waywarden_model::{
    DayRow, Frame, Message, Period, Position, Protocol, Record, SourceId, Speed, Tick, Timestamp,
    Verdict, Violation, ViolationId,
};
use waywarden_rules::Profiles;
use waywarden_rules::evaluate::input;
use waywarden_store::{AsideReason, Batch};
use waywarden_worker::{Bounds, Law, Stage};

const START_S: i64 = 1_773_100_800; // 2026-03-10T00:00:00Z

fn law() -> Law {
    let registers = input::vehicles("plate,class\n14C1,truck_over_3_5t\n14C2,bus\n").unwrap();
    Law::new(1, registers, Arc::new(Profiles::vietnam()))
}

fn fix(t: i64, kmh: i32) -> Record {
    let lat = 21.0 + (t - START_S) as f64 * 1e-4;
    let fix = Record::fix(Timestamp::from_secs(t), Position::new(lat, 107.0).unwrap());
    Record {
        speed: Some(Speed::from_centi(kmh * 100 + (t % 7) as i32)),
        ..fix
    }
}

fn frame(source: &str, records: Vec<Record>) -> Message {
    let last = records.iter().map(|r| r.time).max().unwrap();
    Message::Frame(Frame {
        source: SourceId::from(source),
        protocol: Protocol::Teltonika,
        received: last.plus_millis(500),
        held: false,
        told_offset_s: None,
        raw: vec![1, 2, 3],
        records,
    })
}

/// What a store would hold: the last value by key, rows by filing key.
#[derive(Debug, Default, PartialEq)]
struct Filed {
    rows: BTreeMap<(SourceId, Timestamp, u64), Verdict>,
    violations: BTreeMap<ViolationId, Violation>,
    periods: BTreeMap<(SourceId, Timestamp), Period>,
    days: BTreeMap<(SourceId, String), DayRow>,
}

impl Filed {
    fn write(&mut self, batch: Batch) {
        for source in batch.sources {
            for row in source.newer.into_iter().chain(source.older) {
                let key = (source.source.clone(), row.record.time, row.hash);
                self.rows.entry(key).or_insert(row.verdict);
            }
        }
        for v in batch.violations {
            self.violations.insert(v.id(), v);
        }
        for p in batch.periods {
            self.periods.insert((p.source.clone(), p.start), p);
        }
        for d in batch.day_rows {
            self.days.insert((d.source.clone(), d.day.to_string()), d);
        }
    }
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = (
        0usize..2,
        1usize..20,
        prop_oneof![Just(0), 5..70, 80..130],
        1i64..200,
        any::<bool>(),
    );
    prop::collection::vec(one, 1..30).prop_map(|frames| {
        let mut clocks = [START_S; 2];
        let mut messages = Vec::new();
        for (vehicle, count, kmh, pause, again) in frames {
            clocks[vehicle] += pause;
            let records = (0..count).map(|_| {
                clocks[vehicle] += 10;
                fix(clocks[vehicle], kmh)
            });
            let message = frame(["14C1", "14C2"][vehicle], records.collect());
            messages.push(message.clone());
            if again {
                messages.push(message);
            }
        }
        messages
    })
}

fn take(stage: &mut Stage, log: &[Message], part: std::ops::Range<usize>) {
    for (offset, message) in log.iter().enumerate().skip(part.start).take(part.len()) {
        stage.take(offset as u64, message.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn batches_and_restarts_change_nothing(
        log in messages(),
        batch in 1usize..10,
        restart in 1usize..40,
        checkpoint in 1usize..4,
    ) {
        let mut once = Filed::default();
        let mut stage = Stage::new(law(), Bounds::default());
        for (offset, message) in log.iter().enumerate() {
            stage.take(offset as u64, message.clone());
        }
        once.write(stage.finish_batch(log.len() as u64, false, Timestamp::MIN));

        // The same log in small batches, with the process lost behind some of them: states come
        // back from the last checkpoint, and what lies between is stepped again without output.
        let mut many = Filed::default();
        let mut stage = Stage::new(law(), Bounds::default());
        let (mut saved, mut position, mut from) = (BTreeMap::new(), 0, 0);
        for n in 0.. {
            if position == log.len() {
                break;
            }
            if n > 0 && n % restart == 0 {
                stage = Stage::new(law(), Bounds::default());
                let states: Vec<_> = saved.values().cloned().collect();
                prop_assert!(stage.restore(&states).unwrap().is_empty());
                take(&mut stage, &log, from..position);
                stage.discard_output();
            }
            let upto = (position + batch).min(log.len());
            take(&mut stage, &log, position..upto);
            position = upto;
            let batch = stage.finish_batch(position as u64, n % checkpoint == 0, Timestamp::MIN);
            for state in &batch.states {
                saved.insert(state.source.clone(), state.clone());
            }
            from = batch.checkpoint.map_or(from, |c| c as usize);
            many.write(batch);
        }
        // One flush at the end shows an episode as one big batch would.
        prop_assert_eq!(once.rows, many.rows);
        prop_assert_eq!(once.periods, many.periods);
        prop_assert_eq!(once.days, many.days);
        prop_assert_eq!(once.violations, many.violations);
    }
}

#[test]
fn records_go_where_their_time_sends_them() {
    let mut stage = Stage::new(
        law(),
        Bounds {
            retention_ms: Some(86_400_000),
            ..Bounds::default()
        },
    );
    let t = START_S + 1000;
    let mut late = fix(t - 500, 40);
    late.stored = true;
    stage.take(0, frame("14C1", vec![fix(t, 40), fix(t + 10, 41)]));
    stage.take(1, frame("14C1", vec![fix(t + 10, 41)])); // again
    stage.take(
        2,
        Message::Frame(Frame {
            received: Timestamp::from_secs(t + 11),
            ..match frame("14C1", vec![late, fix(t + 9000, 40), fix(t - 200_000, 40)]) {
                Message::Frame(f) => f,
                _ => unreachable!(),
            }
        }),
    );
    stage.take(
        3,
        Message::Tick(Tick {
            gateway: "g".to_owned(),
            listening_since: Timestamp::from_secs(START_S),
            now: Timestamp::from_secs(t),
        }),
    );
    stage.poison(4, "no message".to_owned(), vec![0xff]);
    let batch = stage.finish_batch(5, true, Timestamp::from_secs(t));
    let rows = &batch.sources[0];
    let times = |rows: &[waywarden_store::FiledRecord]| -> Vec<i64> {
        rows.iter()
            .map(|r| r.record.time.millis() / 1000 - t)
            .collect()
    };
    assert_eq!(times(&rows.newer), [0, 10]);
    assert_eq!(times(&rows.older), [10, -500]);
    let likely = |r: &waywarden_store::FiledRecord| r.ahead && r.verdict == Verdict::Valid;
    assert!(rows.older.iter().all(likely));
    let aside: Vec<_> = batch.aside.iter().map(|a| a.reason).collect();
    assert_eq!(aside, [AsideReason::Expired, AsideReason::Future]);
    assert_eq!(batch.records_read, 6);
    assert_eq!(
        (batch.ticks.len(), batch.poison.len(), batch.states.len()),
        (1, 1, 1)
    );
    assert_eq!(batch.checkpoint, Some(5));
}

#[test]
fn what_is_held_is_filed_and_not_judged() {
    let mut stage = Stage::new(law(), Bounds::default());
    let Message::Frame(frame) = frame("new", (0..30).map(|n| fix(START_S + 10 * n, 120)).collect())
    else {
        unreachable!()
    };
    stage.take(
        0,
        Message::Frame(Frame {
            held: true,
            ..frame
        }),
    );
    let batch = stage.finish_batch(1, false, Timestamp::MIN);
    assert!(
        batch.sources[0]
            .newer
            .iter()
            .all(|r| r.verdict == Verdict::Held)
    );
    assert!(batch.violations.is_empty() && batch.periods.is_empty());
}
