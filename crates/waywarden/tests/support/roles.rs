//! Gateways, workers and consoles as processes of their own.

use super::figures::Figures;
use super::{Api, PROGRAM};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Environment of a process.
pub type Environment = Vec<(String, String)>;

/// One role's process; a test that fails leaves it not behind.
pub struct RoleProcess {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Drop for RoleProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl RoleProcess {
    /// Starts `waywarden ROLE`; its log is read by a thread.
    pub fn start(role: &str, data: &Path, more: &[&str], environment: &Environment) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg(role)
            .arg("--data")
            .arg(data)
            .args(["--http", "127.0.0.1:0"])
            .args(more)
            .envs(environment.iter().map(|(n, v)| (n, v)))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&said);
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|l| keep.lock().unwrap().push(l));
        });
        Self { child, said }
    }

    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits for a line that holds all of these words, and gives it.
    pub fn line(&mut self, words: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let said = self.said();
            let found = said.iter().find(|l| words.iter().all(|w| l.contains(w)));
            if let Some(line) = found {
                return line.clone();
            }
            let alive = self.child.try_wait().unwrap().is_none();
            assert!(
                alive && Instant::now() < until,
                "no line with {words:?} (alive: {alive}):\n{}",
                said.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The value behind `name=` in a line with these words.
    pub fn value(&mut self, words: &[&str], name: &str) -> String {
        let line = self.line(words);
        let behind = line.split(&format!("{name}=")).nth(1).unwrap();
        behind.split_whitespace().next().unwrap().to_owned()
    }

    /// Where a gateway or a worker tells how it is.
    pub fn probe(&mut self) -> Api {
        Api::at(&self.value(&["health and figures"], "http"))
    }

    pub fn figures(&mut self) -> Figures {
        Figures::read(&self.probe().ask("/metrics").1)
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, which must end it by itself, and well.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        self.ended();
    }

    /// Waits for its end, which must be a good one.
    pub fn ended(&mut self) {
        let until = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Its last lines are read by then.
                std::thread::sleep(Duration::from_millis(100));
                let said = self.said();
                let odd = said.iter().filter(|l| !l.contains(" INFO "));
                let odd: Vec<_> = odd.cloned().collect();
                assert!(status.success(), "{status}:\n{}", odd.join("\n"));
                return;
            }
            assert!(
                Instant::now() < until,
                "it does not end:\n{}",
                self.said().join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
