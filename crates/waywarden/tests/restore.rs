//! The commands of docs/operations.md for a store on TimescaleDB: a dump while it runs, and a start
//! on the loaded dump and the log.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Running, addresses, days, settled, simulate_until, token_under, violations};

/// What `deploy/services.sh env` gives.
fn given(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: deploy/services.sh start && eval \"$(deploy/services.sh env)\""
        )
    })
}

/// The server's own tools, and a folder that they and the test can use.
struct Tools {
    /// First in PATH.
    programs: PathBuf,
    /// The folder for dumps, as the tools see it.
    folder: String,
    /// And as it is.
    _own: tempfile::TempDir,
}

impl Tools {
    /// Those in the folder of Debian 13, where deploy/services.sh runs the server; the machine's own
    /// where the server is somebody else's.
    fn new(programs: PathBuf) -> Self {
        let debian = Path::new(&given("WAYWARDEN_TEST_SERVICES")).join("debian");
        std::fs::create_dir(&programs).unwrap();
        let inside = debian.is_dir();
        let below = if inside {
            debian.join("tmp")
        } else {
            std::env::temp_dir()
        };
        let own = tempfile::tempdir_in(below).unwrap();
        // The tools are another user there.
        let all = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(own.path(), all).unwrap();
        if !inside {
            let folder = own.path().display().to_string();
            return Self {
                programs,
                folder,
                _own: own,
            };
        }
        let root = if rustix::process::getuid().is_root() {
            ""
        } else {
            "sudo"
        };
        for tool in ["psql", "pg_dump", "pg_restore"] {
            let script = format!(
                "#!/bin/sh\nexec {root} chroot --userspec=postgres:postgres --groups=postgres {} \
                 env -i PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin LC_ALL=C.UTF-8 {tool} \"$@\"\n",
                debian.display()
            );
            let path = programs.join(tool);
            std::fs::write(&path, script).unwrap();
            let run = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(path, run).unwrap();
        }
        let name = own.path().file_name().unwrap().to_string_lossy();
        let folder = format!("/tmp/{name}");
        Self {
            programs,
            folder,
            _own: own,
        }
    }

    /// Runs a script with the tools first in PATH.
    fn run(&self, script: &str, variables: &[(&str, &str)]) {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.programs.display());
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).env("PATH", path);
        shell.env("BACKUP", &self.folder);
        let done = shell.envs(variables.iter().copied()).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script}\n{said}");
    }
}

/// The block of docs/operations.md that begins with a comment.
fn commands(begins: &str) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let document = std::fs::read_to_string(document).unwrap();
    let blocks = document.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|b| b.split("```").next().unwrap());
    blocks.find(|b| b.starts_with(begins)).unwrap().to_owned()
}

fn on(server: &str) -> Vec<(String, String)> {
    let of = |(name, value): (&str, &str)| (format!("WAYWARDEN__STORE__{name}"), value.to_owned());
    [("KIND", "timescale"), ("SERVER", server)].map(of).into()
}

fn found(running: &Running, key: &str) -> ((u64, u64, u64), BTreeSet<String>, String) {
    let settled = settled(running, key);
    (
        settled,
        violations(running, key),
        format!("{:?}", days(running, key)),
    )
}

#[test]
fn a_loaded_dump_catches_up_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (data, tools) = (of("data"), Tools::new(of("programs")));
    let address = given("WAYWARDEN_TEST_POSTGRES");
    let words = address
        .split_whitespace()
        .filter(|w| !w.starts_with("dbname="));
    let server = words.collect::<Vec<_>>().join(" ");
    // The folder's name is nobody else's.
    let unique = tools
        .folder
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .to_lowercase();
    let (name, loaded) = (format!("from{unique}"), format!("loaded{unique}"));
    let (own, restored) = (
        format!("{server} dbname={name}"),
        format!("{server} dbname={loaded}"),
    );
    tools.run(
        "psql --quiet --command=\"CREATE DATABASE $NAME\" \"$SERVER\"",
        &[("NAME", &name), ("SERVER", &address)],
    );

    let running = Running::start_under(&data, &on(&own));
    let key = token_under(&data, &on(&own));
    let send = |ledger: &str, until: &str| {
        simulate_until(&addresses(&running), &of(ledger), 4, until).finish();
        found(&running, &key)
    };
    let before = send("first.jsonl", "2026-03-10T06:30:00+07:00");
    tools.run(&commands("# Dump"), &[("SERVER", &own)]);
    let expected = send("second.jsonl", "2026-03-10T10:00:00+07:00");
    assert!(expected.0 > before.0, "there is something to catch up with");
    running.stop();

    let variables = [
        ("SERVER", own.as_str()),
        ("NAME", &loaded),
        ("RESTORED", &restored),
    ];
    tools.run(&commands("# Load"), &variables);
    // Tokens are in the dump; the log is where it was.
    let again = Running::start_under(&data, &on(&restored));
    assert_eq!(found(&again, &key), expected);
    again.stop();
}
