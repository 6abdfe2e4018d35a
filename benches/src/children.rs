//! Other processes of a measurement: the program itself, and the servers of this one. Each is
//! ended by its own id when its value is dropped, after a panic too.

use crate::servers::Server;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that ends with its value.
#[derive(Debug)]
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ending {
    /// Anonymous memory that it holds, bytes.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
        let kib = line
            .and_then(|l| l.split_whitespace().next())
            .context("RssAnon")?;
        Ok(kib.parse::<u64>()? * 1024)
    }

    /// Seconds of processor time that it has taken.
    fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // Behind the name, which may hold anything, the 12th and 13th: in user space, in the kernel.
        let (_, fields) = stat.rsplit_once(')').context("stat")?;
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

/// A folder on the disk that the program was built on: the system's own for such things may be
/// memory, where a sync costs nothing.
///
/// # Errors
/// It cannot be made.
pub fn folder() -> Result<TempDir> {
    let program = std::env::current_exe()?;
    let beside = program.parent().unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(beside)
        .context("a folder for the measurement")
}

/// A server of this program, in a process of its own.
#[derive(Debug)]
pub struct Served {
    process: Ending,
    pub address: SocketAddr,
}

impl Served {
    /// # Errors
    /// It cannot be started.
    pub fn start(server: Server, environment: &[(String, String)]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", &server.name()])
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().context("its standard output")?;
        let process = Ending(child);
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        Ok(Self {
            address: line.trim().parse().context("the address of a server")?,
            process,
        })
    }

    /// # Errors
    /// The system does not say.
    pub fn memory(&self) -> Result<u64> {
        self.process.memory()
    }

    /// Seconds of processor time that it has taken since it started.
    ///
    /// # Errors
    /// The system does not say.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.process.cpu_seconds()
    }
}

/// What a process says on standard error, with when it was said. Warnings are passed on.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Mutex<Vec<(Instant, String)>>>);

impl Said {
    fn listen(lines: std::io::Lines<BufReader<ChildStderr>>) -> Self {
        let said = Self::default();
        let keep = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains(" WARN ") || line.contains("ERROR ") {
                    eprintln!("{line}");
                }
                keep.lines().push((Instant::now(), line));
            }
        });
        said
    }

    fn lines(&self) -> MutexGuard<'_, Vec<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the `nth` line, from 0, with these words.
    ///
    /// # Errors
    /// It is not said within a minute.
    pub fn nth(&self, words: &str, nth: usize) -> Result<(Instant, String)> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let lines = self.lines();
            let mut with = lines.iter().filter(|(_, line)| line.contains(words));
            if let Some(said) = with.nth(nth) {
                return Ok(said.clone());
            }
            ensure!(Instant::now() < until, "no `{words}` in {lines:#?}");
            drop(lines);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A role of the program in a process of its own.
#[derive(Debug)]
pub struct Role {
    process: Ending,
    said: Said,
    data: TempDir,
}

impl Role {
    /// `waywarden ROLE` on a fresh folder.
    ///
    /// # Errors
    /// The program is not built beside this one, or does not start.
    pub fn start(role: &str, more: &[&str], environment: &[(String, String)]) -> Result<Self> {
        let data = folder()?;
        let mut child = Command::new(program()?)
            .arg(role)
            .arg("--data")
            .arg(data.path())
            .args(["--http", "127.0.0.1:0"])
            .args(more)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stderr.take().context("its standard error")?).lines();
        Ok(Self {
            process: Ending(child),
            said: Said::listen(lines),
            data,
        })
    }

    pub const fn said(&self) -> &Said {
        &self.said
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Waits for a line with these words; gives when it was said.
    ///
    /// # Errors
    /// It is not said within a minute.
    pub fn line(&self, words: &str) -> Result<Instant> {
        Ok(self.said.nth(words, 0)?.0)
    }

    /// Seconds of processor time that it has taken since it started.
    ///
    /// # Errors
    /// The system does not say.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.process.cpu_seconds()
    }
}

