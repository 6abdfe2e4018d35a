//! The real program as a child process: started, driven, asked and stopped.

#![allow(clippy::unwrap_used, dead_code)] // each test file uses a part of it

pub mod disk;
pub mod figures;
pub mod installation;
pub mod powercut;
pub mod roles;
pub mod server;
pub mod wire;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_waywarden");

pub struct Running {
    child: Child,
    listeners: Vec<(String, String)>,
    api: Api,
    said: Arc<Mutex<Vec<String>>>,
}

/// Where the API is.
pub struct Api {
    http: String,
}

impl Api {
    pub fn at(address: &str) -> Self {
        Self {
            http: format!("http://{}", address.trim_start_matches("http://")),
        }
    }

    /// Status of an answer that needs no token, and its body.
    pub fn ask(&self, path: &str) -> (u16, String) {
        let asked = ureq::get(format!("{}{path}", self.http));
        let mut answer = asked
            .config()
            .http_status_as_error(false)
            .build()
            .call()
            .unwrap();
        let body = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), body)
    }

    pub fn get(&self, path: &str, token: &str) -> Value {
        serde_json::from_str(&self.text(path, token)).unwrap()
    }

    pub fn text(&self, path: &str, token: &str) -> String {
        let mut answer = ureq::get(format!("{}{path}", self.http))
            .header("Authorization", &format!("Bearer {token}"))
            .call()
            .unwrap();
        answer.body_mut().read_to_string().unwrap()
    }
}

impl std::ops::Deref for Running {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// A test that fails leaves no process behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line as it is where the log is no JSON.
fn plain(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(event) => format!(
            "waywarden: {}",
            event["fields"]["message"].as_str().unwrap()
        ),
        Err(_) => line.to_owned(),
    }
}

