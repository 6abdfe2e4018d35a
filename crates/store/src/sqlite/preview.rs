//! What judging again would change in the file.

use super::read::violations::one;
use super::{SqliteStore, rebuild, subjects, violations};
use crate::batch::{Result, SubjectJudge};
use crate::preview::{self, Foreseen, Overlay, PreviewStore, SourcePreview};
use crate::rebuild::Rebuilt;
use crate::stage::{fallen, settled};
use async_trait::async_trait;
use rusqlite::Connection;
use std::sync::Arc;
use waywarden_model::{Subject, Timestamp, Violation, ViolationId};

#[async_trait]
impl PreviewStore for SqliteStore {
    async fn preview_source(&self, rebuilt: Rebuilt) -> Result<SourcePreview> {
        self.read(move |c| source(c, &rebuilt)).await
    }

    async fn preview_subject(
        &self,
        subject: &Subject,
        from: Timestamp,
        over: Arc<Overlay>,
        judge: Arc<dyn SubjectJudge>,
    ) -> Result<Vec<Foreseen>> {
        let subject = subject.clone();
        self.read(move |c| {
            let judged = subjects::judge_one(c, &subject, from, judge.as_ref(), &over)?.judged;
            let stated = settled(&subject, &judged)?;
            let standing = violations::standing(c, &subject, judged.settled_from)?;
            difference(c, &stated, fallen(&stated, &standing))
        })
        .await
    }
}

fn source(c: &Connection, r: &Rebuilt) -> Result<SourcePreview> {
    if r.behind.is_none() {
        return Ok(SourcePreview::default());
    }
    let stated: Vec<&Violation> = r.violations.iter().collect();
    let changes = difference(c, &stated, r.fallen(&rebuild::standing(c, r)?))?;
    let (periods, subjects) = preview::periods(r, &rebuild::periods(c, r)?);
    Ok(SourcePreview {
        changes,
        periods,
        subjects,
    })
}

fn difference(
    c: &Connection,
    stated: &[&Violation],
    fallen: Vec<(ViolationId, Option<ViolationId>)>,
) -> Result<Vec<Foreseen>> {
    let mut changes = Vec::new();
    for v in stated {
        changes.extend(preview::stated(violations::former(c, v.id())?.as_ref(), v)?);
    }
    for (id, successor) in fallen {
        changes.extend(one(c, id)?.and_then(|old| preview::falls(old, successor)));
    }
    Ok(changes)
}
