//! What an engineer does with the program: check a configuration, migrate, restore a backup.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use support::{
    PROGRAM, Running, acknowledged, addresses, settled, simulate_until, token, violations,
};

fn waywarden(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_configuration_is_checked_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("waywarden.toml");
    let check = |content: &str| {
        std::fs::write(&file, content).unwrap();
        waywarden(&["check-config", "--config", text(&file)])
    };
    let good = check("[worker]\nlate_quiet = \"5s\"\n[gateway]\nidle_after = \"1800s\"\n");
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    assert_eq!(
        String::from_utf8(good.stdout).unwrap(),
        "worker.late_quiet = \"5s\"\n"
    );

    let doubtful = check("[gateway]\nlenient_checksums = true\n");
    assert_eq!(doubtful.status.code(), Some(0));
    let warning = format!("warning: {}:2: `gateway.lenient_checksums`", file.display());
    assert!(said(&doubtful).contains(&warning), "{}", said(&doubtful));

    let wrong = check("[console]\nlisten = \"0.0.0.0:8080\"\n");
    assert_eq!(wrong.status.code(), Some(2));
    let line = format!("{}:2: `console.listen` is 0.0.0.0:8080", file.display());
    assert!(said(&wrong).contains(&line), "{}", said(&wrong));

    check("[gateway]\nlistener = []\n");
    for command in ["check-config", "run"] {
        let done = waywarden(&[command, "--config", text(&file)]);
        assert_eq!(done.status.code(), Some(2));
        let expected = format!("{}:2: there is no key `gateway.listener`", file.display());
        assert!(said(&done).contains(&expected), "{}", said(&done));
    }
    let none = waywarden(&["check-config", "--config", "nowhere.toml"]);
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    let example = waywarden(&["check-config", "--defaults"]);
    std::fs::write(&file, &example.stdout).unwrap();
    let done = waywarden(&["check-config", "--config", text(&file)]);
    assert_eq!(
        (done.status.code(), done.stdout.len()),
        (Some(0), 0),
        "{}",
        said(&done)
    );
}

/// The file with Kafka's password is read by the check, and told by nothing.
#[test]
fn a_file_of_client_settings_is_checked_and_its_secrets_are_not_told() {
    let dir = tempfile::tempdir().unwrap();
    let (file, settings) = (dir.path().join("way.toml"), dir.path().join("kafka"));
    let of = format!(
        "[log]\nkind = \"kafka\"\nmin_in_sync = 2\nclient_file = \"{}\"\n",
        settings.display()
    );
    std::fs::write(&file, of).unwrap();
    let check = |more: &str| {
        let login = "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\n\
                     sasl.username=somebody\nsasl.password=open-sesame\n";
        std::fs::write(&settings, format!("{login}{more}")).unwrap();
        let done = waywarden(&["check-config", "--config", text(&file)]);
        let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), said(&done));
        assert!(!told.contains("open-sesame"), "{told}");
        (done.status.code(), told)
    };
    let (code, told) = check("");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("log.client_file = "), "{told}");
    let (code, told) = check("acks=0\n");
    assert_eq!(code, Some(2), "{told}");
    let place = format!("{}:4: `log.client_file` is `", file.display());
    assert!(told.contains(&place), "{told}");
    assert!(told.contains("line 5: `acks` is not set here"), "{told}");
}

#[test]
fn a_password_in_the_way_to_the_store_is_doubted_and_not_told() {
    let check = |server: &str| {
        let mut command = Command::new(PROGRAM);
        command.env("WAYWARDEN__STORE__KIND", "timescale");
        command.env("WAYWARDEN__STORE__SERVER", server);
        let done = command.arg("check-config").output().unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), said(&done));
        assert!(!told.contains("open-sesame"), "{told}");
        (done.status.code(), told)
    };
    for server in [
        "host=127.0.0.1 user=w password=open-sesame",
        "postgresql://w:open-sesame@127.0.0.1/w",
    ] {
        let (code, told) = check(server);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("with a password, which is not shown"),
            "{told}"
        );
        assert!(
            told.contains("name that in `store.password_file`"),
            "{told}"
        );
    }
    let (code, told) = check("host=127.0.0.1 user=w passwort=open-sesame");
    assert_eq!(code, Some(2), "{told}");
    let (code, told) = check("host=127.0.0.1 user=somebody");
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains("user=somebody") && !told.contains("password"),
        "{told}"
    );
}

