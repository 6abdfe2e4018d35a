//! What is filed comes back bit for bit: judging again stands on it.

use crate::any::any_record;
use crate::fixture::{Fixture, SOURCE, at, batch, records};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use waywarden_model::hash::content_hash;
use waywarden_model::{CardId, DriverSaid, Position, Record, Verdict};
use waywarden_store::{FiledRecord, StoredRecord};

both!(
    any_record_comes_back_bit_for_bit,
    a_text_that_no_database_likes_comes_back,
);

/// Enough for every shape; each of them lies in a chunk of its own.
const CASES: usize = 60;

fn valid(record: Record) -> FiledRecord {
    FiledRecord {
        hash: content_hash(&record),
        received: at(0),
        verdict: Verdict::Valid,
        ahead: false,
        frame: 0,
        record,
    }
}

async fn through(f: &Fixture, given: &[Record]) -> Vec<StoredRecord> {
    let claim = f.store.claim(0, "w").await.unwrap();
    let newer = given.iter().cloned().map(valid).collect();
    f.store
        .commit(&claim, 0, 1, batch(vec![records(newer, vec![])]))
        .await
        .unwrap();
    let source = SOURCE.into();
    f.store.stored_records(&source, None, 1000).await.unwrap()
}

async fn any_record_comes_back_bit_for_bit(f: Fixture) {
    let mut runner = TestRunner::default();
    let one = |_| any_record().new_tree(&mut runner).unwrap().current();
    let given: Vec<Record> = (0..CASES).map(one).collect();
    let back = through(&f, &given).await;
    let back: BTreeMap<(i64, u64), Record> = back
        .into_iter()
        .map(|s| ((s.record.time.millis(), s.hash), s.record))
        .collect();
    let bits = |r: &Record| r.position.map(|p| (p.lat().to_bits(), p.lon().to_bits()));
    for record in given {
        let there = &back[&(record.time.millis(), content_hash(&record))];
        assert_eq!(bits(there), bits(&record));
        assert_eq!(*there, record);
    }
}

async fn a_text_that_no_database_likes_comes_back(f: Fixture) {
    let mut given = Vec::new();
    for (n, text) in [
        "a\0b",
        "\0",
        "\u{E000}",
        "\u{E000}0\0",
        "\u{10FFFF}",
        "'\"\\",
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = Record::fix(at(n as i64), Position::new(20.0, 107.0).unwrap());
        record.driver = DriverSaid::Card(CardId::from(text));
        record.details.vin = Some(text.into());
        given.push(record);
    }
    let back: Vec<Record> = through(&f, &given)
        .await
        .into_iter()
        .map(|s| s.record)
        .collect();
    assert_eq!(back, given);
    let latest = f.store.latest(1).await.unwrap();
    assert_eq!(latest[0].said, given[5].driver);
}
