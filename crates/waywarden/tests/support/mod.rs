//! The real program, started, asked and ended.

#![allow(clippy::unwrap_used, dead_code)] // each test uses its part, and fails where it must

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The example registers.
pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/example")
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_waywarden");

pub struct Running {
    child: Child,
    pub listeners: Vec<(String, String)>,
    http: String,
}

impl Running {
    /// The program on the data folder, with these registers where it has none.
    pub fn start(data: &Path, registers: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "run",
                "--any-port",
                "--http",
                "127.0.0.1:0",
                "--unknown",
                "accept",
            ])
            .args(["--disk-reserve", "1048576", "--data"])
            .arg(data)
            .arg("--example")
            .arg(registers)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut listeners, mut http) = (Vec::new(), None);
        while http.is_none() {
            let line = lines.next().expect("it tells its addresses").unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            if line.contains("devices speak") && line.ends_with("(Tcp)") {
                listeners.push((words[3].to_owned(), words[5].to_owned()));
            } else if line.contains("the API is at") {
                http = Some(words[5].trim_end_matches("/api/v1").to_owned());
            }
        }
        // The rest of the log must be read, or the program would wait for it.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            listeners,
            http: http.unwrap(),
        }
    }

    pub fn to(&self, protocol: &str) -> &str {
        &self
            .listeners
            .iter()
            .find(|(p, _)| p == protocol)
            .unwrap()
            .1
    }

    pub fn kill(self) {
        drop(self);
    }

    /// SIGTERM, which must end it by itself.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub fn get(&self, path: &str, token: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.http))
            .header("Authorization", &format!("Bearer {token}"))
            .call()
            .unwrap();
        answer.body_mut().read_json().unwrap()
    }
}

/// A token of an operator.
pub fn token(data: &Path) -> String {
    let made = Command::new(PROGRAM)
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

/// A test that fails leaves no program behind.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
