//! All partitions that fall to this process, each worked by a task of its own.

use crate::error::WorkerError;
use crate::work::Work;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use waywarden_bus::Share;

/// Makes the work of a partition.
pub type MakeWork = Box<dyn Fn(u32) -> Work + Send>;

/// What the crew is about, for pages and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrewState {
    /// Partitions worked here.
    pub working: BTreeSet<u32>,
    /// Partitions that fell to this process and cannot be worked, and why.
    pub stopped: BTreeMap<u32, String>,
}

/// A view of a crew's state that outlives it.
#[derive(Debug, Clone, Default)]
pub struct CrewView(Arc<Mutex<CrewState>>);

impl CrewView {
    pub fn now(&self) -> CrewState {
        self.with(|state| state.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut CrewState) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Works what falls to this process, takes up what is given to it and puts down what is taken.
///
/// A partition that cannot be worked for good stands still, is told, and does not keep the others
/// from going on; another member of the group would find the same.
pub struct Crew {
    share: Share,
    make: MakeWork,
    view: CrewView,
    tasks: JoinSet<Result<(), WorkerError>>,
    /// Partition of each task, for one that ends in a panic.
    ids: HashMap<Id, u32>,
    stops: BTreeMap<u32, CancellationToken>,
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew")
            .field("state", &self.view.now())
            .finish_non_exhaustive()
    }
}

impl Crew {
    pub fn new(share: Share, make: MakeWork) -> Self {
        Self {
            share,
            make,
            view: CrewView::default(),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            stops: BTreeMap::new(),
        }
    }

    pub fn view(&self) -> CrewView {
        self.view.clone()
    }

    /// Works until `stop`; then every partition commits what was stepped, and the group is left.
    ///
    /// # Errors
    /// What stopped a partition for good, after the others have ended.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), WorkerError> {
        let mut failed = None;
        while !stop.is_cancelled() {
            let mine = self.share.mine();
            self.put_down(&mine);
            self.take_up(&mine);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.share.changed() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended, &mut failed),
            }
        }
        self.stops.values().for_each(CancellationToken::cancel);
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended, &mut failed);
        }
        // Leaving waits for the group's answer.
        let share = self.share;
        // An error is a panic of leaving, which the process survives.
        let _ = tokio::task::spawn_blocking(move || drop(share)).await;
        failed.map_or(Ok(()), Err)
    }

    fn put_down(&mut self, mine: &BTreeSet<u32>) {
        for (partition, stop) in &self.stops {
            if !mine.contains(partition) {
                stop.cancel();
            }
        }
        self.view
            .with(|s| s.stopped.retain(|p, _| mine.contains(p)));
    }

    fn take_up(&mut self, mine: &BTreeSet<u32>) {
        for partition in mine {
            let stands = self.view.with(|s| s.stopped.contains_key(partition));
            if stands || self.stops.contains_key(partition) {
                continue;
            }
            let (work, held) = ((self.make)(*partition), self.share.hold(*partition));
            let log = Arc::clone(&work.log);
            let contested = self.share.is_shared();
            let (partition, stop) = (*partition, CancellationToken::new());
            self.stops.insert(partition, stop.clone());
            self.view.with(|s| s.working.insert(partition));
            let task = self.tasks.spawn(async move {
                let ended = work.work(contested, stop).await;
                log.rest(partition);
                drop(held);
                ended
            });
            self.ids.insert(task.id(), partition);
        }
    }

    fn ended(
        &mut self,
        ended: Result<(Id, Result<(), WorkerError>), JoinError>,
        failed: &mut Option<WorkerError>,
    ) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            // The message that a defect shows itself at would end one worker after the other with
            // all that it works: the partition stands still, and the others go on.
            Err(error) => (error.id(), Err(WorkerError::Defect(error.to_string()))),
        };
        let Some(partition) = self.ids.remove(&id) else {
            return;
        };
        self.view.with(|s| s.working.remove(&partition));
        let stop = self.stops.remove(&partition);
        let Err(error) = outcome else { return };
        if error.may_pass() || error.is_superseded() {
            // It was told to stop while the store or the log was away: its successor goes on at
            // the position on file.
            let told = stop.is_some_and(|s| s.is_cancelled());
            tracing::warn!(partition, %error, told, "a partition was put down in the middle");
        } else {
            tracing::error!(partition, %error, "a partition stands still until this is mended");
            let why = error.to_string();
            self.view.with(|s| s.stopped.insert(partition, why));
            *failed = Some(error);
        }
    }
}
