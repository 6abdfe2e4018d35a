//! Judging again on purpose: what a preview tells is what then changes, and who is marked by a
//! registry version is who was said to be.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{Append, EmbeddedLog, Log};
use waywarden_model::hash::partition_of;
use waywarden_model::registry::Registers;
use waywarden_model::registry::import::reach;
use waywarden_model::{
    Frame, Kind, Message, Plate, Protocol, Record, SourceId, Timestamp, Violation, ViolationId,
};
use waywarden_rules::Profiles;
use waywarden_rules::evaluate::input;
use waywarden_simulator::{Habit, Road, Span, Vehicle, imei};
use waywarden_store::read::ChangeKind;
use waywarden_store::{
    AdminStore, AsideStore, Due, FactStore, Foreseen, ReadStore, RebuildStore, RegisterChange,
    SqliteStore, Stretch, WorkerStore,
};
use waywarden_worker::{Bounds, Late, Law, Options, Partition, Preview};

const PARTITIONS: u32 = 2;
const FROM: &str = "2026-03-10T00:00:00+07:00";
/// Number of the vehicle whose habit are long days.
const LONG_DAY: u32 = 3;
const NOW_S: i64 = 1_773_300_000;

fn fleet() -> BTreeMap<SourceId, Vec<Record>> {
    let from = Timestamp::parse_rfc3339(FROM).unwrap();
    let span = Span {
        from,
        until: from.plus_millis(86_400_000),
        every_ms: 10_000,
    };
    // None of them sends late of itself; the last drives longest.
    let vehicle = |n| Vehicle::new(5, n, Road::coast(), span).collect();
    (0..=LONG_DAY)
        .map(|n| (SourceId::new(imei(n)), vehicle(n)))
        .collect()
}

struct Place {
    log: Arc<EmbeddedLog>,
    store: Arc<SqliteStore>,
}

impl Place {
    fn open(dir: &Path) -> Self {
        let options = waywarden_bus::Options {
            partitions: PARTITIONS,
            ..Default::default()
        };
        let store = SqliteStore::open(&dir.join("store.db"), waywarden_store::Options::default());
        Self {
            log: Arc::new(EmbeddedLog::open(&dir.join("log"), options).unwrap()),
            store: Arc::new(store.unwrap()),
        }
    }

    async fn append(&self, partition: u32, message: Message) {
        let payload = waywarden_bus::encode(&message);
        let receipt = self.log.append(partition, payload).await.unwrap();
        receipt.await.unwrap().unwrap();
    }

    async fn append_all(&self, fleet: &BTreeMap<SourceId, Vec<Record>>) {
        for (source, records) in fleet {
            let message = Message::Frame(Frame {
                source: source.clone(),
                protocol: Protocol::Teltonika,
                received: records.last().unwrap().time.plus_millis(700),
                held: false,
                records: records.clone(),
                told_offset_s: None,
                raw: vec![7; 40],
            });
            self.append(partition_of(source, PARTITIONS), message).await;
        }
    }

    /// Lets workers work until the log is judged, and what is marked too where that is due.
    async fn work(&self, late: Late) {
        let stop = CancellationToken::new();
        let mut workers = Vec::new();
        for partition in 0..PARTITIONS {
            let worker = Partition::claim(
                partition,
                Arc::clone(&self.log) as Arc<dyn Log>,
                Arc::clone(&self.store) as Arc<dyn WorkerStore>,
                Arc::new(Profiles::vietnam()),
                Options {
                    late,
                    ..Options::default()
                },
                Arc::new(|| Timestamp::from_secs(NOW_S)),
            );
            workers.push(tokio::spawn(worker.await.unwrap().run(stop.clone())));
        }
        let done = async {
            while self.left(late.quiet_ms < 0).await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), done)
            .await
            .unwrap();
        stop.cancel();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
    }

    async fn left(&self, marks_too: bool) -> u64 {
        let status = self.store.status().await.unwrap();
        let mut left = status.dirty_subjects + if marks_too { status.marks } else { 0 };
        for p in status.partitions {
            left += self.log.range(p.partition).await.unwrap().1 - p.position;
        }
        left
    }

    async fn marked(&self) -> BTreeMap<SourceId, Timestamp> {
        let all = Due {
            updated_before: Timestamp::MAX,
            created_before: Timestamp::MAX,
        };
        let mut found = BTreeMap::new();
        for partition in 0..PARTITIONS {
            let marks = self.store.due_marks(partition, all, 1000).await.unwrap();
            found.extend(marks.into_iter().map(|m| (m.source, m.from)));
        }
        found
    }

    async fn standing(&self) -> BTreeMap<ViolationId, Violation> {
        let all = self.store.violations_after(None, 100_000).await.unwrap();
        all.into_iter().map(|v| (v.id(), v)).collect()
    }

    async fn import(&self, registers: &Registers) -> u32 {
        let change = RegisterChange {
            expected_head: self.store.registry_head().await.unwrap(),
            registers: registers.clone(),
            author: "test".into(),
            note: String::new(),
            now: Timestamp::from_secs(NOW_S),
            partitions: PARTITIONS,
        };
        self.store.save_registers(change).await.unwrap()
    }

    async fn foreseen(&self, law: &Law, stretches: Vec<Stretch>) -> Vec<Foreseen> {
        let now = Timestamp::from_secs(NOW_S);
        let mut preview = Preview::new(self.store.as_ref(), law, Bounds::default(), now);
        let mut found = Vec::new();
        for stretch in stretches {
            found.extend(preview.source(stretch).await.unwrap());
        }
        while let Some(hours) = preview.next_subject().await.unwrap() {
            found.extend(hours);
        }
        found
    }
}

