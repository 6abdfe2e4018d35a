//! Judging again on purpose: what a preview tells is what then changes, and who is marked by a
//! registry version is who was said to be.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, Log};
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
    AdminStore, Due, FactStore, Foreseen, ReadStore, RebuildStore, RegisterChange, SqliteStore,
    Stretch, WorkerStore,
};
use waywarden_worker::{Bounds, Late, Law, Options, Partition, Preview};

const PARTITIONS: u32 = 2;
const FROM: &str = "2026-03-10T00:00:00+07:00";
const NOW_S: i64 = 1_773_300_000;

fn fleet() -> BTreeMap<SourceId, Vec<Record>> {
    let from = Timestamp::parse_rfc3339(FROM).unwrap();
    let span = Span {
        from,
        until: from.plus_millis(86_400_000),
        every_ms: 10_000,
    };
    let numbers = (0..8).filter(|n| Habit::of(*n) != Habit::Shadowed);
    let vehicle = |n| Vehicle::new(5, n, Road::coast(), span).collect();
    numbers
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
    let rows = fleet.keys().skip(1).map(|s| format!("{s},{class}\n"));
    let text: String = std::iter::once("plate,class\n".to_owned())
        .chain(rows)
        .collect();
    input::vehicles(&text).unwrap()
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
    let marked = place.store.mark_sources(stretches, now).await.unwrap();
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
