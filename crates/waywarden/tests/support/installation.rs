//! An installation of many processes, with wires between them.

use super::roles::{Environment, RoleProcess};
use super::server::{on_kafka, on_timescale, server_port, variables};
use super::wire::Wire;
use super::{Api, Fleet, PROGRAM};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FROM: &str = "2026-03-10T00:00:00+07:00";
/// In the order of the runs on one disk: vehicles take turns over them.
const PROTOCOLS: [&str; 3] = ["teltonika", "gt06", "jt808"];

/// Waits until nothing is left in a gateway's spool.
fn spool_drained(gateway: &mut RoleProcess) {
    let api = Api::at(&gateway.value(&["health and figures"], "http"));
    let until = Instant::now() + Duration::from_secs(60);
    while !api.ask("/metrics").1.contains("spool_active_state 0") {
        assert!(Instant::now() < until, "{}", gateway.said().join("\n"));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is installed.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Variable that names the brokers.
    pub brokers: &'static str,
    pub copies: u32,
    pub partitions: u32,
    pub gateways: usize,
    pub workers: usize,
}

/// All processes of an installation, and the wires between them.
pub struct Installation {
    pub folder: PathBuf,
    pub environment: Environment,
    pub gateways: Vec<RoleProcess>,
    pub workers: Vec<RoleProcess>,
    /// From devices to gateways, by protocol.
    pub devices: BTreeMap<&'static str, Wire>,
    /// From everything to the store.
    pub store: Wire,
    console: Option<RoleProcess>,
}

impl Installation {
    pub fn start(folder: &Path, setup: Setup, registers: &Path) -> Self {
        let store = Wire::new(vec![([127, 0, 0, 1], server_port()).into()]);
        let mut environment = on_kafka(setup.brokers, setup.copies);
        environment.extend(on_timescale(Some(store.address.port())));
        let given = |values: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            values.iter().map(|(n, v)| (*n, (*v).to_owned())).collect()
        };
        let partitions = setup.partitions.to_string();
        for (section, values) in [
            (
                "LOG",
                given(&[("SESSION", "6s"), ("PARTITIONS", &partitions)]),
            ),
            (
                "GATEWAY",
                given(&[
                    ("UNKNOWN_DEVICES", "accept"),
                    ("DISK_RESERVE", "1MiB"),
                    ("SPOOL_AFTER", "2s"),
                ]),
            ),
            // Late data is judged as soon as it has been quiet, so that no test waits for it.
            ("WORKER", given(&[("LATE_QUIET", "500ms")])),
            // The simulated day is a fixed one, and must not be too old for a test some day.
            ("STORE", given(&[("POSITIONS_KEPT", "36500d")])),
        ] {
            environment.extend(variables(section, &values));
        }
        let wires = PROTOCOLS.map(|p| (p, Wire::new(Vec::new())));
        let mut place = Self {
            folder: folder.to_owned(),
            environment,
            gateways: Vec::new(),
            workers: Vec::new(),
            devices: wires.into(),
            store,
            console: None,
        };
        place.import(registers);
        place.gateways = (0..setup.gateways).map(|n| place.gateway(n)).collect();
        place.workers = (0..setup.workers).map(|n| place.worker(n)).collect();
        place.lead_devices();
        place
    }

    pub fn gateway(&self, n: usize) -> RoleProcess {
        let data = self.folder.join(format!("gateway-{n}"));
        let mut environment = self.environment.clone();
        environment.extend(variables("GATEWAY", &[("NAME", format!("gateway-{n}"))]));
        RoleProcess::start("gateway", &data, &["--any-port"], &environment)
    }

    pub fn worker(&self, n: usize) -> RoleProcess {
        let data = self.folder.join(format!("worker-{n}"));
        RoleProcess::start("worker", &data, &[], &self.environment)
    }

    /// Leads the devices to the ports that the gateways have now.
    pub fn lead_devices(&mut self) {
        for protocol in PROTOCOLS {
            let said = format!("speaks=\"{protocol}\"");
            let words = ["devices are listened to", "Tcp", &said];
            let of = |g: &mut RoleProcess| g.value(&words, "address").parse().unwrap();
            let all = self.gateways.iter_mut().map(of).collect();
            self.devices[protocol].lead_to(all);
        }
    }

    pub fn import(&self, files: &Path) {
        let done = Command::new(PROGRAM)
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .args(["import", "--data"])
            .arg(self.folder.join("import"))
            .arg(files)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{said}");
    }

    /// A fleet, with event time so many times as fast as the clock; 0: as fast as it is taken.
    pub fn drive(&self, ledger: &Path, vehicles: u32, until: &str, speed_up: u64) -> Fleet {
        let mut command = Command::new(PROGRAM);
        command.args(["simulate", "--seed", "7", "--from", FROM, "--until", until]);
        command.args(["--window", "4", "--speed-up", &speed_up.to_string()]);
        command
            .args(["--vehicles", &vehicles.to_string(), "--ledger"])
            .arg(ledger);
        for protocol in PROTOCOLS {
            let address = self.devices[protocol].address;
            command.args(["--to", &format!("{protocol}={address}")]);
        }
        Fleet::spawn(&mut command)
    }

    /// Has everything in the log judged and ends gateways and workers, which must end well; what is
    /// on file is asked of a console.
    pub fn finish(&mut self) -> Api {
        for mut gateway in self.gateways.drain(..) {
            spool_drained(&mut gateway);
            gateway.stop();
        }
        for worker in self.workers.drain(..) {
            worker.stop();
        }
        let data = self.folder.join("last");
        RoleProcess::start("worker", &data, &["--drain"], &self.environment).ended();
        let data = self.folder.join("console");
        let console = RoleProcess::start("console", &data, &[], &self.environment);
        let line = self.console.insert(console).line(&["the API is at"]);
        let address = line.split_whitespace().find(|w| w.ends_with("/api/v1"));
        Api::at(address.unwrap().trim_end_matches("/api/v1"))
    }
}
