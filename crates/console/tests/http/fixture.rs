//! A console on a free port, a store in a temporary folder, and violations to look at.

use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast;
use waywarden_console::view::summary::BadgeThreshold;
use waywarden_console::{
    ConsoleConfig, ConsoleHandle, LivePosition, Parts, ServiceStatus, StatusSource, auth, serve,
};
use waywarden_model::{
    DayRow, Distance, DriverSaid, Figures, Kind, LimitSource, LocalDay, Plate, Position, ProfileId,
    Protocol, Record, Span, Speed, Subject, Timestamp, Verdict, Violation,
};
use waywarden_store::{
    AdminStore, Batch, Claim, FiledFrame, FiledRecord, Options, Role, SourceRecords, SqliteStore,
    Token, WorkerStore,
};

/// 2026-03-10T08:00:00+07:00.
pub const T0: i64 = 1_773_104_400_000;
pub const DEVICE: &str = "356307042441013";

pub struct Fixture {
    pub runtime: tokio::runtime::Runtime,
    pub store: SqliteStore,
    pub console: ConsoleHandle,
    pub base: String,
    pub positions: broadcast::Sender<LivePosition>,
    pub now: Arc<AtomicI64>,
    claim: std::sync::Mutex<(Claim, u64)>,
    _folder: tempfile::TempDir,
}

struct Service;

impl StatusSource for Service {
    fn status(&self) -> ServiceStatus {
        ServiceStatus {
            not_ready: vec!["disk_reserve".into()],
            disk_free_bytes: Some(5),
            log: vec![waywarden_console::Backlog {
                partition: 0,
                head: 1_000_000,
            }],
            ..ServiceStatus::default()
        }
    }
}

