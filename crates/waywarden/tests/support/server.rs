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

/// A database that is nobody else's; reached at another port where one is given.
pub fn on_timescale(port: Option<u16>) -> Environment {
    let name = format!("waywarden_{}", stamp());
    sql(None, &format!("CREATE DATABASE {name}"));
    let mut words = server();
    if let Some(port) = port {
        words.retain(|w| !w.starts_with("port="));
        words.push(format!("port={port}"));
    }
    variables(
        "STORE",
        &[
            ("KIND", "timescale".to_owned()),
            ("SERVER", format!("{} dbname={name}", words.join(" "))),
        ],
    )
}

/// Runs a statement on the server itself.
pub fn sql(database: Option<&str>, statement: &str) {
    let server = format!(
        "{} dbname={}",
        server().join(" "),
        database.unwrap_or("postgres")
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&server, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    });
}

/// A fault of a service: `kill`, `again`, `freeze` or `thaw` a node.
pub fn service(what: &str, node: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services.sh");
    let done = Command::new(script)
        .env("WAYWARDEN_SERVICES", address("WAYWARDEN_TEST_SERVICES"))
        .args([what, node])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{what} {node}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
