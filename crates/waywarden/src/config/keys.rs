//! Every key: its name, what it means, how it is shown and set. The documents are made from this.

use super::value::{Value, Wrong, show_duration, show_size};
use super::{Config, LogKind, StoreKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use waywarden_gateway::{Listener, Speaks};
use waywarden_model::Protocol;
use waywarden_model::registry::UnknownPolicy;
use waywarden_store::timescale::timescale_password;
use waywarden_wire::Transport;

/// One key of the file.
#[derive(Debug)]
pub struct Key {
    /// Sections and name, with points between them.
    pub name: &'static str,
    /// What it is for, and its bounds.
    pub about: &'static str,
    /// The value as the file would have it.
    pub show: fn(&Config) -> String,
    pub set: fn(&mut Config, &Value) -> Result<(), Wrong>,
}

impl Key {
    /// The variable that stands above the file: `WAYWARDEN__GATEWAY__NAME`.
    pub fn variable(&self) -> String {
        format!("WAYWARDEN__{}", self.name.replace('.', "__").to_uppercase())
    }
}

macro_rules! size {
    ($name:literal, $($field:ident).+ as $kind:ty, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| show_size(c.$($field).+ as u64),
            set: |c, v| {
                let bytes = v.size()?;
                c.$($field).+ = <$kind>::try_from(bytes).map_err(|_| "is too large".to_owned())?;
                Ok(())
            },
        }
    };
}

macro_rules! duration {
    ($name:literal, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| show_duration(c.$($field).+),
            set: |c, v| {
                c.$($field).+ = v.duration()?;
                Ok(())
            },
        }
    };
}

macro_rules! milliseconds {
    ($name:literal, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| show_duration(Duration::from_millis(c.$($field).+.unsigned_abs())),
            set: |c, v| {
                c.$($field).+ = millis(v)?;
                Ok(())
            },
        }
    };
}

macro_rules! optional_milliseconds {
    ($name:literal, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| {
                let length = |ms: i64| show_duration(Duration::from_millis(ms.unsigned_abs()));
                c.$($field).+.map_or_else(|| "\"\"".to_owned(), length)
            },
            set: |c, v| {
                c.$($field).+ = match v.text()? {
                    "" => None,
                    _ => Some(millis(v)?),
                };
                Ok(())
            },
        }
    };
}

macro_rules! number {
    ($name:literal, $($field:ident).+, $least:literal, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| c.$($field).+.to_string(),
            set: |c, v| {
                c.$($field).+ = v.number($least)?;
                Ok(())
            },
        }
    };
}

macro_rules! text {
    ($name:literal, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| quoted(&c.$($field).+),
            set: |c, v| {
                not_empty(v)?.clone_into(&mut c.$($field).+);
                Ok(())
            },
        }
    };
}

macro_rules! optional_path {
    ($name:literal, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            about: $about,
            show: |c| quoted(&c.$($field).+.as_deref().unwrap_or(Path::new("")).display()),
            set: |c, v| {
                let text = v.text()?;
                c.$($field).+ = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(())
            },
        }
    };
}

