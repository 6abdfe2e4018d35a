//! The subject stage's judge, as the store calls it inside a transaction.

use std::sync::Arc;
use waywarden_model::{Period, Subject, Timestamp};
use waywarden_rules::{Profiles, subject};
use waywarden_store::{Judged, SubjectJudge};

/// Judges driving hours by the regime's profiles.
#[derive(Debug, Clone)]
pub struct Subjects(Arc<Profiles>);

impl Subjects {
    pub fn new(profiles: Arc<Profiles>) -> Self {
        Self(profiles)
    }
}

impl SubjectJudge for Subjects {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        subject::window_start(&self.0, from)
    }

    fn judge(&self, subject: &Subject, window: Timestamp, periods: &[Period]) -> Judged {
        let result = subject::judge(&self.0, subject, window, periods);
        Judged {
            need_from: result.need_from,
            violations: result.violations,
            settled_from: result.settled_from,
            driver_days: result.driver_days,
        }
    }
}