/// Marks are left alone: they have not been quiet long enough.
const LEFT: Late = Late {
    quiet_ms: 15_000,
    longest_ms: 600_000,
    share_percent: 100,
};
/// Judged whatever the clock says, which stands still here.
const AT_ONCE: Late = Late {
    quiet_ms: -1,
    longest_ms: 0,
    share_percent: 100,
};

/// All vehicles but the first one with a class.
fn classed(fleet: &BTreeMap<SourceId, Vec<Record>>, class: &str) -> Registers {
    let sources: Vec<&SourceId> = fleet.keys().skip(1).collect();
    let plate = |n: usize| format!("14C{n:05}");
    let rows = (0..sources.len()).map(|n| format!("{},{class}\n", plate(n)));
    let text: String = std::iter::once("plate,class\n".to_owned())
        .chain(rows)
        .collect();
    let mut registers = input::vehicles(&text).unwrap();
    for fitting in &mut registers.fittings {
        let n = (0..sources.len()).find(|n| fitting.source.as_str() == plate(*n));
        fitting.source = sources[n.unwrap()].clone();
    }
    registers
}

fn kinds(found: &[Foreseen]) -> BTreeMap<ViolationId, ChangeKind> {
    let kinds: BTreeMap<_, _> = found.iter().map(|f| (f.id, f.kind)).collect();
    assert_eq!(kinds.len(), found.len(), "each is told once");
    kinds
}

