//! `waywarden worker`: judges what the log holds and files it, with as many others as wanted.

use super::care::{self, Kept, Mine};
use super::leap::Found;
use super::signals::Signals;
use super::{Common, Http, begin, far_log};
use crate::config::Config;
use crate::profiles::law;
use anyhow::{Context, Result};
use prometheus::IntGauge;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Log;
use waywarden_rules::Profiles;
use waywarden_store::{Store, WorkerStore};
use waywarden_worker::{AcceptGap, Crew, CrewView, Late, Options, Turns, Work};

/// Between two looks at what the crew does.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks whether everything is drained.
const LOOK_DRAINED: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    http: Http,
    /// End when everything that the log holds now is judged and filed by the workers of the
    /// group, and no source and no driver waits to be judged again.
    #[arg(long)]
    drain: bool,
    /// Go on where the log is another one, or does not hold any more what was to be judged next.
    /// What is missing in it is given up, and that is written down.
    #[arg(long)]
    accept_gap: bool,
    /// Go on with other profiles than those that the partitions were judged by. What is on file
    /// stays as it was judged until `waywarden recalculate`.
    #[arg(long)]
    accept_profiles: bool,
}

/// Works until a signal; then what was stepped is committed, and others take over.
///
/// # Errors
/// A configuration that does not fit, a topic that may not be used, a partition that cannot be
/// worked.
pub fn run(args: &Args) -> Result<()> {
    let mut config = args.common.config("worker")?;
    args.http.over(&mut config);
    if args.accept_gap {
        config.worker.accept_gap = AcceptGap::once();
    }
    config.worker.accept_profiles = args.accept_profiles;
    let drain = args.drain;
    begin("worker", config, move |config, signals| {
        serve(config, signals, drain)
    })
}

async fn serve(config: Config, mut signals: Signals, drain: bool) -> Result<()> {
    let (stop, rest) = (CancellationToken::new(), CancellationToken::new());
    let opening = async {
        let store = crate::store::wait_for(&config).await?;
        let log = far_log::wait_for(&config, &stop).await?;
        anyhow::Ok((store, log))
    };
    let (store, log) = tokio::select! {
        opened = opening => opened?,
        why = signals.end() => {
            tracing::info!(why, "stopped before it began");
            return Ok(());
        }
    };
    let log = log.context("told to stop before Kafka was reached")?;
    let make = make_work(&log, &store, law(&config)?, options(&config));
    let crew = Crew::new(log.join().await?, make);
    let view = crew.view();
    let watched = view.clone();
    let metrics = prometheus::Registry::new();
    let figures = tokio::spawn(tell(Figures::new(&metrics)?, view.clone(), rest.clone()));
    let ready = view.clone();
    let probe = waywarden_console::Probe {
        listen: config.telemetry.listen,
        metrics,
        not_ready: Arc::new(move || not_ready(&ready)),
        shutdown: rest.clone(),
    };
    let (probe, http) = waywarden_console::serve_probe(probe).await?;
    tracing::info!(%http, "health and figures");
    let kept = Kept {
        log: config.log_kept,
        rows: config.retention,
    };
    let last_received = store.status().await?.last_received;
    let found = Found::new(crate::clock::now(), last_received);
    let place = care::Place {
        log: Arc::clone(&log),
        store: Arc::clone(&store),
        directory: None,
        mine: mine(view),
    };
    let caring = tokio::spawn(care::care(place, kept, found, rest.clone()));
    let mut working = tokio::spawn(crew.run(stop.clone()));
    let why = tokio::select! {
        why = signals.end() => why,
        // It works until it is told to stop: what ends before has failed, and another process
        // must take over.
        ended = &mut working => {
            let ended = ended.context("the crew ended without an outcome")?;
            return ended.context("the crew ended by itself");
        }
        drained = drained(&log, &store, &watched), if drain => {
            drained?;
            "drained"
        }
    };
    tracing::info!(why, "stopping: what was judged is filed");
    stop.cancel();
    let worked = working.await.context("the crew ended without an outcome")?;
    rest.cancel();
    caring.await.context("upkeep ended without an outcome")??;
    figures
        .await
        .context("the figures ended without an outcome")?;
    probe
        .await
        .context("the probe ended without an outcome")??;
    log.close().await;
    worked?;
    tracing::info!("stopped; nothing is left undone");
    Ok(())
}

/// The worker's options as the configuration has them.
pub fn options(config: &Config) -> Options {
    let kept = i64::try_from(config.retention.positions.as_millis()).unwrap_or(i64::MAX);
    Options {
        retention_ms: Some(kept),
        ..config.worker.clone()
    }
}

