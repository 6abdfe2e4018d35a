//! A store of its own for each test, the same content for both backends.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};
use waywarden_model::hash::content_hash;
use waywarden_model::{
    Figures, Kind, Position, ProfileId, Protocol, Record, Span, Speed, Subject, TimeZone,
    Timestamp, Verdict, Violation,
};
use waywarden_store::{
    AdminStore, Batch, FactStore, FiledFrame, FiledRecord, Options, PreviewStore, ReadStore,
    SourceRecords, SqliteStore, TimescaleOptions, TimescaleStore, WorkerStore,
};

/// All that a backend does.
pub trait Store: WorkerStore + AdminStore + ReadStore + FactStore + PreviewStore {}

impl<T: WorkerStore + AdminStore + ReadStore + FactStore + PreviewStore> Store for T {}

pub struct Fixture {
    pub store: Arc<dyn Store>,
    pub zone: TimeZone,
    place: Place,
}

enum Place {
    File(tempfile::TempDir),
    Server(Database),
}

impl Fixture {
    pub fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("store.db"), Options::default()).unwrap();
        Self {
            zone: store.zone().clone(),
            store: Arc::new(store),
            place: Place::File(dir),
        }
    }

    pub async fn timescale() -> Self {
        let database = Database::new().await;
        let store = TimescaleStore::open(&database.server, options())
            .await
            .unwrap();
        Self {
            zone: store.zone().clone(),
            store: Arc::new(store),
            place: Place::Server(database),
        }
    }

    /// A figure from the tables, by a connection of its own.
    pub async fn count(&self, sql: &str) -> i64 {
        match &self.place {
            Place::File(dir) => count_file(&dir.path().join("store.db"), sql),
            Place::Server(database) => database.count(sql).await,
        }
    }
}

/// Few connections, and short waits, so that a test that fails does so soon.
pub fn options() -> TimescaleOptions {
    TimescaleOptions {
        connections: 4,
        patience: std::time::Duration::from_secs(30),
        ..TimescaleOptions::default()
    }
}

pub fn count_file(path: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(path)
        .unwrap()
        .query_row(sql, [], |r| r.get(0))
        .unwrap()
}

/// A database of its own on the server, dropped with the test.
pub struct Database {
    /// Connection string.
    pub server: String,
    name: String,
    _turn: SemaphorePermit<'static>,
}

/// Databases in use at once: a server takes 100 connections unless told otherwise.
static TURNS: Semaphore = Semaphore::const_new(6);

fn server() -> String {
    address("WAYWARDEN_TEST_POSTGRES")
}

/// What `deploy/services.sh env` gives.
pub fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: `make services` starts a PostgreSQL with TimescaleDB and says \
             what to set"
        )
    })
}

pub async fn connect(server: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

impl Database {
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let turn = TURNS.acquire().await.unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("waywarden_test_{}_{number}", std::process::id());
        let admin = connect(&server()).await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        admin.batch_execute(&sql).await.unwrap();
        Self {
            server: with_database(&server(), &name),
            name,
            _turn: turn,
        }
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let sql = format!("SELECT ({sql})::int8");
        connect(&self.server)
            .await
            .query_one(&sql, &[])
            .await
            .unwrap()
            .get(0)
    }

    pub async fn execute(&self, sql: &str) {
        connect(&self.server)
            .await
            .batch_execute(sql)
            .await
            .unwrap();
    }
}

/// The server's connection string with another database.
fn with_database(server: &str, name: &str) -> String {
    let config: tokio_postgres::Config = server.parse().unwrap();
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => "127.0.0.1".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("postgres");
    let password = config
        .get_password()
        .map(|p| format!(" password='{}'", String::from_utf8_lossy(p)))
        .unwrap_or_default();
    format!("host={host} port={port} user={user}{password} dbname={name}")
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime of its own: the test's may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                connect(&server()).await.batch_execute(&sql).await.unwrap();
            });
        });
        // A test that fails has said why.
        let _ = dropped.join();
    }
}

pub const SOURCE: &str = "352093081429150";

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(1_773_104_400 + second)
}

pub fn filed(second: i64, kmh: i32) -> FiledRecord {
    let place = Position::new(20.95 + 0.0001 * second as f64, 107.07).unwrap();
    let mut record = Record::fix(at(second), place);
    record.speed = Some(Speed::from_kmh(kmh));
    FiledRecord {
        hash: content_hash(&record),
        received: at(second + 1),
        verdict: Verdict::Valid,
        ahead: false,
        frame: 0,
        record,
    }
}

/// Of the usual source; what is older is late.
pub fn records(newer: Vec<FiledRecord>, older: Vec<FiledRecord>) -> SourceRecords {
    let late = |mut r: FiledRecord| {
        r.ahead = true;
        r
    };
    let older = older.into_iter().map(late).collect();
    SourceRecords {
        source: SOURCE.into(),
        frames: vec![FiledFrame {
            protocol: Protocol::Teltonika,
            received: at(1),
            told_offset_s: None,
            raw: vec![0xCA, 0xFE],
        }],
        newer,
        older,
    }
}

pub fn batch(sources: Vec<SourceRecords>) -> Batch {
    let read = sources
        .iter()
        .map(|s| s.newer.len() + s.older.len())
        .sum::<usize>();
    Batch {
        records_read: read as u64,
        sources,
        log: "log-1".into(),
        now: at(1000),
        ..Batch::default()
    }
}

pub fn overspeed(end: i64, open: bool) -> Violation {
    let source: waywarden_model::SourceId = SOURCE.into();
    Violation {
        kind: Kind::Overspeed,
        rule: None,
        subject: Subject::Source(source.clone()),
        vehicle: None,
        plate: None,
        driver: None,
        operator: None,
        start: at(0),
        end: at(end),
        open,
        band: None,
        limit: Some(Speed::from_kmh(60)),
        limit_source: None,
        max_excess: None,
        distance: None,
        duration_ms: end * 1000,
        limit_ms: None,
        profile: ProfileId {
            name: "vn".into(),
            version: 1,
        },
        registry: 1,
        figures: Figures::default(),
        spans: vec![Span {
            source,
            from: at(0),
            to: at(end),
            every: true,
        }],
    }
}