impl Running {
    pub fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    /// With more arguments.
    pub fn start_with(data: &Path, more: &[&str]) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
        Self::start_on(data, &example, more)
    }

    /// With these registers where the data folder has none.
    pub fn start_on(data: &Path, registers: &Path, more: &[&str]) -> Self {
        Self::start_in(data, registers, more, &[])
    }

    /// With more variables of the environment.
    pub fn start_under(data: &Path, environment: &[(String, String)]) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example");
        Self::start_in(data, &example, &[], environment)
    }

    fn start_in(
        data: &Path,
        registers: &Path,
        more: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "run",
                "--any-port",
                "--http",
                "127.0.0.1:0",
                "--unknown",
                "accept",
            ])
            .arg("--data")
            .arg(data)
            .arg("--example")
            .arg(registers)
            .args(more)
            // Late data is judged as soon as it has been quiet, so that no test waits for it.
            .env("WAYWARDEN__WORKER__LATE_QUIET", "500ms")
            // The simulated day is a fixed one, and must not be too old for a test some day.
            .env("WAYWARDEN__STORE__POSITIONS_KEPT", "36500d")
            .env("WAYWARDEN__GATEWAY__DISK_RESERVE", "1MiB")
            .envs(environment.iter().map(|(n, v)| (n, v)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (mut listeners, mut http) = (Vec::new(), None);
        while http.is_none() {
            let line = lines.next().expect("it tells its addresses").unwrap();
            said.lock().unwrap().push(line.clone());
            let line = plain(&line);
            let words: Vec<&str> = line.split_whitespace().collect();
            if line.contains("devices speak") && line.ends_with("(Tcp)") {
                listeners.push((words[3].to_owned(), words[5].to_owned()));
            } else if line.contains("the API is at") {
                http = Some(words[5].trim_end_matches("/api/v1").to_owned());
            }
        }
        // The rest of the log must be read, or the program would wait for it.
        let keep = Arc::clone(&said);
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|l| keep.lock().unwrap().push(l));
        });
        Self {
            child,
            listeners,
            api: Api::at(&http.unwrap()),
            said,
        }
    }

    /// Everything that it wrote to standard error so far.
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub fn to(&self, protocol: &str) -> &str {
        &self
            .listeners
            .iter()
            .find(|(p, _)| p == protocol)
            .unwrap()
            .1
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Not by the command of that name, which a small machine lacks.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, which must end it by itself.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

pub fn token(data: &Path) -> String {
    token_under(data, &[])
}

/// With more variables of the environment.
pub fn token_under(data: &Path, environment: &[(String, String)]) -> String {
    let made = Command::new(PROGRAM)
        .envs(environment.iter().map(|(n, v)| (n, v)))
        .args(["token", "--data"])
        .arg(data)
        .args(["make", "test", "--role", "operator"])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// A simulated fleet; a test that fails leaves it not behind.
pub struct Fleet(Child);

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fleet {
    pub fn spawn(command: &mut Command) -> Self {
        Self(command.stderr(Stdio::null()).spawn().unwrap())
    }

    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn is_driving(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    pub fn finish(mut self) {
        self.wait();
    }

    /// Waits until everything is acknowledged. A fleet whose server is gone would wait for ever.
    pub fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(240);
        while self.is_driving() {
            assert!(Instant::now() < until, "the fleet does not come to its end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.0.wait().unwrap().success());
    }
}

/// A fleet over a fixed past day, the same for every run.
pub fn simulate(to: &[String], ledger: &Path, vehicles: u32) -> Fleet {
    simulate_until(to, ledger, vehicles, "2026-03-11T00:00:00+07:00")
}

/// The beginning of that day.
pub fn simulate_until(to: &[String], ledger: &Path, vehicles: u32, until: &str) -> Fleet {
    let mut command = Command::new(PROGRAM);
    command.args([
        "simulate",
        "--seed",
        "7",
        "--from",
        "2026-03-10T00:00:00+07:00",
    ]);
    command.args(["--until", until, "--window", "4"]);
    command
        .args(["--vehicles", &vehicles.to_string(), "--ledger"])
        .arg(ledger);
    to.iter().for_each(|t| {
        command.args(["--to", t]);
    });
    Fleet::spawn(&mut command)
}

/// Waits until the worker has judged what is in the log; gives the counters over all partitions.
pub fn settled(running: &Api, token: &str) -> (u64, u64, u64) {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        let status = running.get("/api/v1/status", token);
        let sum = |name: &str| -> u64 {
            let all = status["partitions"].as_array().unwrap().iter();
            all.map(|p| p["counters"][name].as_u64().unwrap()).sum()
        };
        let rest = ["backlog", "marks", "dirty_subjects"];
        if rest.iter().all(|name| status[name] == 0) && sum("read") > 0 {
            let (read, filed) = (sum("read"), sum("filed"));
            let (repeated, aside) = (sum("repeated"), sum("aside") + sum("refused"));
            assert_eq!(read, filed + repeated + aside);
            return (filed, repeated, aside);
        }
        assert!(Instant::now() < until, "{status}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// All violations that stand, without what is history.
pub fn violations(running: &Api, token: &str) -> BTreeSet<String> {
    let (mut found, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = running.get(&format!("/api/v1/violations?limit=100{cursor}"), token);
        for mut item in page["items"].as_array().unwrap().clone() {
            let item = item.as_object_mut().unwrap();
            // What was found before late data came, and withdrawn by it, is history.
            if item["status"] == "withdrawn" {
                continue;
            }
            item.remove("revision");
            item.remove("updated");
            found.insert(serde_json::to_string(&item).unwrap());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// A ledger's lines.
pub fn entries(ledger: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    // A fleet that was killed while it wrote leaves half a line.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let line = |l| serde_json::from_str(l).unwrap();
    whole.lines().map(line).collect()
}

pub fn acknowledged(ledger: &Path) -> BTreeSet<(String, i64)> {
    let lines = entries(ledger).into_iter();
    lines
        .filter(|l| l["state"] == "acknowledged")
        .map(|l| {
            (
                l["device"].as_str().unwrap().to_owned(),
                l["time"].as_i64().unwrap(),
            )
        })
        .collect()
}

/// Rows of the simulated day and its neighbours, of sources and of drivers.
pub fn days(running: &Api, token: &str) -> [Value; 2] {
    ["day-rows", "driver-days"].map(|rows| {
        let days = "from=2026-03-09&to=2026-03-11&limit=500";
        let answer = running.get(&format!("/api/v1/{rows}?{days}"), token);
        assert!(answer["next"].is_null() && !answer["items"].as_array().unwrap().is_empty());
        answer
    })
}

pub fn addresses(running: &Running) -> Vec<String> {
    ["teltonika", "gt06", "jt808"]
        .map(|p| format!("{p}={}", running.to(p)))
        .to_vec()
}
