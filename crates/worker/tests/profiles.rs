//! A partition is judged by one law at a time: a worker with other profiles stops and says how to go
//! on, and goes on when somebody says so.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::sync::Arc;
use support::{open, worker};
use waywarden_bus::{EmbeddedLog, Log};
use waywarden_model::{TimeZone, Timestamp};
use waywarden_rules::{Library, Profile, Profiles};
use waywarden_store::{ReadStore, SqliteStore, WorkerStore};
use waywarden_worker::{Options, Partition, WorkerError};

/// The Vietnamese law with nine hours of driving on a day since July 2026.
fn nine_hours() -> Profiles {
    let mut library = Library::built_in();
    let text = &library.get("vn-118-2025").unwrap().text;
    let own = text.replace("day_s = 28800", "day_s = 32400");
    assert_ne!(own, *text);
    let own = own.replace("version = 1", "version = 2");
    library.add("own.toml", &own).unwrap();
    library.law("vn", TimeZone::vietnam()).unwrap()
}

async fn claim(
    law: Profiles,
    log: &Arc<EmbeddedLog>,
    store: &Arc<SqliteStore>,
    accept_profiles: bool,
) -> Result<Partition, WorkerError> {
    let options = Options {
        accept_profiles,
        ..Options::default()
    };
    let clock = Arc::new(|| Timestamp::from_secs(1_773_300_000));
    let (log, store) = (
        Arc::clone(log) as Arc<dyn Log>,
        Arc::clone(store) as Arc<dyn WorkerStore>,
    );
    Partition::claim(0, log, store, Arc::new(law), options, clock).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_laws_do_not_take_turns_with_a_partition() {
    let dir = tempfile::tempdir().unwrap();
    let (log, store) = open(dir.path());
    // The first worker of a partition says what it is judged by, before it has judged anything.
    drop(worker(0, &log, &store).await);
    match claim(nine_hours(), &log, &store, false).await {
        Err(error @ WorkerError::OtherProfiles { partition: 0 }) => {
            let text = error.to_string();
            assert!(text.contains("--accept-profiles") && text.contains("recalculate"));
            assert!(!error.may_pass(), "nothing mends it by itself");
        }
        refused => panic!("{refused:?}"),
    }
    // Whoever was refused changed nothing.
    drop(worker(0, &log, &store).await);
    assert_eq!(store.status().await.unwrap().partitions[0].position, 0);

    drop(claim(nine_hours(), &log, &store, true).await.unwrap());
    drop(claim(nine_hours(), &log, &store, false).await.unwrap());
    let back = claim(Profiles::vietnam(), &log, &store, false).await;
    assert!(matches!(back, Err(WorkerError::OtherProfiles { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_law_from_a_file_is_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (log, store) = open(dir.path());
    drop(worker(0, &log, &store).await);
    let mut library = Library::built_in();
    let built_in = library.get("vn-118-2025").unwrap().text.clone();
    let copy = format!("# our copy\n{built_in}");
    library.add("copy.toml", &copy).unwrap();
    assert!(Profile::parse("copy", &copy).is_ok());
    let law = library.law("vn", TimeZone::vietnam()).unwrap();
    drop(claim(law, &log, &store, false).await.unwrap());
}
