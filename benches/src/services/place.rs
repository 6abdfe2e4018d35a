//! Where a measurement works: a topic, a group and a database that are nobody else's, gone with it.

use anyhow::{Context as _, Result};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};
use waywarden_bus::{KafkaLog, KafkaOptions};
use waywarden_model::SourceId;
use waywarden_model::hash::partition_of;

/// Variables by which a server of this program is told its log.
const BROKERS: &str = "WAYWARDEN_BENCH_BROKERS";
const TOPIC: &str = "WAYWARDEN_BENCH_TOPIC";
/// As an installation has them by default.
pub const PARTITIONS: u32 = 4;
/// Longest wait for the brokers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Addresses of the services.
#[derive(Debug)]
pub struct Services {
    brokers: String,
    /// Words of libpq, without a database.
    server: String,
}

impl Services {
    /// # Errors
    /// They were not started.
    pub fn found() -> Result<Self> {
        let given = |variable: &str| {
            std::env::var(variable)
                .with_context(|| format!("{variable} is not set: `make bench-services` sets it"))
        };
        let server = given("WAYWARDEN_TEST_POSTGRES")?;
        let words = server.split_whitespace();
        let words: Vec<&str> = words.filter(|w| !w.starts_with("dbname=")).collect();
        Ok(Self {
            brokers: given("WAYWARDEN_TEST_KAFKA")?,
            server: words.join(" "),
        })
    }

    fn on(&self, database: &str) -> String {
        format!("{} dbname={database}", self.server)
    }
}

/// A topic with its group, and a database; both are dropped with it.
#[derive(Debug)]
pub struct Place {
    services: Services,
    name: String,
    partitions: u32,
}

impl Place {
    /// An empty database, and the name of a topic that the first process makes.
    ///
    /// # Errors
    /// The services are not there.
    pub fn new(partitions: u32) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = Self {
            services: Services::found()?,
            name: format!("bench_{}_{number}", std::process::id()),
            partitions,
        };
        place.execute("postgres", &format!("CREATE DATABASE {}", place.name))?;
        Ok(place)
    }

    /// Configuration of the program's processes.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LOG__KIND", "kafka".to_owned()),
            ("LOG__BROKERS", self.services.brokers.clone()),
            ("LOG__TOPIC", self.name.clone()),
            ("LOG__GROUP", self.name.clone()),
            ("LOG__PARTITIONS", self.partitions.to_string()),
            ("LOG__REPLICATION", "1".to_owned()),
            ("LOG__MIN_IN_SYNC", "1".to_owned()),
            ("LOG__SESSION", "6s".to_owned()),
            ("STORE__KIND", "timescale".to_owned()),
            // As the floor's own sessions: the server of the bench offers TLS, and both cost.
            (
                "STORE__SERVER",
                format!("{} sslmode=disable", self.services.on(&self.name)),
            ),
            // What devices send here has event times of a fixed day.
            ("STORE__POSITIONS_KEPT", "36500d".to_owned()),
        ]
        .map(|(name, value)| (format!("WAYWARDEN__{name}"), value))
        .into()
    }

    /// Of a server of this program, see [`served_log`].
    pub fn served(&self) -> Vec<(String, String)> {
        vec![
            (BROKERS.to_owned(), self.services.brokers.clone()),
            (TOPIC.to_owned(), self.name.clone()),
        ]
    }

    /// Makes the topic, as the program would.
    ///
    /// # Errors
    /// The brokers refuse.
    pub fn make_topic(&self) -> Result<()> {
        let options = options(&self.services.brokers, &self.name, self.partitions);
        let runtime = crate::devices::runtime()?;
        Ok(runtime.block_on(KafkaLog::open(options)).map(drop)?)
    }

    /// A session with the database.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn session(&self) -> Result<Client> {
        connect(&self.services.on(&self.name)).await
    }

    /// The tables as the store makes them, in this database.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn make_tables(&self) -> Result<()> {
        let server = self.services.on(&self.name);
        let store = waywarden_store::TimescaleStore::open(&server, Default::default());
        Ok(store.await.map(drop)?)
    }

    /// A bare producer for the topic.
    ///
    /// # Errors
    /// The library refuses its settings.
    pub fn producer(&self) -> Result<Bare> {
        Ok(Bare {
            producer: bare(&self.services.brokers)?,
            topic: self.name.clone(),
            partitions: self.partitions,
        })
    }

    /// Leaves nothing in the server's buffers.
    ///
    /// # Errors
    /// The server does not have `pg_buffercache`, or refuses.
    pub fn forget_pages(&self) -> Result<()> {
        let sql = "CREATE EXTENSION IF NOT EXISTS pg_buffercache; CHECKPOINT;
                   SELECT count(pg_buffercache_evict(bufferid)) FROM pg_buffercache
                   WHERE relfilenode IS NOT NULL";
        self.execute(&self.name, sql)
    }

    fn execute(&self, database: &str, sql: &str) -> Result<()> {
        crate::devices::runtime()?.block_on(async {
            let client = connect(&self.services.on(database)).await?;
            Ok(client.batch_execute(sql).await?)
        })
    }

    fn drop_topic(&self) -> Result<()> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.services.brokers)
            .create()?;
        let deleted = admin.delete_topics(&[&self.name], &AdminOptions::new());
        crate::devices::runtime()?.block_on(deleted)?;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        for done in [self.execute("postgres", &sql), self.drop_topic()] {
            if let Err(error) = done {
                eprintln!("{} is left behind: {error:#}", self.name);
            }
        }
    }
}

async fn connect(server: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(server, NoTls).await?;
    // It ends with the client, or says so to who asks the client.
    tokio::spawn(connection);
    Ok(client)
}

fn options(brokers: &str, topic: &str, partitions: u32) -> KafkaOptions {
    KafkaOptions {
        brokers: brokers.to_owned(),
        topic: topic.to_owned(),
        group: topic.to_owned(),
        partitions,
        replication: 1,
        min_in_sync: 1,
        ..KafkaOptions::default()
    }
}

/// The settings of the log's own producer, and nothing around it.
fn bare(brokers: &str) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let log = KafkaOptions::default();
    Ok(ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", &log.compression)
        .set("linger.ms", log.linger.as_millis().to_string())
        .set(
            "queue.buffering.max.messages",
            (2 * log.queue_messages).to_string(),
        )
        .create()?)
}

/// The library's producer alone.
pub struct Bare {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
    partitions: u32,
}

impl Bare {
    /// Sends one message, waiting while the library's queue is full.
    ///
    /// # Errors
    /// The library refuses it.
    pub fn send(&self, source: &SourceId, payload: &[u8]) -> Result<()> {
        use rdkafka::error::{KafkaError, RDKafkaErrorCode};
        let partition = i32::try_from(partition_of(source, self.partitions))?;
        let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(&self.topic)
            .partition(partition)
            .payload(payload);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }

    /// Waits until the brokers have everything.
    ///
    /// # Errors
    /// They do not take it in a minute.
    pub fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(PATIENCE)?)
    }
}

/// The log that a server of this program was told: where it is, and its topic.
///
/// # Errors
/// It was told none.
pub fn served_log() -> Result<KafkaOptions> {
    let given = |variable: &str| std::env::var(variable).with_context(|| variable.to_owned());
    Ok(options(&given(BROKERS)?, &given(TOPIC)?, PARTITIONS))
}
