//! The live stream: positions as the worker files them, violations as the store commits them.
//!
//! Violations are read from the changes, in their order, and carry their number: a client that
//! comes back is given what it missed. Positions are only ever the present. A client that cannot
//! keep up is told to load again, and dropped.

use crate::state::App;
use crate::view::violation::{ChangeHead, ChangeView, ViolationView};
use axum::response::sse::Event;
use futures::Stream;
use serde::Serialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use waywarden_model::Timestamp;

/// How often the changes are looked at; part of the time from frame to screen.
const POLL: Duration = Duration::from_millis(200);
/// Changes read at once.
const PAGE: usize = 500;
/// Changes that a client may have missed; beyond it loads again.
pub(crate) const MAX_MISSED: usize = 1000;
/// Changes that wait for a slow client.
pub(crate) const QUEUE: usize = 1024;

/// A filed position, as the worker announces it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct LivePosition {
    pub source: String,
    /// Plate; none where no vehicle is fitted.
    #[serde(rename = "vehicle")]
    pub plate: Option<String>,
    pub time: Timestamp,
    /// Degrees, WGS 84.
    pub lat: f64,
    pub lon: f64,
    /// km/h.
    #[serde(rename = "speed_kmh")]
    pub speed: Option<f64>,
    /// Degrees clockwise from north.
    #[serde(rename = "course_deg")]
    pub course: Option<f64>,
    #[serde(rename = "driver_id")]
    pub driver: Option<String>,
}

/// A change, written once for all clients.
#[derive(Debug)]
pub(crate) struct LiveChange {
    pub seq: i64,
    pub json: String,
}

impl LiveChange {
    fn of(
        row: &(
            waywarden_store::read::Change,
            waywarden_store::read::FiledViolation,
        ),
    ) -> Self {
        let view = ChangeView {
            change: ChangeHead::from(&row.0),
            violation: ViolationView::from(&row.1),
        };
        Self {
            seq: row.0.seq,
            json: serde_json::to_string(&view).expect("views have text keys and finite numbers"),
        }
    }
}

/// Reads changes behind `last` for all clients until the console stops. `last` is read before the
/// first client can come, so that none of them waits for a change that was passed over.
pub(crate) async fn poll_changes(app: Arc<App>, mut last: i64) {
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
        if let Err(e) = poll_once(&app, &mut last).await {
            tracing::warn!(
                label = e.label(),
                "the live stream could not read the changes"
            );
        }
    }
}

async fn poll_once(app: &App, last: &mut i64) -> waywarden_store::Result<()> {
    let seqs = app.store.changes_after(*last, PAGE).await?;
    // Looked at behind the read: a client that subscribes later starts behind these numbers.
    if app.changes.receiver_count() > 0 {
        for row in app.store.changes(&seqs).await? {
            // Without a receiver there is nobody to miss it.
            let _ = app.changes.send(Arc::new(LiveChange::of(&row)));
        }
    }
    *last = seqs.last().copied().unwrap_or(*last);
    Ok(())
}

/// One client.
pub(crate) struct Client {
    app: Arc<App>,
    positions: Receiver<LivePosition>,
    changes: Receiver<Arc<LiveChange>>,
    /// What it missed, to be given first.
    missed: VecDeque<LiveChange>,
    /// Changes at or below it have been given.
    given: i64,
    /// Told to load again before anything else.
    stale: bool,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Client {
    /// # Errors
    /// When the store cannot say where the changes stand.
    pub async fn new(
        app: Arc<App>,
        last_id: Option<i64>,
        permit: OwnedSemaphorePermit,
    ) -> waywarden_store::Result<Self> {
        // Subscribed before the store is read, so that nothing falls between the two.
        let (positions, changes) = (app.positions.subscribe(), app.changes.subscribe());
        let head = app.store.last_change().await?;
        let given = last_id.unwrap_or(head);
        let mut missed = VecDeque::new();
        let seqs = app.store.changes_after(given, MAX_MISSED + 1).await?;
        let stale = last_id.is_some() && (seqs.len() > MAX_MISSED || given > head);
        if !stale {
            for row in app.store.changes(&seqs).await? {
                missed.push_back(LiveChange::of(&row));
            }
        }
        Ok(Self {
            app,
            positions,
            changes,
            missed,
            given,
            stale,
            over: false,
            _permit: permit,
        })
    }

    pub fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        futures::stream::unfold(self, |mut client| async move {
            let event = client.next().await?;
            Some((Ok(event), client))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        if self.stale {
            return Some(self.reload());
        }
        loop {
            if let Some(change) = self.missed.pop_front() {
                self.given = self.given.max(change.seq);
                return Some(violation(&change));
            }
            let stopping = self.app.stopping.clone();
            tokio::select! {
                biased;
                () = stopping.cancelled() => return None,
                change = self.changes.recv() => match change {
                    Ok(c) if c.seq <= self.given => {}
                    Ok(c) => {
                        self.given = c.seq;
                        return Some(violation(&c));
                    }
                    Err(RecvError::Lagged(_)) => return Some(self.reload()),
                    Err(RecvError::Closed) => return None,
                },
                position = self.positions.recv() => match position {
                    Ok(p) => return Some(position_event(&p)),
                    Err(RecvError::Lagged(_)) => return Some(self.reload()),
                    Err(RecvError::Closed) => return None,
                },
            }
        }
    }

    fn reload(&mut self) -> Event {
        self.over = true;
        Event::default().event("reload").data("{}")
    }
}

fn violation(c: &LiveChange) -> Event {
    Event::default()
        .event("violation")
        .id(c.seq.to_string())
        .data(&c.json)
}

fn position_event(p: &LivePosition) -> Event {
    let json = serde_json::to_string(p).expect("text keys; numbers that are not finite are null");
    Event::default().event("position").data(json)
}
