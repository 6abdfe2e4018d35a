//! The file of settings with which a client is let in: encryption, who it is, its password.
//!
//! Lines `NAME=VALUE` with the names of librdkafka, as its other tools take them. Everything else
//! that could be set is the program's, and what would undo a promise of the log is refused.

use std::fmt;
use std::path::PathBuf;

/// Whether this program can speak TLS to Kafka.
pub const TLS: bool = cfg!(feature = "tls");

/// What may be set; what begins with `ssl.` needs TLS.
const KNOWN: [&str; 21] = [
    "security.protocol",
    "sasl.mechanism",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.crl.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.cipher.suites",
    "broker.address.family",
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "fetch.error.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "topic.metadata.refresh.fast.interval.ms",
];

/// What is refused with a reason: names, or their beginnings where they end in a point.
const REFUSED: [(&str, &str); 21] = [
    ("bootstrap.servers", "`log.brokers` says it"),
    ("metadata.broker.list", "`log.brokers` says it"),
    (
        "group.",
        "`log.group` says it, and the rest is the program's",
    ),
    ("session.timeout.ms", "`log.session` says it"),
    ("compression.", "`log.compression` says it"),
    ("message.timeout.ms", "`gateway.spool_after` says it"),
    ("client.id", "it is waywarden"),
    (
        "acks",
        "a device is told when all copies in sync have its data",
    ),
    (
        "request.required.acks",
        "a device is told when all copies in sync have its data",
    ),
    (
        "enable.idempotence",
        "without it messages would change their order",
    ),
    ("enable.auto.", "positions are the store's"),
    ("auto.offset.reset", "positions are the store's"),
    ("isolation.level", "the log has no transactions"),
    (
        "enable.ssl.certificate.verification",
        "whoever answers would be taken for a broker; `ssl.ca.location` names the authority",
    ),
    (
        "ssl.endpoint.identification.algorithm",
        "whoever has a certificate would be taken for any broker",
    ),
    (
        "sasl.jaas.config",
        "librdkafka has `sasl.username` and `sasl.password`",
    ),
    (
        "ssl.truststore.",
        "librdkafka has `ssl.ca.location`, a file in PEM",
    ),
    ("ssl.keystore.type", "librdkafka takes PKCS#12"),
    ("sasl.kerberos.", "this program has no Kerberos"),
    ("sasl.oauthbearer.", "this program has no OAuth"),
    ("sasl.mechanisms", "its name here is `sasl.mechanism`"),
];

/// Why a file of client settings is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFileError {
    #[error("line {0} is not NAME=VALUE")]
    NoPair(usize),
    #[error("line {line}: `{name}` stands twice")]
    Twice { line: usize, name: String },
    #[error("line {line}: `{name}` is not set here: {why}")]
    Refused {
        line: usize,
        name: String,
        why: &'static str,
    },
    #[error("line {line}: `{name}` is not one of {}", KNOWN.join(", "))]
    Unknown { line: usize, name: String },
    #[error("line {line}: `{name}` must be one of {allowed}")]
    Value {
        line: usize,
        name: &'static str,
        allowed: &'static str,
    },
    #[error(
        "line {line}: `{name}` needs TLS, which this program was built without: cargo build \
         --release -p waywarden --features kafka-tls"
    )]
    NeedsTls { line: usize, name: String },
    #[error("`{name}` is missing, which {of} needs")]
    Missing {
        name: &'static str,
        of: &'static str,
    },
    #[error("`{name}` would do nothing without security.protocol={protocols}")]
    Idle {
        name: String,
        protocols: &'static str,
    },
    #[error("line {line}: `{name}` is `{}`, which cannot be read: {why}", path.display())]
    Unreadable {
        line: usize,
        name: String,
        path: PathBuf,
        why: String,
    },
    /// Of the library; it names settings, never their values.
    #[error("librdkafka: {0}")]
    Library(String),
}

/// Settings of a client, of which some are secret: they are never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientSettings(Vec<(String, String)>);

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(n, _)| n))
            .finish()
    }
}

