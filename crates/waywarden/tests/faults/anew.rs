//! Kafka's topic is deleted and made anew under its name: nothing of it is judged, and the worker
//! says why.

use super::PARTITIONS;
use super::scene::{Scene, until};
use super::support::server::address;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

fn delete(topic: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address("WAYWARDEN_TEST_KAFKA_CLUSTER"));
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let done = runtime.block_on(admin.delete_topics(&[topic], &AdminOptions::new()));
    assert!(done.unwrap().iter().all(Result::is_ok));
}

pub fn topic_made_anew(scene: &mut Scene) {
    let environment = &scene.place.environment;
    let (_, topic) = environment
        .iter()
        .find(|(n, _)| n.ends_with("__TOPIC"))
        .unwrap();
    let before = scene.positions();
    delete(topic);
    // The gateway makes it, and its ticks are in it.
    let gateway = scene.place.gateway(0);
    scene.place.gateways.push(gateway);
    let mut worker = scene.place.worker(0);
    let probe = worker.probe();
    until("every partition stands still", 90, || {
        let stopped = worker
            .figures()
            .of("waywarden_worker_stopped_partitions", "");
        stopped == u64::from(PARTITIONS)
    });
    let (status, reasons) = probe.ask("/readyz");
    assert_eq!(status, 503, "{reasons}");
    assert!(reasons.contains("partition_0_stopped"), "{reasons}");
    let said = worker.line(&["a partition stands still until this is mended"]);
    assert!(said.contains("--accept-gap"), "{said}");
    assert_eq!(scene.positions(), before, "nothing of it is judged");
    scene.place.gateways.drain(..).for_each(|g| g.stop());
}
