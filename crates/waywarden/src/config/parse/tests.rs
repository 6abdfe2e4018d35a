use super::*;
use crate::config::check::{Problem, problems_of};
use std::path::PathBuf;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let owned = variables
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    load(Some((Path::new("way.toml"), text)), owned)
}

/// All keys as they are shown.
fn shown(config: &Config) -> Vec<String> {
    KEYS.iter().map(|k| (k.show)(config)).collect()
}

#[test]
fn what_every_key_shows_reads_back() {
    let default = Config::default();
    let mut text = String::new();
    for key in KEYS {
        let _ = writeln!(text, "{} = {}", key.name, (key.show)(&default));
    }
    let config = read(&text, &[]).unwrap();
    assert_eq!(shown(&config), shown(&default));
    assert!(
        problems_of(&config).is_empty(),
        "{:?}",
        problems_of(&config)
    );
    let uncommented = example().replace("\n# ", "\n");
    let lines = uncommented
        .lines()
        .filter(|l| l.contains(" = ") || l.starts_with('['));
    let text: Vec<&str> = lines.filter(|l| !l.contains(". ")).collect();
    let config = read(&text.join("\n"), &[]).unwrap();
    assert_eq!(shown(&config), shown(&default));
}

#[test]
fn variables_stand_above_the_file() {
    let text = "[gateway]\nname = \"east\"\nmax_connections = 5\n";
    let config = read(
        text,
        &[
            ("WAYWARDEN__GATEWAY__NAME", "west"),
            ("WAYWARDEN__GATEWAY__LISTENERS", "[\"auto=127.0.0.1:6000\"]"),
            ("WAYWARDEN__WORKER__LATE_QUIET", "2s"),
            ("WAYWARDEN_LOG", "left alone"),
        ],
    )
    .unwrap();
    assert_eq!(config.gateway.name, "west");
    assert_eq!(config.gateway.limits.connections, 5);
    assert_eq!(config.gateway.listeners.len(), 1);
    assert_eq!(config.worker.late.quiet_ms, 2000);
}

#[test]
fn everything_wrong_is_said_at_once_with_its_line() {
    let text = "data = \"\"\n[gatway]\nname = 1\n[gateway]\nnam = \"x\"\nname = 7\n\
        listeners = [\"morse=127.0.0.1:1\"]\nidle_after = \"1800\"\n[log]\nkept = {}\n";
    let wrong = read(text, &[("WAYWARDEN__CONSOLE__LISTEN", "here")]).unwrap_err();
    let expected = [
        "way.toml:1: `data` must not be empty",
        "way.toml:2: there is no key `gatway`",
        "way.toml:5: there is no key `gateway.nam`; did you mean `gateway.name`?",
        "way.toml:6: `gateway.name` must be text in quotes, not a number",
        "way.toml:7: `gateway.listeners` holds `morse=127.0.0.1:1`: the protocols are",
        "way.toml:8: `gateway.idle_after` has the unit ``, not ms, s, m, h or d",
        "way.toml:10: `log.kept` must be a duration",
        "WAYWARDEN__CONSOLE__LISTEN: `console.listen` is `here`, it must be an IP address",
    ];
    assert_eq!(wrong.len(), expected.len(), "{wrong:#?}");
    for says in expected {
        assert!(
            wrong.iter().any(|w| w.starts_with(says)),
            "{says}: {wrong:#?}"
        );
    }
    let broken = read("[gateway\nname = 1", &[]).unwrap_err();
    assert!(broken[0].starts_with("way.toml:1: "), "{broken:?}");
}

#[test]
fn what_cannot_work_together_is_found() {
    let problems = |text: &str| {
        let config = read(text, &[]).unwrap();
        let told = |p: &Problem| format!("{} {}", p.refused, p.said(&config));
        problems_of(&config).iter().map(told).collect::<Vec<_>>()
    };
    for (text, says) in [
        (
            "console.listen = \"0.0.0.0:80\"",
            "true way.toml:1: `console.listen` is 0.0.0.0:80, which is not a loopback address: set",
        ),
        (
            "\nconsole.listen = \"127.0.0.1:5027\"",
            "true `gateway.listeners` has 127.0.0.1:5027, which `console.listen` has too",
        ),
        (
            "gateway.listeners = [\"gt06=[::1]:1\", \"auto=[::1]:1\"]",
            "true way.toml:1: `gateway.listeners` names [::1]:1 twice",
        ),
        (
            "gateway.listeners = [\"gt06=0.0.0.0:1\", \"auto=127.0.0.1:1\"]",
            "true way.toml:1: `gateway.listeners` names 127.0.0.1:1 twice",
        ),
        (
            "gateway.listeners = []",
            "false way.toml:1: `gateway.listeners` is empty",
        ),
        (
            "gateway.unknown_devices = \"accept\"\ngateway.listeners = [\"gt06=0.0.0.0:1\"]",
            "false way.toml:1: `gateway.unknown_devices` is accept",
        ),
        (
            "gateway.lenient_checksums = true",
            "false way.toml:1: `gateway.lenient_checksums`",
        ),
        (
            "gateway.max_total_bytes = \"64KiB\"",
            "true way.toml:1: `gateway.max_total_bytes` is below 128KiB",
        ),
        (
            "gateway.auth_key_file = \"no.key\"",
            "true way.toml:1: `gateway.auth_key_file` is `no.key`, which cannot be read: No such",
        ),
        (
            "log.segment_size = \"0B\"",
            "true way.toml:1: `log.segment_size` must be above 0B",
        ),
        (
            "log.kind = \"kafka\"\nlog.client_file = \"no.properties\"",
            "true way.toml:2: `log.client_file` is `no.properties`, which cannot be read: No such",
        ),
        (
            "store.kind = \"timescale\"\nstore.server = \"host=db.example\"",
            "false way.toml:2: `store.server` leaves this machine, and whoever answers is taken",
        ),
        (
            "store.kind = \"timescale\"\nstore.server = \"host=db sslmode=verify-full\"",
            "true way.toml:2: `store.server` is no connection string of PostgreSQL",
        ),
        (
            "store.kind = \"timescale\"\nstore.ca_file = \"no.pem\"",
            "true way.toml:2: `store.ca_file` is `no.pem`, which cannot be read",
        ),
        (
            "store.positions_kept = \"30d\"",
            "false way.toml:1: `store.positions_kept` is below a year",
        ),
        (
            "worker.late_share_percent = 101",
            "true way.toml:1: `worker.late_share_percent` is 101, it must be from 1 to 100",
        ),
        (
            "console.tls_key = \"no.pem\"",
            "true way.toml:1: `console.tls_key` is `no.pem`, which cannot be read",
        ),
        (
            "console.tls_key = \"no.pem\"",
            "true `console.tls_certificate` is empty: certificate and key are set both or neither",
        ),
    ] {
        let found = problems(text);
        assert!(
            found.iter().any(|f| f.starts_with(says)),
            "{text}: {found:?}"
        );
    }
}

/// `WAYWARDEN_REFRESH=1 cargo test -p waywarden` writes them again.
#[test]
fn the_documents_say_what_the_program_takes() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, text) in [
        ("docs/configuration.md", document()),
        ("deploy/waywarden.toml", example()),
    ] {
        let path = root.join(name);
        if std::env::var_os("WAYWARDEN_REFRESH").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let on_file = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            on_file == text,
            "{name} is old: WAYWARDEN_REFRESH=1 cargo test -p waywarden"
        );
    }
}
