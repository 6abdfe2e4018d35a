//! Exactly once, whatever becomes of connections, sessions and owners.

use crate::fixture::{Database, at, batch, connect, filed, options, overspeed, records};
use crate::proxy::{Fault, Proxy};
use std::time::{Duration, Instant};
use tokio_postgres::config::Host;
use waywarden_model::Subject;
use waywarden_store::read::{Pull, ViolationFilter};
use waywarden_store::{
    Batch, Claim, Committed, Position, ReadStore, StoreError, TimescaleStore, WorkerStore,
};

/// The simple query that ends a transaction.
const COMMIT: &[u8] = b"COMMIT\0";
/// What a binary COPY begins with.
const COPY: &[u8] = b"PGCOPY\n";

/// A database, a store that reaches it through a wire that may break, and one that does not.
struct Rig {
    proxy: Proxy,
    worker: TimescaleStore,
    other: TimescaleStore,
    database: Database,
}

impl Rig {
    async fn new(refuse_then: bool) -> Self {
        let database = Database::new().await;
        let config: tokio_postgres::Config = database.server.parse().unwrap();
        let Some(Host::Tcp(host)) = config.get_hosts().first() else {
            panic!("the server is to be reached by TCP");
        };
        let (host, port) = (host.clone(), config.get_ports()[0]);
        let proxy = Proxy::new(format!("{host}:{port}"), refuse_then).await;
        let there = database.server.replace(
            &format!("host={host} port={port}"),
            // Readable on its way: the proxy waits for a COMMIT.
            &format!(
                "host=127.0.0.1 port={} sslmode=disable",
                proxy.address.port()
            ),
        );
        Self {
            worker: TimescaleStore::open(&there, options()).await.unwrap(),
            other: TimescaleStore::open(&database.server, options())
                .await
                .unwrap(),
            proxy,
            database,
        }
    }

    fn commit(
        &self,
        claim: &Claim,
        next: Position,
    ) -> tokio::task::JoinHandle<Result<Committed, StoreError>> {
        let (store, claim) = (self.worker.clone(), claim.clone());
        tokio::spawn(async move { store.commit(&claim, next - 1, next, three()).await })
    }

    async fn rows(&self) -> i64 {
        self.database.count("SELECT count(*) FROM positions").await
    }
}

fn three() -> Batch {
    batch(vec![records(
        vec![filed(0, 50), filed(10, 50), filed(20, 50)],
        vec![],
    )])
}

