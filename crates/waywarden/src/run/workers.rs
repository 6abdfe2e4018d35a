//! The workers of this process: beside the other roles, or alone until nothing is left to judge.

use super::PARTITIONS;
use super::roles::{announce, open_log};
use crate::config::Config;
use anyhow::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Log;
use waywarden_rules::Profiles;
use waywarden_store::{DataFolder, Store, WorkerStore};
use waywarden_worker::{Late, Options, Work, WorkerError};

pub type Worker = JoinHandle<Result<(), WorkerError>>;

/// Time between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How the configuration has partitions worked.
pub fn options(config: &Config) -> Options {
    let kept = i64::try_from(config.retention.positions.as_millis()).unwrap_or(i64::MAX);
    Options {
        retention_ms: Some(kept),
        ..config.worker.clone()
    }
}

/// Claims every partition and works it.
///
/// # Errors
/// What is wrong for good, before anything is worked.
pub async fn start(
    log: &Arc<dyn Log>,
    store: &Arc<dyn Store>,
    options: &Options,
    stop: &CancellationToken,
) -> Result<Vec<Worker>> {
    let mut workers = Vec::new();
    for partition in 0..PARTITIONS {
        let work = Work {
            partition,
            log: Arc::clone(log),
            store: Arc::clone(store) as Arc<dyn WorkerStore>,
            profiles: Arc::new(Profiles::vietnam()),
            options: options.clone(),
            clock: Arc::new(crate::clock::now),
        };
        let claimed = work.claim().await?;
        workers.push(tokio::spawn(work.keep_working(claimed, stop.clone())));
    }
    Ok(workers)
}

/// Waits for the first worker to end by itself, which none should.
pub async fn first_end(workers: &mut Vec<Worker>) -> anyhow::Error {
    loop {
        if let Some(at) = workers.iter().position(JoinHandle::is_finished) {
            return match workers.swap_remove(at).await {
                Ok(Ok(())) => anyhow::anyhow!("a worker ended before it was told to"),
                Ok(Err(error)) => error.into(),
                Err(error) => error.into(),
            };
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Works without the other roles until the log is judged and nothing is marked any more. The
/// workers are those that would do it in a running program, at once instead of when it is quiet:
/// what they leave is what it would leave, also when this is killed on the way.
///
/// # Errors
/// What stopped a worker.
pub async fn catch_up(config: &Config, folder: &DataFolder, store: &Arc<dyn Store>) -> Result<()> {
    let log = open_log(config, folder).await?;
    announce(store.as_ref(), log.as_ref()).await?;
    let at_once = Options {
        late: Late {
            quiet_ms: 0,
            longest_ms: 0,
            share_percent: 100,
        },
        ..options(config)
    };
    let stop = CancellationToken::new();
    let mut workers = start(&log, store, &at_once, &stop).await?;
    let ended = tokio::select! {
        failed = first_end(&mut workers) => Err(failed),
        done = nothing_left(log.as_ref(), store.as_ref()) => done,
    };
    stop.cancel();
    for worker in workers {
        worker.await??;
    }
    log.close().await;
    ended
}

async fn nothing_left(log: &dyn Log, store: &dyn Store) -> Result<()> {
    loop {
        let status = store.status().await?;
        let mut left = status.marks + status.dirty_subjects;
        for p in status
            .partitions
            .iter()
            .filter(|p| p.partition < PARTITIONS)
        {
            let (_, end) = log.range(p.partition).await?;
            left += end.saturating_sub(p.position);
        }
        if left == 0 {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
