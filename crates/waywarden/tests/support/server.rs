//! The services of the machine, and what of them is one test's own.

use super::roles::Environment;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// What `deploy/services.sh env` gives.
pub fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: deploy/services.sh start && eval \"$(deploy/services.sh env)\""
        )
    })
}

/// Part of a name that no earlier run has.
pub fn stamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_nanos().to_string()
}

/// Variables of a section of the configuration.
pub fn variables(section: &str, given: &[(&str, String)]) -> Environment {
    let of =
        |(name, value): &(&str, String)| (format!("WAYWARDEN__{section}__{name}"), value.clone());
    given.iter().map(of).collect()
}

/// A topic and a group that are nobody else's.
pub fn on_kafka(brokers: &str, copies: u32) -> Environment {
    let stamp = stamp();
    variables(
        "LOG",
        &[
            ("KIND", "kafka".to_owned()),
            ("BROKERS", address(brokers)),
            ("TOPIC", format!("records-{stamp}")),
            ("GROUP", format!("workers-{stamp}")),
            ("REPLICATION", copies.to_string()),
            ("MIN_IN_SYNC", copies.div_ceil(2).to_string()),
        ],
    )
}

/// The server of the store without a database: words of libpq.
fn server() -> Vec<String> {
    let server = address("WAYWARDEN_TEST_POSTGRES");
    let words = server.split_whitespace();
    words
        .filter(|w| !w.starts_with("dbname="))
        .map(str::to_owned)
        .collect()
}

/// Port of the server.
pub fn server_port() -> u16 {
    let words = server();
    let port = words.iter().find_map(|w| w.strip_prefix("port="));
    port.map_or(5432, |p| p.parse().unwrap())
}

/// A database that is nobody else's.
pub fn on_timescale() -> Environment {
    let name = format!("waywarden_{}", stamp());
    sql(None, &format!("CREATE DATABASE {name}"));
    store_at(&name, server_port())
}

/// That database, reached at this port.
pub fn store_at(database: &str, port: u16) -> Environment {
    let mut words = server();
    words.retain(|w| !w.starts_with("port="));
    words.extend([format!("port={port}"), format!("dbname={database}")]);
    variables(
        "STORE",
        &[
            ("KIND", "timescale".to_owned()),
            ("SERVER", words.join(" ")),
        ],
    )
}

/// How an environment reaches the store.
pub fn server_of(environment: &Environment) -> String {
    let mut servers = environment.iter().filter(|(n, _)| n.ends_with("__SERVER"));
    servers.next().unwrap().1.clone()
}

/// The database of an environment.
pub fn database(environment: &Environment) -> String {
    let server = server_of(environment);
    let mut words = server.split_whitespace();
    let name = words.find_map(|w| w.strip_prefix("dbname="));
    name.unwrap().to_owned()
}

/// Runs a statement on the server itself.
pub fn sql(database: Option<&str>, statement: &str) {
    Session::open(database.unwrap_or("postgres"))
        .ask(statement)
        .unwrap();
}

/// A session on the server itself.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Session {
    pub fn open(database: &str) -> Self {
        Self::try_open(database).unwrap()
    }

    /// # Errors
    /// The server is not there.
    pub fn try_open(database: &str) -> Result<Self, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = format!("{} dbname={database}", server().join(" "));
        let connecting = tokio_postgres::connect(&server, tokio_postgres::NoTls);
        let (client, connection) = runtime.block_on(connecting)?;
        runtime.spawn(connection);
        Ok(Self { runtime, client })
    }

    /// Rows as texts.
    ///
    /// # Errors
    /// What the server says, also that it is gone.
    pub fn ask(&self, statement: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        use tokio_postgres::SimpleQueryMessage::Row;
        let said = self.runtime.block_on(self.client.simple_query(statement))?;
        let texts = |row: tokio_postgres::SimpleQueryRow| {
            let cells = (0..row.len()).map(|n| row.get(n).unwrap_or_default().to_owned());
            cells.collect()
        };
        let rows = said.into_iter().filter_map(|message| match message {
            Row(row) => Some(texts(row)),
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The one number that a statement gives.
    pub fn number(&self, statement: &str) -> i64 {
        self.ask(statement).unwrap()[0][0].parse().unwrap()
    }
}

/// A fault of a service: `kill`, `again`, `freeze` or `thaw` a node; what the script has for
/// PostgreSQL's disk.
pub fn service(what: &str, node: &str) {
    serve(what, node).unwrap_or_else(|error| panic!("{error}"));
}

/// As [`service`], and gives what went wrong.
pub fn serve(what: &str, node: &str) -> Result<(), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services.sh");
    let done = Command::new(script)
        .env("WAYWARDEN_SERVICES", address("WAYWARDEN_TEST_SERVICES"))
        .args([what, node])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("{what} {node}: {said}")),
    }
}