/// Makes the work of a partition.
pub fn make_work(
    log: &Arc<dyn Log>,
    store: &Arc<dyn Store>,
    law: Profiles,
    options: Options,
) -> waywarden_worker::MakeWork {
    let (log, store) = (Arc::clone(log), Arc::clone(store));
    let profiles = Arc::new(law);
    Box::new(move |partition| Work {
        partition,
        log: Arc::clone(&log),
        store: Arc::clone(&store) as Arc<dyn WorkerStore>,
        profiles: Arc::clone(&profiles),
        options: options.clone(),
        clock: Arc::new(crate::clock::now),
    })
}

/// The partitions that a crew works.
pub fn mine(view: CrewView) -> Mine {
    Arc::new(move |partition| view.now().working.contains(&partition))
}

fn not_ready(view: &CrewView) -> Vec<String> {
    let stopped = view.now().stopped;
    let label = |p: &u32| format!("partition_{p}_stopped");
    stopped.keys().map(label).collect()
}

/// Works without the other roles until the log is judged and nothing is marked any more. The
/// workers are those that would do it in a running program, at once instead of when it is quiet:
/// what they leave is what it would leave, also when this is killed on the way.
///
/// # Errors
/// What stopped a partition.
pub async fn catch_up(config: &Config, folder: &Path, store: &Arc<dyn Store>) -> Result<()> {
    let log = far_log::open(config, folder).await?;
    let at_once = Options {
        late: Late {
            quiet_ms: 0,
            longest_ms: 0,
            share_percent: 100,
        },
        // Nothing is live here.
        turns: Turns::new(std::thread::available_parallelism().map_or(1, NonZero::get)),
        // It was asked for: these profiles are meant.
        accept_profiles: true,
        ..options(config)
    };
    let place = care::Place {
        log: Arc::clone(&log),
        store: Arc::clone(store),
        directory: None,
        mine: Arc::new(|_| true),
    };
    care::announce(&place).await?;
    let make = make_work(&log, store, law(config)?, at_once);
    let crew = Crew::new(log.join().await?, make);
    let (stop, view) = (CancellationToken::new(), crew.view());
    let mut working = tokio::spawn(crew.run(stop.clone()));
    let drained = tokio::select! {
        drained = drained(&log, store, &view) => drained,
        ended = &mut working => {
            ended.context("the crew ended without an outcome")??;
            anyhow::bail!("the crew ended by itself");
        }
    };
    stop.cancel();
    working
        .await
        .context("the crew ended without an outcome")??;
    log.close().await;
    drained
}

/// Returns when what the log held at the call is on file and nothing waits to be judged again.
///
/// # Errors
/// A partition of the crew stands still.
async fn drained(log: &Arc<dyn Log>, store: &Arc<dyn Store>, view: &CrewView) -> Result<()> {
    let mut ends = Vec::new();
    for partition in 0..log.partitions() {
        ends.push((partition, log.range(partition).await?.1));
    }
    loop {
        let status = store.status().await?;
        let on_file = |partition: u32| {
            let of = status.partitions.iter().find(|p| p.partition == partition);
            of.map_or(0, |p| p.position)
        };
        let behind = ends.iter().filter(|(p, end)| on_file(*p) < *end).count();
        if behind == 0 && status.marks == 0 && status.dirty_subjects == 0 {
            return Ok(());
        }
        if let Some((partition, why)) = view.now().stopped.into_iter().next() {
            anyhow::bail!("partition {partition}: {why}");
        }
        let (marks, subjects) = (status.marks, status.dirty_subjects);
        tracing::info!(behind, marks, subjects, "draining");
        tokio::time::sleep(LOOK_DRAINED).await;
    }
}

/// What a worker tells of itself.
struct Figures {
    working: IntGauge,
    stopped: IntGauge,
}

impl Figures {
    fn new(registry: &prometheus::Registry) -> Result<Self> {
        let working = IntGauge::new(
            "waywarden_worker_working_partitions",
            "Partitions worked here.",
        )?;
        let stopped = IntGauge::new(
            "waywarden_worker_stopped_partitions",
            "Partitions of this worker that stand still until somebody mends what is wrong.",
        )?;
        registry.register(Box::new(working.clone()))?;
        registry.register(Box::new(stopped.clone()))?;
        Ok(Self { working, stopped })
    }
}

async fn tell(figures: Figures, view: CrewView, stop: CancellationToken) {
    let gauge = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    while !stop.is_cancelled() {
        let state = view.now();
        figures.working.set(gauge(state.working.len()));
        figures.stopped.set(gauge(state.stopped.len()));
        // A stop is never far away.
        let _ = tokio::time::timeout(LOOK, stop.cancelled()).await;
    }
}