/// `waywarden run` on a fresh folder, with a token.
#[derive(Debug)]
pub struct Program {
    /// Ended before the folder goes.
    process: Ending,
    /// Where Teltonika devices connect.
    pub teltonika: SocketAddr,
    http: String,
    token: String,
    agent: ureq::Agent,
    said: Said,
    data: TempDir,
}

impl Program {
    /// With these registers, or none; on embedded storage, unless the environment says otherwise.
    ///
    /// # Errors
    /// The program is not built beside this one, or does not start.
    pub fn start(registers: Option<&Path>, environment: &[(String, String)]) -> Result<Self> {
        let data = folder()?;
        let mut command = Command::new(program()?);
        command.args(["run", "--any-port", "--http", "127.0.0.1:0"]);
        command.args(["--unknown", "accept", "--disk-reserve", "1048576", "--data"]);
        command.arg(data.path());
        if let Some(registers) = registers {
            command.arg("--example").arg(registers);
        }
        let mut child = command
            .env("WAYWARDEN__TELEMETRY__LEVEL", "warn")
            // What they send is of one day in spring, and is to come as fast as it can.
            .env("WAYWARDEN__GATEWAY__LATE_RECORDS_PER_SECOND", "0")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::piped())
            .spawn()?;
        let said = child.stderr.take().context("its standard error")?;
        let process = Ending(child);
        let mut lines = BufReader::new(said).lines();
        let (mut teltonika, mut http) = (None, None);
        while http.is_none() {
            let line = lines.next().context("the program ended")??;
            let words: Vec<&str> = line.split_whitespace().collect();
            if line.contains("speak teltonika") && line.ends_with("(Tcp)") {
                teltonika = words.get(5).and_then(|a| a.parse().ok());
            } else if line.contains("the API is at") {
                let address = words.get(5).map(|a| a.trim_end_matches("/api/v1"));
                http = address.map(str::to_owned);
            }
        }
        // Its log must be read, or it would wait for it.
        let said = Said::listen(lines);
        Ok(Self {
            process,
            teltonika: teltonika.context("the address for Teltonika")?,
            http: http.context("the address of the API")?,
            token: token(data.path(), environment)?,
            agent: ureq::Agent::new_with_defaults(),
            said,
            data,
        })
    }

    pub const fn said(&self) -> &Said {
        &self.said
    }

    /// Its folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// # Errors
    /// No answer, or none that can be read.
    pub fn get(&self, path: &str) -> Result<Value> {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.http))
            .header("Authorization", format!("Bearer {}", self.token))
            .call()?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }

    /// Seconds of processor time that it has taken since it started.
    ///
    /// # Errors
    /// The system does not say.
    pub fn cpu_seconds(&self) -> Result<f64> {
        self.process.cpu_seconds()
    }

    /// Waits until `records` are filed, and everything that was received is judged.
    ///
    /// # Errors
    /// It does not come to that within five minutes, or other records are on file.
    pub fn settled(&self, records: u64) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(300);
        loop {
            let status = self.get("/api/v1/status")?;
            let filed: u64 = status["partitions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|p| p["counters"]["filed"].as_u64())
                .sum();
            if status["backlog"] == 0 && status["dirty_subjects"] == 0 && filed == records {
                return Ok(());
            }
            ensure!(Instant::now() < until, "not settled: {status}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The program, built beside this one.
///
/// # Errors
/// It is not there.
pub fn program() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("waywarden");
    ensure!(
        program.exists(),
        "{} is not there: `make bench` builds it first",
        program.display()
    );
    Ok(program)
}

fn token(data: &Path, environment: &[(String, String)]) -> Result<String> {
    let made = Command::new(program()?)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(["token", "--data"])
        .arg(data)
        .args(["make", "bench", "--role", "operator"])
        .output()?;
    ensure!(made.status.success(), "no token was made");
    Ok(String::from_utf8(made.stdout)?.trim().to_owned())
}
