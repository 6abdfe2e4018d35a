//! Connections that nobody reads or changes on their way: which server is taken, and which is not.

use crate::fixture::{Database, address, batch, connect, filed, options, records};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waywarden_store::timescale::ServerError;
use waywarden_store::{
    ReadStore, StoreError, TimescaleOptions, TimescaleStore, WorkerStore, timescale_schema_of,
};

/// A certificate that `deploy/services.sh` made.
fn certificate(name: &str) -> PathBuf {
    Path::new(&address("WAYWARDEN_TEST_SERVICES"))
        .join("run/tls")
        .join(name)
}

fn trusting(name: &str) -> TimescaleOptions {
    TimescaleOptions {
        ca_file: Some(certificate(name)),
        ..options()
    }
}

async fn open(server: &str, options: TimescaleOptions) -> Result<TimescaleStore, StoreError> {
    let soon = Duration::from_secs(20);
    let opened = tokio::time::timeout(soon, TimescaleStore::open(server, options));
    opened.await.expect("an answer, long before patience ends")
}

/// The store's sessions in a database: all, and those that are encrypted.
async fn sessions(database: &Database) -> (i64, i64) {
    let of = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
              WHERE datname = current_database() AND application_name = 'waywarden'";
    let all = database.count(&format!("SELECT count(*) {of}")).await;
    let encrypted = format!("SELECT count(*) {of} AND ssl");
    (all, database.count(&encrypted).await)
}

/// The pool's, and those of a partition's owner, who ends the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_session_is_encrypted_and_its_server_known() {
    let database = Database::new().await;
    let (one, two) = tokio::join!(
        open(&database.server, trusting("ca.pem")),
        open(&database.server, trusting("ca.pem")),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let former = one.claim(0, "a").await.unwrap();
    let claim = two.claim(0, "b").await.unwrap();
    let one_record = || batch(vec![records(vec![filed(0, 50)], vec![])]);
    let late = one.commit(&former, 0, 1, one_record()).await;
    assert!(matches!(late, Err(StoreError::Superseded { partition: 0 })));
    two.commit(&claim, 0, 1, one_record()).await.unwrap();
    assert_eq!(two.status().await.unwrap().partitions.len(), 1);
    let (all, encrypted) = sessions(&database).await;
    assert!(all >= 2, "{all}");
    assert_eq!(encrypted, all);
    let schema = timescale_schema_of(&database.server, &trusting("ca.pem")).await;
    assert!(schema.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_authority_or_name_is_refused() {
    let database = Database::new().await;
    let other = open(&database.server, trusting("other-ca.pem")).await;
    let Err(StoreError::Insecure(why)) = other else {
        panic!("{other:?}");
    };
    assert!(why.contains("UnknownIssuer"), "{why}");
    let renamed = database.server.replace("host=127.0.0.1", "host=localhost");
    assert_ne!(renamed, database.server);
    let other = open(&renamed, trusting("ca.pem")).await;
    let Err(StoreError::Insecure(why)) = other else {
        panic!("{other:?}");
    };
    assert!(why.contains("localhost"), "{why}");
    // No system knows an authority that was made a moment ago.
    let required = format!("{} sslmode=require", database.server);
    match open(&required, options()).await {
        Err(StoreError::Insecure(_) | StoreError::Server(ServerError::NoAuthority)) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(
        timescale_schema_of(&database.server, &options())
            .await
            .unwrap(),
        None,
        "nobody who was refused has made a table"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_authority_the_mode_says_whether_it_is_encrypted() {
    let database = Database::new().await;
    for (mode, wanted) in [
        ("", true),
        (" sslmode=prefer", true),
        (" sslmode=disable", false),
    ] {
        let store = open(&format!("{}{mode}", database.server), options()).await;
        let store = store.unwrap();
        store.claim(0, "w").await.unwrap();
        let (all, encrypted) = sessions(&database).await;
        assert!(all > 0);
        assert_eq!(encrypted, if wanted { all } else { 0 }, "{mode:?}");
        drop(store);
        while sessions(&database).await.0 > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Somebody between who says that the server has no TLS hears nothing more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_told_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let between = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut asked = [0; 8];
        client.read_exact(&mut asked).await.unwrap();
        client.write_all(b"N").await.unwrap();
        let mut more = Vec::new();
        client.read_to_end(&mut more).await.unwrap();
        more
    });
    let server = format!("host=127.0.0.1 port={port} user=w password=secret dbname=w");
    let refused = open(&server, trusting("ca.pem")).await;
    assert!(
        matches!(refused, Err(StoreError::Insecure(_))),
        "{refused:?}"
    );
    assert_eq!(between.await.unwrap(), b"");
}

/// The role `guarded` of `deploy/services.sh`: TLS and a password (SCRAM), or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_asked_for_over_tls() {
    let database = Database::new().await;
    let made = "DO $$ BEGIN CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'Tr0ub4dor &3''';
                EXCEPTION WHEN duplicate_object THEN NULL; END $$";
    connect(&database.server)
        .await
        .batch_execute(made)
        .await
        .unwrap();
    let guarded = database.server.replace("user=postgres", "user=guarded");
    assert_ne!(guarded, database.server);
    let told = |password: &str, mode: &str| format!("{guarded} password='{password}'{mode}");
    let right = "Tr0ub4dor &3\\'";
    let store = open(&told(right, ""), trusting("ca.pem")).await.unwrap();
    store.claim(0, "w").await.unwrap();
    let wrong = open(&told("Tr0ub4dor", ""), trusting("ca.pem")).await;
    let said = wrong.unwrap_err().to_string();
    assert!(said.contains("password authentication failed"), "{said}");
    let plain = open(&told(right, " sslmode=disable"), options()).await;
    let said = plain.unwrap_err().to_string();
    assert!(said.contains("pg_hba.conf"), "{said}");
}
