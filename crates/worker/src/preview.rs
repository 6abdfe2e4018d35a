//! What judging again would change, told to somebody who decides whether it shall.

use crate::law::Law;
use crate::rebuild::{RebuildError, judge_again};
use crate::stage::Bounds;
use crate::subjects::Subjects;
use std::collections::BTreeMap;
use std::sync::Arc;
use waywarden_model::{Subject, Timestamp};
use waywarden_store::{
    Foreseen, Mark, Overlay, PreviewStore, RebuildStore, StoreError, Stretch, SubjectJudge,
};

/// Judges sources again, one after the other, and behind them the driving hours that they show, as
/// a worker would with this law. Nothing is written. What the sources' marks on file would change
/// besides is not in it.
pub struct Preview<'a, S: ?Sized> {
    store: &'a S,
    law: &'a Law,
    bounds: Bounds,
    judge: Arc<dyn SubjectJudge>,
    now: Timestamp,
    over: Arc<Overlay>,
    subjects: BTreeMap<Subject, Timestamp>,
}

impl<S: ?Sized> std::fmt::Debug for Preview<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").finish_non_exhaustive()
    }
}

impl<'a, S: RebuildStore + PreviewStore + ?Sized> Preview<'a, S> {
    pub fn new(store: &'a S, law: &'a Law, bounds: Bounds, now: Timestamp) -> Self {
        Self {
            store,
            law,
            bounds,
            judge: Arc::new(Subjects::new(Arc::clone(law.profiles()))),
            now,
            over: Arc::default(),
            subjects: BTreeMap::new(),
        }
    }

    /// What judging the stretch again would change among its source's own violations.
    ///
    /// # Errors
    /// What the store said; a saved state that cannot be read.
    pub async fn source(&mut self, stretch: Stretch) -> Result<Vec<Foreseen>, RebuildError> {
        let mark = Mark {
            source: stretch.source,
            from: stretch.from,
            upto: stretch.upto,
            removed: None,
            created: self.now,
            updated: self.now,
        };
        let again = judge_again(self.store, self.law, self.bounds, mark, self.now).await?;
        let found = self.store.preview_source(again.rebuilt).await?;
        Arc::make_mut(&mut self.over).extend(found.periods);
        for (subject, from) in found.subjects {
            let earliest = self.subjects.entry(subject).or_insert(from);
            *earliest = from.min(*earliest);
        }
        Ok(found.changes)
    }

    /// What would change among the driving hours of the next driver, vehicle or source that was
    /// concerned so far; None behind the last of them.
    ///
    /// # Errors
    /// What the store said.
    pub async fn next_subject(&mut self) -> Result<Option<Vec<Foreseen>>, StoreError> {
        let Some((subject, from)) = self.subjects.pop_first() else {
            return Ok(None);
        };
        let (over, judge) = (Arc::clone(&self.over), Arc::clone(&self.judge));
        let found = self
            .store
            .preview_subject(&subject, from, over, judge)
            .await?;
        Ok(Some(found))
    }
}