#[test]
fn a_store_of_an_older_program_is_migrated_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = waywarden(&["migrate", "--data", text(&data)]);
    assert!(first.status.success(), "{}", said(&first));
    assert!(
        said(&first).contains("none before, 7 now"),
        "{}",
        said(&first)
    );
    let again = waywarden(&["migrate", "--data", text(&data)]);
    assert!(said(&again).contains("7 before, 7 now"), "{}", said(&again));
    let running = Running::start(&data);
    let locked = waywarden(&["migrate", "--data", text(&data)]);
    assert_eq!(locked.status.code(), Some(1), "{}", said(&locked));
    assert!(said(&locked).contains("in use"), "{}", said(&locked));
    running.stop();
}

/// Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 something missing on the machine.
#[test]
fn every_ending_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let (data, none) = (dir.path().join("data"), dir.path().join("none"));
    let made = waywarden(&["migrate", "--data", text(&data)]);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let key = dir.path().join("short.key");
    std::fs::write(&key, "short").unwrap();
    let run = ["run", "--any-port", "--data", text(&data), "--http"];
    let with = |more: &[&'static str]| [&["run"][..], more].concat();
    let variable = |name: &str, value: &str, arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.env(name, value).args(arguments).output().unwrap()
    };
    for (done, code, says) in [
        (waywarden(&["profiles"]), 0, ""),
        (waywarden(&["reads", "--data", text(&data)]), 0, ""),
        (waywarden(&[&run[..], &[&taken]].concat()), 1, &*taken),
        (waywarden(&["fly"]), 2, "unrecognized subcommand"),
        (waywarden(&with(&["--http", "here"])), 2, "invalid"),
        (
            waywarden(&with(&["--http", "192.0.2.1:80"])),
            2,
            "--http: `console.listen` is 192.0.2.1:80, which is not a loopback address: set",
        ),
        (
            variable("WAYWARDEN__GATEWAY__NAMES", "x", &["run"]),
            2,
            "WAYWARDEN__GATEWAY__NAMES: there is no key `gateway.names`; did you mean \
             `gateway.name`?",
        ),
        (
            variable(
                "WAYWARDEN__GATEWAY__AUTH_KEY_FILE",
                text(&key),
                &["check-config"],
            ),
            2,
            "`gateway.auth_key_file` has 5 bytes, it must have 32",
        ),
        (
            waywarden(&["backup", "--data", text(&none), text(dir.path())]),
            3,
            "store.db is not there",
        ),
        (
            waywarden(&["reads", "--data", text(&none)]),
            3,
            "is not there",
        ),
    ] {
        assert_eq!(done.status.code(), Some(code), "{}", said(&done));
        assert!(said(&done).contains(says), "{says}: {}", said(&done));
    }
}

#[test]
fn what_a_newer_program_made_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(
        waywarden(&["migrate", "--data", text(&data)])
            .status
            .success()
    );
    let (store, version) = (data.join("store.db"), data.join("VERSION"));
    let refused = |says: &str| {
        for command in [
            &["migrate"][..],
            &["run", "--any-port", "--http", "127.0.0.1:0"],
        ] {
            let done = waywarden(&[command, &["--data", text(&data)]].concat());
            assert_eq!(done.status.code(), Some(1), "{}", said(&done));
            assert!(said(&done).contains(says), "{}", said(&done));
        }
    };
    let good = std::fs::read(&store).unwrap();
    // SQLite keeps a database's `user_version` in bytes 60 to 63 of the file.
    let newer = [&good[..60], &99_u32.to_be_bytes(), &good[64..]].concat();
    std::fs::write(&store, &newer).unwrap();
    refused("schema version 99, this program knows 7");
    let left = std::fs::read(&store).unwrap();
    assert!(left == newer, "the newer store was written to");
    std::fs::write(&store, &good).unwrap();
    std::fs::write(&version, "7\n").unwrap();
    refused("layout version 7, this program knows 1");
}

