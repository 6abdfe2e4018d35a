//! A log and a store, the workers between them, and what is sent to them.

use super::START_S;
use super::registers::registers;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;
use waywarden_bus::{EmbeddedLog, KafkaLog, KafkaOptions, Log};
use waywarden_model::hash::partition_of;
use waywarden_model::{Frame, Message, Timestamp};
use waywarden_rules::Profiles;
use waywarden_store::{
    FactStore, RegisterChange, SqliteStore, Store, TimescaleOptions, TimescaleStore, WorkerStore,
};
use waywarden_worker::{Late, Options, Partition};

/// Which log and which store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct On {
    pub kafka: bool,
    pub timescale: bool,
}

/// An address that `deploy/services.sh env` gives.
fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: deploy/services.sh start && eval \"$(deploy/services.sh env)\""
        )
    })
}

/// A name that no other test and no earlier run has.
fn fresh() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("order_free_{}_{n}", now.as_nanos())
}

/// Runs a statement on the server of the stores.
async fn on_server(statement: &str) {
    let server = address("WAYWARDEN_TEST_POSTGRES");
    let connecting = tokio_postgres::connect(&server, tokio_postgres::NoTls);
    let (client, connection) = connecting.await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
}

/// Everything that workers and this test ask of a store.
pub trait AnyStore: Store + FactStore {}

impl<T: Store + FactStore> AnyStore for T {}

pub struct Place {
    log: Arc<dyn Log>,
    pub store: Arc<dyn AnyStore>,
    /// Of the store on a server.
    database: Option<String>,
    clock_ms: Arc<AtomicI64>,
    partitions: u32,
}

impl Place {
    pub async fn open(dir: &Path, on: On, partitions: u32) -> Self {
        let database = on.timescale.then(fresh);
        Self {
            log: open_log(dir, on, partitions).await,
            store: open_store(dir, database.as_deref()).await,
            database,
            clock_ms: Arc::new(AtomicI64::new((START_S + 2_100_000) * 1000)),
            partitions,
        }
    }

    /// Nothing of it stays on the services but a topic.
    pub async fn close(self) {
        self.log.close().await;
        drop(self.store);
        if let Some(name) = self.database {
            on_server(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    /// Files a version of the registers and tells every partition of it.
    pub async fn import(&self, version: u32) {
        let change = RegisterChange {
            expected_head: version - 1,
            registers: registers(version == 2),
            author: "test".to_owned(),
            note: String::new(),
            now: Timestamp::from_secs(START_S),
            partitions: self.partitions,
        };
        let filed = self.store.save_registers(change).await.unwrap();
        assert_eq!(filed, version);
        for partition in 0..self.partitions {
            let payload = waywarden_bus::encode(&Message::Registry(version));
            let receipt = self.log.append(partition, payload).await.unwrap();
            receipt.await.unwrap().unwrap();
        }
    }

    pub async fn append(&self, frames: &[Frame]) -> u64 {
        let (mut receipts, mut records) = (Vec::new(), 0);
        for frame in frames {
            records += frame.records.len() as u64;
            let partition = partition_of(&frame.source, self.partitions);
            let payload = waywarden_bus::encode(&Message::Frame(frame.clone()));
            receipts.push(self.log.append(partition, payload).await.unwrap());
        }
        for receipt in receipts {
            receipt.await.unwrap().unwrap();
        }
        records
    }

    pub async fn workers(&self, stop: &CancellationToken) -> Vec<tokio::task::JoinHandle<()>> {
        let mut workers = Vec::new();
        for partition in 0..self.partitions {
            let options = Options {
                batch_messages: 5,
                checkpoint_records: 70,
                late: Late {
                    quiet_ms: 1000,
                    ..Late::default()
                },
                ..Options::default()
            };
            // Each look is 400 ms later: marks become quiet without anybody waiting.
            let now = Arc::clone(&self.clock_ms);
            let clock = move || Timestamp::from_millis(now.fetch_add(400, Ordering::Relaxed));
            let worker = Partition::claim(
                partition,
                Arc::clone(&self.log),
                Arc::clone(&self.store) as Arc<dyn WorkerStore>,
                Arc::new(Profiles::vietnam()),
                options,
                Arc::new(clock),
            );
            let (worker, stop) = (worker.await.unwrap(), stop.clone());
            workers.push(tokio::spawn(async move { worker.run(stop).await.unwrap() }));
        }
        workers
    }

    /// Waits until everything appended is judged, late data too.
    pub async fn settled(&self, records: u64, marks_too: bool) {
        let done = async {
            loop {
                let status = self.store.status().await.unwrap();
                let read: u64 = status.partitions.iter().map(|p| p.counters.read).sum();
                let rest = status.marks + status.dirty_subjects;
                if read >= records && (rest == 0 || !marks_too) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), done)
            .await
            .expect("everything is judged in the end");
    }
}

async fn open_log(dir: &Path, on: On, partitions: u32) -> Arc<dyn Log> {
    if on.kafka {
        let name = fresh();
        let options = KafkaOptions {
            brokers: address("WAYWARDEN_TEST_KAFKA"),
            group: name.clone(),
            topic: name,
            partitions,
            replication: 1,
            min_in_sync: 1,
            ..KafkaOptions::default()
        };
        return Arc::new(KafkaLog::open(options).await.unwrap());
    }
    let options = waywarden_bus::Options {
        partitions,
        ..Default::default()
    };
    Arc::new(EmbeddedLog::open(&dir.join("log"), options).unwrap())
}

async fn open_store(dir: &Path, database: Option<&str>) -> Arc<dyn AnyStore> {
    let Some(name) = database else {
        let options = waywarden_store::Options::default();
        return Arc::new(SqliteStore::open(&dir.join("store.db"), options).unwrap());
    };
    on_server(&format!("CREATE DATABASE {name}")).await;
    let server = address("WAYWARDEN_TEST_POSTGRES");
    let words = server.split_whitespace();
    let mut words: Vec<&str> = words.filter(|w| !w.starts_with("dbname=")).collect();
    let database = format!("dbname={name}");
    words.push(&database);
    let options = TimescaleOptions {
        connections: 4,
        patience: Duration::from_secs(30),
        ..TimescaleOptions::default()
    };
    let store = TimescaleStore::open(&words.join(" "), options).await;
    Arc::new(store.unwrap())
}
