//! Working a partition through what passes by itself: claimed again for as long as it is wanted.

use crate::error::WorkerError;
use crate::options::{Clock, Options};
use crate::partition::Partition;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waywarden_bus::Log;
use waywarden_rules::Profiles;
use waywarden_store::WorkerStore;

/// What a partition is worked with.
#[derive(Clone)]
pub struct Work {
    pub partition: u32,
    pub log: Arc<dyn Log>,
    pub store: Arc<dyn WorkerStore>,
    pub profiles: Arc<Profiles>,
    pub options: Options,
    pub clock: Clock,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

/// First and longest wait before a partition is claimed again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

impl Work {
    /// Claims the partition, see [`Partition::claim`].
    ///
    /// # Errors
    /// Those of the claim.
    pub async fn claim(&self) -> Result<Partition, WorkerError> {
        let this = self.clone();
        Partition::claim(
            this.partition,
            this.log,
            this.store,
            this.profiles,
            this.options,
            this.clock,
        )
        .await
    }

    /// Claims the partition and works it until `stop`, see [`Self::keep_working`].
    ///
    /// Where the partition is `contested` another owner's claim is no failure: for a moment two
    /// members of a group may believe that it is theirs, and it is claimed again if it still is.
    ///
    /// # Errors
    /// Those of [`Self::keep_working`].
    pub async fn work(self, contested: bool, stop: CancellationToken) -> Result<(), WorkerError> {
        let first = self.claim().await;
        self.go_on(first, contested, stop).await
    }

    /// Works a claimed partition until `stop`, and claims it again when store or log failed in a
    /// way that may be over by itself.
    ///
    /// # Errors
    /// Any other failure, and any at all once it was told to stop.
    pub async fn keep_working(
        self,
        claimed: Partition,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        self.go_on(Ok(claimed), false, stop).await
    }

    async fn go_on(
        self,
        first: Result<Partition, WorkerError>,
        contested: bool,
        stop: CancellationToken,
    ) -> Result<(), WorkerError> {
        let (mut next, mut wait) = (first, AGAIN.0);
        loop {
            let begun = Instant::now();
            let ended = match next {
                Ok(partition) => partition.run(stop.clone()).await,
                Err(error) => Err(error),
            };
            let error = match ended {
                Ok(()) => return Ok(()),
                Err(error) if error.may_pass() && !stop.is_cancelled() => error,
                Err(error) if contested && error.is_superseded() && !stop.is_cancelled() => {
                    wait = AGAIN.1;
                    error
                }
                Err(error) => return Err(error),
            };
            // A partition that worked for a while begins to wait anew.
            if begun.elapsed() > AGAIN.1 {
                wait = AGAIN.0;
            }
            if wait == AGAIN.0 {
                let partition = self.partition;
                tracing::warn!(partition, %error, "judging stands still; it is tried again");
            }
            tokio::select! {
                () = stop.cancelled() => return Err(error),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(AGAIN.1);
            next = self.claim().await;
        }
    }
}
