//! The subject stage without a database: what a call covers, how a judge's window widens, and what
//! of its judgement is filed.

use crate::batch::{Claim, Judged, Result, StoreError, SubjectJudge};
use crate::episodes::{Standing, counts_driving, successor};
use std::collections::BTreeSet;
use waywarden_model::{
    Alert, AlertId, DriverDay, DriverId, LocalDay, Period, Subject, TimeZone, Timestamp, Violation,
    ViolationId,
};

/// Times that a judge may ask for an earlier window before it is given everything.
const WIDENED: usize = 32;

/// What a call of the stage covers.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub claim: Claim,
    pub partitions: u32,
    pub limit: usize,
    pub now: Timestamp,
    pub zone: TimeZone,
}

/// The window of periods that a judge is shown.
pub(crate) struct Window {
    pub start: Timestamp,
    tries: usize,
}

impl Window {
    pub fn new(start: Timestamp) -> Self {
        Self { start, tries: 0 }
    }

    /// Whether the judge must be asked again, with what it wants to see before.
    pub fn widens(&mut self, judged: &Judged) -> bool {
        match judged.need_from {
            Some(earlier) if earlier < self.start && self.tries <= WIDENED => {
                self.tries += 1;
                let all = self.tries > WIDENED;
                self.start = if all { Timestamp::MIN } else { earlier };
                true
            }
            _ => false,
        }
    }
}

/// What was judged, and by which periods.
pub(crate) struct Seen {
    pub window: Timestamp,
    pub periods: Vec<Period>,
    pub judged: Judged,
}

/// Whoever drives now was seen this long ago at most: an open period is given out every minute, and
/// arrives within two. What comes later is no reason to tell anybody.
const NOW_MS: i64 = 300_000;

impl Seen {
    /// Limits that come near for whoever drives at `now`.
    pub fn ahead(&self, subject: &Subject, judge: &dyn SubjectJudge, now: Timestamp) -> Vec<Alert> {
        let drives = |p: &Period| p.open && now.since(p.end) <= NOW_MS;
        if !self.periods.iter().any(drives) {
            return Vec::new();
        }
        judge.ahead(subject, self.window, &self.periods, &self.judged)
    }
}

/// Of the subject's alerts that go on, those that are over.
pub(crate) fn over(open: Vec<AlertId>, ahead: &[Alert]) -> Vec<AlertId> {
    let near: BTreeSet<AlertId> = ahead.iter().map(Alert::id).collect();
    open.into_iter().filter(|id| !near.contains(id)).collect()
}

/// What is complete from `settled_from` on.
///
/// # Errors
/// The judge stated something that is not the subject's.
pub(crate) fn settled<'a>(subject: &Subject, judged: &'a Judged) -> Result<Vec<&'a Violation>> {
    let stated: Vec<&Violation> = judged
        .violations
        .iter()
        .filter(|v| v.start >= judged.settled_from)
        .collect();
    let foreign = |v: &&&Violation| v.subject != *subject || !counts_driving(v.kind);
    match stated.iter().find(foreign) {
        Some(v) => Err(StoreError::Failed(format!(
            "the subject stage stated a violation of another owner ({})",
            v.kind.name()
        ))),
        None => Ok(stated),
    }
}

/// Of the subject's violations on file from there on, those that are stated no longer, each with
/// what takes its place.
pub(crate) fn fallen(
    stated: &[&Violation],
    on_file: &[Standing],
) -> Vec<(ViolationId, Option<ViolationId>)> {
    let ids: BTreeSet<ViolationId> = stated.iter().map(|v| v.id()).collect();
    on_file
        .iter()
        .filter(|old| counts_driving(old.kind) && !ids.contains(&old.file.id))
        .map(|old| (old.file.id, successor(old, stated)))
        .collect()
}

/// A driver's days from the first settled one on, and that day.
pub(crate) fn days<'a>(
    driver: &DriverId,
    judged: &'a Judged,
    zone: &TimeZone,
) -> (LocalDay, Vec<&'a DriverDay>) {
    let first = zone.day_of(judged.settled_from);
    let settled = |d: &&DriverDay| d.day >= first && d.driver == *driver;
    (first, judged.driver_days.iter().filter(settled).collect())
}