/// A line of the file.
struct Line<'a> {
    number: usize,
    name: &'a str,
    value: &'a str,
}

impl ClientSettings {
    /// Reads the text of a file; the files that it names must be there. A line that begins with `#`
    /// is a remark, and a value is everything behind the first `=`, without the blanks around it.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn read(text: &str) -> Result<Self, ClientFileError> {
        let mut lines: Vec<Line<'_>> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = line
                .split_once('=')
                .ok_or(ClientFileError::NoPair(number))?;
            let (name, value) = (name.trim(), value.trim());
            let line = Line {
                number,
                name,
                value,
            };
            line.check()?;
            if lines.iter().any(|l| l.name == name) {
                let name = name.to_owned();
                return Err(ClientFileError::Twice { line: number, name });
            }
            lines.push(line);
        }
        fit_together(&lines)?;
        let owned = |l: &Line<'_>| (l.name.to_owned(), l.value.to_owned());
        let read = Self(lines.iter().map(owned).collect());
        let mut config = rdkafka::ClientConfig::new();
        read.apply(&mut config);
        match config.create_native_config() {
            Ok(_) => Ok(read),
            Err(rdkafka::error::KafkaError::ClientConfig(_, why, name, _)) => {
                Err(ClientFileError::Library(format!("{name}: {why}")))
            }
            Err(error) => Err(ClientFileError::Library(error.to_string())),
        }
    }

    pub(super) fn apply(&self, config: &mut rdkafka::ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, value);
        }
    }
}

impl Line<'_> {
    fn check(&self) -> Result<(), ClientFileError> {
        let (line, name) = (self.number, self.name);
        let refused = REFUSED.iter().find(|(of, _)| match of.strip_suffix('.') {
            Some(_) => name.starts_with(of),
            None => name == *of,
        });
        if let Some((_, why)) = refused {
            let name = name.to_owned();
            return Err(ClientFileError::Refused { line, name, why });
        }
        if !KNOWN.contains(&name) {
            let name = name.to_owned();
            return Err(ClientFileError::Unknown { line, name });
        }
        for (of, allowed) in [
            ("security.protocol", PROTOCOLS),
            ("sasl.mechanism", MECHANISMS),
        ] {
            if name == of && !allowed.split(", ").any(|v| v == self.value) {
                return Err(ClientFileError::Value {
                    line,
                    name: of,
                    allowed,
                });
            }
        }
        let needs_tls = name.starts_with("ssl.")
            || name == "security.protocol" && self.value.ends_with("ssl")
            || name == "sasl.mechanism" && self.value.starts_with("SCRAM");
        if needs_tls && !TLS {
            let name = format!("{name}{}", self.shown());
            return Err(ClientFileError::NeedsTls { line, name });
        }
        if name.ends_with(".location")
            && let Err(e) = std::fs::File::open(self.value)
        {
            return Err(ClientFileError::Unreadable {
                line,
                name: name.to_owned(),
                path: PathBuf::from(self.value),
                why: e.to_string(),
            });
        }
        Ok(())
    }

    /// The value where it tells nobody anything.
    fn shown(&self) -> String {
        match self.name {
            "security.protocol" | "sasl.mechanism" => format!("={}", self.value),
            _ => String::new(),
        }
    }
}

const PROTOCOLS: &str = "plaintext, ssl, sasl_plaintext, sasl_ssl";
const MECHANISMS: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512";