/// A folder that the configuration names is the one that every command works on.
#[test]
fn commands_find_the_folder_by_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("way.toml"), dir.path().join("there"));
    std::fs::write(&file, format!("data = \"{}\"\n", data.display())).unwrap();
    let make = [
        "token",
        "--config",
        text(&file),
        "make",
        "t",
        "--role",
        "viewer",
    ];
    assert!(waywarden(&make).status.success());
    let list = waywarden(&["token", "--data", text(&data), "list"]);
    assert!(
        String::from_utf8(list.stdout)
            .unwrap()
            .starts_with("t\tviewer")
    );
}

/// Runs the block of docs/operations.md that begins with a comment.
fn commands_of_the_document(begins: &str, folders: &[(&str, &PathBuf)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let blocks = document.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|b| b.split("```").next().unwrap());
    let commands = blocks.find(|b| b.starts_with(begins)).unwrap();
    let programs = Path::new(PROGRAM).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-euc", commands]).env("PATH", path);
    let done = shell.envs(folders.iter().copied()).output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
}

/// The commands of docs/operations.md: a copy while it runs, and a start on the copy and the log.
#[test]
fn a_restored_backup_catches_up_from_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let of = |name: &str| dir.path().join(name);
    let (data, restored) = (of("data"), of("restored"));
    let running = Running::start(&data);
    let key = token(&data);
    let send = |ledger: &str, until: &str| {
        let fleet = simulate_until(&addresses(&running), &of(ledger), 4, until);
        fleet.finish();
        settled(&running, &key);
    };
    send("first.jsonl", "2026-03-10T06:30:00+07:00");
    let folders = [
        ("DATA", &data),
        ("BACKUP", &of("backup")),
        ("RESTORED", &restored),
    ];
    commands_of_the_document("# Backup", &folders);
    send("second.jsonl", "2026-03-10T10:00:00+07:00");
    let expected = violations(&running, &key);
    let sent = acknowledged(&of("second.jsonl")).len() as u64;
    running.stop();

    commands_of_the_document("# Restore", &folders);
    // Tokens are in the copy.
    let again = Running::start(&restored);
    let (filed, _, aside) = settled(&again, &key);
    assert_eq!((filed, aside), (sent, 0));
    assert_eq!(violations(&again, &key), expected);
    again.stop();
}

/// What is older than `store.positions_kept` goes, soon after a start; violations stay.
#[test]
fn what_is_no_longer_kept_is_removed_by_the_running_program() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let running = Running::start(&data);
    let key = token(&data);
    let ledger = dir.path().join("ledger.jsonl");
    let until = "2026-03-10T06:30:00+07:00";
    simulate_until(&addresses(&running), &ledger, 4, until).finish();
    settled(&running, &key);
    running.stop();
    let lines = |what: &str| {
        let day = [
            "--from",
            "2026-03-09",
            "--to",
            "2026-03-12",
            "--format",
            "jsonl",
        ];
        let done = waywarden(&[&["export", what, "--data", text(&data)], &day[..]].concat());
        assert!(done.status.success(), "{}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let (positions, violations) = (lines("positions"), lines("violations"));
    assert!(positions.lines().count() > 1000 && !violations.is_empty());

    let mut again = Command::new(PROGRAM)
        .args(["run", "--any-port", "--http", "127.0.0.1:0", "--data"])
        .arg(&data)
        .env("WAYWARDEN__STORE__POSITIONS_KEPT", "1d")
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    let mut left = positions;
    while !left.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        left = lines("positions");
    }
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(left.is_empty(), "{} are left", left.lines().count());
    assert_eq!(lines("violations"), violations);
}