pub struct Answer {
    pub status: u16,
    pub headers: std::collections::BTreeMap<String, String>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(ConsoleConfig::default())
    }

    pub fn with(config: ConsoleConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("store.db"), Options::default()).unwrap();
        let now = Arc::new(AtomicI64::new(T0 + 3_600_000));
        let clock = Arc::clone(&now);
        let positions = broadcast::channel(64).0;
        let parts = Parts {
            store: Arc::new(store.clone()),
            status: Arc::new(Service),
            positions: positions.clone(),
            metrics: prometheus::Registry::new(),
            badge: vec![BadgeThreshold {
                from: Timestamp::from_millis(T0 - 365 * 86_400_000),
                until: Timestamp::from_millis(T0 + 365 * 86_400_000),
                per_1000_km: 5,
                excess_over: Speed::from_kmh(5),
            }],
            clock: Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed))),
            shutdown: tokio_util::sync::CancellationToken::new(),
        };
        let config = ConsoleConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            ..config
        };
        let console = runtime.block_on(serve(config, parts)).unwrap();
        let claim = runtime.block_on(store.claim(0, "test")).unwrap();
        let position = claim.position;
        Self {
            base: format!("http://{}", console.address()),
            runtime,
            store,
            console,
            positions,
            now,
            claim: std::sync::Mutex::new((claim, position)),
            _folder: folder,
        }
    }

    pub fn token(&self, role: Role) -> String {
        self.token_until(role, T0 + 100 * 86_400_000)
    }

    pub fn token_until(&self, role: Role, expires: i64) -> String {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (secret, hash) = auth::new_secret();
        let name = format!("{}-{}", role.name(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let token = Token {
            name,
            role,
            created: Timestamp::from_millis(T0),
            expires: Timestamp::from_millis(expires),
            withdrawn: None,
        };
        self.runtime
            .block_on(self.store.create_token(hash, token))
            .unwrap();
        secret
    }

    pub fn commit(&self, batch: Batch) {
        let mut held = self.claim.lock().unwrap();
        let (claim, position) = &mut *held;
        let next = *position + 1;
        self.runtime
            .block_on(self.store.commit(claim, *position, next, batch))
            .unwrap();
        *position = next;
    }

    pub fn file(&self, violations: Vec<Violation>) {
        self.file_at(violations, T0);
    }

    pub fn file_at(&self, violations: Vec<Violation>, now: i64) {
        self.commit(Batch {
            violations,
            now: Timestamp::from_millis(now),
            log: "test".into(),
            ..Batch::default()
        });
    }

    pub fn get(&self, path: &str, token: &str) -> Answer {
        self.send("GET", path, &[("authorization", &bearer(token))], None)
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        send(&self.base, method, path, headers, body)
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

pub fn send(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let url = format!("{base}{path}");
    let mut answer = match (method, body) {
        ("GET", _) => {
            let request = headers
                .iter()
                .fold(agent.get(&url), |r, (n, v)| r.header(*n, *v));
            request.call().unwrap()
        }
        (_, body) => {
            let request = headers
                .iter()
                .fold(agent.post(&url), |r, (n, v)| r.header(*n, *v));
            match body {
                Some(json) => request.send_json(json).unwrap(),
                None => request.send_empty().unwrap(),
            }
        }
    };
    Answer {
        status: answer.status().as_u16(),
        headers: answer
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned()))
            .collect(),
        text: answer.body_mut().read_to_string().unwrap(),
    }
}

/// A closed overspeed violation that begins `second` seconds after [`T0`].
pub fn overspeed(second: i64) -> Violation {
    let start = Timestamp::from_millis(T0 + second * 1000);
    Violation {
        kind: Kind::Overspeed,
        rule: None,
        subject: Subject::Source(DEVICE.into()),
        vehicle: Some("V01".into()),
        plate: Some(Plate::new("14C-123.45")),
        driver: Some("220012345678".into()),
        operator: Some("5700000001".into()),
        start,
        end: start.plus_millis(20_000),
        open: false,
        band: waywarden_model::Band::from_name("10-20"),
        limit: Some(Speed::from_kmh(80)),
        limit_source: Some(LimitSource::Class),
        max_excess: Some(Speed::from_kmh(17)),
        distance: Some(Distance::from_decimetres(5556)),
        duration_ms: 20_000,
        limit_ms: None,
        profile: ProfileId {
            name: "vn-36-2024".into(),
            version: 1,
        },
        registry: 0,
        figures: Figures {
            max_average_speed: Some(Speed::from_kmh(97)),
            ..Figures::default()
        },
        spans: vec![Span {
            source: DEVICE.into(),
            from: start,
            to: start.plus_millis(20_000),
            every: true,
        }],
    }
}

/// Fixes of [`DEVICE`], one a second from [`T0`] on.
pub fn records(count: i64) -> SourceRecords {
    let newer = (0..count)
        .map(|i| {
            let time = Timestamp::from_millis(T0 + i * 1000);
            #[allow(clippy::cast_precision_loss)]
            let place = Position::new(20.95 + i as f64 / 10_000.0, 107.08).unwrap();
            let mut record = Record::fix(time, place);
            record.speed = Some(Speed::from_kmh(97));
            record.driver = if i == 0 {
                DriverSaid::Licence("220012345678".into())
            } else {
                DriverSaid::NotSaid
            };
            FiledRecord {
                hash: waywarden_model::hash::content_hash(&record),
                record,
                received: time.plus_millis(500),
                verdict: Verdict::Valid,
                ahead: false,
                frame: 0,
            }
        })
        .collect();
    SourceRecords {
        source: DEVICE.into(),
        frames: vec![FiledFrame {
            protocol: Protocol::Teltonika,
            received: Timestamp::from_millis(T0),
            told_offset_s: None,
            raw: vec![0xca, 0xfe],
        }],
        newer,
        older: Vec::new(),
    }
}

pub fn day_row(day: i32) -> DayRow {
    DayRow {
        records: 10,
        valid: 9,
        plate: Some(Plate::new("14C12345")),
        ..DayRow::new(DEVICE.into(), LocalDay(day))
    }
}
