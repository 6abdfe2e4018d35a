//! Server-sent events over a plain socket.

use crate::fixture::{Fixture, overspeed};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;
use waywarden_console::{ConsoleConfig, LivePosition};
use waywarden_model::Timestamp;
use waywarden_store::Role;

struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(f: &Fixture, token: &str, last: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(f.console.address()).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        write!(
            socket,
            "GET /api/v1/live HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        )
        .unwrap();
        let mut stream = Self(BufReader::new(socket));
        assert!(stream.line().starts_with("HTTP/1.1 200"));
        while !stream.line().is_empty() {}
        stream
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The next event's name, id and data; lengths of chunks and comments are passed over.
    fn event(&mut self) -> (String, String, serde_json::Value) {
        let (mut name, mut id) = (String::new(), String::new());
        loop {
            let line = self.line();
            if let Some(v) = line.strip_prefix("event: ") {
                name = v.to_owned();
            } else if let Some(v) = line.strip_prefix("id: ") {
                id = v.to_owned();
            } else if let Some(v) = line.strip_prefix("data: ") {
                return (name, id, serde_json::from_str(v).unwrap());
            }
        }
    }
}

fn position(n: f64) -> LivePosition {
    LivePosition {
        source: "d".into(),
        plate: Some("14C12345".into()),
        time: Timestamp::from_secs(1),
        lat: n,
        lon: 107.0,
        speed: Some(50.0),
        course: None,
        driver: None,
    }
}

#[test]
fn positions_and_violations_come_as_they_are_filed() {
    let f = Fixture::new();
    let mut stream = Stream::open(&f, &f.token(Role::Viewer), None);
    f.positions.send(position(20.5)).unwrap();
    let (name, _, data) = stream.event();
    assert_eq!(
        (name.as_str(), &data["speed_kmh"]),
        ("position", &50.0.into())
    );
    f.file(vec![overspeed(5)]);
    let (name, id, data) = stream.event();
    assert_eq!((name.as_str(), id.as_str()), ("violation", "1"));
    assert_eq!(data["id"], overspeed(5).id().to_string());
}

#[test]
fn who_comes_back_is_given_what_was_missed() {
    let f = Fixture::new();
    let token = f.token(Role::Viewer);
    f.file(vec![overspeed(5), overspeed(10), overspeed(15)]);
    let mut stream = Stream::open(&f, &token, Some("1"));
    assert_eq!(stream.event().1, "2");
    assert_eq!(stream.event().1, "3");
    f.file(vec![overspeed(20)]);
    assert_eq!(stream.event().1, "4");
    // A number that was never given: the client knows another store.
    assert_eq!(Stream::open(&f, &token, Some("99")).event().0, "reload");
}

#[test]
fn a_slow_client_is_told_to_load_again() {
    let f = Fixture::new();
    let mut stream = Stream::open(&f, &f.token(Role::Viewer), None);
    // Beyond the queue of 64 and what the sockets hold.
    for i in 0..400_000 {
        // Dropped already: what it was told is read below.
        if f.positions.send(position(f64::from(i) / 10_000.0)).is_err() {
            break;
        }
    }
    let last = loop {
        let (name, ..) = stream.event();
        if name != "position" {
            break name;
        }
    };
    assert_eq!(last, "reload");
}

#[test]
fn live_clients_are_bounded() {
    let f = Fixture::with(ConsoleConfig {
        max_live: 1,
        ..ConsoleConfig::default()
    });
    let token = f.token(Role::Viewer);
    let _first = Stream::open(&f, &token, None);
    assert_eq!(f.get("/api/v1/live", &token).status, 503);
}