/// All keys, section by section.
pub const KEYS: &[Key] = &[
    Key {
        name: "data",
        about: "Folder of the log, the store and the gateway's own files. One process at a time.",
        show: |c| quoted(&c.data.display()),
        set: |c, v| {
            c.data = PathBuf::from(not_empty(v)?);
            Ok(())
        },
    },
    Key {
        name: "gateway.name",
        about: "Name in the ticks that say which gateway was listening.",
        show: |c| quoted(&c.gateway.name),
        set: |c, v| {
            not_empty(v)?.clone_into(&mut c.gateway.name);
            Ok(())
        },
    },
    Key {
        name: "gateway.listeners",
        about: "Where devices connect: PROTOCOL=ADDRESS, PROTOCOL/udp=ADDRESS, and auto=ADDRESS \
                for a port that recognises the protocol by the first bytes.",
        show: |c| {
            let shown: Vec<String> = c.gateway.listeners.iter().map(show_listener).collect();
            format!("[{}]", shown.join(", "))
        },
        set: |c, v| {
            let read = v.list()?.iter().map(|l| listener(l));
            c.gateway.listeners = read.collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Key {
        name: "gateway.unknown_devices",
        about: "Devices that nobody registered: hold (answered and filed, judged when approved), \
                accept (judged like others) or refuse.",
        show: |c| quoted(&policy_name(c.unknown)),
        set: |c, v| {
            let all = [
                UnknownPolicy::Hold,
                UnknownPolicy::Accept,
                UnknownPolicy::Refuse,
            ];
            let text = v.text()?;
            c.unknown = all
                .into_iter()
                .find(|p| policy_name(*p) == text)
                .ok_or_else(|| format!("is `{text}`, it must be hold, accept or refuse"))?;
            Ok(())
        },
    },
    number!(
        "gateway.max_held",
        max_held,
        0,
        "Held devices that may be known at once."
    ),
    size!(
        "gateway.disk_reserve",
        gateway.disk_reserve as u64,
        "Free space of the data folder's disk below which no socket is read."
    ),
    size!(
        "gateway.max_frame",
        gateway.wire.max_frame as usize,
        "Largest frame of a device."
    ),
    Key {
        name: "gateway.lenient_checksums",
        about: "Take frames whose checksum is wrong. For recorded frames only.",
        show: |c| c.gateway.wire.lenient_checksums.to_string(),
        set: |c, v| {
            c.gateway.wire.lenient_checksums = v.bool()?;
            Ok(())
        },
    },
    optional_path!(
        "gateway.auth_key_file",
        auth_key_file,
        "32 bytes from which JT/T 808 authentication codes are made, the same on every gateway. \
         Empty: auth.key of the data folder, made when it is missing."
    ),
    number!(
        "gateway.max_connections",
        gateway.limits.connections,
        1,
        "Open connections."
    ),
    number!(
        "gateway.max_connections_per_address",
        gateway.limits.connections_per_address,
        1,
        "Open connections from one address; carriers put many devices behind one."
    ),
    size!(
        "gateway.max_connection_bytes",
        gateway.limits.connection_bytes as usize,
        "Bytes of one connection that are not durable yet; then it is not read."
    ),
    size!(
        "gateway.max_total_bytes",
        gateway.limits.total_bytes as usize,
        "Bytes of all connections that are not durable yet, at least 128KiB."
    ),
    size!(
        "gateway.max_reply_bytes",
        gateway.limits.reply_bytes as usize,
        "Bytes of replies that a device has not taken."
    ),
    number!(
        "gateway.held_frames_per_day",
        gateway.limits.held_frames,
        0,
        "Frames that one held device may file in a day."
    ),
    number!(
        "gateway.held_devices_per_day",
        gateway.limits.held_devices,
        0,
        "Held devices that may file in a day."
    ),
    number!(
        "gateway.late_records_per_second",
        gateway.limits.late_records,
        0,
        "Late records taken in a second, so that what is live need not wait behind them; 0 for no bound."
    ),
    duration!(
        "gateway.late_after",
        gateway.times.late,
        "From its own time to its receipt, after which a record is late."
    ),
    number!(
        "gateway.odd_frames",
        gateway.limits.odd_frames,
        0,
        "Unknown and faulty frames kept for a look, of at most 1KiB each."
    ),
    duration!(
        "gateway.log_in_within",
        gateway.times.log_in,
        "From connecting to saying who it is."
    ),
    duration!(
        "gateway.idle_after",
        gateway.times.idle,
        "Without a whole frame a connection is closed."
    ),
    duration!(
        "gateway.frame_within",
        gateway.times.frame,
        "From the first byte of a frame to its last."
    ),
    duration!(
        "gateway.write_within",
        gateway.times.write,
        "For a device to take a reply."
    ),
    duration!(
        "gateway.shutdown_within",
        gateway.times.shutdown,
        "To make what is in flight durable when stopping."
    ),
    duration!("gateway.tick_every", gateway.times.tick, "Between ticks."),
    duration!(
        "gateway.disk_check_every",
        gateway.times.disk_check,
        "Between looks at the free disk."
    ),
    duration!(
        "gateway.clock_tolerance",
        gateway.times.clock_tolerance,
        "How far the clock may stand before the last stamp while the gateway is ready."
    ),
    Key {
        name: "gateway.spool",
        about: "Kafka: whether data is kept on this machine's disk, and acknowledged from there, \
                while Kafka is away.",
        show: |c| c.use_spool.to_string(),
        set: |c, v| {
            c.use_spool = v.bool()?;
            Ok(())
        },
    },
    duration!(
        "gateway.spool_after",
        spool.patience,
        "Kafka: it is away when it does not confirm a message for this long."
    ),
    size!(
        "gateway.spool_size",
        spool.max_bytes as u64,
        "Kafka: size of the spool at which devices are no longer read."
    ),
    Key {
        name: "log.kind",
        about: "Where the log is: embedded (in the data folder) or kafka.",
        show: |c| {
            quoted(&match c.log_kind {
                LogKind::Embedded => "embedded",
                LogKind::Kafka => "kafka",
            })
        },
        set: |c, v| {
            c.log_kind = match v.text()? {
                "embedded" => LogKind::Embedded,
                "kafka" => LogKind::Kafka,
                text => return Err(format!("is `{text}`, it must be embedded or kafka")),
            };
            Ok(())
        },
    },
    text!(
        "log.brokers",
        kafka.brokers,
        "Kafka: addresses of some brokers, with commas between them."
    ),
    optional_path!(
        "log.client_file",
        kafka_client_file,
        "Kafka: file of lines NAME=VALUE, named as librdkafka names them, with which the brokers let \
         this program in: security.protocol, sasl.username, ssl.ca.location and others \
         (docs/operations.md, 'Secured servers'). Empty: plain text, and nobody asks who it is."
    ),
    text!(
        "log.topic",
        kafka.topic,
        "Kafka: the topic; made where it is missing, and refused where its settings would lose data."
    ),
    number!(
        "log.replication",
        kafka.replication,
        1,
        "Kafka: copies of each partition."
    ),
    number!(
        "log.min_in_sync",
        kafka.min_in_sync,
        1,
        "Kafka: copies that must be written before a device is told. Below 2 one broker's disk is all."
    ),
    text!(
        "log.compression",
        kafka.compression,
        "Kafka: lz4, zstd, snappy, gzip or none."
    ),
    text!(
        "log.group",
        kafka.group,
        "Kafka: the group whose offsets show how far the workers are."
    ),
    Key {
        name: "log.partitions",
        about: "How many partitions the log has: fixed when it is made. With Kafka at least as many \
                as workers will ever share it.",
        show: |c| c.log.partitions.to_string(),
        set: |c, v| {
            c.log.partitions = v.number(1)?;
            c.kafka.partitions = c.log.partitions;
            Ok(())
        },
    },
    duration!(
        "log.session",
        kafka.session,
        "Kafka: a worker that is not heard of for this long loses its partitions to others."
    ),
    duration!(
        "log.hand_over",
        kafka.hand_over,
        "Kafka: how long a worker may finish what it does with a partition that another takes over."
    ),
    size!(
        "log.segment_size",
        log.segment_bytes as u64,
        "A segment is closed at about this size."
    ),
    size!(
        "log.max_size",
        log.max_bytes as u64,
        "What the worker has taken is removed above this size whatever its age."
    ),
    duration!(
        "log.kept",
        log_kept,
        "What the worker has taken stays for this long: two intervals between backups."
    ),
    number!(
        "log.queue_messages",
        log.queue_messages,
        1,
        "Messages that may wait for the disk."
    ),
    size!(
        "log.queue_size",
        log.queue_bytes as usize,
        "Bytes that may wait for the disk."
    ),
    size!(
        "log.tail_size",
        log.tail_bytes as usize,
        "Newest messages kept in memory, so that a worker that follows never reads the disk."
    ),
    Key {
        name: "store.kind",
        about: "Where the store is: sqlite (in the data folder) or timescale (on a server).",
        show: |c| {
            quoted(&match c.store_kind {
                StoreKind::Sqlite => "sqlite",
                StoreKind::Timescale => "timescale",
            })
        },
        set: |c, v| {
            c.store_kind = match v.text()? {
                "sqlite" => StoreKind::Sqlite,
                "timescale" => StoreKind::Timescale,
                text => return Err(format!("is `{text}`, it must be sqlite or timescale")),
            };
            Ok(())
        },
    },
    Key {
        name: "store.server",
        about: "TimescaleDB: how the server is reached, as libpq has it, without the password.",
        show: |c| match timescale_password(&c.store_server) {
            Some(false) => quoted(&c.store_server),
            Some(true) => quoted(&"(with a password, which is not shown)"),
            // What cannot be read may hold one.
            None => quoted(&"(cannot be read, and is not shown)"),
        },
        set: |c, v| {
            not_empty(v)?.clone_into(&mut c.store_server);
            Ok(())
        },
    },
    optional_path!(
        "store.password_file",
        store_password_file,
        "TimescaleDB: file that holds the password."
    ),
    optional_path!(
        "store.ca_file",
        timescale.ca_file,
        "TimescaleDB: certificates (PEM) of the authorities that may have signed the server's. Where \
         it is named, TLS is required and the server's certificate and name are checked. Empty: \
         `sslmode` of `store.server` says what is done; require checks against the authorities that \
         the system trusts, prefer (its default) encrypts where the server offers it and checks \
         nothing."
    ),
    number!(
        "store.connections",
        timescale.connections,
        1,
        "TimescaleDB: connections beside those of the partitions."
    ),
    number!("store.readers", store.readers, 1, "Read-only connections."),
    Key {
        name: "store.cache",
        about: "Page cache of the writer.",
        show: |c| show_size(u64::from(c.store.cache_kib) << 10),
        set: |c, v| {
            let kib = u32::try_from(v.size()? >> 10).map_err(|_| "is too large".to_owned())?;
            c.store.cache_kib = kib.max(1024);
            Ok(())
        },
    },
    duration!(
        "store.positions_kept",
        retention.positions,
        "Positions with their frames, driving periods, and what was set aside; what is older when it \
         comes is set aside too. The default keeps them for ever; TT 71/2024 asks for a year online. \
         Violations and their evidence are never removed."
    ),
    duration!(
        "store.reads_kept",
        retention.reads,
        "The record of who read personal data."
    ),
    text!(
        "rules.regime",
        regime,
        "What is judged by: a regime, whose profiles follow each other by date, or one profile for \
         all times; `waywarden profiles` lists them. Where another one judged before, what is on \
         file stands until it is judged again."
    ),
    optional_path!(
        "rules.profiles",
        profiles,
        "Folder of own profiles (files that end in .toml, made like those that `waywarden profiles \
         NAME` shows), read at the start. One with a built-in profile's name and another version \
         takes its place."
    ),
    number!(
        "worker.batch_messages",
        worker.batch_messages,
        1,
        "Messages of one transaction."
    ),
    size!(
        "worker.batch_size",
        worker.batch_bytes as usize,
        "Bytes of one transaction, about."
    ),
    milliseconds!(
        "worker.checkpoint_every",
        worker.checkpoint_every_ms,
        "Saved states are at most this old."
    ),
    number!(
        "worker.checkpoint_records",
        worker.checkpoint_records,
        1,
        "And at most this many records behind."
    ),
    number!(
        "worker.subjects_at_once",
        worker.subjects_at_once,
        1,
        "Drivers and vehicles judged between two batches."
    ),
    milliseconds!(
        "worker.late_quiet",
        worker.late.quiet_ms,
        "A source with late data is judged again when no more of it came for this long."
    ),
    milliseconds!(
        "worker.late_longest",
        worker.late.longest_ms,
        "And at the latest after this long."
    ),
    number!(
        "worker.late_share_percent",
        worker.late.share_percent,
        1,
        "Share of the time that this may take while live data waits, at most 100."
    ),
    optional_milliseconds!(
        "worker.late_window",
        worker.judged_within_ms,
        "Records received later than this are filed and not judged. Empty: all are judged."
    ),
    optional_milliseconds!(
        "worker.silent_after",
        worker.telling.silent_ms,
        "A vehicle in operation that is not heard of for this long is alerted of (TT 71/2024: 30 \
         minutes), in time in which all gateways listened. Empty: nobody is told."
    ),
    optional_milliseconds!(
        "worker.warn_ahead",
        worker.telling.ahead_ms,
        "Somebody who goes on driving and passes a limit of hours within this long is alerted of; \
         a quarter of an hour is enough to find a place to stand. Empty: nobody is told."
    ),
    Key {
        name: "console.listen",
        about: "Address of the API and the page. Beyond loopback TLS or a trusted proxy is needed.",
        show: |c| quoted(&c.console.listen),
        set: |c, v| {
            c.console.listen = address(v.text()?)?;
            Ok(())
        },
    },
    Key {
        name: "console.tls_certificate",
        about: "Chain of certificates, PEM; with console.tls_key.",
        show: |c| quoted(&tls(c).certificate.display()),
        set: |c, v| {
            let certificate = PathBuf::from(v.text()?);
            c.console.tls = some_tls(waywarden_console::Tls {
                certificate,
                ..tls(c)
            });
            Ok(())
        },
    },
    Key {
        name: "console.tls_key",
        about: "File of the certificate's key, PEM.",
        show: |c| quoted(&tls(c).key.display()),
        set: |c, v| {
            let key = PathBuf::from(v.text()?);
            c.console.tls = some_tls(waywarden_console::Tls { key, ..tls(c) });
            Ok(())
        },
    },
    Key {
        name: "console.trusted_proxies",
        about: "Addresses of proxies that end TLS; only theirs is a forwarded address believed.",
        show: |c| {
            let all: Vec<String> = c
                .console
                .trusted_proxies
                .iter()
                .map(|p| quoted(p))
                .collect();
            format!("[{}]", all.join(", "))
        },
        set: |c, v| {
            let one = |text: &String| {
                text.parse()
                    .map_err(|_| format!("holds `{text}`, which is no IP address"))
            };
            c.console.trusted_proxies = v.list()?.iter().map(one).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    size!(
        "console.max_body",
        console.max_body as usize,
        "Longest body of a request."
    ),
    duration!(
        "console.request_within",
        console.request_timeout,
        "Until an answer begins."
    ),
    number!(
        "console.max_requests",
        console.max_requests,
        1,
        "Requests answered at once."
    ),
    number!(
        "console.max_live",
        console.max_live,
        1,
        "Live streams at once."
    ),
    number!(
        "console.max_streams",
        console.max_streams,
        1,
        "Exports and pulls at once."
    ),
    duration!(
        "console.session_lifetime",
        console.session_lifetime,
        "How long a page stays signed in."
    ),
    number!(
        "console.max_sessions",
        console.max_sessions,
        1,
        "Pages signed in at once."
    ),
    duration!(
        "console.link_lifetime",
        console.link_lifetime,
        "How long a one-use link is good."
    ),
    number!(
        "console.max_failures",
        console.max_failures,
        1,
        "Refused sign-ins of one address in a minute before it has to wait."
    ),
    duration!(
        "console.settled_after",
        console.settled_after,
        "A change is given to agencies when it is this old."
    ),
    duration!(
        "console.silent_after",
        console.silent_after,
        "A vehicle from which nothing came for this long is silent (TT 71/2024: 30 minutes)."
    ),
    Key {
        name: "console.language",
        about: "Language of the page before the user chooses: vi or en.",
        show: |c| quoted(&c.console.language),
        set: |c, v| match v.text()? {
            text @ ("vi" | "en") => {
                text.clone_into(&mut c.console.language);
                Ok(())
            }
            text => Err(format!("is `{text}`, it must be vi or en")),
        },
    },
    Key {
        name: "telemetry.format",
        about: "Lines of the log on standard error: text or json.",
        show: |c| quoted(&if c.telemetry.json { "json" } else { "text" }),
        set: |c, v| {
            c.telemetry.json = match v.text()? {
                "text" => false,
                "json" => true,
                text => return Err(format!("is `{text}`, it must be text or json")),
            };
            Ok(())
        },
    },
    Key {
        name: "telemetry.listen",
        about: "Where `waywarden gateway` and `waywarden worker` tell health and figures: /healthz, \
                /readyz, /metrics. Nothing there asks who calls.",
        show: |c| quoted(&c.telemetry.listen),
        set: |c, v| {
            c.telemetry.listen = address(v.text()?)?;
            Ok(())
        },
    },
    Key {
        name: "telemetry.level",
        about: "error, warn, info, debug, or levels by module such as info,waywarden_worker=debug.",
        show: |c| quoted(&c.telemetry.level),
        set: |c, v| {
            let text = not_empty(v)?;
            tracing_subscriber::EnvFilter::try_new(text)
                .map_err(|e| format!("is `{text}`, which names no levels: {e}"))?;
            text.clone_into(&mut c.telemetry.level);
            Ok(())
        },
    },
];

fn quoted(text: &dyn std::fmt::Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn not_empty(v: &Value) -> Result<&str, Wrong> {
    match v.text()? {
        "" => Err("must not be empty".to_owned()),
        text => Ok(text),
    }
}

fn millis(v: &Value) -> Result<i64, Wrong> {
    i64::try_from(v.duration()?.as_millis()).map_err(|_| "is too long".to_owned())
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse()
        .map_err(|_| format!("is `{text}`, it must be an IP address with a port: 127.0.0.1:8080"))
}

const fn policy_name(policy: UnknownPolicy) -> &'static str {
    match policy {
        UnknownPolicy::Hold => "hold",
        UnknownPolicy::Accept => "accept",
        UnknownPolicy::Refuse => "refuse",
    }
}

fn tls(c: &Config) -> waywarden_console::Tls {
    c.console
        .tls
        .clone()
        .unwrap_or_else(|| waywarden_console::Tls {
            certificate: PathBuf::new(),
            key: PathBuf::new(),
        })
}

fn some_tls(tls: waywarden_console::Tls) -> Option<waywarden_console::Tls> {
    let empty = tls.certificate.as_os_str().is_empty() && tls.key.as_os_str().is_empty();
    (!empty).then_some(tls)
}

fn show_listener(l: &Listener) -> String {
    let over = match l.transport {
        Transport::Tcp => "",
        Transport::Udp => "/udp",
    };
    quoted(&format!("{}{over}={}", l.speaks.label(), l.address))
}

fn listener(text: &str) -> Result<Listener, Wrong> {
    let form = || format!("holds `{text}`, which is not of the form teltonika=127.0.0.1:5027");
    let (speaks, place) = text.split_once('=').ok_or_else(form)?;
    let (name, transport) = match speaks.split_once('/') {
        None => (speaks, Transport::Tcp),
        Some((name, "udp")) => (name, Transport::Udp),
        Some(_) => return Err(form()),
    };
    let speaks = match (name, transport) {
        ("auto", Transport::Tcp) => Speaks::Any,
        _ => Protocol::from_name(name).map(Speaks::One).ok_or_else(|| {
            let known: Vec<&str> = Protocol::ALL.iter().map(|p| p.name()).collect();
            format!(
                "holds `{text}`: the protocols are auto (TCP), {}",
                known.join(", ")
            )
        })?,
    };
    Ok(Listener {
        address: place.parse().map_err(|_| form())?,
        speaks,
        transport,
    })
}
