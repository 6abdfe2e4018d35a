//! Log to store, with the real ones: what is filed at the end is what judging the same records in
//! one go gives, however often the worker was stopped or lost in between.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

mod support;

use support::*;
use tokio_util::sync::CancellationToken;
use waywarden_model::Violation;
use waywarden_model::hash::content_hash;
use waywarden_store::{FactStore, WorkerStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_facts_on_file_are_those_of_judging_in_one_go() {
    let dir = tempfile::tempdir().unwrap();
    let (log, store) = open(dir.path());
    let fleet = fleet();
    let expected = judged_at_once(&fleet);
    let mut appended = 0;
    let parts = [0..2000, 2000..4500, 4500..4520, 4520..7000, 7000..8640];
    for (n, part) in parts.into_iter().enumerate() {
        append(log.as_ref(), &fleet, part.clone()).await;
        let chunks = part.len().div_ceil(20) as u64;
        // Every seventh frame is sent twice; the last one of a part may be short.
        let again = chunks.div_ceil(7) * 20;
        appended += fleet.len() as u64 * (part.len() as u64 + again);
        let stop = CancellationToken::new();
        let mut workers = Vec::new();
        for partition in 0..PARTITIONS {
            let worker = worker(partition, &log, &store).await;
            workers.push(tokio::spawn(worker.run(stop.clone())));
        }
        caught_up(&log, &store, appended).await;
        if n % 2 == 0 {
            // Lost: nothing is saved that was not saved before.
            for worker in workers {
                worker.abort();
                let _ = worker.await;
            }
        } else {
            stop.cancel();
            for worker in workers {
                worker.await.unwrap().unwrap();
            }
        }
    }
    let stop = CancellationToken::new();
    stop.cancel();
    for partition in 0..PARTITIONS {
        worker(partition, &log, &store)
            .await
            .run(stop.clone())
            .await
            .unwrap();
    }

    let on_file = all_violations(&store).await;
    let wanted: Vec<Violation> = expected.violations.clone();
    for (id, got) in closed(&on_file) {
        let want = wanted.iter().find(|v| v.id().to_string() == id);
        assert_eq!(Some(&got), want, "{:?}", got.kind);
    }
    assert_eq!(on_file.len(), wanted.len());
    let kinds: std::collections::BTreeSet<_> = on_file.iter().map(|v| v.kind.name()).collect();
    assert!(
        kinds.contains("overspeed") && kinds.contains("continuous_driving"),
        "{kinds:?}"
    );
    let periods = store.periods_after(None, 100_000).await.unwrap();
    assert_eq!(periods, expected.periods);
    assert_eq!(
        store.day_rows_after(None, 1000).await.unwrap(),
        expected.day_rows
    );
    let driver_days = store.driver_days_after(None, 1000).await.unwrap();
    assert_eq!(driver_days, expected.driver_days);
    assert!(
        driver_days.iter().any(|d| d.driving_ms > 10 * 3_600_000),
        "somebody drove long"
    );
    for (source, records) in &fleet {
        let filed = store.filed_after(source, None, 100_000).await.unwrap();
        let got: Vec<_> = filed.iter().map(|(t, h, _)| (*t, *h)).collect();
        let mut want: Vec<_> = records.iter().map(|r| (r.time, content_hash(r))).collect();
        want.sort_by_key(|(t, _)| *t);
        assert_eq!(got, want, "every record once");
    }
    for partition in 0..PARTITIONS {
        let c = store.counters(partition).await.unwrap();
        assert_eq!(c.read, c.filed + c.repeated + c.aside + c.refused, "{c:?}");
        assert!(c.repeated > 0 && c.late == 0, "{c:?}");
    }
}
