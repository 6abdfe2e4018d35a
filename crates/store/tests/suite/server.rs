//! What only a store on a server does: extension, licences, versions, numbers after a restore.

use crate::fixture::{Database, at, batch, connect, filed, options, overspeed, records};
use std::path::Path;
use tokio_postgres::error::SqlState;
use waywarden_store::timescale::{Extension, Licence, policies};
use waywarden_store::{
    AdminStore, Older, ReadStore, StoreError, TimescaleOptions, TimescaleStore, WorkerStore,
    timescale_schema_of,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_make_a_database_ready_at_once() {
    let database = Database::new().await;
    assert_eq!(
        timescale_schema_of(&database.server, &options())
            .await
            .unwrap(),
        None
    );
    let open = || TimescaleStore::open(&database.server, options());
    let (a, b, c) = tokio::join!(open(), open(), open());
    for store in [a, b, c] {
        assert_ne!(store.unwrap().licence(), Licence::None);
    }
    assert_eq!(
        timescale_schema_of(&database.server, &options())
            .await
            .unwrap(),
        Some(6)
    );
}

/// A command that would work a partition itself must see that another process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_is_seen_for_as_long_as_it_is_connected() {
    let database = Database::new().await;
    let open = || TimescaleStore::open(&database.server, options());
    let (owner, other) = (open().await.unwrap(), open().await.unwrap());
    assert!(!other.is_worked().await.unwrap());
    owner.claim(0, "w").await.unwrap();
    assert!(other.is_worked().await.unwrap());
    drop(owner);
    let gone = async {
        while other.is_worked().await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let within = std::time::Duration::from_secs(20);
    tokio::time::timeout(within, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema_is_refused() {
    let database = Database::new().await;
    drop(
        TimescaleStore::open(&database.server, options())
            .await
            .unwrap(),
    );
    database
        .execute(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
             VALUES (99, 'later', '', '')",
        )
        .await;
    let refused = TimescaleStore::open(&database.server, options()).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_without_the_extension_is_refused_unless_told_to_run_without() {
    let database = Database::new().await;
    let wanting = |extension| TimescaleOptions {
        extension,
        ..options()
    };
    let refused = TimescaleStore::open(&database.server, wanting(Extension::Expected)).await;
    assert!(matches!(refused, Err(StoreError::NoExtension)));
    let store = TimescaleStore::open(&database.server, wanting(Extension::Without))
        .await
        .unwrap();
    assert_eq!(store.licence(), Licence::None);
    let claim = store.claim(0, "w").await.unwrap();
    let days = 3 * 86_400;
    let newer = vec![filed(0, 50), filed(days, 50)];
    let done = store
        .commit(&claim, 0, 1, batch(vec![records(newer, vec![])]))
        .await;
    assert_eq!(done.unwrap().filed, 2);
    let older = Older {
        positions: at(days - 10),
        day: store.zone().day_of(at(days)),
        reads: at(0),
    };
    while store.prune(older).await.unwrap() > 0 {}
    assert_eq!(database.count("SELECT count(*) FROM positions").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_have_the_configured_length_and_the_zone_of_a_server_changes_nothing() {
    let database = Database::new().await;
    let with = |hours: i64| TimescaleOptions {
        chunk_ms: hours * 3_600_000,
        ..options()
    };
    drop(
        TimescaleStore::open(&database.server, with(24))
            .await
            .unwrap(),
    );
    let store = TimescaleStore::open(&database.server, with(6))
        .await
        .unwrap();
    let interval = "SELECT integer_interval FROM timescaledb_information.dimensions
                    WHERE hypertable_name = 'positions'";
    assert_eq!(database.count(interval).await, 6 * 3_600_000);
    let claim = store.claim(0, "w").await.unwrap();
    let one = batch(vec![records(vec![filed(0, 50)], vec![])]);
    store.commit(&claim, 0, 1, one).await.unwrap();
    let start = "SELECT range_start_integer FROM timescaledb_information.chunks
                 WHERE hypertable_name = 'positions'";
    assert_eq!(database.count(start).await % (6 * 3_600_000), 0);
}

/// Under the licence that offers them they are made; under the other one the server knows each of
/// them by name and arguments, and says that the licence does not offer it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn policies_are_what_the_server_knows() {
    let database = Database::new().await;
    let with = TimescaleOptions {
        compress_after_ms: Some(30 * 86_400_000),
        retention_ms: Some(365 * 86_400_000),
        ..options()
    };
    let store = TimescaleStore::open(&database.server, with.clone())
        .await
        .unwrap();
    let client = connect(&database.server).await;
    let mut refused = 0;
    for statement in policies(&with).split(';').filter(|s| !s.trim().is_empty()) {
        if let Err(e) = client.batch_execute(statement).await {
            assert_eq!(
                e.code(),
                Some(&SqlState::FEATURE_NOT_SUPPORTED),
                "{statement}: {e:?}"
            );
            refused += 1;
        }
    }
    let offered = store.licence() == Licence::Timescale;
    assert_eq!(refused == 0, offered);
    let jobs = "SELECT count(*) FROM timescaledb_information.jobs
                WHERE hypertable_name = 'positions'";
    assert_eq!(database.count(jobs).await, if offered { 2 } else { 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_changes_go_on_where_transactions_are_counted_anew() {
    let database = Database::new().await;
    let store = TimescaleStore::open(&database.server, options())
        .await
        .unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    let mut b = batch(vec![]);
    b.violations = vec![overspeed(30, true)];
    store.commit(&claim, 0, 1, b.clone()).await.unwrap();
    // As a dump brings them to a server that has seen fewer transactions.
    database
        .execute("UPDATE changes SET seq = seq + (1::int8 << 40)")
        .await;
    let before = database.count("SELECT max(seq) FROM changes").await;
    let store = TimescaleStore::open(&database.server, options())
        .await
        .unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    b.violations = vec![overspeed(40, false)];
    store.commit(&claim, 1, 2, b).await.unwrap();
    let after = database.count("SELECT max(seq) FROM changes").await;
    assert!(after > before);
    let give_up = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while store.last_change().await.unwrap() < after && std::time::Instant::now() < give_up {}
    let found = store.changes_after(before, 9).await.unwrap();
    assert_eq!(found, [after]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_left_to_the_servers_tools() {
    let database = Database::new().await;
    let store = TimescaleStore::open(&database.server, options())
        .await
        .unwrap();
    let refused = store.backup(Path::new("anywhere")).await;
    let Err(refused @ StoreError::Unsupported { .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(refused.to_string().contains("pg_dump"));
}
