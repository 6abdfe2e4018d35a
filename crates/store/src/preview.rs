//! What judging again would change, without changing it. The steps are those that filing takes;
//! here they are only told. Periods that would be others lie over those on file, so that driving
//! hours are judged by what would be on file.

use crate::batch::{Result, SubjectJudge};
use crate::episodes::{Former, step};
use crate::read::{ChangeKind, FiledViolation, Status};
use crate::rebuild::Rebuilt;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use waywarden_model::{Period, SourceId, Subject, Timestamp, Violation, ViolationId};

/// A change that judging again would make.
#[derive(Clone, PartialEq, Debug)]
pub struct Foreseen {
    pub id: ViolationId,
    pub kind: ChangeKind,
    /// As it would be stated; where it falls, as it is on file.
    pub violation: Violation,
    /// What takes the place of one that falls.
    pub replaced_by: Option<ViolationId>,
}

/// What judging one source again would change.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourcePreview {
    pub changes: Vec<Foreseen>,
    pub periods: Overlay,
    /// Whose driving hours would be judged again, and from when on.
    pub subjects: BTreeMap<Subject, Timestamp>,
}

/// Periods that would be others than on file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Overlay {
    gone: BTreeSet<(SourceId, Timestamp)>,
    stated: BTreeMap<(SourceId, Timestamp), Period>,
}

impl Overlay {
    /// Takes those of another source in.
    pub fn extend(&mut self, other: Self) {
        self.gone.extend(other.gone);
        self.stated.extend(other.stated);
    }

    /// The subject's periods that begin at `from` or later, given those on file.
    pub(crate) fn laid(
        &self,
        subject: &Subject,
        from: Timestamp,
        mut on_file: Vec<Period>,
    ) -> Vec<Period> {
        if self.gone.is_empty() && self.stated.is_empty() {
            return on_file;
        }
        on_file.retain(|p| {
            let key = (p.source.clone(), p.start);
            !self.gone.contains(&key) && !self.stated.contains_key(&key)
        });
        let theirs = |p: &&Period| p.start >= from && p.subject() == *subject;
        on_file.extend(self.stated.values().filter(theirs).cloned());
        on_file.sort_by(|a, b| (a.start, &a.source).cmp(&(b.start, &b.source)));
        on_file
    }
}

/// Judging again for somebody who only looks. Each call reads one instant of the store.
#[async_trait]
pub trait PreviewStore: Send + Sync {
    /// What [`replace`](crate::RebuildStore::replace) would change.
    async fn preview_source(&self, rebuilt: Rebuilt) -> Result<SourcePreview>;

    /// What judging the subject's hours from an instant on would change, with `over` lying over
    /// the periods on file.
    async fn preview_subject(
        &self,
        subject: &Subject,
        from: Timestamp,
        over: Arc<Overlay>,
        judge: Arc<dyn SubjectJudge>,
    ) -> Result<Vec<Foreseen>>;
}

/// A violation as the rules would state it over what is on file; None where nothing changes, or it
/// only grows.
pub(crate) fn stated(former: Option<&Former>, v: &Violation) -> Result<Option<Foreseen>> {
    let change = step(former, v)?.and_then(|step| step.change);
    Ok(change.map(|kind| Foreseen {
        id: v.id(),
        kind,
        violation: v.clone(),
        replaced_by: None,
    }))
}

/// A violation that the rules would no longer state; one that was reviewed is kept and marked,
/// once.
pub(crate) fn falls(old: FiledViolation, replaced_by: Option<ViolationId>) -> Option<Foreseen> {
    let kind = match old.status {
        Status::New => ChangeKind::Withdrawn,
        Status::Withdrawn => return None,
        Status::Confirmed | Status::Dismissed => {
            if old.evidence_changed && old.replaced_by == replaced_by {
                return None;
            }
            ChangeKind::Amended
        }
    };
    Some(Foreseen {
        id: old.id,
        kind,
        violation: old.violation,
        replaced_by,
    })
}

/// The periods that would be others, and whose hours these are: with the subjects of all that is
/// on file in the stretch, which are judged again whether their periods change or not.
pub(crate) fn periods(r: &Rebuilt, on_file: &[Period]) -> (Overlay, BTreeMap<Subject, Timestamp>) {
    let mut over = Overlay::default();
    let mut subjects: BTreeMap<Subject, Timestamp> = BTreeMap::new();
    let mut concern = |p: &Period| {
        let from = subjects.entry(p.subject()).or_insert(p.start);
        *from = p.start.min(*from);
    };
    let starts = r.period_starts();
    for old in on_file {
        if !starts.contains(&old.start) {
            over.gone.insert((old.source.clone(), old.start));
            concern(old);
        } else if old.end >= r.mark.from && old.start <= r.mark.upto {
            concern(old);
        }
    }
    for new in &r.periods {
        let old = on_file.iter().find(|old| old.start == new.start);
        if old != Some(new) {
            old.into_iter().chain([new]).for_each(&mut concern);
            let key = (new.source.clone(), new.start);
            over.stated.insert(key, new.clone());
        }
    }
    (over, subjects)
}
