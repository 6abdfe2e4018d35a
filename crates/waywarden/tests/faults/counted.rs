//! Every counter adds up, as far as one can be held against another: what a gateway had counted
//! when it was killed is known up to its last reading, and bounds what is on file from below.

use super::scene::{Scene, until};
use super::support::figures::Figures;
use super::support::{Api, entries, settled};
use serde_json::Value;
use std::collections::BTreeSet;

/// Device, event time and content hash.
type Known = BTreeSet<(String, i64, String)>;

/// What the fleets' books say of a state.
fn booked(scene: &Scene, state: &str) -> Known {
    let books = scene.ledgers.iter().flat_map(|ledger| entries(ledger));
    let of = |l: Value| {
        let word = |name: &str| l[name].as_str().unwrap().to_owned();
        (word("device"), l["time"].as_i64().unwrap(), word("hash"))
    };
    books.filter(|l| l["state"] == state).map(of).collect()
}

/// Everything that was ever sent was acknowledged, and is on file once, by its content.
pub fn every_record_is_on_file_once(scene: &Scene) -> u64 {
    let statement =
        "SELECT s.name, p.time, p.hash FROM positions p JOIN sources s ON s.id = p.source";
    let rows = scene.session().ask(statement).unwrap();
    let count = rows.len();
    let record = |row: Vec<String>| {
        let [name, time, hash] = row.try_into().unwrap();
        let hash = hash.parse::<i64>().unwrap().cast_unsigned();
        (name, time.parse().unwrap(), format!("{hash:016x}"))
    };
    let filed: Known = rows.into_iter().map(record).collect();
    assert_eq!(filed.len(), count, "a record is on file twice");
    let acknowledged = booked(scene, "acknowledged");
    for lost in acknowledged.difference(&filed) {
        eprintln!("acknowledged and not on file: {lost:?}");
    }
    assert_eq!(
        acknowledged, filed,
        "what is acknowledged is what is on file"
    );
    assert_eq!(
        acknowledged,
        booked(scene, "generated"),
        "and is all that there was"
    );
    count as u64
}

/// What the gateways still tell when nothing comes any more.
pub fn of_the_gateways(scene: &mut Scene) {
    until("nothing is in flight", 30, || {
        let now = scene.figures();
        now.iter().all(|f| f.gateway("in_flight_bytes") == 0)
    });
    for (n, now) in scene.figures().iter().enumerate() {
        assert_eq!(now.gateway("spool_waiting_messages"), 0);
        // What this life found of an earlier one in its spool was drained too.
        let lines = scene.place.gateways[n].said();
        let mut found = lines
            .iter()
            .filter(|l| l.contains("holds messages of an earlier run"));
        let left = found.next().and_then(|l| l.split("messages=").nth(1));
        let left: u64 = left.map_or(0, |l| l.split_whitespace().next().unwrap().parse().unwrap());
        let (spooled, drained) = (
            now.gateway("spooled_messages_total"),
            now.gateway("drained_messages_total"),
        );
        // A write that fails on a full disk may be there after all, and is drained too.
        match now.gateway("append_failures_total") {
            0 => assert_eq!(spooled + left, drained),
            _ => assert!(
                spooled + left <= drained,
                "{spooled} and {left}, {drained} drained"
            ),
        }
    }
}

/// The store's counters, and those that are told, against the rows on file and the messages that
/// gateways had counted as durable.
pub fn of_the_store(scene: &Scene, api: &Api, key: &str, filed: u64) {
    let session = scene.session();
    let each = "SELECT count(*) FROM partitions WHERE read <> filed + repeated + aside + refused";
    assert_eq!(session.number(each), 0, "in each partition");
    for (rows, counted) in [
        ("positions", "sum(filed)"),
        ("records_aside", "sum(aside)"),
        ("poison", "sum(0)"),
        ("gaps", "sum(0)"),
    ] {
        let equal = format!(
            "SELECT (SELECT count(*) FROM {rows}) - (SELECT {counted} FROM partitions)::int8"
        );
        assert_eq!(session.number(&equal), 0, "{rows}");
    }
    let told = Figures::read(&api.text("/metrics", key));
    let judged = |outcome: &str| told.of("waywarden_console_judged_records_total", outcome);
    let (counted, repeated, aside) = settled(api, key);
    assert_eq!((counted, aside), (filed, 0));
    assert_eq!((judged("filed"), judged("repeated")), (filed, repeated));
    assert_eq!((judged("aside"), judged("refused")), (0, 0));
    for rest in [
        "backlog_messages",
        "poison_messages",
        "marked_sources",
        "waiting_subjects",
    ] {
        let name = format!("waywarden_console_{rest}");
        assert_eq!(told.of(&name, ""), 0, "{name}");
    }
    // The positions stand at the end of the log, so they count its messages.
    let durable = |f: &Figures| f.counted("durable_frames_total") + f.counted("ticks_total");
    let known: u64 = scene.lives.iter().flatten().map(durable).sum();
    let messages = scene.positions().cast_unsigned();
    assert!(
        known <= messages,
        "{known} were durable, the log has {messages}"
    );
    eprintln!(
        "{filed} filed, {repeated} repeated; {messages} messages, {known} of them counted by {} \
         lives of gateways",
        scene.lives.iter().map(Vec::len).sum::<usize>()
    );
}
