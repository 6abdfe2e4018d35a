//! One fault, and what makes it pass.

use super::kinds::{Fault, Harm, Link};
use super::scene::Scene;
use super::support::server::service;
use super::support::wire::{Mood, Wire};
use super::{GATEWAYS, WORKERS, example, frozen, outage};
use rand::Rng;
use rustix::process::Signal;
use std::time::Duration;

/// Longer than a worker's session: what is frozen for so long has lost its partitions.
const BEYOND_SESSION: Duration = Duration::from_secs(9);
pub const NODES: [&str; 3] = ["kafka-1", "kafka-2", "kafka-3"];

pub fn strike(scene: &mut Scene, fault: Fault) {
    match fault {
        Fault::KillGateway => kill_gateway(scene),
        Fault::KillWorker | Fault::StopWorker => {
            let n = scene.random.random_range(0..WORKERS);
            let worker = scene.place.workers.remove(n);
            match fault {
                Fault::KillWorker => worker.kill(),
                _ => worker.stop(),
            }
            let started = scene.place.worker(n);
            scene.place.workers.insert(n, started);
        }
        Fault::FreezeWorker => {
            let n = scene.random.random_range(0..WORKERS);
            scene.place.workers[n].signal(Signal::STOP);
            std::thread::sleep(BEYOND_SESSION);
            scene.place.workers[n].signal(Signal::CONT);
        }
        Fault::FreezeWorkerInsideCopy => frozen::inside_copy(scene),
        Fault::KillKafkaNode => {
            let node = NODES[scene.random.random_range(0..NODES.len())];
            service("kill", node);
            std::thread::sleep(Duration::from_secs(2));
            service("again", node);
            // The next may be another node: two of three must be in sync by then.
            std::thread::sleep(Duration::from_secs(4));
        }
        Fault::FreezeKafka => {
            NODES.iter().for_each(|node| service("freeze", node));
            scene.pause(4000, 8000);
            NODES.iter().for_each(|node| service("thaw", node));
        }
        Fault::KillPostgres => {
            service("kill", "postgres");
            scene.pause(100, 1500);
            service("again", "postgres");
        }
        Fault::KafkaAwayForAMinute => outage::of_kafka(scene),
        Fault::PostgresAwayForAMinute => outage::of_postgres(scene),
        Fault::FullDiskOfSpool => outage::full_spool(scene),
        Fault::FullDiskOfPostgres => outage::full_postgres(scene),
        Fault::ImportRegisters => scene.place.import(&example()),
        Fault::Wire(link, harm) => harm_wires(scene, link, harm),
        Fault::Nodes(harm) => harm_nodes(scene, harm),
        Fault::TopicMadeAnew => unreachable!("it ends the log, and comes last"),
    }
}

fn kill_gateway(scene: &mut Scene) {
    scene.pause(0, 100);
    let n = scene.random.random_range(0..GATEWAYS);
    scene.figures();
    scene.place.gateways.remove(n).kill();
    let started = scene.place.gateway(n);
    scene.place.gateways.insert(n, started);
    scene.another_life(n);
    scene.place.lead_devices();
}

fn wires(scene: &Scene, link: Link) -> Vec<Wire> {
    let place = &scene.place;
    match link {
        Link::DevicesToGateways => place.devices.values().cloned().collect(),
        Link::GatewaysToKafka => place.from_gateways.kafka.clone(),
        Link::GatewaysToStore => place.from_gateways.stores.clone(),
        Link::WorkersToKafka => place.from_workers.kafka.clone(),
        Link::WorkersToStore => place.from_workers.stores.clone(),
    }
}

/// The way to one of the nodes, for the others, or the ways to all.
fn harm_nodes(scene: &mut Scene, harm: Harm) {
    const LINKS: [&str; 3] = ["link-1", "link-2", "link-3"];
    let one = scene.random.random_range(0..2 * LINKS.len());
    let links = LINKS.get(one..=one).unwrap_or(&LINKS);
    let all = |what| links.iter().for_each(|link| service(what, link));
    match harm {
        Harm::Cut => all("kill"),
        Harm::Delayed => {
            for _ in 0..8 {
                all("freeze");
                scene.pause(50, 400);
                all("thaw");
                scene.pause(20, 100);
            }
            return;
        }
        Harm::Stalled => {
            all("freeze");
            scene.pause(2000, 8000);
            return all("thaw");
        }
        Harm::Away => {
            all("kill");
            scene.pause(2000, 8000);
        }
    }
    all("again");
}

/// Some of the wires or all of them.
fn harm_wires(scene: &mut Scene, link: Link, harm: Harm) {
    let mut wires = wires(scene, link);
    let spared = scene.random.random_range(0..wires.len() * 2);
    if spared < wires.len() {
        wires.remove(spared);
    }
    let set = |mood| wires.iter().for_each(|w| w.set(mood));
    match harm {
        Harm::Cut => return wires.iter().for_each(Wire::cut),
        Harm::Delayed => {
            let delay = scene.random.random_range(50..400);
            set(Mood::Slow(Duration::from_millis(delay)));
        }
        Harm::Stalled => set(Mood::Stalled),
        Harm::Away => set(Mood::Down),
    }
    scene.pause(1000, 5000);
    set(Mood::Fine);
}
