//! What judging again would change on the server.

use super::cells::all;
use super::trouble::Outcome;
use super::work::Work;
use super::{Reading, TimescaleStore, Who, rebuild, subjects, violations};
use crate::batch::{Result, SubjectJudge};
use crate::filed::{violation, violation_columns};
use crate::preview::{self, Foreseen, Overlay, PreviewStore, SourcePreview};
use crate::rebuild::Rebuilt;
use crate::stage::{fallen, settled};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use waywarden_model::{Subject, Timestamp, Violation, ViolationId};

#[async_trait]
impl PreviewStore for TimescaleStore {
    async fn preview_source(&self, rebuilt: Rebuilt) -> Result<SourcePreview> {
        self.snapshot(Who::Worker, &OfSource { rebuilt }).await
    }

    async fn preview_subject(
        &self,
        subject: &Subject,
        from: Timestamp,
        over: Arc<Overlay>,
        judge: Arc<dyn SubjectJudge>,
    ) -> Result<Vec<Foreseen>> {
        let subject = subject.clone();
        let job = OfSubject {
            subject,
            from,
            over,
            judge,
        };
        self.snapshot(Who::Worker, &job).await
    }
}

struct OfSource {
    rebuilt: Rebuilt,
}

#[async_trait]
impl Reading for OfSource {
    type Read = SourcePreview;

    async fn read(&self, work: &Work<'_>) -> Outcome<SourcePreview> {
        let r = &self.rebuilt;
        if r.behind.is_none() {
            return Ok(SourcePreview::default());
        }
        let stated: Vec<&Violation> = r.violations.iter().collect();
        let fallen = r.fallen(&rebuild::standing(work, r).await?);
        let changes = difference(work, &stated, fallen).await?;
        let (periods, subjects) = preview::periods(r, &rebuild::periods(work, r).await?);
        Ok(SourcePreview {
            changes,
            periods,
            subjects,
        })
    }
}

struct OfSubject {
    subject: Subject,
    from: Timestamp,
    over: Arc<Overlay>,
    judge: Arc<dyn SubjectJudge>,
}

#[async_trait]
impl Reading for OfSubject {
    type Read = Vec<Foreseen>;

    async fn read(&self, work: &Work<'_>) -> Outcome<Vec<Foreseen>> {
        let (subject, judge) = (&self.subject, self.judge.as_ref());
        let seen = subjects::judge_one(work, subject, self.from, judge, &self.over).await?;
        let judged = seen.judged;
        let stated = settled(subject, &judged)?;
        let standing = violations::standing(work, subject, judged.settled_from).await?;
        difference(work, &stated, fallen(&stated, &standing)).await
    }
}

async fn difference(
    work: &Work<'_>,
    stated: &[&Violation],
    fallen: Vec<(ViolationId, Option<ViolationId>)>,
) -> Outcome<Vec<Foreseen>> {
    let formers = violations::formers(work, stated, "").await?;
    let mut changes = Vec::new();
    for v in stated {
        changes.extend(preview::stated(formers.get(&v.id()), v)?);
    }
    let ids: Vec<Vec<u8>> = fallen.iter().map(|(id, _)| id.bytes().to_vec()).collect();
    let columns = violation_columns();
    let sql = format!("SELECT {columns} FROM violations v WHERE v.id = ANY($1)");
    let old = all(&work.rows(&sql, &[&ids]).await?, |r| violation(r))?;
    let mut old: BTreeMap<ViolationId, _> = old.into_iter().map(|v| (v.id, v)).collect();
    for (id, successor) in fallen {
        let falls = old.remove(&id).and_then(|v| preview::falls(v, successor));
        changes.extend(falls);
    }
    Ok(changes)
}
