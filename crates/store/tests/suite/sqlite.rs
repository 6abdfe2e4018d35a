//! What only the embedded store does.

use crate::fixture::{batch, count_file, filed, records};
use waywarden_store::{AdminStore, Committed, Options, SqliteStore, StoreError, WorkerStore};

#[tokio::test]
async fn a_backup_while_writing_is_of_one_instant() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let claim = store.claim(0, "w").await.unwrap();
    let writer = store.clone();
    let writing = tokio::spawn(async move {
        let mut done = Committed::default();
        for n in 0..200 {
            let b = batch(vec![records(vec![filed(n, 50)], vec![])]);
            let n = n.unsigned_abs();
            done.filed += writer.commit(&claim, n, n + 1, b).await.unwrap().filed;
        }
        done
    });
    let to = dir.path().join("backup");
    let file = store.backup(&to).await.unwrap();
    assert_eq!(writing.await.unwrap().filed, 200);
    let restored = SqliteStore::open(&file, Options::default()).unwrap();
    let counted = restored.counters(0).await.unwrap().filed;
    drop(restored);
    assert_eq!(
        u64::try_from(count_file(&file, "SELECT count(*) FROM positions")).unwrap(),
        counted
    );
    assert!(store.backup(dir.path()).await.is_err(), "not onto itself");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    drop(store);
    rusqlite::Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        SqliteStore::open(&path, Options::default()),
        Err(StoreError::Newer { found: 99, .. })
    ));
}