/// What the protocol needs is there, and nothing is there that it would not use: a password beside
/// a protocol that sends none is a mistake that nobody would notice.
fn fit_together(lines: &[Line<'_>]) -> Result<(), ClientFileError> {
    let value = |name: &str| lines.iter().find(|l| l.name == name).map(|l| l.value);
    let protocol = value("security.protocol").unwrap_or("plaintext");
    let (sasl, ssl) = (protocol.starts_with("sasl_"), protocol.ends_with("ssl"));
    for (begins, used, protocols) in [
        ("sasl.", sasl, "sasl_plaintext or sasl_ssl"),
        ("ssl.", ssl, "ssl or sasl_ssl"),
    ] {
        if let Some(idle) = lines.iter().find(|l| l.name.starts_with(begins) && !used) {
            let name = idle.name.to_owned();
            return Err(ClientFileError::Idle { name, protocols });
        }
    }
    for name in ["sasl.mechanism", "sasl.username", "sasl.password"] {
        if sasl && value(name).is_none() {
            let of = "a protocol with SASL";
            return Err(ClientFileError::Missing { name, of });
        }
    }
    for (one, other) in [
        ("ssl.certificate.location", "ssl.key.location"),
        ("ssl.key.location", "ssl.certificate.location"),
    ] {
        if value(one).is_some() && value(other).is_none() {
            let (name, of) = (other, one);
            return Err(ClientFileError::Missing { name, of });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        ClientSettings::read(text).unwrap_err().to_string()
    }

    const PLAIN: &str = "# who we are\nsecurity.protocol = sasl_plaintext\nsasl.mechanism=PLAIN\n\n\
        sasl.username=waywarden\nsasl.password=a=b #c \n";

    #[test]
    fn a_value_is_all_that_follows_and_is_never_shown() {
        let read = ClientSettings::read(PLAIN).unwrap();
        assert!(read.0.contains(&("sasl.password".into(), "a=b #c".into())));
        let shown = format!("{read:?}");
        assert!(
            shown.contains("sasl.password") && !shown.contains("a=b"),
            "{shown}"
        );
        assert_eq!(ClientSettings::read("").unwrap(), ClientSettings::default());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, says) in [
            ("\nsecurity.protocol", "line 2 is not NAME=VALUE"),
            ("acks=1", "line 1: `acks` is not set here: a device is told"),
            ("group.id=x", "`log.group` says it"),
            (
                "enable.ssl.certificate.verification=false",
                "whoever answers",
            ),
            ("sasl.jaas.config=x", "`sasl.username`"),
            (
                "linger.ms=5",
                "line 1: `linger.ms` is not one of security.protocol",
            ),
            (
                "client.rack=a\nclient.rack=b",
                "line 2: `client.rack` stands twice",
            ),
            (
                "security.protocol=SASL_SSL",
                "must be one of plaintext, ssl",
            ),
            (
                "sasl.mechanism=GSSAPI",
                "must be one of PLAIN, SCRAM-SHA-256",
            ),
            (
                "sasl.password=hidden",
                "without security.protocol=sasl_plaintext or",
            ),
            (
                "security.protocol=sasl_plaintext",
                "`sasl.mechanism` is missing",
            ),
            ("socket.timeout.ms=long", "socket.timeout.ms"),
        ] {
            let said = refused(text);
            assert!(said.contains(says), "{text}: {said}");
            assert!(!said.contains("hidden"), "{said}");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_tls_in_the_program_what_needs_it_is_refused_with_what_helps() {
        for (text, names) in [
            ("security.protocol=ssl", "`security.protocol=ssl` needs TLS"),
            (
                "security.protocol=sasl_ssl",
                "`security.protocol=sasl_ssl` needs TLS",
            ),
            (
                "sasl.mechanism=SCRAM-SHA-512",
                "`sasl.mechanism=SCRAM-SHA-512` needs TLS",
            ),
            ("ssl.key.password=hidden", "`ssl.key.password` needs TLS"),
        ] {
            let said = refused(text);
            assert!(said.contains(names), "{said}");
            assert!(said.contains("--features kafka-tls"), "{said}");
            assert!(!said.contains("hidden"), "{said}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn files_that_it_names_are_there_and_go_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.pem");
        let (path, ssl) = (file.display(), "security.protocol=ssl");
        let said = refused(&format!("{ssl}\nssl.ca.location={path}"));
        assert!(said.contains("line 2") && said.contains("c.pem"), "{said}");
        std::fs::write(&file, "").unwrap();
        let said = refused(&format!("{ssl}\nssl.certificate.location={path}"));
        assert!(said.contains("`ssl.key.location` is missing"), "{said}");
        ClientSettings::read(ssl).unwrap();
    }
}
