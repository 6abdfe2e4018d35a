//! An installation of many processes, with wires between them.

use super::disk::{Disk, MIB};
use super::figures::Figures;
use super::roles::{Environment, RoleProcess};
use super::server::{address, database, on_kafka, on_timescale, server_port, store_at, variables};
use super::wire::Wire;
use super::{Api, Fleet, PROGRAM};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const FROM: &str = "2026-03-10T00:00:00+07:00";
/// In the order of the runs on one disk: vehicles take turns over them.
const PROTOCOLS: [&str; 3] = ["teltonika", "gt06", "jt808"];

/// Size of a spool's own disk, where it has one.
const SPOOL_DISK: u64 = 32 * MIB;

/// What is installed.
#[derive(Clone, Copy)]
pub struct Setup {
    /// On the Kafka of three nodes, with wires between everything and small disks for the spools.
    pub wired: bool,
    pub partitions: u32,
    pub gateways: usize,
    pub workers: usize,
}

/// Wires that lead on from processes of one role; none where nothing is wired.
#[derive(Default)]
pub struct Links {
    /// To the nodes of Kafka.
    pub kafka: Vec<Wire>,
    /// To the store, from each process.
    pub stores: Vec<Wire>,
}

impl Links {
    /// `brokers` names the addresses of the nodes that are given to this role.
    fn new(brokers: &str, processes: usize) -> Self {
        // The nodes listen at the same ports of this address (deploy/services.sh).
        let to_node = |a: &str| {
            let advertised: SocketAddr = a.parse().unwrap();
            Wire::at(advertised, vec![([127, 0, 0, 1], advertised.port()).into()])
        };
        let to_store = |_| Wire::new(vec![([127, 0, 0, 1], server_port()).into()]);
        Self {
            kafka: address(brokers).split(',').map(to_node).collect(),
            stores: (0..processes).map(to_store).collect(),
        }
    }

    /// What leads a process over them.
    fn variables(&self, n: usize, place: &Environment) -> Environment {
        let mut found = Environment::new();
        if !self.kafka.is_empty() {
            let nodes: Vec<_> = self.kafka.iter().map(|w| w.address.to_string()).collect();
            found.extend(variables("LOG", &[("BROKERS", nodes.join(","))]));
        }
        if let Some(store) = self.stores.get(n) {
            found.extend(store_at(&database(place), store.address.port()));
        }
        found
    }
}

/// All processes of an installation, and what is between them.
pub struct Installation {
    pub folder: PathBuf,
    /// Without wires: of commands, and of the last worker.
    pub environment: Environment,
    pub gateways: Vec<RoleProcess>,
    pub workers: Vec<RoleProcess>,
    /// From devices to gateways, by protocol.
    pub devices: BTreeMap<&'static str, Wire>,
    pub from_gateways: Links,
    pub from_workers: Links,
    /// Of the gateways' spools.
    pub disks: Vec<Disk>,
    console: Option<RoleProcess>,
}

impl Installation {
    pub fn start(folder: &Path, setup: Setup, registers: &Path) -> Self {
        let (brokers, copies) = match setup.wired {
            true => ("WAYWARDEN_TEST_KAFKA_CLUSTER", 3),
            false => ("WAYWARDEN_TEST_KAFKA", 1),
        };
        let mut environment = on_kafka(brokers, copies);
        environment.extend(on_timescale());
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
            from_gateways: Links::default(),
            from_workers: Links::default(),
            disks: Vec::new(),
            console: None,
        };
        if setup.wired {
            place.from_gateways = Links::new("WAYWARDEN_TEST_KAFKA_GATEWAYS", setup.gateways);
            place.from_workers = Links::new("WAYWARDEN_TEST_KAFKA_WORKERS", setup.workers);
            let spool = |n| Disk::mount(&place.gateway_folder(n).join("spool"), SPOOL_DISK);
            place.disks = (0..setup.gateways).map(spool).collect();
        }
        place.import(registers);
        place.gateways = (0..setup.gateways).map(|n| place.gateway(n)).collect();
        place.workers = (0..setup.workers).map(|n| place.worker(n)).collect();
        place.lead_devices();
        place
    }

    fn gateway_folder(&self, n: usize) -> PathBuf {
        self.folder.join(format!("gateway-{n}"))
    }

    pub fn gateway(&self, n: usize) -> RoleProcess {
        let mut environment = self.environment.clone();
        environment.extend(self.from_gateways.variables(n, &self.environment));
        environment.extend(variables("GATEWAY", &[("NAME", format!("gateway-{n}"))]));
        let data = self.gateway_folder(n);
        RoleProcess::start("gateway", &data, &["--any-port"], &environment)
    }

    pub fn worker(&self, n: usize) -> RoleProcess {
        let mut environment = self.environment.clone();
        environment.extend(self.from_workers.variables(n, &self.environment));
        let data = self.folder.join(format!("worker-{n}"));
        RoleProcess::start("worker", &data, &[], &environment)
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

    /// Waits until nothing is left in the gateways' spools.
    pub fn drained(&mut self) {
        let until = Instant::now() + Duration::from_secs(120);
        for gateway in &mut self.gateways {
            let (probe, mut state) = (gateway.probe(), 1);
            while state != 0 {
                assert!(Instant::now() < until, "{}", gateway.said().join("\n"));
                std::thread::sleep(Duration::from_millis(100));
                let told = Figures::read(&probe.ask("/metrics").1);
                state = told.gateway("spool_active_state");
            }
        }
    }

    /// Has everything in the log judged and ends gateways and workers, which must end well; what is
    /// on file is asked of a console.
    pub fn finish(&mut self) -> Api {
        self.drained();
        self.gateways.drain(..).for_each(RoleProcess::stop);
        self.workers.drain(..).for_each(RoleProcess::stop);
        let data = self.folder.join("last");
        RoleProcess::start("worker", &data, &["--drain"], &self.environment).ended();
        let data = self.folder.join("console");
        let console = RoleProcess::start("console", &data, &[], &self.environment);
        let line = self.console.insert(console).line(&["the API is at"]);
        let address = line.split_whitespace().find(|w| w.ends_with("/api/v1"));
        Api::at(address.unwrap().trim_end_matches("/api/v1"))
    }
}