async fn lost_at_commit(fault: Fault) {
    let rig = Rig::new(false).await;
    let claim = rig.worker.claim(0, "w").await.unwrap();
    rig.proxy.arm(fault, COMMIT);
    let done = rig.commit(&claim, 1).await.unwrap().unwrap();
    rig.proxy.struck().await;
    assert_eq!((done.filed, done.repeated), (3, 0));
    assert_eq!(rig.rows().await, 3);
    let counters = rig.worker.counters(0).await.unwrap();
    assert_eq!(
        (counters.read, counters.filed, counters.repeated),
        (3, 3, 0)
    );
    // The owner goes on, on its new connection.
    let again = batch(vec![records(vec![filed(30, 50)], vec![filed(0, 50)])]);
    let done = rig.worker.commit(&claim, 1, 2, again).await.unwrap();
    assert_eq!((done.filed, done.repeated), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_reached_the_server_is_sent_again() {
    lost_at_commit(Fault::CutBefore).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_done() {
    lost_at_commit(Fault::CutAfter).await;
}

async fn another_owner_meanwhile(fault: Fault, rows: i64, position: Position) {
    let rig = Rig::new(true).await;
    let claim = rig.worker.claim(0, "w").await.unwrap();
    rig.proxy.arm(fault, COMMIT);
    let commit = rig.commit(&claim, 1);
    rig.proxy.struck().await;
    if fault == Fault::CutAfter {
        // The server has it in hand; until it is done another claim would undo it.
        let give_up = Instant::now() + Duration::from_secs(30);
        while rig.rows().await == 0 && Instant::now() < give_up {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let next = rig.other.claim(0, "other").await.unwrap();
    assert_eq!((next.epoch, next.position), (2, position));
    rig.proxy.allow();
    let told = commit.await.unwrap();
    assert!(
        matches!(told, Err(StoreError::Superseded { partition: 0 })),
        "{told:?}"
    );
    assert_eq!(rig.rows().await, rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lost_its_partition_before_its_commit_is_told() {
    another_owner_meanwhile(Fault::CutBefore, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lost_its_partition_behind_its_commit_is_told() {
    another_owner_meanwhile(Fault::CutAfter, 3, 1).await;
}

async fn frozen_owner(held: &'static [u8]) {
    let rig = Rig::new(true).await;
    let claim = rig.worker.claim(0, "w").await.unwrap();
    rig.proxy.arm(Fault::Freeze, held);
    let commit = rig.commit(&claim, 1);
    rig.proxy.struck().await;
    // It holds the partition's row; the successor does not wait for it to wake.
    let next = rig.other.claim(0, "other").await.unwrap();
    assert_eq!((next.epoch, next.position), (2, 0));
    let one = batch(vec![records(vec![filed(7, 50)], vec![])]);
    rig.other.commit(&next, 0, 1, one).await.unwrap();
    rig.proxy.thaw();
    let told = commit.await.unwrap();
    assert!(
        matches!(told, Err(StoreError::Superseded { partition: 0 })),
        "{told:?}"
    );
    assert_eq!(rig.rows().await, 1, "the woken one wrote nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_frozen_inside_a_copy_does_not_block_its_successor() {
    frozen_owner(COPY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_frozen_at_its_commit_does_not_block_its_successor() {
    frozen_owner(COMMIT).await;
}

fn pull(after: i64) -> Pull {
    Pull {
        filter: ViolationFilter::default(),
        after,
        held: Vec::new(),
        settled_before: None,
        limit: 100,
        max_held: 100,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cursor_passes_a_change_that_may_still_be_committed() {
    let rig = Rig::new(false).await;
    let mine = rig.worker.claim(0, "w").await.unwrap();
    let theirs = rig.other.claim(1, "other").await.unwrap();
    rig.proxy.arm(Fault::Freeze, COMMIT);
    let (store, claim) = (rig.worker.clone(), mine.clone());
    let held = tokio::spawn(async move {
        let mut b = three();
        b.violations = vec![overspeed(30, false)];
        store.commit(&claim, 0, 1, b).await
    });
    rig.proxy.struck().await;
    // Its changes are numbered and not committed; another's are both.
    let mut b = batch(vec![]);
    let mut another = overspeed(30, false);
    another.subject = Subject::Vehicle("v1".into());
    b.violations = vec![another];
    rig.other.commit(&theirs, 0, 1, b).await.unwrap();
    assert_eq!(rig.database.count("SELECT count(*) FROM changes").await, 1);
    let plan = rig.other.plan_pull(&pull(0)).await.unwrap();
    assert_eq!((plan.give.len(), plan.seen), (0, 0), "{plan:?}");
    assert_eq!(rig.other.last_change().await.unwrap(), 0);
    assert!(rig.other.changes_after(0, 9).await.unwrap().is_empty());
    rig.proxy.thaw();
    held.await.unwrap().unwrap();
    let mut given = Vec::new();
    let mut after = 0;
    let give_up = Instant::now() + Duration::from_secs(60);
    while given.len() < 2 && Instant::now() < give_up {
        let plan = rig.other.plan_pull(&pull(after)).await.unwrap();
        given.extend(rig.other.changes(&plan.give).await.unwrap());
        after = plan.seen;
    }
    let ids: Vec<_> = given.iter().map(|(_, v)| &v.violation.subject).collect();
    assert!(
        matches!(ids[..], [Subject::Source(_), Subject::Vehicle(_)]),
        "{ids:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_ended_again_and_again_lose_and_repeat_nothing() {
    const BATCHES: i64 = 60;
    let rig = Rig::new(false).await;
    let claim = rig.worker.claim(0, "w").await.unwrap();
    let admin = connect(&rig.database.server).await;
    for n in 0..BATCHES {
        let newer = (0..50).map(|s| filed(100 * n + s, 50)).collect();
        let mut b = batch(vec![records(newer, vec![])]);
        b.violations = vec![overspeed(30 + n, true)];
        let next = n.unsigned_abs();
        let commit = rig.worker.commit(&claim, next, next + 1, b);
        // Once for each batch, a little later each time, so that every statement is met.
        let end = async {
            tokio::time::sleep(Duration::from_millis(n.unsigned_abs() / 2)).await;
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name = 'waywarden'";
            admin.query(sql, &[]).await.unwrap();
        };
        let (committed, ()) = tokio::join!(commit, end);
        committed.unwrap();
    }
    assert_eq!(rig.rows().await, 50 * BATCHES);
    let counters = rig.other.counters(0).await.unwrap();
    assert_eq!((counters.read, counters.filed), (3000, 3000));
    assert_eq!(counters.repeated, 0);
    let filter = ViolationFilter::default();
    let stands = rig.other.violations(&filter, None, 9).await.unwrap();
    assert_eq!(stands[0].violation.end, at(30 + BATCHES - 1));
}
