//! The subject stage's judge, as the store calls it inside a transaction.

use std::sync::Arc;
use waywarden_model::{Alert, Period, Subject, Timestamp};
use waywarden_rules::{Profiles, subject};
use waywarden_store::{Judged, SubjectJudge};

/// Judges driving hours by the regime's profiles.
#[derive(Debug, Clone)]
pub struct Subjects {
    profiles: Arc<Profiles>,
    ahead_ms: Option<i64>,
}

impl Subjects {
    /// Tells nobody of limits that come near.
    pub fn new(profiles: Arc<Profiles>) -> Self {
        Self {
            profiles,
            ahead_ms: None,
        }
    }

    /// Tells of limits this long before they are passed, milliseconds.
    #[must_use]
    pub fn telling(self, ahead_ms: Option<i64>) -> Self {
        Self { ahead_ms, ..self }
    }
}

impl SubjectJudge for Subjects {
    fn window_start(&self, from: Timestamp) -> Timestamp {
        subject::window_start(&self.profiles, from)
    }

    fn judge(&self, subject: &Subject, window: Timestamp, periods: &[Period]) -> Judged {
        let result = subject::judge(&self.profiles, subject, window, periods);
        Judged {
            need_from: result.need_from,
            violations: result.violations,
            settled_from: result.settled_from,
            driver_days: result.driver_days,
        }
    }

    fn ahead(
        &self,
        subject: &Subject,
        window: Timestamp,
        periods: &[Period],
        judged: &Judged,
    ) -> Vec<Alert> {
        let Some(ahead_ms) = self.ahead_ms else {
            return Vec::new();
        };
        let (law, stated) = (&self.profiles, &judged.violations);
        subject::ahead(law, subject, window, periods, stated, ahead_ms)
    }
}
