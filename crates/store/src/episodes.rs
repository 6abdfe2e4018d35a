//! What becomes of a violation that is on file when the rules state it again, or no longer: which
//! revision, which change, whether evidence is frozen. The databases only read and write.

use crate::batch::{OnFile, Result};
use crate::read::{ChangeKind, Status};
use crate::rows::to_json;
use sha2::{Digest, Sha256};
use waywarden_model::{Kind, Timestamp, Violation, ViolationId};

/// What decides about the next step of a violation that is on file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Former {
    pub content: Vec<u8>,
    pub registry: u32,
    pub open: bool,
    pub status: Status,
    pub revision: u32,
    pub evidence_changed: bool,
    /// Another one took its place.
    pub replaced: bool,
}

/// A violation to write, with what the store adds to what the rules state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    /// It is not on file yet.
    pub insert: bool,
    pub content: Vec<u8>,
    pub status: Status,
    pub evidence_changed: bool,
    pub revision: u32,
    /// None: it only grew, which is no revision.
    pub change: Option<ChangeKind>,
    /// The episode is complete: copies of what it rests on are kept with the revision.
    pub freeze: bool,
}

impl Step {
    /// What is on file once the step is written.
    pub fn former(&self, v: &Violation) -> Former {
        Former {
            content: self.content.clone(),
            registry: v.registry,
            open: v.open,
            status: self.status,
            revision: self.revision,
            evidence_changed: self.evidence_changed,
            replaced: false,
        }
    }
}

impl Former {
    /// Whether the violation is on file as it is stated now. One that differs in the number of the
    /// registry version alone rests on the same facts: it keeps the version it was judged with.
    fn says(&self, v: &Violation, content_now: &[u8]) -> Result<bool> {
        if self.replaced {
            return Ok(false);
        }
        if self.content == content_now {
            return Ok(true);
        }
        if self.registry == v.registry || self.open != v.open {
            return Ok(false);
        }
        let mut as_then = v.clone();
        as_then.registry = self.registry;
        Ok(self.content == content(&as_then)?)
    }
}

/// The step from what is on file to what the rules state now; None where nothing changes.
pub(crate) fn step(former: Option<&Former>, v: &Violation) -> Result<Option<Step>> {
    let content = content(v)?;
    let Some(former) = former else {
        return Ok(Some(Step {
            insert: true,
            content,
            status: Status::New,
            evidence_changed: false,
            revision: 1,
            change: Some(ChangeKind::Created),
            freeze: !v.open,
        }));
    };
    let withdrawn = former.status == Status::Withdrawn;
    if !withdrawn && former.says(v, &content)? {
        return Ok(None);
    }
    let reviewed = matches!(former.status, Status::Confirmed | Status::Dismissed);
    let grows = former.open && v.open && !withdrawn;
    let change = match (withdrawn, former.open, v.open) {
        (true, ..) => ChangeKind::Created,
        (false, true, false) => ChangeKind::Closed,
        _ => ChangeKind::Amended,
    };
    Ok(Some(Step {
        insert: false,
        content,
        status: if withdrawn {
            Status::New
        } else {
            former.status
        },
        evidence_changed: former.evidence_changed || (reviewed && !grows),
        revision: former.revision + u32::from(!grows),
        change: (!grows).then_some(change),
        freeze: !grows && !v.open,
    }))
}

/// Hash of all that the rules state.
fn content(v: &Violation) -> Result<Vec<u8>> {
    Ok(Sha256::digest(to_json(v)?.as_bytes()).to_vec())
}

/// A violation that stands, with what finds its successor when it falls.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Standing {
    pub file: OnFile,
    pub kind: Kind,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Of the same kind, the one with the greatest overlap in time; of equals the earliest.
pub(crate) fn successor(old: &Standing, stated: &[&Violation]) -> Option<ViolationId> {
    let overlap = |v: &Violation| v.end.min(old.end).since(v.start.max(old.start));
    stated
        .iter()
        .filter(|v| v.kind == old.kind && overlap(v) > 0)
        .max_by_key(|v| (overlap(v), std::cmp::Reverse(v.start)))
        .map(|v| v.id())
}

/// Kinds that the subject stage states: they rest on periods.
pub(crate) const fn counts_driving(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ContinuousDriving
            | Kind::DailyDriving
            | Kind::WeeklyDriving
            | Kind::TwoWeeklyDriving
            | Kind::DailyRest
            | Kind::WeeklyRest
            | Kind::DriverNotIdentified
            | Kind::CardInTwoVehicles
            | Kind::DailyDuty
    )
}