/// What became of the violations, by looking at them before and after.
fn difference(
    before: &BTreeMap<ViolationId, Violation>,
    after: &BTreeMap<ViolationId, Violation>,
) -> BTreeMap<ViolationId, ChangeKind> {
    let ids: BTreeSet<&ViolationId> = before.keys().chain(after.keys()).collect();
    let kind = |id| match (before.get(id), after.get(id)) {
        (None, _) => Some(ChangeKind::Created),
        (_, None) => Some(ChangeKind::Withdrawn),
        (Some(a), Some(b)) => (a != b).then_some(ChangeKind::Amended),
    };
    let changed = ids.into_iter().filter_map(|id| Some((*id, kind(id)?)));
    changed.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_foreseen_is_what_changes() {
    let dir = tempfile::tempdir().unwrap();
    let (place, fleet) = (Place::open(dir.path()), fleet());
    place.append_all(&fleet).await;
    place.work(LEFT).await;
    let mut registers = Registers::default();
    let mut seen = BTreeSet::new();
    let other_plates = |mut registers: Registers| {
        for vehicle in &mut registers.vehicles {
            vehicle.plate = Plate::new(&format!("14C{}", vehicle.plate));
        }
        registers
    };
    // Lower limits state more, higher ones fewer; another plate leaves the episodes as they are.
    for new in [
        classed(&fleet, "special_machine"),
        classed(&fleet, "car_up_to_28_seats"),
        other_plates(classed(&fleet, "car_up_to_28_seats")),
    ] {
        let reach = reach(&registers, &new);
        let version = place.import(&new).await;
        let newest = place.store.newest_records(None, 1000).await.unwrap();
        let said: BTreeMap<SourceId, Timestamp> = newest
            .iter()
            .filter_map(|(s, t)| Some((s.clone(), reach.judged_again(s, Some(*t))?)))
            .collect();
        assert_eq!(said.len(), fleet.len() - 1);

        let before = place.standing().await;
        let changes = place.store.last_change().await.unwrap();
        let law = Law::new(version, new.clone(), Arc::new(Profiles::vietnam()));
        let stretches = said
            .iter()
            .map(|(s, from)| Stretch::behind(s.clone(), *from));
        let foreseen = place.foreseen(&law, stretches.collect()).await;
        assert_eq!(place.store.last_change().await.unwrap(), changes);
        assert!(place.standing().await == before && place.left(true).await == 0);

        for partition in 0..PARTITIONS {
            place.append(partition, Message::Registry(version)).await;
        }
        place.work(LEFT).await;
        assert_eq!(place.marked().await, said);
        place.work(AT_ONCE).await;
        let after = place.standing().await;
        assert_eq!(kinds(&foreseen), difference(&before, &after));
        for f in &foreseen {
            match f.kind {
                ChangeKind::Withdrawn => assert_eq!(before.get(&f.id), Some(&f.violation)),
                _ => assert_eq!(after.get(&f.id), Some(&f.violation)),
            }
            let stands = f.replaced_by.is_none_or(|id| after.contains_key(&id));
            assert!(stands, "what takes its place is on file");
        }
        seen.extend(foreseen.iter().map(|f| (f.violation.kind, f.kind.name())));
        registers = new;
    }
    for kind in ["created", "amended", "withdrawn"] {
        assert!(seen.contains(&(Kind::Overspeed, kind)), "{seen:?}");
    }
    let hours = |(kind, _): &(Kind, &str)| *kind == Kind::ContinuousDriving;
    assert!(seen.iter().any(hours), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn judging_again_by_the_same_law_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (place, fleet) = (Place::open(dir.path()), fleet());
    place.append_all(&fleet).await;
    place.work(LEFT).await;
    let from = Timestamp::parse_rfc3339(FROM).unwrap();
    let stretch = |source: &SourceId| Stretch {
        source: source.clone(),
        from: from.plus_millis(8 * 3_600_000),
        upto: from.plus_millis(9 * 3_600_000),
    };
    let stretches: Vec<Stretch> = fleet.keys().map(stretch).collect();
    let law = Law::new(0, Registers::default(), Arc::new(Profiles::vietnam()));
    assert_eq!(place.foreseen(&law, stretches.clone()).await, []);
    let (before, changes) = (
        place.standing().await,
        place.store.last_change().await.unwrap(),
    );
    let now = Timestamp::from_secs(NOW_S);
    let marked = place
        .store
        .mark_sources(stretches, PARTITIONS, now)
        .await
        .unwrap();
    assert_eq!(marked, fleet.len());
    let status = place.store.status().await.unwrap();
    assert_eq!(status.marks as usize, fleet.len());
    assert!(
        status.dirty_subjects > 0,
        "hours may be judged by another law"
    );
    place.work(AT_ONCE).await;
    assert_eq!(place.standing().await, before);
    assert_eq!(place.store.last_change().await.unwrap(), changes);
}

/// The clock of one device was ahead for its gateway, so everything of it was set aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_set_aside_as_future_is_judged_like_the_rest_once_it_is_asked_for() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [usual, early] = dirs.each_ref().map(|dir| Place::open(dir.path()));
    let fleet = fleet();
    assert_eq!(Habit::of(LONG_DAY), Habit::LongDay);
    let (source, records) = fleet.get_key_value(imei(LONG_DAY).as_str()).unwrap();
    let half = records.len() / 2;
    let frame = |records: &[Record], received: Timestamp| {
        Message::Frame(Frame {
            source: source.clone(),
            protocol: Protocol::Teltonika,
            received,
            held: false,
            records: records.to_vec(),
            told_offset_s: None,
            raw: vec![7; 40],
        })
    };
    let (first, last) = (
        records[0].time,
        records.last().unwrap().time.plus_millis(700),
    );
    let partition = partition_of(source, PARTITIONS);
    usual.append(partition, frame(records, last)).await;
    usual.work(AT_ONCE).await;
    // The first half came in time, the second half before its time.
    early.append(partition, frame(&records[..half], last)).await;
    early
        .append(partition, frame(&records[half..], first))
        .await;
    early.work(AT_ONCE).await;
    let counters = early.store.counters(partition).await.unwrap();
    assert_eq!(counters.aside as usize, records.len() - half);
    assert!(early.standing().await != usual.standing().await);

    let aside = early.store.set_aside(first, last).await.unwrap();
    assert_eq!(aside, std::slice::from_ref(source));
    let stretch = Stretch {
        source: source.clone(),
        from: first,
        upto: last,
    };
    let now = Timestamp::from_secs(NOW_S);
    let asked = early
        .store
        .readmit(vec![stretch], PARTITIONS, now)
        .await
        .unwrap();
    assert_eq!(asked as usize, records.len() - half);
    early.work(AT_ONCE).await;
    assert_eq!(early.standing().await, usual.standing().await);
    for place in [&usual, &early] {
        let c = place.store.counters(partition).await.unwrap();
        assert_eq!((c.filed as usize, c.aside), (records.len(), 0));
        assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused);
    }
    let facts = |place: &Place| {
        let store = Arc::clone(&place.store);
        async move {
            (
                store.periods_after(None, 10_000).await.unwrap(),
                store.day_rows_after(None, 100).await.unwrap(),
                store.driver_days_after(None, 100).await.unwrap(),
            )
        }
    };
    assert_eq!(facts(&early).await, facts(&usual).await);

    // A record between the halves that comes later still is late to the worker too.
    let between = records[half].time.plus_millis(1000);
    let mut late = records[half].clone();
    late.time = between;
    for place in [&usual, &early] {
        let message = frame(std::slice::from_ref(&late), last);
        place.append(partition, message).await;
        place.work(AT_ONCE).await;
        let c = place.store.counters(partition).await.unwrap();
        assert_eq!(c.filed as usize, records.len() + 1);
    }
    assert_eq!(early.standing().await, usual.standing().await);
    assert_eq!(facts(&early).await, facts(&usual).await);
}
